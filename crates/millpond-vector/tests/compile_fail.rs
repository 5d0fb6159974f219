//! Programs that must not compile, each for one promise: the borrow checker keeps
//! readers of stored rows apart from whoever changes or removes them, leases do
//! not outlive pools, ids are typed, one thread means one thread, and tails are
//! not written.
//!
//! `TRYBUILD=overwrite` rewrites the expected errors; they are those of the
//! pinned compiler.
#![cfg(all(feature = "std", not(miri), not(millpond_loom)))]

#[test]
fn unsound_programs_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
