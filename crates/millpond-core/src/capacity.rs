//! Capacities that say what they are made of.

use core::fmt;

/// Parts that a capacity can have.
const PARTS: usize = 8;

/// How many items a pool may have, as a sum of the places that may hold one: so
/// that whoever reads the error of a pool that ran out sees which place was
/// reckoned too small.
///
/// ```
/// use millpond_core::capacity::Capacity;
///
/// const BUFFERS: Capacity = Capacity::of("receive", 64).and("in flight", 128);
/// assert_eq!(BUFFERS.total(), 192);
/// assert_eq!(BUFFERS.to_string(), "receive 64 + in flight 128");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    parts: [(&'static str, usize); PARTS],
    len: usize,
}

impl Capacity {
    /// So many items for one place.
    #[must_use]
    pub const fn of(place: &'static str, items: usize) -> Self {
        let mut parts = [("", 0); PARTS];
        parts[0] = (place, items);
        Self { parts, len: 1 }
    }

    /// And so many for another.
    ///
    /// # Panics
    ///
    /// If there are more than eight places.
    #[must_use]
    pub const fn and(mut self, place: &'static str, items: usize) -> Self {
        assert!(self.len < PARTS, "a capacity has at most eight parts");
        self.parts[self.len] = (place, items);
        self.len += 1;
        self
    }

    /// The sum, at most `usize::MAX`.
    #[must_use]
    pub const fn total(&self) -> usize {
        let (mut total, mut part) = (0usize, 0);
        while part < self.len {
            total = total.saturating_add(self.parts[part].1);
            part += 1;
        }
        total
    }

    /// The places, with the items that each was reckoned to need.
    #[must_use]
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (&'static str, usize)> {
        self.parts.iter().copied().take(self.len)
    }

    /// Whether it says what it is made of.
    #[must_use]
    pub const fn is_named(&self) -> bool {
        self.len > 1 || !self.parts[0].0.is_empty()
    }
}

impl From<usize> for Capacity {
    fn from(items: usize) -> Self {
        Self::of("", items)
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (place, items)) in self.parts().enumerate() {
            if index > 0 {
                f.write_str(" + ")?;
            }
            match place {
                "" => write!(f, "{items}")?,
                place => write!(f, "{place} {items}")?,
            }
        }
        Ok(())
    }
}
