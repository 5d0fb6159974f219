//! Sequences of operations on buffers and frozen views, compared with vectors.

#![no_main]

#[path = "../../crates/millpond-bytes/tests/sequence/mod.rs"]
mod sequence;

libfuzzer_sys::fuzz_target!(|script: &[u8]| sequence::run(script));
