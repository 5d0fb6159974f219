//! Buffers: bytes of a pool, on loan.

use crate::origin::{Origin, Pooled};
use crate::slot::{self, Header};
use crate::view::PoolBytes;
use alloc::vec::Vec;
use core::borrow::{Borrow, BorrowMut};
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut, Range};
use core::panic::Location;
use core::ptr::NonNull;
use core::slice;
use millpond_core::entry::Entry;
use millpond_core::error::AcquireError;
use millpond_core::poison;

/// A buffer of a pool: a fixed capacity, and contents that begin empty. Dropping
/// it gives it back, from whatever thread; it borrows nothing.
///
/// ```text
///   slot      ┌──────────┬───────────────┬─────────────────┐
///             │ consumed │   contents    │      spare      │
///             └──────────┴───────────────┴─────────────────┘
///             0        start            end          capacity
/// ```
///
/// Reading it as a [`Buf`](https://docs.rs/bytes) or an [`io::Read`](std::io::Read)
/// moves the start. Capacity and class never change.
///
/// ```
/// let mut buffer = millpond_bytes::acquire(1000)?;
/// assert_eq!((buffer.len(), buffer.capacity()), (0, 2048));
/// buffer.extend_from_slice(b"hello")?;
/// buffer[0] = b'j';
/// assert_eq!(&buffer, b"jello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
///
/// 1. `bytes` are those of a slot with a header and `capacity` bytes, which is
///    this value's own until it is dropped.
/// 2. `start <= end <= capacity`, and the bytes up to `end` are initialised.
#[must_use = "dropping a buffer at once gives it back"]
#[repr(C)] // In an order that moves well: see `docs/decisions.md`.
pub struct PoolBuf<O: Origin = Pooled> {
    bytes: NonNull<u8>,
    start: usize,
    end: usize,
    origin: O,
    capacity: usize,
}

// SAFETY: the bytes are the buffer's own, and where it goes may be reached from
// any thread if the origin says so.
unsafe impl<O: Origin + Send> Send for PoolBuf<O> {}
// SAFETY: through `&PoolBuf` bytes can be read only.
unsafe impl<O: Origin + Sync> Sync for PoolBuf<O> {}

// Contents are bytes: a panic leaves them some bytes.
impl<O: Origin> core::panic::UnwindSafe for PoolBuf<O> {}
impl<O: Origin> core::panic::RefUnwindSafe for PoolBuf<O> {}

/// More was to be written than there is room for. Nothing was.
///
/// ```
/// let mut buffer = millpond_bytes::acquire(2048)?;
/// let full = buffer.extend_from_slice(&[0; 3000]).unwrap_err();
/// assert_eq!((full.needed, full.spare), (3000, 2048));
/// buffer.reserve(full.needed)?;
/// # Ok::<(), millpond_bytes::AcquireError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Bytes that were to be written.
    pub needed: usize,
    /// Bytes that there is room for.
    pub spare: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes do not fit: there is room for {}",
            self.needed, self.spare
        )
    }
}

impl core::error::Error for Full {}

#[cfg(feature = "std")]
impl From<Full> for std::io::Error {
    fn from(full: Full) -> Self {
        Self::new(std::io::ErrorKind::WriteZero, full)
    }
}

impl<O: Origin> PoolBuf<O> {
    /// The empty buffer in a slot.
    ///
    /// # Safety
    ///
    /// `entry` is a slot of `capacity` bytes that was just acquired from
    /// `origin`.
    #[inline(always)]
    pub(crate) unsafe fn new(entry: Entry, capacity: usize, origin: O) -> Self {
        let bytes = slot::bytes_of(entry);
        // SAFETY: the bytes of a slot that is ours.
        unsafe { poison::on_lease(bytes, capacity) };
        Self {
            bytes,
            start: 0,
            end: 0,
            capacity,
            origin,
        }
    }

    /// The buffer of a slot that is out already.
    ///
    /// # Safety
    ///
    /// As the invariants.
    pub(crate) unsafe fn resume(
        bytes: NonNull<u8>,
        range: Range<usize>,
        capacity: usize,
        origin: O,
    ) -> Self {
        Self {
            bytes,
            start: range.start,
            end: range.end,
            capacity,
            origin,
        }
    }

    /// The parts that [`PoolBuf::resume`] takes.
    pub(crate) fn suspend(self) -> (NonNull<u8>, Range<usize>, usize, O) {
        let this = ManuallyDrop::new(self);
        (this.bytes, this.start..this.end, this.capacity, this.origin)
    }

    /// Leaves in the header of the slot what brings the buffer home: its bytes and
    /// its contents are all that its keeper has to know.
    pub(crate) fn set_aside(self) -> (NonNull<u8>, Range<usize>) {
        let (bytes, range, capacity, origin) = self.suspend();
        // SAFETY: the bytes of a slot.
        let header = unsafe { slot::header_of(bytes) };
        // SAFETY: alive while its slot is out.
        let place = unsafe { header.as_ref() }.whole::<O>();
        // SAFETY: a place inside the header, and the buffer was ours alone.
        unsafe { place.write(slot::Whole { origin, capacity }) };
        (bytes, range)
    }

    /// The buffer that was set aside, with these contents.
    ///
    /// # Safety
    ///
    /// The bytes are those of a buffer of origin `O` that was set aside and that
    /// nobody else puts together, and the range is inside its initialised bytes.
    pub(crate) unsafe fn put_together(bytes: NonNull<u8>, range: Range<usize>) -> Self {
        // SAFETY: by the caller.
        let header = unsafe { slot::header_of(bytes) };
        // SAFETY: alive while its slot is out.
        let place = unsafe { header.as_ref() }.whole::<O>();
        // SAFETY: written when it was set aside (1 of `Header`).
        let slot::Whole { origin, capacity } = unsafe { place.read() };
        // SAFETY: by the caller.
        unsafe { Self::resume(bytes, range, capacity, origin) }
    }

    #[cfg(feature = "std")]
    pub(crate) fn origin_mut(&mut self) -> &mut O {
        &mut self.origin
    }

    fn header(&self) -> NonNull<Header> {
        // SAFETY: the bytes of a slot by 1.
        unsafe { slot::header_of(self.bytes) }
    }

    /// How many bytes at the end of the capacity may be uninitialised.
    fn tail(&mut self) -> &mut usize {
        let header = self.header();
        // SAFETY: alive by 1; a shared reference, as views of others are none.
        let header: &Header = unsafe { header.as_ref() };
        // SAFETY: the holder of the buffer, `&mut self`, is its one user.
        unsafe { &mut *header.tail.get() }
    }

    /// How many bytes of contents there are.
    #[inline(always)]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there are no contents.
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// How many bytes the buffer has room for, consumed ones included.
    #[inline(always)]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many bytes can be written behind the contents.
    #[inline(always)]
    #[must_use]
    pub const fn spare(&self) -> usize {
        self.capacity - self.end
    }

    /// The first byte of the contents; what is left of the capacity from there
    /// may be written through it, with bytes that are initialised: for others there
    /// is [`PoolBuf::spare_capacity_mut`].
    #[inline(always)]
    #[must_use]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        // SAFETY: inside the slot by 2.
        unsafe { self.bytes.add(self.start) }.as_ptr()
    }

    /// The contents.
    #[inline(always)]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: inside the slot by 2.
        let first = unsafe { self.bytes.add(self.start) };
        // SAFETY: by 2 initialised, and inside the slot; borrowed with `self`.
        unsafe { slice::from_raw_parts(first.as_ptr(), self.len()) }
    }

    /// The contents, to be changed.
    #[inline(always)]
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: inside the slot by 2.
        let first = unsafe { self.bytes.add(self.start) };
        // SAFETY: as in `as_slice`; ours alone by 1.
        unsafe { slice::from_raw_parts_mut(first.as_ptr(), self.len()) }
    }

    /// Writes `data` behind the contents. Costs a copy.
    ///
    /// # Errors
    ///
    /// [`Full`] if it does not fit; nothing is written then.
    #[inline]
    pub fn extend_from_slice(&mut self, data: &[u8]) -> Result<(), Full> {
        if data.len() > self.spare() {
            return Err(self.full(data.len()));
        }
        // SAFETY: inside the slot by 2.
        let behind = unsafe { self.bytes.add(self.end) };
        // SAFETY: there is room, and `data` does not lie in a slot of our own.
        unsafe {
            behind
                .as_ptr()
                .copy_from_nonoverlapping(data.as_ptr(), data.len());
        };
        self.end += data.len();
        Ok(())
    }

    /// Writes one byte behind the contents.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no room.
    #[inline]
    pub fn push(&mut self, byte: u8) -> Result<(), Full> {
        self.extend_from_slice(&[byte])
    }

    /// Makes the contents `len` bytes long: cuts their end off, or fills up with
    /// `value`.
    ///
    /// # Errors
    ///
    /// [`Full`] if there is no room.
    pub fn resize(&mut self, len: usize, value: u8) -> Result<(), Full> {
        let Some(more) = len.checked_sub(self.len()) else {
            self.truncate(len);
            return Ok(());
        };
        if more > self.spare() {
            return Err(self.full(more));
        }
        // SAFETY: inside the slot by 2.
        let behind = unsafe { self.bytes.add(self.end) };
        // SAFETY: there is room.
        unsafe { behind.write_bytes(value, more) };
        self.end += more;
        Ok(())
    }

    /// Cuts off what is behind the first `len` bytes, if there are more.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.end = self.start + len;
        }
    }

    /// Empties the buffer, and makes room where bytes were consumed.
    #[inline]
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Consumes the first `count` bytes of the contents.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[inline]
    pub fn consume_front(&mut self, count: usize) {
        assert!(
            count <= self.len(),
            "{count} bytes consumed of {}",
            self.len()
        );
        self.start += count;
    }

    /// Moves the contents to where consumed bytes were, so that the spare room is
    /// as large as can be. Costs a move of the contents.
    pub fn compact(&mut self) {
        let len = self.len();
        // SAFETY: inside the slot by 2.
        let first = unsafe { self.bytes.add(self.start) };
        // SAFETY: both inside the slot; `copy` allows them to overlap.
        unsafe { self.bytes.as_ptr().copy_from(first.as_ptr(), len) };
        (self.start, self.end) = (0, len);
    }

    /// The room behind the contents. Write, then say how far with
    /// [`PoolBuf::set_len`].
    ///
    /// ```
    /// let mut buffer = millpond_bytes::acquire(100)?;
    /// buffer.spare_capacity_mut()[0].write(7);
    /// // SAFETY: the first byte was written.
    /// unsafe { buffer.set_len(1) };
    /// assert_eq!(buffer, [7]);
    /// # Ok::<(), millpond_bytes::AcquireError>(())
    /// ```
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let spare = self.spare();
        self.doubt_spare();
        // SAFETY: inside the slot by 2.
        let behind = unsafe { self.bytes.add(self.end) };
        // SAFETY: the rest of the slot, which is ours alone by 1.
        unsafe { slice::from_raw_parts_mut(behind.as_ptr().cast(), spare) }
    }

    /// Notes that others may leave the room behind the contents uninitialised: from
    /// here on nobody may be shown it without having written.
    pub(crate) fn doubt_spare(&mut self) {
        let spare = self.spare();
        let tail = self.tail();
        *tail = (*tail).max(spare);
    }

    /// Says that the contents are `len` bytes long.
    ///
    /// # Safety
    ///
    /// The first `len` bytes, from the start of the contents, were written, and
    /// `len` is at most what is left of the capacity from there.
    #[inline]
    pub unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity - self.start);
        self.end = self.start + len;
    }

    /// Fills the empty buffer with `len` bytes of zero.
    pub(crate) fn zeroed(mut self, len: usize) -> Self {
        debug_assert!(self.end == 0 && len <= self.capacity);
        // SAFETY: the buffer has room for `len`.
        unsafe { self.bytes.write_bytes(0, len) };
        self.end = len;
        self
    }

    /// Shows the first `len` bytes, whatever they are.
    pub(crate) fn stale(mut self, len: usize) -> Self {
        debug_assert!(self.end == 0 && len <= self.capacity);
        let tail = if poison::BLINDS_PATTERN {
            self.capacity
        } else {
            *self.tail()
        };
        let known = self.capacity - tail;
        if known < len {
            // SAFETY: `known` is below `len`, which is inside the slot.
            let unknown = unsafe { self.bytes.add(known) };
            // SAFETY: inside the slot, which is ours.
            unsafe { unknown.write_bytes(0, len - known) };
            *self.tail() = self.capacity - len;
        }
        // The bytes up to `len` are initialised (`Header`, 3).
        self.end = len;
        self
    }

    /// Has the buffer zeroed when it is released, all of its capacity.
    ///
    /// ```
    /// let mut key = millpond_bytes::acquire(32)?;
    /// key.wipe_on_release();
    /// key.extend_from_slice(&[42; 32])?;
    /// drop(key); // Zeroes 2 KiB.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wipe_on_release(&mut self) {
        self.origin = self.origin.wiping();
    }

    /// Makes room for `additional` bytes behind the contents: moves them to the
    /// front, or into a buffer of a larger class.
    ///
    /// # Errors
    ///
    /// As an acquire. The buffer is as it was then.
    #[track_caller]
    pub fn reserve(&mut self, additional: usize) -> Result<(), AcquireError> {
        if additional <= self.spare() {
            return Ok(());
        }
        let needed = self.len().saturating_add(additional);
        if needed <= self.capacity {
            self.compact();
            return Ok(());
        }
        let mut larger = self.larger(needed, Location::caller())?;
        if self.origin.is_wiping() {
            larger.wipe_on_release();
        }
        let copied = larger.extend_from_slice(self);
        debug_assert!(copied.is_ok());
        *self = larger;
        Ok(())
    }

    /// A buffer for `needed` bytes. What is of no class doubles if it can, or
    /// writing piece by piece would copy everything for each piece.
    fn larger(
        &self,
        needed: usize,
        location: &'static Location<'static>,
    ) -> Result<Self, AcquireError> {
        let doubled = self.capacity.saturating_mul(2);
        if self.origin.is_direct() && doubled > needed {
            if let Ok(larger) = self.origin.acquire(doubled, location) {
                return Ok(larger);
            }
        }
        self.origin.acquire(needed, location)
    }

    /// Makes the contents shared and immutable. Allocates nothing; the last view
    /// gives the buffer back.
    ///
    /// ```
    /// let mut buffer = millpond_bytes::acquire(100)?;
    /// buffer.extend_from_slice(b"head body")?;
    /// let bytes = buffer.freeze();
    /// let body = bytes.slice(5..);
    /// drop(bytes);
    /// assert_eq!(&body[..], b"body");
    /// let buffer = body.try_into_mut().expect("nobody else has a view");
    /// assert_eq!(buffer.capacity(), 2048);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn freeze(self) -> PoolBytes<O> {
        PoolBytes::of(self)
    }

    #[cold]
    const fn full(&self, needed: usize) -> Full {
        Full {
            needed,
            spare: self.spare(),
        }
    }
}

impl<O: Origin> Drop for PoolBuf<O> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: ours by 1, and not used afterwards.
        unsafe { self.origin.bring_home(self.bytes, self.capacity) };
    }
}

impl<O: Origin> Deref for PoolBuf<O> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl<O: Origin> DerefMut for PoolBuf<O> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.as_mut_slice()
    }
}

impl<O: Origin> AsRef<[u8]> for PoolBuf<O> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<O: Origin> AsMut<[u8]> for PoolBuf<O> {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl<O: Origin> Borrow<[u8]> for PoolBuf<O> {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl<O: Origin> BorrowMut<[u8]> for PoolBuf<O> {
    fn borrow_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl<O: Origin> fmt::Debug for PoolBuf<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuf")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<O: Origin, B: AsRef<[u8]> + ?Sized> PartialEq<B> for PoolBuf<O> {
    fn eq(&self, other: &B) -> bool {
        self.as_slice() == other.as_ref()
    }
}

impl<O: Origin> Eq for PoolBuf<O> {}

impl<O: Origin> PartialOrd for PoolBuf<O> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<O: Origin> Ord for PoolBuf<O> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other)
    }
}

impl<O: Origin> Hash for PoolBuf<O> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl<O: Origin> From<PoolBuf<O>> for Vec<u8> {
    /// Copies: a vector owns memory of the global allocator.
    fn from(buffer: PoolBuf<O>) -> Self {
        buffer.to_vec()
    }
}
