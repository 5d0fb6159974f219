use millpond_fixed::FixedPool;
use std::rc::Rc;

fn main() {
    let pool = FixedPool::new(1).into_handle();
    let lease = pool.try_acquire_owned(Rc::new(1)).unwrap();
    std::thread::spawn(move || drop(lease));
}
