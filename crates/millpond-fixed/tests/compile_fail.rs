//! Proves that the compiler refuses what would be unsound: each file under
//! `tests/compile_fail` is one program that must not compile, with the error
//! that it must not compile with.
//!
//! | defect class                          | programs                                           |
//! |---------------------------------------|----------------------------------------------------|
//! | lifetimes                             | `lease_outlives_its_pool`, `pool_moves_while_leased`, `pool_drops_while_leased`, `static_lease_of_a_local_variable`, `value_outlives_what_it_borrows`, `batch_outlives_its_pool` |
//! | use after release                     | `lease_is_used_after_into_inner`, `borrow_outlives_its_lease` |
//! | `Send` and `Sync` without their bound | `pool_of_rc_is_sent`, `pool_of_rc_is_shared`, `handle_of_rc_is_sent`, `lease_of_rc_is_sent`, `owned_lease_of_rc_is_sent`, `lease_of_cell_is_shared`, `shared_lease_of_cell_is_sent`, `object_lease_with_hooks_of_rc_is_sent`, `dyn_lease_of_rc_is_made` |
//! | one thread means one thread           | `local_pool_is_shared`, `local_lease_is_sent`      |
//! | shared values do not change           | `shared_lease_is_changed`                          |
//! | pinned values do not move             | `pinned_value_is_moved_out`                        |
//!
//! `TRYBUILD=overwrite` rewrites the expected errors; they are those of the
//! pinned compiler.
#![cfg(all(feature = "std", not(miri), not(millpond_loom)))]

#[test]
fn unsound_programs_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
