//! The table: every capacity and every type that has ever been trouble, for
//! every pool.

use crate::run::run_seed;
use crate::under_test::PoolUnderTest;

/// Capacities of the table: none, one, an odd few, one magazine and many.
pub const CAPACITIES: &[usize] = if cfg!(miri) {
    &[0, 1, 5]
} else {
    &[0, 1, 2, 7, 64, 1000]
};

/// Pools of the table hold at most so many bytes of values, so that large types
/// are tested at the smaller capacities and the tests stay quick.
const MAX_BYTES: usize = if cfg!(miri) { 512 << 10 } else { 2 << 20 };

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The pool and the type, for messages.
    pub name: &'a str,
    /// How many items the pool must have.
    pub capacity: usize,
    /// The seed of the trace.
    pub seed: u64,
    /// The length of the trace.
    pub steps: usize,
}

impl Case<'_> {
    /// Enough steps to fill the pool and empty it a few times.
    const fn steps_for(capacity: usize) -> usize {
        if cfg!(miri) { 25 } else { 200 + 4 * capacity }
    }
}

/// Does random traces to pools of every capacity, and panics with the seed and
/// the shortest trace found if a promise breaks.
///
/// `item_bytes` is the size of an item; capacities at which a pool would exceed
/// 2 MiB are left out.
///
/// `MILLPOND_SEED` in the environment does one seed instead of the usual few,
/// and `MILLPOND_SEEDS` so many.
///
/// [`pool_table!`](crate::pool_table) runs it for every type.
///
/// # Panics
///
/// If a promise breaks.
pub fn run_table<P: PoolUnderTest>(name: &str, item_bytes: usize, make: impl Fn(&Case<'_>) -> P) {
    let fits = |capacity: &usize| capacity.saturating_mul(item_bytes) <= MAX_BYTES;
    for &capacity in CAPACITIES.iter().filter(|&capacity| fits(capacity)) {
        for seed in seeds() {
            let steps = Case::steps_for(capacity);
            let case = Case {
                name,
                capacity,
                seed,
                steps,
            };
            if let Err(failure) = run_seed(|| make(&case), seed, steps) {
                panic!(
                    "{name}, capacity {capacity}: {failure}\n  \
                     again: MILLPOND_SEED={seed}, or `replay` with this trace"
                );
            }
        }
    }
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("MILLPOND_SEED") {
        return seed..seed + 1;
    }
    0..number("MILLPOND_SEEDS").unwrap_or(if cfg!(miri) { 1 } else { 8 })
}

/// Tests of one pool for every type of the table: a module of tests, one for
/// each type.
///
/// `T` is the type. The expression makes the pool for a [`Case`], and is a
/// [`PoolUnderTest`].
///
/// ```
/// # use millpond_testing::{Lends, Lending, Specimen, pool_table};
/// # struct Boxes(usize, std::cell::Cell<usize>);
/// # struct Guard<'p, T>(&'p Boxes, Box<T>);
/// # impl<T> std::ops::Deref for Guard<'_, T> { type Target = T; fn deref(&self) -> &T { &self.1 } }
/// # impl<T> std::ops::DerefMut for Guard<'_, T> { fn deref_mut(&mut self) -> &mut T { &mut self.1 } }
/// # impl<T: Specimen> Lends<T> for Boxes {
/// #     type Lease<'p> = Guard<'p, T>;
/// #     fn try_acquire(&self, value: T) -> Result<Guard<'_, T>, T> { Err(value) }
/// #     fn capacity(&self) -> Option<usize> { Some(self.0) }
/// #     fn in_use(&self) -> usize { self.1.get() }
/// #     fn free(&self) -> Option<usize> { None }
/// # }
/// pool_table!(boxes, |case| Lending::<_, T>::new(Boxes(case.capacity, Default::default())));
/// ```
#[macro_export]
macro_rules! pool_table {
    ($name:ident, |$case:ident| $make:expr) => {
        $crate::pool_table! {
            @types $name, $case, $make,
            byte: u8,
            word: u64,
            odd: [u8; 24],
            nothing: (),
            text: String,
            tracked: $crate::Tracked,
            aligned: $crate::Aligned,
            page: $crate::Page,
            large: $crate::Large,
        }
    };
    (@types $name:ident, $case:ident, $make:expr, $($kind:ident: $type:ty,)*) => {
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports, reason = "whatever the expression names")]
            use super::*;

            $(
                #[test]
                fn $kind() {
                    type T = $type;
                    let name = concat!(stringify!($name), " of ", stringify!($type));
                    $crate::Census::during(|| {
                        let bytes = size_of::<T>();
                        $crate::run_table(name, bytes, |$case: &$crate::Case<'_>| $make);
                    });
                }
            )*
        }
    };
}
