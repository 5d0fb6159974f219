//! Sequences of operations on values, objects, ids and blocks, compared with maps.

#![no_main]

#[path = "../../crates/millpond-fixed/tests/sequence/mod.rs"]
mod sequence;

libfuzzer_sys::fuzz_target!(|script: &[u8]| sequence::run(script));
