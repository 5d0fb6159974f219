//! Sequences of operations on pools of rows, compared with a map.

#![no_main]

#[path = "../../crates/millpond-vector/tests/sequence/mod.rs"]
mod sequence;

libfuzzer_sys::fuzz_target!(|script: &[u8]| sequence::drive(script));
