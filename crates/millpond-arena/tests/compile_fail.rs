//! Proves that the compiler refuses what would be unsound: each file under
//! `tests/compile_fail` is one program that must not compile, with the error
//! that it must not compile with.
//!
//! `TRYBUILD=overwrite` rewrites the expected errors; they are those of the
//! pinned compiler.
#![cfg(not(miri))]

#[test]
fn unsound_programs_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
