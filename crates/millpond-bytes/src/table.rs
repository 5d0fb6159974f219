//! Tables: which class serves a request.

use crate::class::Class;
use core::ptr::NonNull;
use millpond_core::size_class::SizeClasses;
use std::vec::Vec;

/// Most routes of a table: two pages of pointers, of which a program touches the
/// few lines that its sizes need. Tables that need more are looked up in two
/// steps, through [`SizeClasses`], also in constant time.
const MOST_ROUTES: usize = 1024;

/// Which class serves a request.
///
/// ```text
///   sizes    2048   4096          8192        steps of the smallest difference,
///   routes   ├──────┼──────┬──────┤           so that no step is divided twice
///            2048   4096   8192   8192
/// ```
///
/// # Invariants
///
/// 1. `classes[i]` has size `sizes.size(i)`.
/// 2. A request is pooled if it is at least `smallest` and at most the largest
///    size, which are `span` sizes. If routes fit (and else `span` is 0) there is
///    one for the step of every pooled request, `len >> shift`, to the smallest
///    class that serves the first size of the step. A step contains one size of a
///    class at most, so those that this class does not serve are served by the
///    class of the next step.
#[derive(Debug)]
pub(crate) struct Table {
    smallest: usize,
    span: usize,
    shift: u32,
    routes: Vec<NonNull<Class>>,
    classes: Vec<NonNull<Class>>,
    sizes: SizeClasses,
}

// SAFETY: what it points to is shared between threads, and it never changes.
unsafe impl Sync for Table {}
// SAFETY: as above.
unsafe impl Send for Table {}

impl Table {
    /// A table of classes that have these sizes.
    pub(crate) fn new(
        sizes: SizeClasses,
        classes: Vec<NonNull<Class>>,
        pool_min_size: usize,
    ) -> Self {
        let mut table = Self {
            // No bytes at all is a rare request, and goes a longer way.
            smallest: pool_min_size.max(1),
            span: 0,
            shift: step_shift(sizes.sizes()),
            routes: Vec::new(),
            classes,
            sizes,
        };
        let largest = table.sizes.largest();
        let steps = (largest >> table.shift) + 1;
        if steps <= MOST_ROUTES && table.routes.try_reserve_exact(steps).is_ok() {
            let routes = (0..steps).map(|step| table.route_of(step)).collect();
            table.routes = routes;
            table.span = largest - table.smallest + 1;
        }
        table
    }

    fn route_of(&self, step: usize) -> NonNull<Class> {
        let class = self.sizes.class_of(step << self.shift);
        self.classes[class.expect("a step begins with a size that is served")]
    }

    /// The class of a request; `None` for one that is not pooled.
    #[inline(always)]
    pub(crate) fn route(&self, len: usize) -> Option<&Class> {
        // One test for "too small" and "too large".
        if len.wrapping_sub(self.smallest) >= self.span {
            return self.route_without_steps(len);
        }
        let step = len >> self.shift;
        debug_assert!(step < self.routes.len());
        // SAFETY: by 2 there is a route for the step of every pooled request.
        let class = unsafe { self.routes.get_unchecked(step) };
        // SAFETY: classes of a table are alive for as long as it is.
        let class = unsafe { class.as_ref() };
        if len <= class.size {
            return Some(class);
        }
        // SAFETY: by 2, as it is not the largest size.
        let class = unsafe { self.routes.get_unchecked(step + 1) };
        // SAFETY: as above.
        Some(unsafe { class.as_ref() })
    }

    /// As [`Table::route`], for tables without routes, and for requests that are
    /// not pooled.
    #[inline(never)]
    fn route_without_steps(&self, len: usize) -> Option<&Class> {
        if len < self.smallest {
            return None;
        }
        let class = self.sizes.class_of(len)?;
        // SAFETY: classes of a table are alive for as long as it is.
        Some(unsafe { self.classes[class].as_ref() })
    }

    pub(crate) const fn sizes(&self) -> &SizeClasses {
        &self.sizes
    }

    pub(crate) fn classes(&self) -> &[NonNull<Class>] {
        &self.classes
    }
}

/// Steps of `1 << shift` bytes, such that no step contains two sizes at which the
/// answer changes.
fn step_shift(sizes: &[usize]) -> u32 {
    let gaps = sizes.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.min().unwrap_or(sizes[0]).ilog2()
}
