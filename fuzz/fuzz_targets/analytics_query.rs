//! Whatever a server answers, and whatever a client says it accepts, is
//! understood or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millpond_analytics::{Format, fleet};

fuzz_target!(|text: &str| {
    let _ = fleet::parse_answer(text);
    let _ = Format::accepted_by(text);
});
