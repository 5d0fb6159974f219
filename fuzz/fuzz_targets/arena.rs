//! Sequences of operations on arenas, compared with the heap.

#![no_main]

#[path = "../../crates/millpond-arena/tests/sequence/mod.rs"]
mod sequence;

libfuzzer_sys::fuzz_target!(|script: &[u8]| sequence::run(script));
