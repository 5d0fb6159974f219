//! Tables: which class serves a request.

use crate::buf::PoolBuf;
use crate::origin::Origin;
use crate::span::Span;
use alloc::vec::Vec;
use core::ptr::NonNull;
use millpond_core::entry::Entry;
use millpond_core::error::AcquireError;
use millpond_core::size_class::SizeClasses;

/// Routes of a table: half a page, of which a program touches the lines of its
/// sizes. A constant, so that the bound is not loaded.
pub(crate) const ROUTES: usize = 256;

/// A class as tables see it.
pub(crate) trait Routed {
    /// Requests that it serves, in every table that it is in.
    fn span(&self) -> Span;
}

/// A class that lends its slots to buffers of origin `O`.
///
/// # Safety
///
/// What `try_pop` answers is a slot of the size of the span, the caller's own, which
/// goes to `origin`.
pub(crate) unsafe trait Lends<O: Origin>: Routed {
    /// Pops a slot that lies ready, for a request with this excess.
    fn try_pop(&self, excess: usize) -> Option<Entry>;

    /// Where buffers of the class go.
    fn origin(&self) -> O;
}

/// Which class serves a request.
///
/// ```text
///   sizes    2048   4096          8192        steps that end at their last length,
///   routes   ├──────┼──────┬──────┤           so that powers of two divide none
///            2048   4096   8192   8192
/// ```
///
/// A step in which the answer changes has no route: with the sizes 1500 and 9000,
/// one step of 64 bytes. Its requests are looked up by [`SizeClasses`], in constant
/// time as well, and so are those of tables that need finer steps. That happens
/// behind a call, so that the fast path keeps its values in registers.
///
/// # Invariants
///
/// 1. `classes[i]` has size `sizes.size(i)`, and lives as long as this.
/// 2. Route `i`, if there is one, is the class that serves every
///    length from `(i << shift) + 1` to `(i + 1) << shift`.
#[derive(Debug)]
pub(crate) struct Table<C> {
    shift: u32,
    routes: [Option<NonNull<C>>; ROUTES],
    classes: Vec<NonNull<C>>,
    sizes: SizeClasses,
}

// SAFETY: what it points to may be shared between threads, and it never changes.
unsafe impl<C: Sync> Sync for Table<C> {}
// SAFETY: as above.
unsafe impl<C: Sync> Send for Table<C> {}

impl<C: Routed> Table<C> {
    /// A table of classes that have these sizes.
    ///
    /// # Safety
    ///
    /// The classes live as long as the table.
    pub(crate) unsafe fn new(sizes: SizeClasses, classes: Vec<NonNull<C>>) -> Self {
        let mut table = Self {
            shift: shift(sizes.sizes()),
            routes: [None; ROUTES],
            classes,
            sizes,
        };
        table.routes = core::array::from_fn(|step| table.route_of(step));
        table
    }

    /// The class that serves every length of a step.
    fn route_of(&self, step: usize) -> Option<NonNull<C>> {
        let (first, _) = self.route((step << self.shift) + 1)?;
        let (last, _) = self.route((step + 1) << self.shift)?;
        core::ptr::eq(first, last).then_some(NonNull::from(first))
    }

    /// The class of a request, and what it gives beyond that. `None` says nothing:
    /// ask [`Table::route`].
    #[inline(always)]
    pub(crate) fn route_fast(&self, len: usize) -> Option<(&C, usize)> {
        // Wraps for no bytes at all, a rare request, which goes a longer way.
        let step = len.wrapping_sub(1) >> self.shift;
        let class = (*self.routes.get(step)?)?;
        // SAFETY: alive by 1.
        let class = unsafe { class.as_ref() };
        // By 2 it serves the request.
        Some((class, class.span().size.wrapping_sub(len)))
    }

    /// The class of a request, and what it gives beyond that; `None` for one that
    /// is not pooled.
    pub(crate) fn route(&self, len: usize) -> Option<(&C, usize)> {
        let class = self.sizes.class_of(len)?;
        // SAFETY: alive by 1.
        let class = unsafe { self.classes[class].as_ref() };
        Some((class, class.span().excess(len)?))
    }

    /// The fast path of every acquire, and `slow` if it gives nothing.
    #[inline(always)]
    pub(crate) fn acquire<O: Origin>(
        &self,
        len: usize,
        slow: impl FnOnce() -> Result<PoolBuf<O>, AcquireError>,
    ) -> Result<PoolBuf<O>, AcquireError>
    where
        C: Lends<O>,
    {
        let popped = self.route_fast(len).and_then(|(class, excess)| {
            let (capacity, origin) = (class.span().size, class.origin());
            Some((class.try_pop(excess)?, capacity, origin))
        });
        let (bytes, _, capacity, origin) = match popped {
            Some((entry, capacity, origin)) => {
                // SAFETY: just acquired from the class of this size and origin.
                unsafe { PoolBuf::new(entry, capacity, origin) }.suspend()
            }
            // Taken apart, so that the buffer is put together in one place, and in
            // registers: the slow path answers in memory.
            None => slow()?.suspend(),
        };
        // SAFETY: just suspended, and empty.
        Ok(unsafe { PoolBuf::resume(bytes, 0..0, capacity, origin) })
    }

    pub(crate) const fn sizes(&self) -> &SizeClasses {
        &self.sizes
    }

    #[cfg(feature = "std")]
    pub(crate) fn classes(&self) -> &[NonNull<C>] {
        &self.classes
    }
}

/// Steps are `1 << shift` bytes: the widest that divide no class, or else the
/// narrowest of which there are not too many.
fn shift(sizes: &[usize]) -> u32 {
    let widest = sizes
        .iter()
        .fold(0, |bits, &size| bits | size)
        .trailing_zeros();
    let last = sizes[sizes.len() - 1] - 1;
    let narrowest = (last / ROUTES).checked_ilog2().map_or(0, |bits| bits + 1);
    widest.max(narrowest)
}

#[cfg(test)]
mod tests {
    use super::{ROUTES, shift};

    #[test]
    fn steps_are_as_wide_as_the_sizes_allow() {
        let cases: [(&[usize], u32); 6] = [
            (&crate::DEFAULT_SIZES, 11),
            (&[1500, 9000], 6),
            (&[16, 48, 64], 4),
            (&[1], 0),
            (&[64 << 10, 512 << 10, 4 << 20], 16),
            (&[16, 48, 4 << 20], 14),
        ];
        for (sizes, expected) in cases {
            assert_eq!(shift(sizes), expected, "{sizes:?}");
        }
        for largest in [255, 256, 257, 65_535, 65_536, 65_537, 1 << 40] {
            let steps = ((largest - 1) >> shift(&[largest])) + 1;
            assert!(steps <= ROUTES, "{largest}: {steps} steps");
        }
    }
}
