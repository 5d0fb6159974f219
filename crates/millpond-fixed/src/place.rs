//! Places: slots that keep their objects, what is done with an object between two users,
//! and the source of places.
//!
//! ```text
//!   slot  ┌────────────────┬───────┐
//!         │ object, or not │ holds │   an object stays while its slot is free, and goes with
//!         └────────────────┴───────┘   it: to the hook, when a slab or the pool ends
//! ```

use crate::recycle::{Eviction, Recycle, Verdict};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use millpond_core::entry::Entry;
use millpond_core::error::Limit;
use millpond_core::observe::RegionFigures;
use millpond_core::poison;
use millpond_core::slab::{RetiredSlabs, Slabs};
use millpond_core::source::{Batch, Source};
use millpond_core::trim::Level;

/// What a slot is laid out for.
///
/// # Invariants
///
/// 1. `object` is initialised if `holds` is set.
#[allow(missing_debug_implementations, reason = "nobody outside has one")]
#[repr(C)]
pub struct Place<T> {
    object: MaybeUninit<T>,
    holds: bool,
}

impl<T> Place<T> {
    /// Takes out the object, if there is one.
    ///
    /// # Safety
    ///
    /// The place is the caller's alone, and was written by [`Place::clear`].
    pub(crate) unsafe fn take(place: NonNull<Self>) -> Option<T> {
        // SAFETY: by the caller.
        let place = unsafe { &mut *place.as_ptr() };
        if !place.holds {
            return None;
        }
        place.holds = false;
        // SAFETY: by 1; not used again, because `holds` is not set any more.
        let object = unsafe { place.object.assume_init_read() };
        // SAFETY: ours, and there is nothing in it any more.
        unsafe { poison::on_release(NonNull::from(&mut place.object).cast(), size_of::<T>()) };
        Some(object)
    }

    /// # Safety
    ///
    /// The place is the caller's alone, and holds nothing.
    unsafe fn put(place: NonNull<Self>, object: T) {
        // SAFETY: by the caller.
        let place = unsafe { &mut *place.as_ptr() };
        // SAFETY: ours, and there is nothing in it.
        unsafe { poison::on_lease(NonNull::from(&mut place.object).cast(), size_of::<T>()) };
        place.object.write(object);
        place.holds = true;
    }

    /// Notes that there is none.
    ///
    /// # Safety
    ///
    /// The place is the caller's alone.
    pub(crate) unsafe fn clear(place: NonNull<Self>) {
        // The note on what is inside is never dead, whatever tools believe.
        // SAFETY: inside the place.
        let holds = unsafe { &raw mut (*place.as_ptr()).holds };
        // SAFETY: inside a place, so not null.
        let note = unsafe { NonNull::new_unchecked(holds) };
        // SAFETY: ours by the caller.
        unsafe { poison::on_lease(note.cast(), 1) };
        // SAFETY: as above.
        unsafe { holds.write(false) };
    }

    /// The object.
    ///
    /// # Safety
    ///
    /// There is one, and nobody changes it as long as the answer is used.
    #[inline(always)]
    pub(crate) unsafe fn object<'p>(place: NonNull<Self>) -> &'p T {
        // SAFETY: by the caller.
        let place = unsafe { &*place.as_ptr() };
        // SAFETY: by the caller there is one.
        unsafe { place.object.assume_init_ref() }
    }

    /// The object, to be changed.
    ///
    /// # Safety
    ///
    /// There is one, and it is the caller's alone as long as the answer is used.
    #[inline(always)]
    pub(crate) unsafe fn object_mut<'p>(place: NonNull<Self>) -> &'p mut T {
        // SAFETY: by the caller.
        let place = unsafe { &mut *place.as_ptr() };
        // SAFETY: by the caller there is one.
        unsafe { place.object.assume_init_mut() }
    }
}

/// Drops the object of a place if its recycling panics: what state it is in
/// nobody knows.
struct Suspect<T>(NonNull<Place<T>>);

impl<T> Drop for Suspect<T> {
    fn drop(&mut self) {
        // SAFETY: made while the place was the lease's own, and used by nobody
        // else since.
        drop(unsafe { Place::take(self.0) });
    }
}

// What follows takes places and not slots: a slot whose address nobody takes
// stays in registers.

/// An object that is kept, if there is one and it may be lent; else a new one.
///
/// # Safety
///
/// The place is the caller's alone, and was cleared.
#[inline(always)]
pub(crate) unsafe fn make_ready<T, R: Recycle<T>>(place: NonNull<Place<T>>, recycle: &R) {
    // SAFETY: by the caller.
    let inside = unsafe { &mut *place.as_ptr() };
    if inside.holds {
        let suspect = Suspect(place);
        // SAFETY: initialised, by 1 of the place.
        let object = unsafe { inside.object.assume_init_mut() };
        let valid = recycle.is_valid(object);
        core::mem::forget(suspect);
        if valid {
            return;
        }
        // SAFETY: by the caller.
        unsafe { evict_cold(place, recycle, Eviction::Invalid) };
    }
    // SAFETY: by the caller, and there is nothing in it.
    unsafe { construct_cold(place, recycle) };
}

/// Out of line: what it costs is the constructor.
///
/// # Safety
///
/// The place is the caller's alone, and holds nothing.
#[cold]
#[inline(never)]
unsafe fn construct_cold<T, R: Recycle<T>>(place: NonNull<Place<T>>, recycle: &R) {
    let object = recycle.construct();
    // SAFETY: by the caller.
    unsafe { Place::put(place, object) };
}

/// # Safety
///
/// The place is the caller's alone, and was cleared.
#[cold]
#[inline(never)]
unsafe fn evict_cold<T, R: Recycle<T>>(place: NonNull<Place<T>>, recycle: &R, why: Eviction) {
    // SAFETY: by the caller.
    if let Some(object) = unsafe { Place::take(place) } {
        recycle.evicted(object, why);
    }
}

/// Recycles what was lent, before its slot goes home.
///
/// # Safety
///
/// The place is the caller's alone, and holds an object, to which there is no
/// reference.
#[inline(always)]
pub(crate) unsafe fn make_clean<T, R: Recycle<T>>(place: NonNull<Place<T>>, recycle: &R) {
    let suspect = Suspect(place);
    // SAFETY: by the caller.
    let inside = unsafe { &mut *place.as_ptr() };
    // SAFETY: initialised, by the caller.
    let object = unsafe { inside.object.assume_init_mut() };
    let verdict = recycle.recycle(object);
    core::mem::forget(suspect);
    if verdict == Verdict::Evict {
        // SAFETY: by the caller.
        unsafe { evict_cold(place, recycle, Eviction::Rejected) };
    }
}

/// As [`make_clean`], of a slot with notes.
///
/// # Safety
///
/// As [`make_clean`].
#[cold]
#[inline(never)]
pub(crate) unsafe fn clean_noted_slow<T, R: Recycle<T>>(
    place: NonNull<Place<T>>,
    recycle: &R,
    is_fallback: bool,
) {
    if is_fallback {
        // SAFETY: by the caller.
        return unsafe { evict_cold(place, recycle, Eviction::Fallback) };
    }
    // SAFETY: by the caller.
    unsafe { make_clean(place, recycle) };
}

/// Slots that keep their objects.
///
/// # Invariants
///
/// 1. Every slot that was handed to the engine is a [`Place`] that was cleared.
#[allow(missing_debug_implementations, reason = "nobody outside has one")]
pub struct Places<T, R: Recycle<T>> {
    slabs: Slabs,
    recycle: Arc<R>,
    _objects: PhantomData<T>,
}

impl<T, R: Recycle<T>> Places<T, R> {
    pub(crate) fn new(slabs: Slabs, recycle: Arc<R>) -> Self {
        Self {
            slabs,
            recycle,
            _objects: PhantomData,
        }
    }
}

/// Places on their way back to the system, with the objects in them.
#[allow(missing_debug_implementations, reason = "nobody outside has one")]
pub struct RetiredPlaces<T, R: Recycle<T>> {
    slabs: RetiredSlabs,
    recycle: Arc<R>,
    _objects: PhantomData<T>,
}

/// Evicts what lies in `places`, all of it, even if a hook panics.
///
/// # Safety
///
/// The entries are those of cleared places, which are the caller's alone.
unsafe fn evict_all<T, R: Recycle<T>>(
    places: impl Iterator<Item = Entry>,
    recycle: &R,
    why: Eviction,
) {
    struct Rest<'r, T, R: Recycle<T>, I: Iterator<Item = Entry>> {
        places: I,
        recycle: &'r R,
        why: Eviction,
        _objects: PhantomData<T>,
    }

    impl<T, R: Recycle<T>, I: Iterator<Item = Entry>> Rest<'_, T, R, I> {
        fn evict(&mut self) {
            for entry in self.places.by_ref() {
                // SAFETY: by the caller of `evict_all`.
                let object = unsafe { Place::<T>::take(entry.as_ptr().cast()) };
                if let Some(object) = object {
                    self.recycle.evicted(object, self.why);
                }
            }
        }
    }

    impl<T, R: Recycle<T>, I: Iterator<Item = Entry>> Drop for Rest<'_, T, R, I> {
        fn drop(&mut self) {
            self.evict();
        }
    }

    let mut rest = Rest {
        places,
        recycle,
        why,
        _objects: PhantomData,
    };
    rest.evict();
}

impl<T, R: Recycle<T>> Drop for RetiredPlaces<T, R> {
    fn drop(&mut self) {
        // SAFETY: nobody uses places that left their source, and by its 1 they
        // were cleared.
        unsafe { evict_all::<T, R>(self.slabs.entries(), &self.recycle, Eviction::Trimmed) };
    }
}

impl<T, R: Recycle<T>> Drop for Places<T, R> {
    fn drop(&mut self) {
        // SAFETY: an engine drops its source once all items are home; by 1.
        unsafe { evict_all::<T, R>(self.slabs.entries(), &self.recycle, Eviction::PoolDropped) };
    }
}

impl<T, R: Recycle<T>> Source for Places<T, R> {
    type Retired = RetiredPlaces<T, R>;

    // Not `ADDRESSES`: there are objects in free slots, and other threads may
    // have been told where.

    fn create(&mut self, want: usize, most: usize, batch: &mut Batch) -> Result<(), Limit> {
        self.slabs.create(want, most, batch)?;
        for entry in batch.iter() {
            // SAFETY: a new slot for a `Place<T>`, known to nobody else yet.
            unsafe { Place::<T>::clear(entry.as_ptr().cast()) };
        }
        Ok(())
    }

    fn retire(&mut self, free: &mut Vec<Entry>, level: Level) -> Self::Retired {
        RetiredPlaces {
            slabs: self.slabs.retire(free, level),
            recycle: Arc::clone(&self.recycle),
            _objects: PhantomData,
        }
    }

    fn held_bytes(&self) -> usize {
        self.slabs.held_bytes()
    }

    fn owns(&self, entry: Entry) -> bool {
        self.slabs.owns(entry)
    }

    fn regions(&self, free: &[Entry]) -> Vec<RegionFigures> {
        self.slabs.regions(free)
    }
}
