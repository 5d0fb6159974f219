//! Raw parts: buffers on their way through code that knows only pointers.

use crate::buf::PoolBuf;
use crate::class::{Class, DIRECT};
use crate::origin::Pooled;
use crate::pool::BytePool;
use crate::slot::{HEADER_BYTES, Header, Whole, header_of};
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use millpond_core::entry::Entry;
use millpond_core::home::FALLBACK;

/// A buffer taken apart by [`PoolBuf::into_raw_parts`], for foreign interfaces
/// and completion queues. It is out until
/// [`BytePool::from_raw_parts`] gets it back.
#[derive(Clone, Copy, Debug)]
pub struct RawParts {
    /// The first byte of the contents.
    pub ptr: NonNull<u8>,
    /// Bytes of contents.
    pub len: usize,
    /// Bytes from `ptr` that may be written.
    pub capacity: usize,
    /// How often the slot was taken apart: parts of an earlier time are not
    /// taken back.
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

impl PoolBuf {
    /// Takes the buffer apart. Moves the contents to the front if some were
    /// consumed. Forgetting the parts leaks the buffer, as forgetting the buffer
    /// would.
    ///
    /// # Errors
    ///
    /// Hands back a buffer that is of no class, oversize for example: there would
    /// be no way to find out later that it is whose it says.
    pub fn into_raw_parts(mut self) -> Result<RawParts, Self> {
        if self.origin_mut().0.notes() & (DIRECT | FALLBACK) != 0 {
            return Err(self);
        }
        self.compact();
        let (bytes, range, capacity, Pooled(home)) = self.suspend();
        // SAFETY: the bytes of a slot.
        let header = unsafe { header_of(bytes) };
        // SAFETY: alive while its slot is out.
        let header = unsafe { header.as_ref() };
        let whole = MaybeUninit::new(Whole { home, capacity });
        // SAFETY: the buffer was ours alone.
        unsafe { header.whole.get().write(whole) };
        // Release: whoever takes it back sees what is written above.
        let before = header.generation.fetch_add(1, Ordering::Release);
        debug_assert_eq!(before % 2, 0, "a buffer is not out as raw parts");
        Ok(RawParts {
            ptr: bytes,
            len: range.end,
            capacity,
            generation: before + 1,
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
        let header = parts
            .ptr
            .as_ptr()
            .wrapping_sub(HEADER_BYTES)
            .cast::<Header>();
        let header = NonNull::new(header).ok_or(Discard::Foreign)?;
        for class in self.pond().all_classes() {
            if let Some(claimed) = class.claim(parts, header) {
                let Whole { home, capacity } = claimed?;
                // SAFETY: claimed, so ours alone; initialised by the caller.
                return Ok(unsafe {
                    PoolBuf::resume(parts.ptr, 0..parts.len, capacity, Pooled(home))
                });
            }
        }
        Err(Discard::Foreign)
    }
}

impl Class {
    /// Claims a slot that is out as raw parts; `None` if it is not of this class.
    fn claim(&self, parts: &RawParts, header: NonNull<Header>) -> Option<Result<Whole, Discard>> {
        let entry = Entry::from_ptr(parts.ptr.cast());
        // While the source is held still, a slab that is found does not go.
        self.engine.with_source(|slots| {
            use millpond_core::source::Source;
            if !slots.owns(entry) {
                return None;
            }
            if parts.capacity != self.size() || parts.len > self.size() {
                return Some(Err(Discard::WrongSize));
            }
            let generation = parts.generation;
            if generation % 2 == 0 {
                return Some(Err(Discard::Stale));
            }
            // SAFETY: a slot of a slab that is there: its header is initialised.
            let header = unsafe { header.as_ref() };
            let claimed = header.generation.compare_exchange(
                generation,
                generation + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            if claimed.is_err() {
                return Some(Err(Discard::Stale));
            }
            // SAFETY: ours alone by the exchange; nobody else reads it.
            let whole = unsafe { header.whole.get().read() };
            // SAFETY: written when the buffer was taken apart.
            Some(Ok(unsafe { whole.assume_init() }))
        })
    }
}
