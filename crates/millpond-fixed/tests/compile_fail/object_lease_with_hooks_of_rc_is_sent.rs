use millpond_fixed::{Hooks, ObjectPool};
use std::rc::Rc;

fn main() {
    let count = Rc::new(0);
    let pool = ObjectPool::new(2, Hooks::new(move || *count, |_| ()));
    let lease = pool.try_acquire().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(lease));
    });
}
