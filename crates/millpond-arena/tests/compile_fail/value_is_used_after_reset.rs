use millpond_arena::{ArenaManager, Scope};

fn main() {
    let mut lease = ArenaManager::new().lease(Scope::Json).unwrap();
    let value = lease.alloc(1).unwrap();
    lease.reset();
    *value = 2;
}
