//! Limits hold on held bytes, and what is charged is refunded.

use allocator_api2::alloc::Allocator;
use allocator_api2::vec::Vec as ApiVec;
use millpond_arena::{ArenaManager, Full, LeaseError, Level, Limit, Scope, ScopeConfig};
use millpond_core::budget::{Budget, Reclaim};
use millpond_testing::{Failing, TestAllocator};
use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: TestAllocator = TestAllocator::new();

const SCOPE: Scope = Scope::Json;
const KIB: usize = 1 << 10;

fn limited(limit: usize, budget: &Budget) -> ArenaManager {
    let mut builder = ArenaManager::builder();
    builder
        .configure(SCOPE, ScopeConfig::of(8 * KIB).with_limit(limit))
        .budget(budget);
    builder.build().expect("figures that agree")
}

#[test]
fn a_lease_never_holds_more_than_its_limit() {
    let limits = [9 * KIB, 8 * KIB, 64 * KIB, 200 * KIB];
    let sizes = [100, 5000, 1, 8, 1024, 2048, 100_000];
    // Miri takes its time.
    let few = if cfg!(miri) { 2 } else { usize::MAX };
    for limit in limits.into_iter().take(few) {
        let budget = Budget::new("all", usize::MAX);
        let manager = limited(limit, &budget);
        for size in sizes.into_iter().take(few) {
            let lease = manager.lease(SCOPE).expect("memory");
            let refused = loop {
                match lease.alloc_slice_uninit::<u8>(size) {
                    Ok(_) => assert!(lease.held_bytes() <= limit),
                    Err(refused) => break refused,
                }
            };
            assert_eq!(refused.full(), Full::Lease);
            assert_eq!(refused.limit_bytes(), limit);
            assert!(lease.held_bytes() <= limit);
            // Chunks double, so half of the limit is always within reach, unless
            // one request is more than that.
            let usable = lease.held_bytes() + 2 * size.next_multiple_of(4096) + 8 * KIB;
            assert!(2 * usable >= limit, "{usable} of {limit} for {size}");
            assert!(budget.high_water() >= lease.held_bytes());
        }
        drop(manager);
        assert_eq!(budget.held(), 0);
    }
}

#[test]
fn an_arena_at_its_limit_is_limited_again_after_its_return() {
    let budget = Budget::new("all", usize::MAX);
    let manager = limited(16 * KIB, &budget);
    for _ in 0..10 {
        let lease = manager.lease(SCOPE).expect("memory");
        while lease.alloc([0u8; 500]).is_ok() {}
        assert!(lease.held_bytes() <= 16 * KIB);
        assert!(lease.used_bytes() > 7 * KIB, "and it is not starved");
    }
}

#[test]
fn the_budget_is_exactly_what_is_held() {
    let budget = Budget::new("all", usize::MAX);
    let manager = limited(1 << 20, &budget);
    let empty = budget.held();
    let lease = manager.lease(SCOPE).expect("memory");
    let machinery = budget.held() - empty - lease.held_bytes();
    for size in [10, 1000, 3000, 20_000, 70_000, 5000] {
        lease.alloc_slice_uninit::<u64>(size / 8).expect("room");
        assert_eq!(budget.held(), empty + machinery + lease.held_bytes());
    }
    drop(lease);
    let stats = manager.scope_stats(SCOPE).expect("built in");
    assert!(budget.held() >= empty + stats.parked_bytes);
    manager.trim(Level::Full);
    assert!(budget.held() <= empty + machinery);
    drop(manager);
    assert_eq!(budget.held(), 0);
}

#[test]
fn a_budget_that_is_full_refuses_and_recovers() {
    let budget = Budget::new("all", 64 * KIB);
    let manager = limited(1 << 20, &budget);
    let lease = manager.lease(SCOPE).expect("memory");
    let refused = loop {
        match lease.alloc([0u8; 1000]) {
            Ok(_) => assert!(budget.held() <= 64 * KIB),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.full(), Full::Budget);
    let large = lease.alloc_slice_uninit::<u8>(100 * KIB).map(|_| ());
    assert_eq!(large.unwrap_err().full(), Full::Budget);
    let other = manager.lease(Scope::Search);
    let Err(LeaseError::Refused(error)) = other else {
        panic!("1 MiB is not to be had");
    };
    assert!(matches!(error.limit(), Limit::Budget(exceeded) if &*exceeded.name == "all"));
    drop(lease);
    assert!(manager.lease(SCOPE).is_ok());
}

#[test]
fn parked_arenas_make_room_for_others() {
    let budget = Budget::new("all", 100 * KIB);
    let manager = limited(64 * KIB, &budget);
    let leases: Vec<_> = (0..8)
        .map(|_| manager.lease(SCOPE).expect("memory"))
        .collect();
    drop(leases);
    assert!(budget.held() >= 64 * KIB);
    let charge = budget.try_charge(90 * KIB).expect("parked arenas go");
    drop(charge);
    assert!(manager.lease(SCOPE).is_ok());
}

#[test]
fn collections_under_a_limit_answer_by_try_reserve() {
    let budget = Budget::new("all", usize::MAX);
    let manager = limited(32 * KIB, &budget);
    let lease = manager.lease(SCOPE).expect("memory");
    let mut vec: ApiVec<u8, _> = ApiVec::new_in(&lease);
    assert!(vec.try_reserve(100 * KIB).is_err());
    assert!(vec.try_reserve(10 * KIB).is_ok());
    let mut map = hashbrown::HashMap::<u64, u64, _, _>::new_in(&lease);
    assert!(map.try_reserve(100_000).is_err());
    assert!(map.try_reserve(100).is_ok());
    map.insert(1, 2);
    let mut ours = lease.vec::<u64>();
    while ours.push(1).is_ok() {}
    assert!(!ours.is_empty());
    assert!(ours.iter().all(|&one| one == 1));
}

#[test]
fn requests_beyond_the_address_space_are_refused() {
    let manager = ArenaManager::new();
    let lease = manager.lease(SCOPE).expect("memory");
    let full = lease.alloc_slice_uninit::<u64>(usize::MAX).map(|_| ());
    assert_eq!(full.unwrap_err().full(), Full::Overflow);
    let full = lease.alloc_slice_uninit::<u8>(isize::MAX as usize);
    assert_eq!(full.map(|_| ()).unwrap_err().full(), Full::Overflow);
    let mut vec = lease.vec::<u64>();
    assert!(vec.try_reserve(usize::MAX).is_err());
    assert!(vec.try_reserve(usize::MAX / 16).is_err());
    vec.push(1).expect("room");
    assert!(vec.try_reserve(usize::MAX).is_err());
    assert_eq!(vec, [1]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri's allocator does not fail")]
fn no_memory_is_an_answer_and_charges_nothing() {
    let budget = Budget::new("all", usize::MAX);
    let manager = limited(1 << 20, &budget);
    let before = budget.held();
    Failing::Every(1).during(|| {
        assert!(manager.lease(SCOPE).is_err());
    });
    assert_eq!(budget.held(), before);
    let lease = manager.lease(SCOPE).expect("memory");
    let held = (lease.held_bytes(), budget.held());
    Failing::Every(1).during(|| {
        let large = lease.alloc_slice_uninit::<u8>(50 * KIB).map(|_| ());
        assert_eq!(large.unwrap_err().full(), Full::Memory);
        let refused = loop {
            if let Err(refused) = lease.alloc([0u8; 500]) {
                break refused;
            }
        };
        assert_eq!(refused.full(), Full::Memory);
    });
    assert_eq!((lease.held_bytes(), budget.held()), held);
    assert!(lease.alloc([0u8; 5000]).is_ok());
    for nth in 0..12 {
        Failing::Nth(nth).during(|| {
            if let Ok(lease) = manager.lease(Scope::Primitive) {
                let _ = lease.alloc_slice_fill_copy(100 * KIB, 1u8);
                let _ = lease.alloc_slice_fill_copy(300 * KIB, 1u8);
            }
        });
        manager.trim(Level::Full);
    }
    drop(lease);
    drop(manager);
    assert_eq!(budget.held(), 0);
}

#[test]
fn a_refused_large_object_leaves_the_old_one_as_it_was() {
    let budget = Budget::new("all", usize::MAX);
    let manager = limited(100 * KIB, &budget);
    let lease = manager.lease(SCOPE).expect("memory");
    let mut vec = lease.vec::<u8>();
    vec.extend_from_slice(&[7; 30 * KIB]).expect("room");
    let held = lease.held_bytes();
    assert!(vec.try_reserve_exact(100 * KIB).is_err());
    assert_eq!(lease.held_bytes(), held);
    assert!(vec.iter().all(|&byte| byte == 7));
    assert!(lease.alloc_layout(Layout::new::<u64>()).is_ok());
}

/// A member of a budget that panics when it is asked for memory.
struct Panics;

impl Reclaim for Panics {
    fn reclaim(&self, _: usize) -> usize {
        panic!("as it were")
    }
}

#[test]
fn a_member_that_panics_leaves_the_account_and_the_arenas_right() {
    let budget = Budget::new("all", 2 << 20);
    let manager = limited(4 << 20, &budget);
    let lease = manager.lease(SCOPE).expect("memory");
    let held = budget.held();
    let member: Arc<dyn Reclaim> = Arc::new(Panics);
    let membership = budget.register(Arc::downgrade(&member));

    let panicked = |work: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(work)).is_err();
    assert!(panicked(&mut || drop(
        lease.alloc_slice_fill_copy((2 << 20) - 100, 0_u8)
    )));
    assert_eq!(budget.held(), held);
    assert_eq!(lease.held_bytes(), 8 * KIB);

    let hog = budget.try_charge(budget.limit() - held).expect("room");
    assert!(panicked(&mut || drop(manager.lease(SCOPE))));
    drop((membership, hog, lease));
    manager.trim(Level::Full);
    drop(manager);
    assert_eq!(budget.held(), 0, "no arena is lost");
}

#[test]
fn nothing_fits_into_a_full_arena_however_it_is_aligned() {
    let mut builder = ArenaManager::builder();
    builder.configure(Scope::Json, ScopeConfig::of(4096).with_limit(4096));
    let manager = builder.build().expect("good");
    let lease = manager.lease(Scope::Json).expect("memory");
    while lease.alloc(0_u64).is_ok() {}
    for align in [1, 8, 16, 64, 4096, 1 << 16] {
        let nothing = Layout::from_size_align(0, align).expect("no size");
        let something = Layout::from_size_align(8, align).expect("small");
        let block = (&lease).allocate(nothing).expect("nothing").cast::<u8>();
        assert_eq!(block.addr().get() % align, 0);
        // SAFETY: allocated above with this layout.
        assert!(unsafe { (&lease).grow(block, nothing, something) }.is_err());
        // SAFETY: as above; it could not grow.
        unsafe { (&lease).deallocate(block, nothing) };
    }
    assert_eq!(lease.held_bytes(), 4096);
}

/// A member of the budget that is asked for memory by an arena, and wants some of that
/// arena itself before it gives any.
#[test]
fn whoever_is_asked_for_memory_may_allocate_in_the_arena_that_wants_it() {
    use millpond_arena::Lease;
    use std::cell::RefCell;
    use std::rc::Rc;

    thread_local! {
        static LEASE: RefCell<Option<Rc<Lease<'static>>>> = const { RefCell::new(None) };
    }

    struct Wants(std::sync::Mutex<Vec<millpond_core::budget::Charge>>);

    impl Reclaim for Wants {
        fn reclaim(&self, _: usize) -> usize {
            let Some(lease) = LEASE.with_borrow(|lease| lease.clone()) else {
                return 0;
            };
            let given = self.0.lock().expect("quiet").pop();
            let bytes = given.as_ref().map_or(0, |charge| charge.bytes());
            drop(given);
            // In the chunk, in another one, and beside both.
            for size in [100, 5 * KIB, 1000, 3 * KIB] {
                if let Ok(mine) = lease.alloc_slice_fill_copy(size, 9_u8) {
                    assert!(mine.iter().all(|&byte| byte == 9));
                }
                assert!(lease.held_bytes() <= lease.limit_bytes());
            }
            bytes
        }
    }

    let budget = Budget::new("all", 160 * KIB);
    let manager = limited(64 * KIB, &budget);
    let lease = Rc::new(manager.lease(SCOPE).expect("memory"));
    let room = budget.limit() - budget.held();
    let charges = (0..room / (8 * KIB)).map(|_| budget.try_charge(8 * KIB).expect("room"));
    let wants: Arc<Wants> = Arc::new(Wants(std::sync::Mutex::new(charges.collect())));
    let weak: std::sync::Weak<dyn Reclaim> = Arc::downgrade(&wants) as _;
    let _member = budget.register(weak);
    LEASE.set(Some(Rc::clone(&lease)));
    let mut blocks = Vec::new();
    for number in 0..200_u8 {
        let size = usize::from(number) * 37 % 1900 + 1;
        match lease.alloc_slice_fill_copy(size, number) {
            Ok(block) => blocks.push(block),
            Err(refused) => assert!(matches!(refused.full(), Full::Lease | Full::Budget)),
        }
        assert!(lease.held_bytes() <= lease.limit_bytes());
        assert!(budget.held() <= budget.limit());
    }
    for block in &blocks {
        assert!(
            block.iter().all(|byte| byte == &block[0]),
            "nobody's but its own"
        );
    }
    assert!(blocks.len() > 20, "{}", blocks.len());
    LEASE.set(None);
    drop(blocks);
    drop((lease, wants));
    drop(manager);
    assert_eq!(budget.held(), 0);
}
