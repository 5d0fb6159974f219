//! What budgets promise.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::format;
use std::string::ToString;
use std::sync::Mutex;

use super::*;

/// A pool that caches what it charged and gives it back when asked.
struct Hoard {
    budget: Budget,
    cached: Mutex<Vec<Charge>>,
    asked: AtomicUsize,
}

impl Hoard {
    fn new(budget: &Budget, items: usize, bytes: usize) -> (Arc<Self>, Membership) {
        let cached = (0..items)
            .map(|_| budget.try_charge(bytes).expect("room"))
            .collect();
        let hoard = Arc::new(Self {
            budget: budget.clone(),
            cached: Mutex::new(cached),
            asked: AtomicUsize::new(0),
        });
        let weak: Weak<dyn Reclaim> = Arc::downgrade(&hoard) as _;
        let membership = budget.register(weak);
        (hoard, membership)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Reclaim for Hoard {
    fn reclaim(&self, bytes_wanted: usize) -> usize {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut given = 0;
        while given < bytes_wanted {
            let Some(charge) = self.cached.lock().expect("no test panics under it").pop() else {
                break;
            };
            given += charge.bytes();
        }
        given
    }
}

#[test]
fn charge_counts_on_every_level_and_comes_back_when_dropped() {
    let root = Budget::new("root", 100);
    let inner = root.child("inner", 60);
    let leaf = inner.child("leaf", usize::MAX);
    let charge = leaf.try_charge(50).expect("room");
    assert_eq!([root.held(), inner.held(), leaf.held()], [50; 3]);
    let direct = root.try_charge(50).expect("room");
    assert_eq!([root.held(), inner.held(), leaf.held()], [100, 50, 50]);
    drop(charge);
    drop(direct);
    assert_eq!([root.held(), inner.held(), leaf.held()], [0; 3]);
    assert_eq!(root.high_water(), 100);
    assert_eq!(leaf.high_water(), 50);
}

#[test]
fn refusal_names_the_budget_that_has_no_room() {
    let root = Budget::new("root", 100);
    let left = root.child("left", 80);
    let right = root.child("right", 80);
    let held = left.try_charge(70).expect("room");

    let error = left.try_charge(20).expect_err("left is full");
    assert_eq!(&*error.name, "left");
    assert_eq!((error.limit, error.held, error.requested), (80, 70, 20));
    let error = right.try_charge(40).expect_err("root is full");
    assert_eq!(&*error.name, "root");
    assert_eq!((error.limit, error.held, error.requested), (100, 70, 40));
    assert_eq!(
        error.to_string(),
        "budget `root` refused 40 bytes: it holds 70 of 100"
    );
    assert_eq!(right.held(), 0, "a refused charge leaves no trace");
    drop(held);
}

#[test]
fn exact_limit_fits_and_one_more_does_not() {
    let budget = Budget::new("exact", 10);
    let mut charge = budget.try_charge(10).expect("exactly the limit");
    assert!(charge.grow(1).is_err());
    assert!(charge.grow(0).is_ok());
    assert_eq!(charge.bytes(), 10);
    let nothing = Budget::new("nothing", 0);
    assert!(nothing.try_charge(0).is_ok());
    assert!(nothing.try_charge(1).is_err());
}

#[test]
fn overflow_is_refused_and_never_wraps() {
    let budget = Budget::new("unlimited", usize::MAX);
    let all = budget.try_charge(usize::MAX).expect("there is no limit");
    assert!(budget.try_charge(1).is_err());
    drop(all);
    let one = budget.try_charge(1).expect("room");
    let error = budget.try_charge(usize::MAX).expect_err("would overflow");
    assert_eq!(error.held, 1);
    drop(one);
    assert_eq!(budget.held(), 0);
}

#[test]
fn receipts_split_merge_grow_and_shrink_without_losing_a_byte() {
    let budget = Budget::new("receipts", 100);
    let other = budget.child("other", 100);
    let mut charge = budget.try_charge(60).expect("room");
    let part = charge.split(25).expect("enough");
    assert!(charge.split(36).is_none());
    assert_eq!((charge.bytes(), part.bytes(), budget.held()), (35, 25, 60));
    let foreign = other.try_charge(5).expect("room");
    let foreign = charge.merge(foreign).expect_err("another budget");
    charge.merge(part).expect("same budget");
    charge.shrink(10);
    assert_eq!((charge.bytes(), budget.held()), (50, 55));
    charge.grow(45).expect("room");
    assert!(charge.grow(1).is_err());
    assert_eq!(charge.into_bytes(), 95);
    assert_eq!(budget.held(), 100, "into_bytes keeps the bytes charged");
    budget.refund_bytes(95);
    drop(foreign);
    assert_eq!(budget.held(), 0);
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "refund of 11 bytes"))]
fn refund_below_zero_is_caught_or_clamped() {
    let root = Budget::new("root", 100);
    let leaf = root.child("leaf", 100);
    root.charge_bytes(50).expect("room");
    leaf.charge_bytes(10).expect("room");
    leaf.refund_bytes(11);
    assert_eq!((root.held(), leaf.held()), (50, 0));
}

#[test]
fn refused_charge_trims_members_first() {
    let root = Budget::new("root", 100);
    let pool = root.child("pool", usize::MAX);
    let (hoard, _membership) = Hoard::new(&pool, 10, 10);
    let charge = root.try_charge(35).expect("the hoard gives way");
    assert_eq!(hoard.asked(), 1);
    assert_eq!(hoard.budget.held(), 60, "no more was taken than needed");
    assert_eq!(root.held(), 95);
    let error = root.try_charge(96).expect_err("35 are really in use");
    assert_eq!(error.held, 35, "everything else was given back");
    drop(charge);
}

#[test]
fn only_members_under_the_refusing_budget_are_asked() {
    let root = Budget::new("root", 1000);
    let left = root.child("left", 50);
    let right = root.child("right", 500);
    let (left_hoard, _left) = Hoard::new(&left, 5, 10);
    let (right_hoard, _right) = Hoard::new(&right, 5, 10);
    let _charge = left.try_charge(10).expect("left gives way");
    assert_eq!((left_hoard.asked(), right_hoard.asked()), (1, 0));
}

#[test]
fn charge_beyond_the_limit_itself_disturbs_nobody() {
    let root = Budget::new("root", 100);
    let (hoard, _membership) = Hoard::new(&root, 10, 10);
    let error = root.try_charge(101).expect_err("can never fit");
    assert_eq!(error.requested, 101);
    assert_eq!(hoard.asked(), 0);
    assert_eq!(root.held(), 100);
}

#[test]
fn charge_goes_on_to_the_next_budget_that_refuses() {
    let root = Budget::new("root", 100);
    let small = root.child("small", 40);
    let large = root.child("large", 100);
    let (small_hoard, _small) = Hoard::new(&small, 4, 10);
    let (large_hoard, _large) = Hoard::new(&large, 6, 10);
    root.set_limit(60);
    // First `small` refuses, and gives its 40; then `root`, which holds 60 of
    // `large`.
    let charge = small.try_charge(40).expect("both give way");
    assert!(small_hoard.asked() >= 1);
    assert!(large_hoard.asked() >= 1);
    assert_eq!((small.held(), large.held(), root.held()), (40, 20, 60));
    drop(charge);
}

#[test]
fn members_take_turns() {
    let root = Budget::new("root", 100);
    let (first, _first) = Hoard::new(&root, 5, 10);
    let (second, _second) = Hoard::new(&root, 5, 10);
    let one = root.try_charge(10).expect("first gives way");
    let two = root.try_charge(10).expect("second gives way");
    assert_eq!((first.asked(), second.asked()), (1, 1));
    drop((one, two));
}

#[test]
fn dead_and_departed_members_are_not_asked() {
    let root = Budget::new("root", 100);
    let (dead, _dead_membership) = Hoard::new(&root, 1, 10);
    drop(dead);
    let (departed, membership) = Hoard::new(&root, 1, 10);
    drop(membership);
    let error = root.try_charge(95).expect_err("nobody is left to ask");
    assert_eq!(error.held, 10);
    assert_eq!(departed.asked(), 0);
    assert_eq!(root.state(|state| state.members.len()), 1);
}

/// Claims to have given back, and never does.
struct Liar(AtomicUsize);

impl Reclaim for Liar {
    fn reclaim(&self, bytes_wanted: usize) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed);
        bytes_wanted
    }
}

#[test]
fn member_that_claims_progress_for_ever_is_not_asked_for_ever() {
    let root = Budget::new("root", 10);
    root.charge_bytes(10).expect("room");
    let liar = Arc::new(Liar(AtomicUsize::new(0)));
    let weak: Weak<dyn Reclaim> = Arc::downgrade(&liar) as _;
    let _membership = root.register(weak);
    assert!(root.try_charge(1).is_err());
    assert_eq!(liar.0.load(Ordering::Relaxed), MAX_ROUNDS);
    root.refund_bytes(10);
}

/// Charges while it is being asked.
struct Nested {
    budget: Budget,
    calls: AtomicUsize,
}

impl Reclaim for Nested {
    fn reclaim(&self, _bytes_wanted: usize) -> usize {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let nested = self.budget.try_charge(1);
        assert!(nested.is_err(), "there is no room, and nobody is asked");
        assert_eq!(self.budget.reclaim(1), 0);
        0
    }
}

#[test]
fn member_that_charges_while_it_is_asked_is_not_re_entered() {
    let root = Budget::new("root", 10);
    root.charge_bytes(10).expect("room");
    let nested = Arc::new(Nested {
        budget: root.clone(),
        calls: AtomicUsize::new(0),
    });
    let weak: Weak<dyn Reclaim> = Arc::downgrade(&nested) as _;
    let _membership = root.register(weak);
    for calls in 1..=3 {
        assert!(root.try_charge(1).is_err());
        assert_eq!(nested.calls.load(Ordering::Relaxed), calls);
    }
    root.refund_bytes(10);
}

struct Panicking;

impl Reclaim for Panicking {
    fn reclaim(&self, _bytes_wanted: usize) -> usize {
        panic!("a member failed")
    }
}

#[test]
fn panic_in_a_member_leaves_the_budget_usable() {
    let root = Budget::new("root", 10);
    let held = root.try_charge(10).expect("room");
    let member: Arc<dyn Reclaim> = Arc::new(Panicking);
    let membership = root.register(Arc::downgrade(&member));
    let caught = std::panic::catch_unwind(|| root.try_charge(1).is_ok());
    assert!(caught.is_err());
    drop(membership);
    // Members are asked again: the mark on this thread went away.
    let (hoard, _hoard) = Hoard::new(&root, 0, 0);
    hoard
        .cached
        .lock()
        .expect("no test panics under it")
        .push(held);
    assert!(root.try_charge(1).is_ok());
    assert_eq!(hoard.asked(), 1);
}

#[test]
fn lowered_limit_takes_nothing_and_refuses_until_enough_came_back() {
    let root = Budget::new("root", 100);
    let (hoard, _membership) = Hoard::new(&root, 8, 10);
    root.set_limit(50);
    assert_eq!(root.held(), 80);
    assert_eq!(root.reclaim(30), 30);
    assert_eq!(root.held(), 50);
    assert_eq!(hoard.asked(), 1);
    let charge = root.try_charge(20).expect("the hoard gives way");
    assert_eq!(root.held(), 50);
    drop(charge);
}

#[test]
fn short_lived_children_leave_nothing_behind() {
    let root = Budget::new("root", 1000);
    for _ in 0..100 {
        let child = root.child("child", 10);
        let charge = child.try_charge(10).expect("room");
        let grandchild = child.child("grandchild", 10);
        let (_hoard, membership) = Hoard::new(&grandchild, 0, 0);
        drop((child, grandchild));
        assert_eq!(root.held(), 10, "the receipt keeps its budget alive");
        drop((membership, charge));
    }
    assert_eq!(root.held(), 0);
    root.state(|state| {
        assert!(state.entries.len() <= 4);
        assert_eq!(state.entries.len() - state.vacant.len(), 1);
        assert!(state.vacant.capacity() >= state.entries.len());
        assert!(state.members.is_empty());
    });
}

#[test]
fn bytes_never_refunded_stay_counted_above() {
    let root = Budget::new("root", 1000);
    let child = root.child("child", 100);
    core::mem::forget(child.try_charge(1).map(Charge::into_bytes));
    drop(child);
    assert_eq!(root.held(), 1);
}

#[test]
fn snapshot_is_the_tree_below() {
    let root = Budget::new("root", 100);
    let left = root.child("left", 50);
    let right = root.child("right", 60);
    let leaf = right.child("leaf", 60);
    let charge = leaf.try_charge(40).expect("room");
    assert!(left.try_charge(51).is_err());

    let snapshot = root.snapshot();
    assert_eq!(&*snapshot.name, "root");
    assert_eq!((snapshot.held, snapshot.limit), (40, 100));
    assert_eq!(snapshot.children.len(), 2);
    let find = |name: &str| {
        let mut children = snapshot.children.iter();
        children.find(|child| &*child.name == name).expect(name)
    };
    assert_eq!(find("left").refusals, 1);
    assert_eq!(find("right").children[0].held, 40);
    assert_eq!(right.snapshot(), *find("right"));
    assert_eq!(leaf.parent().map(Budget::name), Some("right"));
    drop(charge);
}

#[test]
fn handles_are_thread_safe_and_unwind_safe() {
    use core::panic::{RefUnwindSafe, UnwindSafe};
    const fn assert_auto<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    assert_auto::<Budget>();
    assert_auto::<Charge>();
    assert_auto::<Membership>();
    assert_auto::<BudgetExceeded>();
    let budget = Budget::new("named", 7);
    assert_eq!(
        format!("{budget:?}"),
        "Budget { name: \"named\", limit: 7, held: 0, .. }"
    );
}

#[test]
fn threads_together_never_hold_more_than_the_limit() {
    const ROUNDS: usize = if cfg!(miri) { 30 } else { 5_000 };
    let root = Budget::new("root", 100);
    let children: Vec<Budget> = (0..3).map(|_| root.child("child", 60)).collect();
    let seen = Mutex::new(0_usize);
    std::thread::scope(|scope| {
        for (index, child) in children.iter().enumerate() {
            let (root, seen) = (&root, &seen);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let bytes = 1 + (round * 7 + index * 13) % 50;
                    let Ok(charge) = child.try_charge(bytes) else {
                        continue;
                    };
                    assert!(root.held() <= 100);
                    assert!(child.held() <= 60);
                    *seen.lock().expect("no test panics under it") += 1;
                    drop(charge);
                }
            });
        }
    });
    assert!(*seen.lock().expect("no test panics under it") >= ROUNDS / 10);
    assert_eq!(root.held(), 0);
    assert!(root.high_water() <= 100);
}
