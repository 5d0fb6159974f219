//! Frozen buffers: shared, immutable views that go home with the last of them.

use crate::buf::PoolBuf;
use crate::origin::{Origin, Pooled};
use crate::slot::{Header, header_of};
use core::borrow::Borrow;
use core::cmp::Ordering as Order;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Bound, Deref, RangeBounds};
use core::ptr::NonNull;
use core::slice;
use millpond_core::sharing::Sharing;

/// A view of a frozen [`PoolBuf`]: `Clone`, sliceable, and `Send + Sync` unless the
/// pool is for one thread. Made by [`PoolBuf::freeze`].
///
/// Neither freezing, nor cloning, slicing and thawing allocate: the views are
/// counted in the header of the buffer's slot. A clone is one atomic addition, a
/// drop one subtraction, and neither is atomic in a
/// [`LocalBytePool`](crate::LocalBytePool); the last one gives the buffer back.
///
/// ```
/// let mut buffer = millpond_bytes::acquire(100)?;
/// buffer.extend_from_slice(b"key=value")?;
/// let mut key = buffer.freeze();
/// let value = key.split_off(3).slice(1..);
/// let reader = std::thread::spawn(move || value == "value");
/// assert!(key == "key" && reader.join().expect("no panic"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
///
/// 1. The slot is frozen: its buffer is set aside, its header counts this value
///    among the views, and the bytes do not change.
/// 2. `first` and the `len` bytes from there are initialised bytes of the slot.
pub struct PoolBytes<O: Origin = Pooled> {
    first: NonNull<u8>,
    len: usize,
    /// The bytes of the slot.
    bytes: NonNull<u8>,
    _origin: PhantomData<O>,
}

// SAFETY: the bytes do not change, and where the buffer goes may be reached from any
// thread if the origin says so; then the count is atomic.
unsafe impl<O: Origin + Send + Sync> Send for PoolBytes<O> {}
// SAFETY: as above.
unsafe impl<O: Origin + Send + Sync> Sync for PoolBytes<O> {}

impl<O: Origin> core::panic::UnwindSafe for PoolBytes<O> {}
impl<O: Origin> core::panic::RefUnwindSafe for PoolBytes<O> {}

impl<O: Origin> PoolBytes<O> {
    pub(crate) fn of(buffer: PoolBuf<O>) -> Self {
        let (bytes, range) = buffer.set_aside();
        let view = Self {
            // SAFETY: inside the slot.
            first: unsafe { bytes.add(range.start) },
            len: range.len(),
            bytes,
            _origin: PhantomData,
        };
        view.views().begin();
        view
    }

    fn views(&self) -> &Sharing {
        let header: NonNull<Header> = {
            // SAFETY: the bytes of a slot.
            unsafe { header_of(self.bytes) }
        };
        // SAFETY: alive while a view exists.
        unsafe { &(*header.as_ptr()).views }
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    #[inline(always)]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: by 2; they do not change while this exists (1).
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }

    /// A view of a part.
    ///
    /// # Panics
    ///
    /// If the range is not inside.
    #[must_use]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Self {
        // What saturates is beyond every view.
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.len,
        };
        assert!(
            start <= end && end <= self.len,
            "slice {start}..{end} of {} bytes",
            self.len
        );
        let mut part = self.clone();
        part.narrow(start, end);
        part
    }

    /// Splits the first `at` bytes off: they are answered, the rest stays.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[must_use]
    pub fn split_to(&mut self, at: usize) -> Self {
        let head = self.slice(..at);
        self.narrow(at, self.len);
        head
    }

    /// Splits what is behind the first `at` bytes off: that is answered, they
    /// stay.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        let rest = self.slice(at..);
        self.narrow(0, at);
        rest
    }

    /// Consumes the first `count` bytes of the view, without touching the count of
    /// views.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[inline]
    pub fn consume_front(&mut self, count: usize) {
        assert!(count <= self.len, "{count} bytes consumed of {}", self.len);
        self.narrow(count, self.len);
    }

    /// Makes the view that of a part inside.
    fn narrow(&mut self, start: usize, end: usize) {
        debug_assert!(start <= end && end <= self.len);
        // SAFETY: inside by 2.
        self.first = unsafe { self.first.add(start) };
        self.len = end - start;
    }

    /// Whether this is the only view, so that [`PoolBytes::try_into_mut`] would
    /// succeed.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.views().is_alone()
    }

    /// The buffer again, with what this view shows as its contents and its whole
    /// capacity. Allocates nothing and copies nothing.
    ///
    /// # Errors
    ///
    /// Hands the view back if there are others.
    pub fn try_into_mut(self) -> Result<PoolBuf<O>, Self> {
        // Acquire: what the others read happens before it is written again.
        if !self.is_unique() {
            return Err(self);
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: the only view, which is not used any more.
        Ok(unsafe { this.thaw() })
    }

    /// The buffer behind the view.
    ///
    /// # Safety
    ///
    /// No view is used afterwards, this one included.
    unsafe fn thaw(&self) -> PoolBuf<O> {
        let start = self.first.addr().get() - self.bytes.addr().get();
        // SAFETY: set aside by 1, by the caller nobody else's, and inside by 2.
        unsafe { PoolBuf::put_together(self.bytes, start..start + self.len) }
    }
}

impl<O: Origin> Clone for PoolBytes<O> {
    fn clone(&self) -> Self {
        self.views().retain::<O::Mode>();
        Self { ..*self }
    }
}

impl<O: Origin> Drop for PoolBytes<O> {
    fn drop(&mut self) {
        if !self.views().release::<O::Mode>() {
            return;
        }
        // SAFETY: it was the last.
        drop(unsafe { self.thaw() });
    }
}

impl<O: Origin> From<PoolBuf<O>> for PoolBytes<O> {
    fn from(buffer: PoolBuf<O>) -> Self {
        buffer.freeze()
    }
}

impl<O: Origin> Deref for PoolBytes<O> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl<O: Origin> AsRef<[u8]> for PoolBytes<O> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<O: Origin> Borrow<[u8]> for PoolBytes<O> {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl<O: Origin> fmt::Debug for PoolBytes<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBytes")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl<O: Origin, B: AsRef<[u8]> + ?Sized> PartialEq<B> for PoolBytes<O> {
    fn eq(&self, other: &B) -> bool {
        self.as_slice() == other.as_ref()
    }
}

impl<O: Origin> Eq for PoolBytes<O> {}

impl<O: Origin> PartialOrd for PoolBytes<O> {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl<O: Origin> Ord for PoolBytes<O> {
    fn cmp(&self, other: &Self) -> Order {
        self.as_slice().cmp(other)
    }
}

impl<O: Origin> Hash for PoolBytes<O> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}
