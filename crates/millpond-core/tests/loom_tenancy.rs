//! Ids and counted leases: who is alone with a value, and what they see of it.
//!
//! Modelled: pins against the end of a tenancy and against the next tenant of the
//! slot; holders of a shared item that end at the same time; a holder that is alone,
//! changes the item and shares it again, as a frozen buffer that is thawed, against the
//! end of the others and the next lease. That exactly one is alone with the value, after
//! everybody else is done with it.
//!
//! Not modelled: the engine below, which carries a slot from its last user to the
//! next; here a mutex does.
#![cfg(millpond_loom)]

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread;
use millpond_core::engine::Shared;
use millpond_core::id::{Generation, RawId};
use millpond_core::sharing::Sharing;
use millpond_core::tenancy::{Ending, Tenancy};

/// A slot whose value loom watches.
struct Slot {
    tenancy: Tenancy,
    value: UnsafeCell<u32>,
    /// Where the engine would be.
    free: Mutex<u32>,
}

// SAFETY: the value is touched as the tenancy allows; loom fails the model if
// that is not enough.
unsafe impl Sync for Slot {}
// SAFETY: as above.
unsafe impl Send for Slot {}

impl Slot {
    fn new() -> (Arc<Self>, RawId) {
        let slot = Arc::new(Self {
            tenancy: Tenancy::new(Generation::NEW),
            value: UnsafeCell::new(0),
            free: Mutex::new(1),
        });
        let id = slot.insert(1).expect("vacant");
        (slot, id)
    }

    fn insert(&self, value: u32) -> Option<RawId> {
        let mut free = self.free.lock().expect("no panic");
        if *free == 0 {
            return None;
        }
        *free -= 1;
        drop(free);
        // SAFETY: taken off the free list, so ours.
        self.value.with_mut(|place| unsafe { *place = value });
        self.tenancy.open(0)
    }

    fn read(&self, id: RawId, expected: u32) -> bool {
        if !self.tenancy.pin(id) {
            return false;
        }
        // SAFETY: pinned.
        let read = self.value.with(|place| unsafe { *place });
        assert_eq!(read, expected, "an id leads to its own value");
        if self.tenancy.unpin() {
            self.finish();
        }
        true
    }

    fn end(&self, id: RawId) -> Ending {
        let ending = self.tenancy.end(id);
        if ending == Ending::Alone {
            self.finish();
        }
        ending
    }

    fn finish(&self) {
        assert!(self.tenancy.vacate());
        // SAFETY: alone with the value.
        self.value.with_mut(|place| unsafe { *place = 0 });
        *self.free.lock().expect("no panic") += 1;
    }
}

#[test]
fn a_value_ends_once_after_its_last_pin() {
    loom::model(|| {
        let (slot, id) = Slot::new();
        let reader = Arc::clone(&slot);
        let reading = thread::spawn(move || reader.read(id, 1));
        let ending = slot.end(id);
        assert_ne!(ending, Ending::Stale);
        reading.join().expect("no panic");
        assert_eq!(*slot.free.lock().expect("no panic"), 1);
        assert!(!slot.read(id, 1), "the id is stale");
    });
}

#[test]
fn two_ends_and_a_pin_end_the_value_once() {
    loom::model(|| {
        let (slot, id) = Slot::new();
        let [one, two] = [Arc::clone(&slot), Arc::clone(&slot)];
        let one = thread::spawn(move || one.end(id));
        let two = thread::spawn(move || two.read(id, 1));
        let mine = slot.end(id);
        let other = one.join().expect("no panic");
        two.join().expect("no panic");
        assert!((mine == Ending::Stale) != (other == Ending::Stale));
        assert_eq!(*slot.free.lock().expect("no panic"), 1);
    });
}

#[test]
fn an_id_never_leads_to_the_next_tenant() {
    loom::model(|| {
        let (slot, id) = Slot::new();
        let reader = Arc::clone(&slot);
        let reading = thread::spawn(move || reader.read(id, 1));
        let _ = slot.end(id);
        if let Some(next) = slot.insert(2) {
            assert!(slot.read(next, 2));
        }
        reading.join().expect("no panic");
    });
}

#[test]
fn the_last_holder_sees_what_the_others_did() {
    struct Item {
        sharing: Sharing,
        value: UnsafeCell<u32>,
    }
    // SAFETY: as for `Slot`.
    unsafe impl Sync for Item {}
    // SAFETY: as for `Slot`.
    unsafe impl Send for Item {}

    fn release(item: &Item) -> bool {
        // SAFETY: a holder may look.
        let _ = item.value.with(|place| unsafe { *place });
        let last = item.sharing.release::<Shared>();
        if last {
            // SAFETY: the last one is alone.
            item.value.with_mut(|place| unsafe { *place += 1 });
        }
        last
    }

    loom::model(|| {
        let item = Arc::new(Item {
            sharing: Sharing::new(),
            value: UnsafeCell::new(0),
        });
        item.sharing.retain::<Shared>();
        let other = Arc::clone(&item);
        let other = thread::spawn(move || {
            other.sharing.retain::<Shared>();
            let first = release(&other);
            first | release(&other)
        });
        let mine = release(&item);
        assert!(mine != other.join().expect("no panic"), "one is the last");
    });
}

/// A buffer as frozen views see it: a count, bytes, and the way home.
struct Frozen {
    views: Sharing,
    bytes: UnsafeCell<u32>,
    /// Where the engine would be: how many came home.
    home: Mutex<u32>,
}

// SAFETY: as for `Slot`.
unsafe impl Sync for Frozen {}
// SAFETY: as for `Slot`.
unsafe impl Send for Frozen {}

impl Frozen {
    fn with_views(count: u32) -> Arc<Self> {
        let frozen = Arc::new(Self {
            views: Sharing::new(),
            bytes: UnsafeCell::new(0),
            home: Mutex::new(0),
        });
        (1..count).for_each(|_| frozen.views.retain::<Shared>());
        frozen
    }

    fn read(&self) -> u32 {
        // SAFETY: a view may look.
        self.bytes.with(|place| unsafe { *place })
    }

    fn write(&self) {
        // SAFETY: the caller is alone, or loom fails the model.
        self.bytes.with_mut(|place| unsafe { *place += 1 });
    }

    fn drop_view(&self) {
        let _ = self.read();
        if self.views.release::<Shared>() {
            // The buffer is somebody's again, and is wiped on its way home.
            self.write();
            *self.home.lock().expect("no panic") += 1;
        }
    }

    /// Thaws the buffer if this is the only view, writes, and freezes it again.
    fn write_if_alone(&self) -> bool {
        let alone = self.views.is_alone();
        if alone {
            self.write();
            self.views.begin();
        }
        alone
    }
}

#[test]
fn a_view_that_is_alone_thaws_writes_and_freezes_while_others_end() {
    loom::model(|| {
        let frozen = Frozen::with_views(2);
        let other = Arc::clone(&frozen);
        let other = thread::spawn(move || other.drop_view());
        let _ = frozen.write_if_alone();
        // A clone from a view is counted, whoever else comes or goes.
        frozen.views.retain::<Shared>();
        assert!(!frozen.write_if_alone(), "there are two of ours");
        frozen.drop_view();
        frozen.drop_view();
        other.join().expect("no panic");
        assert_eq!(*frozen.home.lock().expect("no panic"), 1);
    });
}

#[test]
fn of_two_views_that_ask_at_once_none_or_one_becomes_mutable() {
    loom::model(|| {
        let frozen = Frozen::with_views(2);
        let other = Arc::clone(&frozen);
        let thaw = |frozen: &Frozen| {
            let wrote = frozen.write_if_alone();
            frozen.drop_view();
            wrote
        };
        let other = thread::spawn(move || thaw(&other));
        let mine = thaw(&frozen);
        let theirs = other.join().expect("no panic");
        assert!(!(mine && theirs), "only who is last can be alone");
        assert_eq!(*frozen.home.lock().expect("no panic"), 1);
    });
}

#[test]
fn what_views_read_is_not_what_the_next_lease_writes() {
    loom::model(|| {
        let frozen = Frozen::with_views(2);
        let other = Arc::clone(&frozen);
        let other = thread::spawn(move || other.drop_view());
        frozen.drop_view();
        // The next lease, if the buffer is home: it writes and freezes anew.
        if *frozen.home.lock().expect("no panic") == 1 {
            frozen.write();
            frozen.views.begin();
            frozen.drop_view();
            assert_eq!(*frozen.home.lock().expect("no panic"), 2);
        }
        other.join().expect("no panic");
    });
}
