use millpond_fixed::FixedPool;
use std::rc::Rc;

fn main() {
    let pool = FixedPool::<Rc<u8>>::new(1).into_handle();
    std::thread::spawn(move || drop(pool));
}
