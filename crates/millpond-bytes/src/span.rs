//! Spans: which requests a class serves, and what is noted of each.
//!
//! ```text
//!   floor             first                            size
//!   ──┼─────────────────┼────────────────────┼───────────┼──▶ bytes asked for
//!     │ below the       │ ◀───────── served ────────────▶│
//!     │ smallest pooled │              excess ◀─────────▶│
//! ```
//!
//! Local pools note no bins.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(feature = "std"),
    expect(dead_code, reason = "bins are noted by shared pools")
)]

use millpond_core::histogram::Histogram;

/// Bins of a class: how many sizes statistics tell apart.
pub(crate) const BINS: usize = 8;

/// The requests that a class serves.
///
/// A request is known by its *excess*, the bytes that it is given beyond what it
/// asked for: one subtraction says in which bin it is, and what it wastes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Bytes of a buffer, and of the largest request.
    pub(crate) size: usize,
    /// Bins are `1 << shift` bytes wide, the one without excess first.
    shift: u32,
    /// Excesses are below this, which is how many sizes it serves.
    sizes: usize,
}

impl Span {
    /// Of requests above `floor`, of at least `smallest` bytes, and up to `size`.
    pub(crate) fn new(floor: usize, smallest: usize, size: usize) -> Self {
        let first = smallest.max(floor + 1);
        Self {
            size,
            shift: bin_shift(size - floor),
            sizes: (size + 1).saturating_sub(first),
        }
    }

    /// The excess of a request of `len` bytes; `None` for one that is not served.
    pub(crate) fn excess(self, len: usize) -> Option<usize> {
        let excess = self.size.checked_sub(len)?;
        (excess < self.sizes).then_some(excess)
    }

    /// The bin of a request with this excess.
    #[inline(always)]
    pub(crate) const fn bin(self, excess: usize) -> usize {
        excess >> self.shift
    }

    /// The sizes that were asked for, as far as bins tell them apart.
    pub(crate) fn requested(self, bins: [u64; BINS]) -> Histogram {
        let bins = bins.into_iter().enumerate();
        let buckets = bins.map(|(bin, count)| (self.top_of(bin) as u64, count));
        let sum = buckets.clone().map(|(top, count)| top * count).sum();
        Histogram::from_buckets(buckets, sum)
    }

    /// The largest request of a bin.
    fn top_of(self, bin: usize) -> usize {
        self.size.saturating_sub(bin << self.shift).max(1)
    }
}

/// The width of bins, as a power of two, for `span` different sizes.
fn bin_shift(span: usize) -> u32 {
    let bits = usize::BITS - (span - 1).leading_zeros();
    bits.saturating_sub(BINS.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_serves_what_is_above_its_floor_and_no_more() {
        let span = Span::new(2048, 1, 4096);
        assert_eq!(span.excess(4096), Some(0));
        assert_eq!(span.excess(2049), Some(2047));
        for len in [0, 1, 2048, 4097, usize::MAX] {
            assert_eq!(span.excess(len), None, "{len}");
        }
        let from_3000 = Span::new(2048, 3000, 4096);
        assert_eq!(
            (from_3000.excess(2999), from_3000.excess(3000)),
            (None, Some(1096))
        );
        let of_none = Span::new(0, 100, 64);
        assert_eq!((of_none.excess(64), of_none.excess(1)), (None, None));
    }

    #[test]
    fn bins_cover_every_request_and_say_its_size_to_an_eighth() {
        for (floor, size) in [
            (0, 1),
            (0, 2),
            (0, 2048),
            (2048, 4096),
            (7, 1000),
            (64, 1 << 40),
        ] {
            let span = Span::new(floor, 1, size);
            let middle = (floor + (size - floor) / 2).max(floor + 1);
            for len in [floor + 1, middle, size] {
                let excess = span.excess(len).expect("served");
                let bin = span.bin(excess);
                assert!(bin < BINS, "{floor}..{size}: {len} is in bin {bin}");
                let top = span.top_of(bin);
                assert!((len..=size).contains(&top), "{floor}..{size}: {len}, {top}");
                assert!(
                    top - len <= (size - floor) / 4,
                    "{floor}..{size}: {len}, {top}"
                );
            }
        }
    }
}
