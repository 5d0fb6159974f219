//! Raw parts: buffers on their way through code that knows only pointers.

use crate::buf::PoolBuf;
use crate::class::Class;
use crate::figures::Discards;
use crate::local::{LocalBuf, LocalBytePool};
use crate::origin::Origin;
use crate::pool::BytePool;
use crate::slot::{Slots, header_of};
use core::fmt;
use core::ptr::NonNull;

/// A buffer taken apart by [`PoolBuf::into_raw_parts`], for foreign interfaces
/// and completion queues. It is out until
/// [`BytePool::from_raw_parts`] gets it back.
///
/// ```
/// use millpond_bytes::{BytePool, Discard};
///
/// let pool = BytePool::default();
/// let mut buffer = pool.acquire(100)?;
/// buffer.extend_from_slice(b"to the kernel")?;
/// let parts = buffer.into_raw_parts().expect("of a class");
///
/// // The completion says that it is ours again.
/// // SAFETY: nothing else uses the pointer, and the contents are as they were.
/// let buffer = unsafe { pool.from_raw_parts(parts) }?;
/// assert_eq!(buffer, b"to the kernel");
/// // SAFETY: nothing is asked for parts that are not out.
/// let again = unsafe { pool.from_raw_parts(parts) };
/// assert_eq!(again.unwrap_err(), Discard::Stale);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RawParts {
    /// The first byte of the contents.
    pub ptr: NonNull<u8>,
    /// Bytes of contents.
    pub len: usize,
    /// Bytes from `ptr` that may be written.
    pub capacity: usize,
    /// The number of this taking apart, which no other has in the life of the
    /// process: parts of an earlier time are not taken back, even if their memory
    /// went back to the system and came again.
    pub generation: u64,
}

// SAFETY: the parts of a buffer, which may go to any thread; using the pointer
// is unsafe by itself.
unsafe impl Send for RawParts {}

/// Why raw parts were not taken back. They were counted, and nothing else
/// happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Discard {
    /// The memory is not this pool's.
    Foreign,
    /// The capacity is not that of the slot, or less than the length.
    WrongSize,
    /// The slot is not out as these parts: it was taken back already.
    Stale,
}

impl Discard {
    /// Where it is counted.
    pub(crate) fn counter(self, counters: &mut Discards) -> &mut u64 {
        match self {
            Self::Foreign => &mut counters.foreign,
            Self::WrongSize => &mut counters.wrong_size,
            Self::Stale => &mut counters.stale,
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "raw parts of memory that is not this pool's",
            Self::WrongSize => "raw parts with a size that is not that of their slot",
            Self::Stale => "raw parts that were taken back already",
        })
    }
}

impl core::error::Error for Discard {}

impl<O: Origin> PoolBuf<O> {
    /// Takes the buffer apart. Moves the contents to the front if some were
    /// consumed. Forgetting the parts leaks the buffer, as forgetting the buffer
    /// would.
    ///
    /// # Errors
    ///
    /// Hands back a buffer that is of no class, oversize for example: there would
    /// be no way to find out later that it is whose it says.
    pub fn into_raw_parts(mut self) -> Result<RawParts, Self> {
        if !self.origin_mut().is_in_class() {
            return Err(self);
        }
        self.compact();
        // Whoever has the parts may write anything behind the contents.
        self.doubt_spare();
        let capacity = self.capacity();
        let (bytes, range) = self.set_aside();
        // SAFETY: the bytes of a slot.
        let header = unsafe { header_of(bytes) };
        // SAFETY: alive while its slot is out.
        let header = unsafe { header.as_ref() };
        Ok(RawParts {
            ptr: bytes,
            len: range.end,
            capacity,
            generation: header.parts.offer(),
        })
    }
}

impl BytePool {
    /// Puts a buffer together again. `parts.len` may have changed.
    ///
    /// Class, owner and generation are checked, under a lock: some tens of
    /// nanoseconds.
    ///
    /// # Errors
    ///
    /// [`Discard`] says why the parts were not taken; they are counted in the
    /// statistics and change nothing.
    ///
    /// # Safety
    ///
    /// If the parts are those of a buffer that is out: the first `len` bytes are
    /// initialised, and nobody uses the pointer any more. For any other parts
    /// nothing is asked.
    pub unsafe fn from_raw_parts(&self, parts: RawParts) -> Result<PoolBuf, Discard> {
        let claimed = self.claim(&parts);
        claimed.inspect_err(|&reason| self.pond().ledger.discard(reason))
    }

    fn claim(&self, parts: &RawParts) -> Result<PoolBuf, Discard> {
        let mut classes = self.pond().all_classes();
        let claimed = classes.find_map(|class| class.claim(parts));
        let bytes = claimed.unwrap_or(Err(Discard::Foreign))?;
        // SAFETY: claimed, so ours alone; initialised by the caller.
        Ok(unsafe { PoolBuf::put_together(bytes, 0..parts.len) })
    }
}

impl LocalBytePool {
    /// Puts a buffer together again; see [`BytePool::from_raw_parts`].
    ///
    /// # Errors
    ///
    /// [`Discard`] says why the parts were not taken; they are counted in the
    /// statistics and change nothing.
    ///
    /// # Safety
    ///
    /// As [`BytePool::from_raw_parts`].
    pub unsafe fn from_raw_parts(&self, parts: RawParts) -> Result<LocalBuf<'_>, Discard> {
        let claimed = self.claim(&parts);
        let bytes = claimed.inspect_err(|&reason| self.count_discard(reason))?;
        // SAFETY: claimed, so ours alone; initialised by the caller.
        Ok(unsafe { PoolBuf::put_together(bytes, 0..parts.len) })
    }
}

impl Class {
    /// As [`RawParts::claim`], of a slot of this class.
    fn claim(&self, parts: &RawParts) -> Option<Result<NonNull<u8>, Discard>> {
        // While the source is held still, a slab that is found does not go.
        let size = self.size();
        self.engine.with_source(|slots| parts.claim(slots, size))
    }
}

impl RawParts {
    /// Claims a slot that is out as these parts, and answers its bytes, by a pointer of
    /// the class's own; `None` if it is none of `slots`, of `size` bytes each.
    pub(crate) fn claim(&self, slots: &Slots, size: usize) -> Option<Result<NonNull<u8>, Discard>> {
        let bytes = slots.bytes_at(self.ptr.addr().get())?;
        if self.capacity != size || self.len > size {
            return Some(Err(Discard::WrongSize));
        }
        // SAFETY: the bytes of a slot.
        let header = unsafe { header_of(bytes) };
        // SAFETY: of a slab that is there, so its header is initialised.
        let header = unsafe { header.as_ref() };
        if !header.parts.take(self.generation) {
            return Some(Err(Discard::Stale));
        }
        Some(Ok(bytes))
    }
}
