//! A warm manager allocates nothing; a trim gives every byte back to the global
//! allocator; and no refused allocation becomes more than an error.
//!
//! The allocator of this binary counts, and fails on command, by thread.

use millpond_arena::{ArenaManager, Full, Level, Scope, ScopeConfig};
use millpond_testing::{Failing, TestAllocator, count, walk_failures};

#[global_allocator]
static ALLOCATOR: TestAllocator = TestAllocator::new();

const ROUNDS: usize = if cfg!(miri) { 2 } else { 2000 };

const KIB: usize = 1 << 10;

/// A request as they are in steady state: no large objects, and no more than
/// there is room for.
fn request(manager: &ArenaManager, scope: Scope) {
    let arena = manager.lease(scope).expect("memory");
    let mut words = arena.vec();
    for word in 0..50_u64 {
        words.push(word).expect("room");
    }
    let text = arena
        .alloc_fmt(format_args!("{}", words.len()))
        .expect("room");
    assert_eq!(text, "50");
    let child = arena.child().expect("memory");
    child.alloc_drop(Noisy(7)).expect("room");
    child.defer(|| ()).expect("room");
}

/// A destructor, so that coming home is not the fast way.
struct Noisy(u64);

impl Drop for Noisy {
    fn drop(&mut self) {
        std::hint::black_box(self.0);
    }
}

#[test]
fn a_warm_manager_allocates_nothing() {
    let manager = ArenaManager::new();
    let all = || {
        for scope in Scope::BUILT_IN {
            (0..ROUNDS).for_each(|_| request(&manager, scope));
        }
    };
    let ((), warming) = count(all);
    assert!(warming.allocations > 0, "the allocator counts");
    let ((), counts) = count(all);
    assert!(counts.is_silent(), "{counts:?}");
}

#[test]
fn a_trim_returns_every_parked_byte_to_the_global_allocator() {
    const ARENAS: usize = 5;
    let manager = ArenaManager::new();
    // The machinery, of which a full trim keeps what it needs to work.
    let lease_all = || {
        let leases: Vec<_> = (0..ARENAS)
            .map(|_| manager.lease(Scope::Json).expect("memory"))
            .collect();
        for lease in &leases {
            lease
                .alloc_slice_uninit::<u8>(50 * KIB)
                .expect("a large object");
            lease.alloc([1u8; 900]).expect("room");
        }
    };
    lease_all();
    manager.trim(Level::Full);
    let (parked, leased) = count(|| {
        lease_all();
        manager
            .scope_stats(Scope::Json)
            .expect("built in")
            .parked_bytes
    });
    assert_eq!(parked, ARENAS * 128 * KIB);
    let held = leased.bytes_allocated - leased.bytes_freed;
    let (report, trimmed) = count(|| manager.trim(Level::Full));
    let returned = trimmed.bytes_freed - trimmed.bytes_allocated;
    // An arena counts as what malloc makes of it: sixteen bytes more than it is.
    assert!(
        returned + 16 * ARENAS as u64 >= parked as u64,
        "{returned} of {parked}"
    );
    assert_eq!(returned, held, "all that was taken since the last trim");
    assert_eq!(report.freed_items, ARENAS);
    assert!(report.freed_bytes >= parked);
    let stats = manager.scope_stats(Scope::Json).expect("built in");
    assert_eq!((stats.parked, stats.parked_bytes), (0, 0));
}

#[test]
fn a_manager_that_goes_leaves_nothing() {
    // The thread gets its number, which stays.
    request(&ArenaManager::new(), Scope::Search);
    let (lease, first) = count(|| {
        let manager = ArenaManager::new();
        request(&manager, Scope::Search);
        manager.lease(Scope::Json).expect("memory")
    });
    assert!(first.bytes_allocated > first.bytes_freed);
    let ((), last) = count(|| drop(lease));
    assert_eq!(
        first.bytes_allocated + last.bytes_allocated,
        first.bytes_freed + last.bytes_freed,
        "the last lease frees what is left"
    );
}

#[test]
#[cfg_attr(miri, ignore = "Miri's allocator does not fail")]
fn refused_allocations_are_errors() {
    let points = walk_failures(|failing| {
        let mut builder = ArenaManager::builder();
        builder.configure(Scope::Json, ScopeConfig::of(8 * KIB).with_limit(KIB * KIB));
        let manager = builder.build().expect("figures that agree");
        let refused = failing.during(|| {
            let Ok(lease) = manager.lease(Scope::Json) else {
                return None;
            };
            let mut refused = None;
            let mut vec = lease.vec::<u64>();
            for word in 0..3000 {
                refused = vec.push(word).err().or(refused);
            }
            let grown = lease.alloc_slice_uninit::<u8>(20 * KIB).err();
            grown.or(refused)
        });
        if let Some(full) = refused {
            assert_eq!(full.full(), Full::Memory, "{full}");
        }
        drop(manager.lease(Scope::Json).expect("it works on"));
        assert_eq!(manager.scope_stats(Scope::Json).expect("built in").live, 0);
    });
    assert!(points > 5, "machinery, chunks and large objects: {points}");
    // What fails is an allocation, not the manager.
    let manager = ArenaManager::new();
    let failed = Failing::Every(1).during(|| manager.lease(Scope::Search).is_err());
    assert!(failed);
}
