//! The contract of `Allocator`, for every allocator that we export and for the
//! ones that they stand on, so that the table is known to be right.

use allocator_api2::alloc::Global;
use bumpalo::Bump;
use millpond_arena::{ArenaManager, Lease, Scope, ScopeConfig, Wipe};
use millpond_testing::{conforms, conforms_alone};

fn leased(wipe: Wipe, test: impl Fn(&Lease<'_>)) {
    let mut builder = ArenaManager::builder();
    let config = ScopeConfig::of(8 << 10).with_limit(1 << 30).with_wipe(wipe);
    builder.configure(Scope::Json, config);
    let manager = builder.build().expect("good");
    for _ in 0..2 {
        let lease = manager.lease(Scope::Json).expect("memory");
        test(&lease);
    }
}

#[test]
fn leases_conform() {
    leased(Wipe::Never, |lease| conforms(&lease));
    leased(Wipe::Never, |lease| conforms_alone(&lease));
}

#[test]
fn leases_that_wipe_conform() {
    leased(Wipe::Zero, |lease| conforms(&lease));
    leased(Wipe::Zero, |lease| conforms_alone(&lease));
}

#[test]
#[cfg_attr(miri, ignore = "tests the test")]
fn what_they_stand_on_conforms() {
    conforms(&Global);
    conforms_alone(&Global);
    conforms(&&Bump::new());
    conforms_alone(&&Bump::new());
}

#[test]
fn large_objects_are_really_freed_and_resized() {
    // Miri takes its time; either is larger than any chunk.
    let bytes = if cfg!(miri) { 10_000 } else { 100_000 };
    leased(Wipe::Never, |lease| {
        let before = lease.held_bytes();
        let mut vec = allocator_api2::vec::Vec::new_in(lease);
        vec.resize(bytes, 1u8);
        let grown = lease.held_bytes() - before;
        assert!((bytes..bytes + 1000).contains(&grown), "not twice: {grown}");
        vec.truncate(bytes / 2);
        vec.shrink_to_fit();
        let shrunk = lease.held_bytes() - before;
        assert!((bytes / 2..bytes / 2 + 1000).contains(&shrunk), "{shrunk}");
        drop(vec);
        assert_eq!(lease.held_bytes(), before);
    });
}
