//! The allocator interface: collections of other crates in an arena.
//!
//! The one module that names the trait, so that a switch to another version, or
//! to the standard library's, is this file.

use crate::arena::Arena;
use crate::lease::Lease;
use allocator_api2::alloc::{AllocError, Allocator};
use core::alloc::Layout;
use core::ptr::NonNull;

/// Collections that take an allocator of `allocator-api2` 0.2, such as those of
/// `hashbrown`, live in an arena through `&Lease`.
///
/// ```
/// use hashbrown::HashMap;
/// use millpond_arena::{ArenaManager, Scope};
///
/// let manager = ArenaManager::new();
/// let arena = manager.lease(Scope::Primitive)?;
/// let mut counts = HashMap::new_in(&arena);
/// for word in ["a", "b", "a"] {
///     *counts.entry(word).or_insert(0) += 1;
/// }
/// assert_eq!(counts["a"], 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Those collections abort the process when an allocation fails. Under a limit,
/// ask with `try_reserve` first.
// SAFETY: a block stays where it is until it is deallocated or the lease ends,
// which ends the borrow; copies of the reference are the same allocator; moving a
// lease moves no block.
unsafe impl Allocator for &Lease<'_> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.arena().allocate(layout)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    #[inline]
    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let arena = self.arena();
        let block = if arena.is_large(layout) {
            arena.allocate_large(layout, true)?
        } else {
            let block = arena.allocate(layout)?;
            // SAFETY: fresh memory of this length; it was used before.
            unsafe { block.write_bytes(0, layout.size()) };
            block
        };
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: by the caller; the slice was exactly as long as its layout, so
        // this is the layout that decided where the block is.
        unsafe { self.arena().deallocate(block, layout) };
    }

    #[inline]
    unsafe fn grow(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: by the caller, as for `deallocate`.
        unsafe { resized(self.arena(), Arena::grow, block, old, new) }
    }

    #[inline]
    unsafe fn grow_zeroed(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: by the caller.
        let grown = unsafe { self.grow(block, old, new) }?;
        // SAFETY: the block is longer than `old`.
        let gained = unsafe { grown.cast::<u8>().add(old.size()) };
        // SAFETY: the rest of the block.
        unsafe { gained.write_bytes(0, new.size() - old.size()) };
        Ok(grown)
    }

    #[inline]
    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: by the caller, as for `deallocate`.
        unsafe { resized(self.arena(), Arena::shrink, block, old, new) }
    }
}

type Resize =
    unsafe fn(&Arena, NonNull<u8>, Layout, Layout) -> Result<NonNull<u8>, crate::ArenaFull>;

/// # Safety
///
/// As `resize`.
#[inline]
unsafe fn resized(
    arena: &Arena,
    resize: Resize,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, AllocError> {
    // SAFETY: by the caller.
    let block = unsafe { resize(arena, block, old, new) }?;
    Ok(NonNull::slice_from_raw_parts(block, new.size()))
}
