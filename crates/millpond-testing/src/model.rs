//! The model: what a correct pool would have done, kept in maps.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;

use crate::under_test::PoolUnderTest;

/// The memory of a lease: where it begins, how long it is, and what it must be
/// a multiple of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first address.
    pub address: usize,
    /// Bytes. An empty span overlaps nothing.
    pub len: usize,
    /// The alignment that was promised, in bytes.
    pub align: usize,
}

impl Span {
    /// Where a value lies.
    #[must_use]
    pub fn of<T>(value: &T) -> Self {
        Self {
            address: std::ptr::from_ref(value).addr(),
            len: size_of::<T>(),
            align: align_of::<T>(),
        }
    }

    /// Where bytes lie, with an alignment that their type does not tell.
    #[must_use]
    pub fn of_bytes(bytes: &[u8], align: usize) -> Self {
        Self {
            address: bytes.as_ptr().addr(),
            len: bytes.len(),
            align,
        }
    }

    const fn range(&self) -> Range<usize> {
        self.address..self.address.saturating_add(self.len)
    }
}

/// The model's name for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u64);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[derive(Debug)]
struct Record {
    stamp: u64,
    span: Span,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// An acquire was refused although items were free.
    RefusedWhileFree {
        /// Leases at that moment.
        live: usize,
        /// The pool's capacity, if it has one.
        capacity: Option<usize>,
    },
    /// More items were lent than there are.
    BeyondCapacity {
        /// Leases, the new one included.
        live: usize,
        /// The pool's capacity.
        capacity: usize,
    },
    /// Two leases share memory.
    Overlap {
        /// The new lease.
        new: Span,
        /// The lease that was there before.
        token: Token,
        /// Its memory.
        old: Span,
    },
    /// A lease is not aligned as promised.
    Misaligned {
        /// Its memory.
        span: Span,
    },
    /// A lease moved while it was held.
    Moved {
        /// Where it was.
        from: Span,
        /// Where it is.
        to: Span,
    },
    /// A lease does not hold what was written to it last.
    Damaged {
        /// The lease.
        token: Token,
        /// Its memory.
        span: Span,
        /// The first wrong byte.
        offset: usize,
    },
    /// The pool counts other leases than there are.
    WrongInUse {
        /// The pool's count.
        counted: usize,
        /// The leases that there are.
        live: usize,
    },
    /// Free and leased items do not add up to the capacity.
    NotConserved {
        /// Free items, as the pool counts them.
        free: usize,
        /// Leased items, as the pool counts them.
        in_use: usize,
        /// The pool's capacity.
        capacity: usize,
    },
    /// The pool panicked.
    Panicked {
        /// What it said.
        message: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RefusedWhileFree { live, capacity } => {
                write!(f, "acquire refused with {live} leased of {capacity:?}")
            }
            Self::BeyondCapacity { live, capacity } => {
                write!(f, "{live} leased of {capacity}")
            }
            Self::Overlap { new, token, old } => {
                write!(
                    f,
                    "new lease at {new:x?} overlaps lease {token} at {old:x?}"
                )
            }
            Self::Misaligned { span } => write!(f, "lease at {span:x?} is not aligned"),
            Self::Moved { from, to } => write!(f, "lease moved from {from:x?} to {to:x?}"),
            Self::Damaged {
                token,
                span,
                offset,
            } => write!(f, "lease {token} at {span:x?} is damaged at byte {offset}"),
            Self::WrongInUse { counted, live } => {
                write!(f, "the pool counts {counted} leases, there are {live}")
            }
            Self::NotConserved {
                free,
                in_use,
                capacity,
            } => write!(f, "{free} free + {in_use} in use is not {capacity}"),
            Self::Panicked { message } => write!(f, "the pool panicked: {message}"),
        }
    }
}

impl std::error::Error for Violation {}

/// The leases that exist, and what each of them holds.
#[derive(Debug)]
pub struct Model {
    capacity: Option<usize>,
    leases: HashMap<Token, Record>,
    /// Leases by first address, without the empty ones.
    map: BTreeMap<usize, Token>,
    stamps: u64,
    tokens: u64,
}

impl Model {
    /// A model of an unused pool.
    #[must_use]
    pub fn new(capacity: Option<usize>) -> Self {
        Self {
            capacity,
            leases: HashMap::new(),
            map: BTreeMap::new(),
            stamps: 0,
            tokens: 0,
        }
    }

    /// How many leases exist.
    #[must_use]
    pub fn live(&self) -> usize {
        self.leases.len()
    }

    /// A stamp that was not used before.
    pub const fn next_stamp(&mut self) -> u64 {
        self.stamps += 1;
        self.stamps
    }

    /// An acquire of a pool that nobody else uses was refused.
    ///
    /// # Errors
    ///
    /// The violation, if items were free.
    pub fn refused(&self) -> Result<(), Violation> {
        let (live, capacity) = (self.live(), self.capacity);
        if capacity.is_some_and(|capacity| live >= capacity) {
            return Ok(());
        }
        Err(Violation::RefusedWhileFree { live, capacity })
    }

    /// An acquire yielded a lease that holds `stamp`.
    ///
    /// # Errors
    ///
    /// The violation, if the lease cannot be one.
    pub fn acquired(&mut self, stamp: u64, span: Span) -> Result<Token, Violation> {
        let live = self.live() + 1;
        if let Some(capacity) = self.capacity.filter(|&capacity| live > capacity) {
            return Err(Violation::BeyondCapacity { live, capacity });
        }
        if span.address % span.align.max(1) != 0 {
            return Err(Violation::Misaligned { span });
        }
        if let Some((token, old)) = self.overlapping(span) {
            let new = span;
            return Err(Violation::Overlap { new, token, old });
        }
        self.tokens += 1;
        let token = Token(self.tokens);
        if span.len > 0 {
            self.map.insert(span.address, token);
        }
        self.leases.insert(token, Record { stamp, span });
        Ok(token)
    }

    /// The lease that shares memory with a span. Leases do not overlap each
    /// other, so only the last that begins before the span's end can.
    fn overlapping(&self, span: Span) -> Option<(Token, Span)> {
        if span.len == 0 {
            return None;
        }
        let range = span.range();
        let (_, &token) = self.map.range(..range.end).next_back()?;
        let old = self.leases.get(&token)?.span;
        (old.range().end > range.start).then_some((token, old))
    }

    /// The stamp that a lease holds.
    ///
    /// # Panics
    ///
    /// If there is no such lease.
    #[must_use]
    pub fn stamp(&self, token: Token) -> u64 {
        self.record(token).stamp
    }

    /// A lease was written.
    ///
    /// # Panics
    ///
    /// If there is no such lease.
    pub fn restamped(&mut self, token: Token, stamp: u64) {
        let Some(record) = self.leases.get_mut(&token) else {
            panic!("there is no lease {token}");
        };
        record.stamp = stamp;
    }

    /// A lease is about to be given back.
    ///
    /// # Panics
    ///
    /// If there is no such lease.
    pub fn released(&mut self, token: Token) {
        let Some(record) = self.leases.remove(&token) else {
            panic!("there is no lease {token}");
        };
        if record.span.len > 0 {
            self.map.remove(&record.span.address);
        }
    }

    fn record(&self, token: Token) -> &Record {
        match self.leases.get(&token) {
            Some(record) => record,
            None => panic!("there is no lease {token}"),
        }
    }

    /// Compares a lease with the model: the place and every byte.
    ///
    /// # Errors
    ///
    /// The violation, if there is one.
    ///
    /// # Panics
    ///
    /// If there is no such lease.
    pub fn check_lease<'p, P: PoolUnderTest + 'p>(
        &self,
        pool: &P,
        token: Token,
        lease: &P::Lease<'p>,
    ) -> Result<(), Violation> {
        let record = self.record(token);
        let to = pool.span(lease);
        if to != record.span {
            let from = record.span;
            return Err(Violation::Moved { from, to });
        }
        pool.damage(lease, record.stamp).map_or(Ok(()), |offset| {
            let span = record.span;
            Err(Violation::Damaged {
                token,
                span,
                offset,
            })
        })
    }

    /// Compares the pool's counts with the model, while nobody else uses it.
    ///
    /// # Errors
    ///
    /// The violation, if there is one.
    pub fn check_counts<P: PoolUnderTest>(&self, pool: &P) -> Result<(), Violation> {
        let (counted, live) = (pool.in_use(), self.live());
        if counted != live {
            return Err(Violation::WrongInUse { counted, live });
        }
        if let (Some(free), Some(capacity)) = (pool.free(), self.capacity) {
            let in_use = counted;
            if free.checked_add(in_use) != Some(capacity) {
                return Err(Violation::NotConserved {
                    free,
                    in_use,
                    capacity,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn span(address: usize, len: usize) -> Span {
        Span {
            address,
            len,
            align: 1,
        }
    }

    #[test]
    fn every_kind_of_overlap_is_found() {
        let mut model = Model::new(None);
        model.acquired(1, span(100, 10)).expect("first");
        for (address, len) in [(100, 10), (95, 6), (109, 1), (104, 2), (90, 40)] {
            let result = model.acquired(2, span(address, len));
            assert!(
                matches!(result, Err(Violation::Overlap { .. })),
                "{address}"
            );
        }
        let after = model.acquired(2, span(110, 10)).expect("touches only");
        let before = model.acquired(3, span(90, 10)).expect("touches only");
        model.released(after);
        model.acquired(4, span(110, 5)).expect("free again");
        model.released(before);
        assert_eq!(model.live(), 2);
    }

    #[test]
    fn empty_spans_overlap_nothing() {
        let mut model = Model::new(Some(3));
        for _ in 0..3 {
            model.acquired(1, span(8, 0)).expect("no memory");
        }
        assert!(matches!(
            model.acquired(1, span(8, 0)),
            Err(Violation::BeyondCapacity { .. })
        ));
    }

    #[test]
    fn refusal_is_right_only_when_everything_is_leased() {
        let mut model = Model::new(Some(1));
        assert!(model.refused().is_err());
        let token = model.acquired(1, span(8, 8)).expect("one");
        assert_eq!(model.refused(), Ok(()));
        model.released(token);
        assert!(model.refused().is_err());
        assert!(Model::new(None).refused().is_err());
        assert_eq!(Model::new(Some(0)).refused(), Ok(()));
    }

    #[test]
    fn misaligned_lease_is_found() {
        let mut model = Model::new(None);
        let misaligned = Span {
            address: 72,
            len: 8,
            align: 16,
        };
        let result = model.acquired(1, misaligned);
        assert!(matches!(result, Err(Violation::Misaligned { .. })));
    }
}
