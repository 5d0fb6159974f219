use millpond_arena::{ArenaManager, Scope};

fn main() {
    let child = {
        let parent = ArenaManager::new().lease(Scope::Json).unwrap();
        parent.child().unwrap()
    };
    child.alloc(1).unwrap();
}
