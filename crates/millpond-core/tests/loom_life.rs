//! Slots that are read by ids without counting: what a reader sees.
//!
//! Modelled: a slot that is filled and brought to life while a reader, who has its
//! id by a word that orders nothing, looks; and the same slot in a second life,
//! which begins when no reader is left.
#![cfg(millpond_loom)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use millpond_core::id::{Generation, RawId};
use millpond_core::life::Life;

struct Slot {
    life: Life,
    value: UnsafeCell<u32>,
    /// How the reader comes by the id.
    posted: AtomicU64,
}

// SAFETY: the value is touched as the life allows; loom fails the model if that is
// not enough.
unsafe impl Sync for Slot {}
// SAFETY: as above.
unsafe impl Send for Slot {}

impl Slot {
    fn store(&self, value: u32) -> RawId {
        // SAFETY: vacant, and the caller is alone in filling it.
        self.value.with_mut(|place| unsafe { *place = value });
        let id = self.life.open(0).expect("vacant");
        self.posted.store(id.to_bits(), Ordering::Relaxed);
        id
    }

    /// The value that the posted id leads to, if it was posted and is live here.
    fn read(&self) -> Option<u32> {
        let id = RawId::from_bits(self.posted.load(Ordering::Relaxed))?;
        let named = self.life.is_named_by(id);
        // SAFETY: live, and nobody closes it while readers are there.
        named.then(|| self.value.with(|place| unsafe { *place }))
    }
}

#[test]
fn whoever_finds_a_row_live_sees_all_of_it() {
    loom::model(|| {
        let slot = Arc::new(Slot {
            life: Life::new(Generation::NEW),
            value: UnsafeCell::new(0),
            posted: AtomicU64::new(0),
        });
        let reader = thread::spawn({
            let slot = Arc::clone(&slot);
            move || assert!(matches!(slot.read(), None | Some(7)))
        });
        let first = slot.store(7);
        reader.join().unwrap();
        // No reader is left: the slot may be emptied and filled again.
        assert!(slot.life.close().is_some());
        let reader = thread::spawn({
            let slot = Arc::clone(&slot);
            move || {
                assert!(!slot.life.is_named_by(first), "the first life is over");
                assert!(matches!(slot.read(), None | Some(8)));
            }
        });
        slot.store(8);
        reader.join().unwrap();
        assert_eq!(slot.read(), Some(8));
    });
}
