use millpond_fixed::FixedPool;
use std::rc::Rc;

fn main() {
    let pool: FixedPool<Rc<u8>> = FixedPool::new(1);
    std::thread::spawn(move || drop(pool));
}
