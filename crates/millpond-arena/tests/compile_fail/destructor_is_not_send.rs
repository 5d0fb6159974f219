use millpond_arena::{ArenaManager, Scope};
use std::rc::Rc;

fn main() {
    let lease = ArenaManager::new().lease(Scope::Json).unwrap();
    lease.alloc_drop(Rc::new(1)).unwrap();
}
