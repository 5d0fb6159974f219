//! Spare rows: how much a pool keeps when removals empty its slabs, and when it
//! looks.
//!
//! Which slabs are empty is known by counting the free rows, wherever they are
//! cached, so a look costs some nanoseconds a free row. Looks are as far apart as
//! that is worth:
//!
//! ```text
//!   free rows   0 ────────── kept ────────── 2 × kept ───────▶
//!                            ▲ a look that         ▲ from here on a look gives
//!                            │ gives back          │ back, and may be in vain:
//!                            └─ leaves so many     └─ then half as many more later
//! ```
#![forbid(unsafe_code)]

/// Counts removals between looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spare {
    /// Free rows that are always kept.
    least: usize,
    /// Removals until the next look.
    patience: usize,
}

/// Of so many rows in use one more is kept.
const IN_USE_SHARE: usize = 8;

/// A look that may be in vain reads at most so many rows for each removal.
const READ_EACH: usize = 16;

impl Spare {
    pub(crate) const fn of(least: usize) -> Self {
        Self {
            least,
            patience: least.saturating_mul(2),
        }
    }

    /// Counts a removal: whether it is time to look.
    #[inline]
    pub(crate) const fn is_time(&mut self) -> bool {
        self.patience = self.patience.saturating_sub(1);
        self.patience == 0
    }

    /// Free rows that are kept beside so many that are in use.
    fn kept(self, in_use: usize) -> usize {
        self.least.max(in_use / IN_USE_SHARE)
    }

    /// Free rows that are to be left over; `None` if nothing is to be given back.
    pub(crate) fn to_leave(self, free: usize, in_use: usize) -> Option<usize> {
        let kept = self.kept(in_use);
        (free > kept.saturating_mul(2)).then_some(kept)
    }

    /// Waits until a look can be worth it again.
    pub(crate) fn look_later(&mut self, free: usize, in_use: usize) {
        let enough = self.kept(in_use).saturating_mul(2);
        self.patience = match enough.checked_sub(free) {
            Some(missing) => missing + 1,
            // In vain: rows in use hold their slabs. The last of them go
            // together, so that the end of all is not missed.
            None if in_use <= free => in_use.max(free / READ_EACH),
            None => free / 2,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removes all of `rows` rows; `empty` says how many of so many free rows lie
    /// in slabs that are empty. Answers what is free at the end, and the rows that
    /// looks read.
    fn removing(rows: usize, least: usize, empty: impl Fn(usize) -> usize) -> (usize, usize) {
        let mut spare = Spare::of(least);
        let (mut free, mut gone, mut read) = (0, 0, 0);
        for in_use in (0..rows).rev() {
            free += 1;
            if !spare.is_time() {
                continue;
            }
            if let Some(left) = spare.to_leave(free, in_use) {
                read += free;
                let given = empty(free + gone).saturating_sub(gone).min(free - left);
                gone += given;
                free -= given;
            }
            spare.look_later(free, in_use);
        }
        (free, read)
    }

    #[test]
    fn rows_that_are_removed_in_order_go_back_as_they_come() {
        let (free, read) = removing(100_000, 1000, |free| free);
        assert!(free <= 2000, "{free} rows are kept");
        assert!(read <= 500_000, "{read} rows were read");
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic, twenty million times")]
    fn rows_whose_slabs_empty_at_the_very_end_go_back_too() {
        for rows in (3000..200_000).step_by(997) {
            let at_the_end = |free: usize| if free == rows { rows } else { 0 };
            let (free, read) = removing(rows, 1000, at_the_end);
            assert!(free <= 2000, "{free} of {rows} rows are kept");
            assert!(read <= 8 * rows, "{read} of {rows} rows were read");
        }
    }

    #[test]
    fn a_few_rows_that_hold_all_slabs_are_not_looked_at_again_and_again() {
        let mut spare = Spare::of(100);
        spare.look_later(16_000, 5);
        let removals = 1 + (0..).take_while(|_| !spare.is_time()).count();
        assert_eq!(removals, 1000);
    }

    #[test]
    fn what_fits_into_the_reserve_is_never_looked_at() {
        let (free, read) = removing(2000, 1000, |free| free);
        assert_eq!((free, read), (2000, 0));
        let (_, read) = removing(100_000, usize::MAX, |free| free);
        assert_eq!(read, 0);
    }
}
