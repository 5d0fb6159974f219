//! A byte pool as a supplier of memory: buffers lent as bare blocks, to pools of
//! other kinds.
//!
//! What is needed to bring a buffer home waits in the header of its slot, as it
//! does while the buffer is frozen. So lending neither allocates nor takes a lock.

use crate::buf::PoolBuf;
use crate::origin::Pooled;
use crate::pool::BytePool;
use crate::slot::{Header, header_of};
use core::alloc::Layout;
use core::ptr::NonNull;
use millpond_core::region::Supply;

/// Blocks of what the classes hold; what is larger than all of them, or aligned to
/// more than a line, is not supplied, and nobody waits for a block.
///
/// ```
/// use millpond_bytes::BytePool;
/// use millpond_core::observe::Observe;
/// use millpond_core::region::Supply;
/// use std::alloc::Layout;
///
/// let pool = BytePool::default();
/// let page = Layout::from_size_align(4096, 64)?;
/// let block = pool.allocate(page).ok_or("no block")?;
/// assert_eq!(pool.observe().in_use, 1);
/// // SAFETY: from this pool, with this layout, and not used afterwards.
/// unsafe { pool.free(block, page) };
/// assert_eq!(pool.observe().in_use, 0);
///
/// assert!(pool.allocate(Layout::from_size_align(1 << 20, 64)?).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// SAFETY: a buffer is one user's alone, at least as long as was asked for, begins at
// the alignment of its slot, and its slot stays where it is until it is home.
unsafe impl Supply for BytePool {
    #[track_caller]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let len = layout.size().max(1);
        if layout.align() > align_of::<Header>() {
            return None;
        }
        self.pond().table().route(len)?;
        let buffer = self.try_acquire(len).ok()?;
        let capacity = buffer.capacity();
        let (bytes, _) = buffer.set_aside();
        // SAFETY: the bytes of a slot.
        let header = unsafe { header_of(bytes) };
        // SAFETY: alive while its slot is out.
        let header = unsafe { header.as_ref() };
        // Whoever borrows the block may leave any byte of it uninitialised.
        // SAFETY: the buffer was ours alone.
        unsafe { header.tail.get().write(capacity) };
        Some(bytes)
    }

    unsafe fn free(&self, block: NonNull<u8>, _layout: Layout) {
        // SAFETY: lent once, and not used any more; nothing of it is contents.
        drop(unsafe { PoolBuf::<Pooled>::put_together(block, 0..0) });
    }
}
