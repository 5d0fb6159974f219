//! Proves that the compiler refuses what would be unsound: each file under
//! `tests/compile_fail` is one program that must not compile, with the error
//! that it must not compile with.
//!
//! | defect class          | programs                                                     |
//! |-----------------------|--------------------------------------------------------------|
//! | use after release     | `buffer_is_used_after_release`, `slice_outlives_its_buffer`, `buffer_is_used_after_freeze` |
//! | one thread            | `local_buffer_leaves_its_thread`, `local_buffer_outlives_its_pool` |
//! | views do not change   | `view_is_written`                                            |
//! | no uninitialised bytes| `spare_capacity_is_read`                                     |
//!
//! `TRYBUILD=overwrite` rewrites the expected errors; they are those of the
//! pinned compiler.
#![cfg(all(not(miri), not(millpond_loom)))]

#[test]
fn unsound_programs_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
