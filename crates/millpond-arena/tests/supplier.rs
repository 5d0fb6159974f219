//! Large objects from a supplier: limits, charges and content hold as without one.

use allocator_api2::vec::Vec as ApiVec;
use millpond_arena::{ArenaManager, Discarded, Full, Level, Scope, ScopeConfig};
use millpond_core::budget::Budget;
use millpond_core::region::{self, Supply};
use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

const KIB: usize = 1 << 10;

/// Lends blocks up to a size, and knows what is out.
#[derive(Default)]
struct Counting {
    most: usize,
    blocks: AtomicUsize,
    bytes: AtomicUsize,
    ever: AtomicUsize,
    /// Panics when it has taken a block back, as somebody may whom a pool wakes.
    panics: AtomicBool,
}

impl Counting {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            ..Self::default()
        })
    }

    fn out(&self) -> (usize, usize) {
        (self.blocks.load(Relaxed), self.bytes.load(Relaxed))
    }
}

// SAFETY: blocks of the system's allocator.
unsafe impl Supply for Counting {
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        if layout.size() > self.most {
            return None;
        }
        let block = region::allocate(layout)?;
        // SAFETY: a fresh block; dirty, as a pool's would be.
        unsafe { block.write_bytes(0xAA, layout.size()) };
        self.blocks.fetch_add(1, Relaxed);
        self.bytes.fetch_add(layout.size(), Relaxed);
        self.ever.fetch_add(1, Relaxed);
        Some(block)
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
        self.blocks.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(layout.size(), Relaxed);
        // SAFETY: by the caller.
        unsafe { region::free(block, layout) };
        assert!(!self.panics.load(Relaxed), "as it were");
    }
}

/// Arenas of 8 KiB, in which 2 KiB and more are large.
fn borrowing(supplier: &Arc<Counting>, limit: usize) -> (ArenaManager, Budget) {
    let budget = Budget::new("all", usize::MAX);
    let mut builder = ArenaManager::builder();
    let manager = builder
        .configure(Scope::Json, ScopeConfig::of(8 * KIB).with_limit(limit))
        .budget(&budget)
        .large_objects_from(Arc::clone(supplier) as _)
        .build()
        .expect("figures that agree");
    (manager, budget)
}

#[test]
fn what_is_lent_is_charged_to_the_supplier_and_counts_towards_the_limit() {
    let supplier = Counting::new(usize::MAX);
    let (manager, budget) = borrowing(&supplier, 64 * KIB);
    let lease = manager.lease(Scope::Json).expect("memory");
    let (charged, held) = (budget.held(), lease.held_bytes());
    lease.alloc_slice_fill_copy(20 * KIB, 1_u8).expect("room");
    lease.alloc_slice_fill_copy(20 * KIB, 2_u8).expect("room");

    let (blocks, bytes) = supplier.out();
    assert_eq!((blocks, budget.held()), (2, charged));
    assert_eq!(lease.held_bytes(), held + bytes);
    let refused = lease.alloc_slice_fill_copy(20 * KIB, 3_u8).unwrap_err();
    assert_eq!(refused.full(), Full::Lease);
    assert_eq!(refused.held_bytes(), held + bytes);
    drop(lease);
    assert_eq!(supplier.out(), (0, 0), "all came home with the lease");
    drop(manager);
    assert_eq!(budget.held(), 0);
}

#[test]
fn a_supplier_that_has_none_is_passed_over() {
    let supplier = Counting::new(0);
    let (manager, budget) = borrowing(&supplier, 64 * KIB);
    let lease = manager.lease(Scope::Json).expect("memory");
    let charged = budget.held();
    lease.alloc_slice_fill_copy(20 * KIB, 1_u8).expect("room");
    assert!(budget.held() >= charged + 20 * KIB);
    drop(lease);
    manager.trim(Level::Full);
    assert_eq!(supplier.ever.load(Relaxed), 0);
}

/// From chunk to supplier to system, and back, with the content moved along.
#[test]
fn a_vector_grows_through_the_supplier_and_beyond_it() {
    let supplier = Counting::new(16 * KIB);
    let (manager, _budget) = borrowing(&supplier, 512 * KIB);
    let lease = manager.lease(Scope::Json).expect("memory");
    let mut numbers = ApiVec::<u32, _>::new_in(&lease);
    let count = if cfg!(miri) { 6 * KIB } else { 20 * KIB };
    for n in 0..u32::try_from(count).expect("few") {
        numbers.push(n);
    }
    assert!(supplier.ever.load(Relaxed) >= 2, "grew while it was lent");
    assert!(
        numbers
            .iter()
            .copied()
            .eq(0..u32::try_from(count).expect("few"))
    );
    assert_eq!(supplier.out(), (0, 0), "beyond what the supplier has");
    numbers.truncate(1000);
    numbers.shrink_to_fit();
    assert!(numbers.iter().copied().eq(0..1000));
}

#[test]
fn zeroed_memory_of_a_supplier_is_zero() {
    use allocator_api2::alloc::Allocator;
    let supplier = Counting::new(usize::MAX);
    let (manager, _budget) = borrowing(&supplier, 64 * KIB);
    let lease = manager.lease(Scope::Json).expect("memory");
    let layout = Layout::from_size_align(10 * KIB, 64).expect("a layout");
    let block = (&lease).allocate_zeroed(layout).expect("room");
    // SAFETY: allocated with that many bytes, which were written.
    let bytes = unsafe { block.as_ref() };
    assert!(bytes.iter().all(|&byte| byte == 0));
    assert_eq!(supplier.out().0, 1);
    // SAFETY: from this allocator, and not used afterwards.
    unsafe { (&lease).deallocate(block.cast(), layout) };
    assert_eq!(supplier.out().0, 0);
}

/// What a supplier panics with comes out where the lease ends, with everything home.
#[test]
fn a_supplier_that_panics_loses_no_arena() {
    let supplier = Counting::new(usize::MAX);
    let (manager, budget) = borrowing(&supplier, 64 * KIB);
    let lease = manager.lease(Scope::Json).expect("memory");
    for _ in 0..3 {
        lease.alloc_slice_fill_copy(10 * KIB, 1_u8).expect("room");
    }
    supplier.panics.store(true, Relaxed);
    let ended = catch_unwind(AssertUnwindSafe(|| drop(lease)));
    let payload = ended.expect_err("the panic is not lost");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"as it were"));
    assert_eq!(supplier.out(), (0, 0), "the others were given back as well");
    let stats = manager.scope_stats(Scope::Json).expect("built in");
    assert_eq!((stats.live, stats.leases), (0, 1));
    assert_eq!(stats.discarded(Discarded::Panicked), 1);

    supplier.panics.store(false, Relaxed);
    drop(manager.lease(Scope::Json).expect("the place is home"));
    drop(manager);
    assert_eq!(budget.held(), 0);
}

/// A vector whose block was given back must not hear of it in the middle: it would
/// give it back again.
#[test]
fn a_supplier_that_panics_while_a_vector_grows_and_shrinks_breaks_nothing() {
    let supplier = Counting::new(usize::MAX);
    let (manager, _budget) = borrowing(&supplier, 512 * KIB);
    let mut lease = manager.lease(Scope::Json).expect("memory");
    supplier.panics.store(true, Relaxed);
    let mut numbers = ApiVec::<u32, _>::new_in(&lease);
    let count = if cfg!(miri) { 3 * 1024 } else { 20 * 1024 };
    (0..count).for_each(|n| numbers.push(n));
    assert!(supplier.ever.load(Relaxed) >= 2, "a block was given back");
    numbers.truncate(1000);
    numbers.shrink_to_fit();
    numbers.truncate(10);
    numbers.shrink_to_fit();
    assert!(numbers.iter().copied().eq(0..10));
    drop(numbers);
    let reset = catch_unwind(AssertUnwindSafe(|| lease.reset()));
    assert!(reset.is_err(), "the first panic is told");
    assert_eq!(supplier.out(), (0, 0));
    lease.alloc(1_u64).expect("the arena is as good as new");
    drop(lease);
    let stats = manager.scope_stats(Scope::Json).expect("built in");
    assert_eq!((stats.live, stats.discarded(Discarded::Panicked)), (0, 0));
}

/// While a supplier is asked, what it calls may want memory of the same lease.
#[test]
fn a_supplier_that_allocates_here_itself_does_not_get_past_the_limit() {
    use millpond_arena::Lease;
    use std::cell::RefCell;
    use std::rc::Rc;

    thread_local! {
        static LEASE: RefCell<Option<Rc<Lease<'static>>>> = const { RefCell::new(None) };
    }

    /// Allocates in the lease of its thread first, as long as there is room.
    #[derive(Default)]
    struct Nested(AtomicUsize);

    // SAFETY: blocks of the system's allocator.
    unsafe impl Supply for Nested {
        fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
            if self.0.fetch_add(1, Relaxed) < 20 {
                let lease = LEASE.with_borrow(|lease| lease.clone())?;
                let _refused = lease.alloc_slice_fill_copy(10 * KIB, 5_u8);
                assert!(lease.held_bytes() <= lease.limit_bytes());
            }
            region::allocate(layout)
        }

        unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
            // SAFETY: by the caller.
            unsafe { region::free(block, layout) };
        }
    }

    let mut builder = ArenaManager::builder();
    let manager = builder
        .configure(Scope::Json, ScopeConfig::of(8 * KIB).with_limit(64 * KIB))
        .large_objects_from(Arc::new(Nested::default()))
        .build()
        .expect("figures that agree");
    let lease = Rc::new(manager.lease(Scope::Json).expect("memory"));
    LEASE.set(Some(Rc::clone(&lease)));
    let outer = lease.alloc_slice_fill_copy(10 * KIB, 5_u8);
    assert!(lease.held_bytes() <= lease.limit_bytes());
    assert!(
        lease.held_bytes() > 50 * KIB,
        "as much as there was room for"
    );
    drop(outer);
    LEASE.set(None);
    let mut lease = Rc::into_inner(lease).expect("the only one");
    lease.reset();
    assert_eq!(lease.held_bytes(), 8 * KIB);
}

#[test]
fn a_supplier_that_panics_takes_no_room() {
    struct Panics;

    // SAFETY: lends nothing.
    unsafe impl Supply for Panics {
        fn allocate(&self, _: Layout) -> Option<NonNull<u8>> {
            panic!("as it were")
        }

        unsafe fn free(&self, _: NonNull<u8>, _: Layout) {}
    }

    let mut builder = ArenaManager::builder();
    let manager = builder
        .configure(Scope::Json, ScopeConfig::of(8 * KIB))
        .large_objects_from(Arc::new(Panics))
        .build()
        .expect("figures that agree");
    let lease = manager.lease(Scope::Json).expect("memory");
    let large = || lease.alloc_slice_fill_copy(10 * KIB, 1_u8).map(|_| ());
    catch_unwind(AssertUnwindSafe(large)).expect_err("it does");
    assert_eq!(lease.held_bytes(), 8 * KIB);
}
