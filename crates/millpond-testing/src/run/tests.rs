//! The tests are tested: a pool that is right passes, and each way of being
//! wrong is found.

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};

use super::*;
use crate::{Lending, Lends, Specimen, Tracked, run_table};

/// How the pool below goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    LosesASlot,
    RefusesEarly,
    LendsTooMany,
    ForgetsToCount,
    CountsFreeWrongly,
    DamagesOthers,
    DamagesOnTrim,
    PanicsWhenFull,
}

/// A pool of boxes: the simplest that keeps every promise, and a collection of
/// ways to break them.
struct Boxes<T> {
    capacity: usize,
    bug: Bug,
    leased: Cell<usize>,
    cached: RefCell<Vec<Box<Option<T>>>>,
    releases: Cell<usize>,
    slip: Cell<bool>,
}

struct Guard<'p, T> {
    pool: &'p Boxes<T>,
    slot: Option<Box<Option<T>>>,
}

impl<T> Boxes<T> {
    fn new(capacity: usize, bug: Bug) -> Self {
        Self {
            capacity,
            bug,
            leased: Cell::new(0),
            cached: RefCell::new((0..capacity).map(|_| Box::new(None)).collect()),
            releases: Cell::new(0),
            slip: Cell::new(false),
        }
    }

    fn put(&self, mut slot: Box<Option<T>>) {
        let releases = self.releases.get() + 1;
        self.releases.set(releases);
        self.leased.set(self.leased.get() - 1);
        slot.take();
        if self.bug == Bug::LosesASlot && releases % 5 == 0 {
            return;
        }
        self.cached.borrow_mut().push(slot);
    }
}

impl<T: Specimen> Lends<T> for Boxes<T> {
    type Lease<'p>
        = Guard<'p, T>
    where
        T: 'p;

    fn try_acquire(&self, value: T) -> Result<Guard<'_, T>, T> {
        let early = self.bug == Bug::RefusesEarly && self.leased.get() + 1 == self.capacity;
        let slot = self.cached.borrow_mut().pop().filter(|_| !early);
        let slot = slot.or_else(|| (self.bug == Bug::LendsTooMany).then(|| Box::new(None)));
        let Some(mut slot) = slot else {
            assert!(self.bug != Bug::PanicsWhenFull, "a full pool");
            return Err(value);
        };
        self.leased.set(self.leased.get() + 1);
        *slot = Some(value);
        let slot = Some(slot);
        Ok(Guard { pool: self, slot })
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.capacity)
    }

    fn in_use(&self) -> usize {
        let miscounted = self.bug == Bug::ForgetsToCount && self.releases.get() > 3;
        self.leased.get() + usize::from(miscounted)
    }

    fn free(&self) -> Option<usize> {
        let miscounted = self.bug == Bug::CountsFreeWrongly && self.leased.get() > 1;
        Some(self.cached.borrow().len() + usize::from(miscounted))
    }

    fn trim(&self) {
        if self.bug == Bug::DamagesOnTrim {
            self.slip.set(true);
        }
    }
}

impl<T: Specimen> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.slot
            .as_ref()
            .and_then(|slot| slot.as_ref().as_ref())
            .expect("leased")
    }
}

impl<T: Specimen> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.slot
            .as_mut()
            .and_then(|slot| slot.as_mut().as_mut())
            .expect("leased")
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.pool.put(slot);
        }
    }
}

/// Damage needs a pool that can reach its leases: words in cells, which it
/// overwrites at the wrong moment.
struct Words {
    cells: Vec<Cell<u64>>,
    free: RefCell<Vec<usize>>,
    bug: Bug,
}

impl Words {
    fn new(capacity: usize, bug: Bug) -> Self {
        Self {
            cells: vec![Cell::new(0); capacity],
            free: RefCell::new((0..capacity).collect()),
            bug,
        }
    }
}

impl PoolUnderTest for Words {
    type Lease<'p> = usize;

    fn acquire(&self, stamp: u64) -> Option<usize> {
        let index = self.free.borrow_mut().pop()?;
        self.cells[index].set(stamp);
        if self.bug == Bug::DamagesOthers && index == 1 {
            self.cells[0].set(0);
        }
        Some(index)
    }

    fn damage(&self, lease: &usize, stamp: u64) -> Option<usize> {
        (self.cells[*lease].get() != stamp).then_some(0)
    }

    fn restamp(&self, lease: &mut usize, stamp: u64) {
        self.cells[*lease].set(stamp);
    }

    fn span(&self, lease: &usize) -> crate::Span {
        crate::Span::of(&self.cells[*lease])
    }

    fn release(&self, lease: usize) {
        self.free.borrow_mut().push(lease);
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.cells.len())
    }

    fn in_use(&self) -> usize {
        self.cells.len() - self.free.borrow().len()
    }

    fn free(&self) -> Option<usize> {
        Some(self.free.borrow().len())
    }

    fn trim(&self) {
        if self.bug == Bug::DamagesOnTrim {
            self.cells.iter().for_each(|cell| cell.set(0));
        }
    }
}

crate::pool_table!(correct_boxes, |case| Lending::<_, T>::new(Boxes::<T>::new(
    case.capacity,
    Bug::None
)));

#[test]
fn correct_handles_pass() {
    run_table("words", 8, |case| Words::new(case.capacity, Bug::None));
}

fn found<P: PoolUnderTest>(make: impl Fn() -> P) -> Failure {
    let seeds = 0..if cfg!(miri) { 3 } else { 20 };
    seeds
        .filter_map(|seed| run_seed(&make, seed, 300).err())
        .next()
        .expect("the bug is found")
}

#[test]
fn every_bug_is_found_and_its_trace_fails_again() {
    let bugs = [
        Bug::LosesASlot,
        Bug::RefusesEarly,
        Bug::LendsTooMany,
        Bug::ForgetsToCount,
        Bug::CountsFreeWrongly,
        Bug::PanicsWhenFull,
    ];
    for bug in bugs {
        let make = || Lending::<_, u64>::new(Boxes::new(4, bug));
        let failure = found(make);
        let again = replay(make, &failure.trace.to_string()).expect_err("fails again");
        assert_eq!(
            again.violation.to_string().len(),
            failure.violation.to_string().len()
        );
        let expected = match bug {
            Bug::LosesASlot | Bug::CountsFreeWrongly => {
                matches!(failure.violation, Violation::NotConserved { .. })
            }
            Bug::RefusesEarly => matches!(failure.violation, Violation::RefusedWhileFree { .. }),
            Bug::LendsTooMany => matches!(
                failure.violation,
                Violation::BeyondCapacity { .. } | Violation::NotConserved { .. }
            ),
            Bug::ForgetsToCount => matches!(failure.violation, Violation::WrongInUse { .. }),
            _ => matches!(failure.violation, Violation::Panicked { .. }),
        };
        assert!(expected, "{bug:?}: {failure}");
    }
}

#[test]
fn damage_is_found_and_its_trace_is_short() {
    for bug in [Bug::DamagesOthers, Bug::DamagesOnTrim] {
        let make = || Words::new(4, bug);
        let failure = found(make);
        assert!(
            matches!(failure.violation, Violation::Damaged { .. }),
            "{failure}"
        );
        // Four acquires and a look at the victim would do.
        assert!(failure.trace.ops.len() <= 12, "{failure}");
    }
}

/// Lends the same memory twice.
struct Twice(Words);

impl PoolUnderTest for Twice {
    type Lease<'p> = usize;

    fn acquire(&self, stamp: u64) -> Option<usize> {
        self.0.acquire(stamp).map(|index| index / 2)
    }

    fn damage(&self, _lease: &usize, _stamp: u64) -> Option<usize> {
        None
    }

    fn restamp(&self, _lease: &mut usize, _stamp: u64) {}

    fn span(&self, lease: &usize) -> crate::Span {
        self.0.span(lease)
    }

    fn capacity(&self) -> Option<usize> {
        self.0.capacity()
    }

    fn in_use(&self) -> usize {
        self.0.in_use()
    }

    fn free(&self) -> Option<usize> {
        self.0.free()
    }
}

#[test]
fn memory_that_is_lent_twice_is_found() {
    let failure = found(|| Twice(Words::new(4, Bug::None)));
    assert!(
        matches!(failure.violation, Violation::Overlap { .. }),
        "{failure}"
    );
}

/// The same promises from several threads.
struct Locked {
    capacity: usize,
    leased: Mutex<usize>,
    refuses_early: bool,
}

struct LockedGuard<'p>(&'p Locked, Box<Tracked>);

impl Deref for LockedGuard<'_> {
    type Target = Tracked;

    fn deref(&self) -> &Tracked {
        &self.1
    }
}

impl DerefMut for LockedGuard<'_> {
    fn deref_mut(&mut self) -> &mut Tracked {
        &mut self.1
    }
}

impl Drop for LockedGuard<'_> {
    fn drop(&mut self) {
        *lock(&self.0.leased) -= 1;
    }
}

impl Lends<Tracked> for Locked {
    type Lease<'p> = LockedGuard<'p>;

    fn try_acquire(&self, value: Tracked) -> Result<LockedGuard<'_>, Tracked> {
        let mut leased = lock(&self.leased);
        if *leased + usize::from(self.refuses_early) >= self.capacity {
            return Err(value);
        }
        *leased += 1;
        Ok(LockedGuard(self, Box::new(value)))
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.capacity)
    }

    fn in_use(&self) -> usize {
        *lock(&self.leased)
    }

    fn free(&self) -> Option<usize> {
        Some(self.capacity - self.in_use())
    }
}

fn threads(capacity: usize, refuses_early: bool) {
    crate::Census::during(|| {
        let pool = Lending::<_, Tracked>::new(Locked {
            capacity,
            leased: Mutex::new(0),
            refuses_early,
        });
        let steps = if cfg!(miri) { 50 } else { 2000 };
        let plan = Threads {
            threads: 3,
            steps,
            seed: 1,
        };
        run_threads(&pool, plan);
    });
}

#[test]
fn correct_pool_passes_from_several_threads() {
    for capacity in [0, 1, 2, 7, 64] {
        threads(capacity, false);
    }
}

#[test]
#[should_panic(expected = "acquire refused")]
fn refusal_while_items_are_free_is_found_from_several_threads() {
    threads(2, true);
}
