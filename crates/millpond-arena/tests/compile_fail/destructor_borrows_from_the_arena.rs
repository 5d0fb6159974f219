use millpond_arena::{ArenaManager, Scope};

struct Borrowing<'a>(&'a u8);

impl Drop for Borrowing<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn main() {
    let lease = ArenaManager::new().lease(Scope::Json).unwrap();
    let value: &u8 = lease.alloc(1).unwrap();
    lease.alloc_drop(Borrowing(value)).unwrap();
}
