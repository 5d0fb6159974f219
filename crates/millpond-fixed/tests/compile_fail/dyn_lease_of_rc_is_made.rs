use millpond_fixed::FixedPool;
use std::rc::Rc;

fn main() {
    let pool = FixedPool::new(1);
    let lease = pool.try_acquire((Rc::new(1), 2)).unwrap();
    let number = lease.coerce(|value| &mut value.1);
    std::thread::scope(|scope| {
        scope.spawn(move || drop(number));
    });
}
