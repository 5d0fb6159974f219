//! Origins: where a buffer came from, and so where it goes.

use crate::buf::PoolBuf;
#[cfg(feature = "std")]
use crate::class::{Class, Patience};
#[cfg(feature = "std")]
use crate::pond::Pond;
use core::panic::Location;
use core::ptr::NonNull;
#[cfg(not(feature = "std"))]
use millpond_core::engine::Local;
use millpond_core::engine::Mode;
#[cfg(feature = "std")]
use millpond_core::engine::Shared;
use millpond_core::error::AcquireError;
#[cfg(feature = "std")]
use millpond_core::error::Limit;
#[cfg(feature = "std")]
use millpond_core::home::{FALLBACK, Home};
#[cfg(feature = "std")]
use millpond_core::member::Joined as _;

/// Where a [`PoolBuf`] goes when it is dropped, and where it grows. Sealed.
#[expect(private_bounds, reason = "sealed")]
pub trait Origin: Sealed {}

/// Note in a home: the buffer is wiped when it is released.
pub(crate) const WIPE: usize = 4;

/// Note in a home: the buffer was never to be pooled: too large, or too small.
pub(crate) const DIRECT: usize = 8;

/// # Safety
///
/// `acquire` answers a buffer with a slot of its own. Buffers whose mode is for one
/// thread stay on it.
pub(crate) unsafe trait Sealed: Copy {
    /// How many threads may have views of a buffer at once.
    type Mode: Mode;

    /// Takes the slot with these bytes back.
    ///
    /// # Safety
    ///
    /// The slot came from here, is the caller's own and not used afterwards.
    unsafe fn bring_home(self, bytes: NonNull<u8>, capacity: usize);

    /// An empty buffer for `len` bytes from the same pool.
    fn acquire(
        self,
        len: usize,
        location: &'static Location<'static>,
    ) -> Result<PoolBuf<Self>, AcquireError>
    where
        Self: Origin;

    /// The same, wiping the buffer when it is released.
    fn wiping(self) -> Self;

    /// Whether the buffer is wiped when it is released.
    fn is_wiping(self) -> bool;

    /// Whether the buffer is of no class.
    fn is_direct(self) -> bool;

    /// Whether the buffer lies in a slab of its class.
    #[cfg(feature = "std")]
    fn is_in_class(self) -> bool;
}

/// The origin of buffers of a `BytePool`.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct Pooled(pub(crate) Home<Class>);

/// The origin of buffers of a `BytePool`, of which there is none without `std`.
#[cfg(not(feature = "std"))]
#[derive(Clone, Copy, Debug)]
pub enum Pooled {}

#[cfg(feature = "std")]
// SAFETY: a name of where a buffer goes, which may be brought there from any
// thread.
unsafe impl Send for Pooled {}
#[cfg(feature = "std")]
// SAFETY: as above.
unsafe impl Sync for Pooled {}

impl Origin for Pooled {}

#[cfg(feature = "std")]
// SAFETY: an acquire gives a slot of its own.
unsafe impl Sealed for Pooled {
    type Mode = Shared;

    #[inline(always)]
    unsafe fn bring_home(self, bytes: NonNull<u8>, capacity: usize) {
        match self.0.pool_if_plain() {
            // SAFETY: by the caller.
            Some(class) => unsafe { Class::bring_home(class, bytes, capacity) },
            // SAFETY: by the caller.
            None => unsafe { Class::bring_home_slow(self.0, bytes, capacity) },
        }
    }

    #[cold]
    fn acquire(
        self,
        len: usize,
        location: &'static Location<'static>,
    ) -> Result<PoolBuf<Self>, AcquireError> {
        // SAFETY: a buffer that is out keeps its class alive, or the pond.
        let pond = unsafe { self.0.pool().as_ref() }.pond;
        // A buffer keeps its own class only: the others go with the last handle.
        // SAFETY: alive, as a class of it is.
        if !unsafe { Pond::join(pond) } {
            // SAFETY: as above.
            let name = unsafe { pond.as_ref() }.config.name;
            return Err(AcquireError::new(name, Limit::Closed, 0, 0, 0));
        }
        let joined = Joined(pond);
        // SAFETY: joined above.
        unsafe { Pond::acquire_slow(joined.0, len, Patience::None, location) }
    }

    fn wiping(self) -> Self {
        Self(self.0.with_notes(self.0.notes() | WIPE))
    }

    fn is_wiping(self) -> bool {
        self.0.notes() & WIPE != 0
    }

    fn is_direct(self) -> bool {
        self.0.notes() & DIRECT != 0
    }

    fn is_in_class(self) -> bool {
        self.0.notes() & (DIRECT | FALLBACK) == 0
    }
}

#[cfg(not(feature = "std"))]
// SAFETY: there is no such buffer.
unsafe impl Sealed for Pooled {
    type Mode = Local;

    unsafe fn bring_home(self, _: NonNull<u8>, _: usize) {
        match self {}
    }

    fn acquire(
        self,
        _: usize,
        _: &'static Location<'static>,
    ) -> Result<PoolBuf<Self>, AcquireError> {
        match self {}
    }

    fn wiping(self) -> Self {
        self
    }

    fn is_wiping(self) -> bool {
        match self {}
    }

    fn is_direct(self) -> bool {
        match self {}
    }
}

#[cfg(feature = "std")]
/// A pond that was joined; dropping this leaves it again, also if a hook panics.
struct Joined(NonNull<Pond>);

#[cfg(feature = "std")]
impl Drop for Joined {
    fn drop(&mut self) {
        // SAFETY: joined once by whoever made this, and left once.
        unsafe { Pond::let_go(self.0) };
    }
}
