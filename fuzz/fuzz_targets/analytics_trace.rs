//! Whatever is read as a trace is an error, or can be advised on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millpond_analytics::{Advisor, Trace};

fuzz_target!(|bytes: &[u8]| {
    let Ok(trace) = Trace::parse(bytes) else {
        return;
    };
    assert!(trace.operations().len() <= trace.events.len());
    let advice = Advisor::new().of_trace(&trace);
    let _ = format!("{advice}{}", advice.to_toml());
    for pool in &trace.pools {
        let _ = trace.demand(pool).capacity_for(0.99);
        let _ = trace.sizes(pool);
    }
});
