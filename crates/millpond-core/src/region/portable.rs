//! The system behind regions where nothing can be mapped: every region comes
//! from the heap, and the functions that need a mapping are never reached.
//!
//! They exist so that `region.rs` reads the same everywhere, and refuse rather
//! than pretend.

use core::ptr::NonNull;

/// Whether [`map`] can succeed.
pub(super) const CAN_MAP: bool = false;

/// What became of a request to back every page.
#[allow(dead_code, reason = "the mapped systems construct the others")]
pub(super) enum Populated {
    Yes,
    Refused,
    Unknown,
}

/// The stride at which prefaulting touches. The smallest page of any system
/// that we know, so it touches too often rather than too rarely.
pub(super) const fn page_bytes() -> usize {
    4096
}

pub(super) const fn map(_len: usize, _align: usize) -> Option<NonNull<u8>> {
    None
}

pub(super) const fn map_huge(_len: usize, _align: usize) -> Option<NonNull<u8>> {
    None
}

/// # Safety
///
/// None here: there are no mappings.
pub(super) unsafe fn unmap(_base: NonNull<u8>, _len: usize) {
    unreachable!("no region is mapped on this system");
}

/// # Safety
///
/// None here: there are no mappings.
pub(super) const unsafe fn advise_huge(_base: NonNull<u8>, _len: usize) -> bool {
    false
}

/// # Safety
///
/// None here: there are no mappings.
pub(super) const unsafe fn prefer_node(_base: NonNull<u8>, _len: usize, _node: u32) -> bool {
    false
}

/// # Safety
///
/// None here: there are no mappings.
pub(super) const unsafe fn populate(_base: NonNull<u8>, _len: usize) -> Populated {
    Populated::Unknown
}

/// # Safety
///
/// None here: there are no mappings.
pub(super) const unsafe fn resident_bytes(_base: NonNull<u8>, _len: usize) -> Option<usize> {
    None
}

/// # Safety
///
/// None here: there are no mappings.
pub(super) const unsafe fn discard(_base: NonNull<u8>, _len: usize) -> usize {
    0
}

pub(super) const fn placed_node(_base: NonNull<u8>, _len: usize) -> Option<u32> {
    None
}

pub(super) const fn huge_bytes(_base: NonNull<u8>, _len: usize) -> Option<usize> {
    None
}
