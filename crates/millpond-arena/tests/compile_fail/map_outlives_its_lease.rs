use millpond_arena::{ArenaManager, Scope};

fn main() {
    let manager = ArenaManager::new();
    let mut map = {
        let lease = manager.lease(Scope::Json).unwrap();
        hashbrown::HashMap::new_in(&lease)
    };
    map.insert(1, 2);
}
