//! Whatever is read as a snapshot is an error, or can be shown, added, compared
//! and advised on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millpond_analytics::{Advisor, Line, Page, Savings, Series, Snapshot};

fuzz_target!(|text: &str| {
    let Ok(snapshot) = Snapshot::from_json(text) else {
        return;
    };
    assert_eq!(
        Snapshot::from_json(&snapshot.to_json()).as_ref(),
        Ok(&snapshot)
    );
    let mut series = Series::new(3);
    series.push(&snapshot);
    series.push(&snapshot);
    let page = Page::of(&snapshot).over(&series).against(&snapshot);
    let _ = format!(
        "{snapshot}{}{page}{}",
        Line::of(&snapshot),
        Savings::of(&snapshot, None)
    );
    let advice = Advisor::new().of_series(&series, &snapshot);
    let _ = format!("{advice}{}", advice.to_toml());
    let _ = snapshot.clone().merge(&snapshot).since(&snapshot);
});
