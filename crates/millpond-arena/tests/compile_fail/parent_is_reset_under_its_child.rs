use millpond_arena::{ArenaManager, Scope};

fn main() {
    let mut parent = ArenaManager::new().lease(Scope::Json).unwrap();
    let child = parent.child().unwrap();
    parent.reset();
    child.alloc(1).unwrap();
}
