//! With the feature `bytes`: buffers as that crate's buffers.

use crate::buf::PoolBuf;
use crate::origin::Origin;
use crate::view::PoolBytes;
use bytes::buf::UninitSlice;
use bytes::{Buf, BufMut, Bytes};

/// Consuming moves a cursor; capacity and class stay.
impl<O: Origin> Buf for PoolBuf<O> {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self
    }

    fn advance(&mut self, count: usize) {
        self.consume_front(count);
    }
}

// SAFETY: `chunk_mut` answers the room behind the contents, all of it, and
// `advance_mut` moves their end by what its caller has written there.
unsafe impl<O: Origin> BufMut for PoolBuf<O> {
    fn remaining_mut(&self) -> usize {
        self.spare()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        assert!(
            count <= self.spare(),
            "{count} bytes written where {} fit",
            self.spare()
        );
        let len = self.len() + count;
        // SAFETY: the caller has written them.
        unsafe { self.set_len(len) };
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        let (len, spare) = (self.len(), self.spare());
        // SAFETY: behind the contents, inside the capacity or one past it.
        let behind = unsafe { self.as_mut_ptr().add(len) };
        // Safe code can write into such a slice and not take initialised bytes
        // away, so what is known of the slot stays true.
        // SAFETY: the rest of the capacity, borrowed with the buffer.
        unsafe { UninitSlice::from_raw_parts_mut(behind, spare) }
    }
}

impl<O: Origin> Buf for PoolBytes<O> {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self
    }

    fn advance(&mut self, count: usize) {
        self.consume_front(count);
    }
}

impl From<PoolBytes> for Bytes {
    /// The same memory as `Bytes`; the buffer comes home with the last of them.
    ///
    /// Costs one heap allocation, and the buffer never becomes mutable again: keep
    /// [`PoolBytes`] where nobody asks for `Bytes`.
    fn from(bytes: PoolBytes) -> Self {
        Self::from_owner(bytes)
    }
}

impl From<PoolBuf> for Bytes {
    /// As [`From<PoolBytes>`].
    fn from(buffer: PoolBuf) -> Self {
        buffer.freeze().into()
    }
}
