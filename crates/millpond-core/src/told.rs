//! What an error tells by reference, and lets go of by value.
//!
//! The end of an `Arc` takes its address. If an error had one, the address of every
//! `Result` with such an error would be taken where the error is dropped, so that what
//! the fast path answers lay in memory: written word by word, and read in wider pieces,
//! which a processor cannot forward. Acquires of buffers with an `.ok()` behind took 13
//! ns longer (November 2026, 2-core virtual machine, Zen 4).

use alloc::sync::Arc;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;

/// A part of an error that is shared with who made it.
///
/// # Invariants
///
/// 1. The reference is taken out once, by the drop.
#[derive(PartialEq, Eq)]
pub(crate) struct Told<T: ?Sized>(ManuallyDrop<Arc<T>>);

impl<T: ?Sized> From<Arc<T>> for Told<T> {
    fn from(told: Arc<T>) -> Self {
        Self(ManuallyDrop::new(told))
    }
}

impl<T: ?Sized> Clone for Told<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for Told<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> Drop for Told<T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: by 1 it is there, and nobody looks afterwards.
        let_go_slow(unsafe { ManuallyDrop::take(&mut self.0) });
    }
}

/// Takes the reference and not its place.
#[cold]
#[inline(never)]
fn let_go_slow<T: ?Sized>(told: Arc<T>) {
    drop(told);
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Told<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(all(test, not(millpond_loom)))]
mod tests {
    use super::Told;
    use alloc::sync::Arc;

    #[test]
    fn each_clone_counts_once() {
        let name: Arc<str> = Arc::from("frames");
        let told = Told::from(Arc::clone(&name));
        let twice = told.clone();
        assert_eq!((&*told, &told), ("frames", &twice));
        assert_eq!(Arc::strong_count(&name), 3);
        drop(told);
        assert_eq!(Arc::strong_count(&name), 2);
        drop(twice);
        assert_eq!(Arc::strong_count(&name), 1);
    }
}
