//! Items that are out as plain numbers: who gets them back, and what they see.
//!
//! Modelled: two threads that claim the same item by the same ticket, one of which
//! changes it and lets it go again while the other may still be at its attempt.
#![cfg(millpond_loom)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use millpond_core::claim::Claim;

struct Item {
    claim: Claim,
    /// What is written before it is let go.
    home: UnsafeCell<u32>,
    /// How others come by the ticket: orders nothing.
    posted: AtomicU64,
}

// SAFETY: `home` is touched by whoever has the item; loom fails the model if that is
// not enough.
unsafe impl Sync for Item {}
// SAFETY: as above.
unsafe impl Send for Item {}

impl Item {
    fn let_go(&self, home: u32) {
        // SAFETY: the caller has the item.
        self.home.with_mut(|place| unsafe { *place = home });
        self.posted.store(self.claim.offer(), Ordering::Relaxed);
    }

    /// Takes the item by the posted ticket, changes it and lets it go.
    fn pass_on(&self) -> bool {
        if !self.claim.take(self.posted.load(Ordering::Relaxed)) {
            return false;
        }
        // SAFETY: taken, so ours alone.
        let home = self.home.with(|place| unsafe { *place });
        assert!(home >= 7, "what was written before it was let go");
        self.let_go(home + 1);
        true
    }
}

#[test]
fn one_gets_the_item_and_sees_what_was_written() {
    loom::model(|| {
        let item = Arc::new(Item {
            claim: Claim::new(),
            home: UnsafeCell::new(0),
            posted: AtomicU64::new(0),
        });
        let others: Vec<_> = (0..2)
            .map(|_| {
                let item = Arc::clone(&item);
                thread::spawn(move || u32::from(item.pass_on()))
            })
            .collect();
        item.let_go(7);
        let passed: u32 = others.into_iter().map(|other| other.join().unwrap()).sum();
        assert!(item.claim.take(item.posted.load(Ordering::Relaxed)));
        // SAFETY: taken, and nobody else is left.
        let home = item.home.with(|place| unsafe { *place });
        assert_eq!(home, 7 + passed, "each change once");
    });
}
