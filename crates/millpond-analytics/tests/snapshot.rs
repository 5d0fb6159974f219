//! Proves that snapshots subtract, add up, survive being written down, and that
//! nothing that is read can make a program panic.

mod fixture;

use fixture::{HOSTILE, Told, figures, snapshot};
use millpond_analytics::{
    Advisor, Calibration, Exporter, Format, Line, OUTSIDE, Page, Registry, Savings, Series,
    Snapshot, SnapshotError,
};
use proptest::prelude::*;
use std::sync::Arc;

/// Whatever is shown of a snapshot; must not panic on any.
fn show(snapshot: &Snapshot) -> String {
    let mut series = Series::new(4);
    series.push(snapshot);
    series.push(snapshot);
    let machine: Calibration =
        serde_json::from_str(r#"{"heap": [[64, 1e300]], "hit_ns": -1.0, "miss_ns": 0.0}"#).unwrap();
    let page = Page::of(snapshot)
        .over(&series)
        .against(snapshot)
        .calibrated(&machine);
    let advisor = Advisor::new();
    let mut shown = format!("{snapshot}{}{page}", Line::of(snapshot));
    shown += &Savings::of(snapshot, Some(&machine)).to_string();
    shown += &advisor.of_snapshot(snapshot).to_toml();
    shown += &advisor.of_series(&series, snapshot).to_string();
    let twice = snapshot.clone().merge(snapshot);
    shown += &twice.since(snapshot).to_json();
    shown
}

#[test]
fn differences_and_sums() {
    let before = snapshot();
    let mut now = before.clone();
    now.taken_unix_ms += 10_000;
    now.pools[2].figures = before.pools[2].figures.merge(figures(&[
        ("item_bytes", 4096),
        ("acquires", 50),
        ("hits", 49),
    ]));
    let done = now.clone().since(&before);
    assert_eq!(done.covers_ms, Some(10_000));
    let frames = done.pool("frames").unwrap();
    assert_eq!((frames.figures.acquires, frames.figures.hits), (50, 49));
    assert_eq!(frames.figures.in_use, 20, "a gauge stays");
    let buffers = done.pool("buffers").unwrap();
    assert!(
        buffers
            .classes
            .iter()
            .all(|class| class.figures.acquires == 0)
    );
    assert!(buffers.sampled.is_empty());

    let fleet = before.clone().merge(&before).merge(&before);
    assert_eq!(fleet.machines, 3);
    assert_eq!(fleet.pool("frames").unwrap().figures.acquires, 3_000_000);
    assert_eq!(fleet.pool("buffers").unwrap().sampled.sizes.count(), 600);
    assert_eq!(fleet.budgets[0].limit_bytes, 3 * (8 << 20));
}

/// A byte pool counts oversize requests and discards for the whole pool only.
#[test]
fn parts_add_up_to_the_pool() {
    let snapshot = snapshot();
    let buffers = snapshot.pool("buffers").unwrap();
    let outside = buffers.parts().find(|part| part.0 == OUTSIDE).unwrap().1;
    assert_eq!((outside.oversizes, outside.discards), (2, 4));
    assert_eq!((outside.acquires, outside.held_bytes), (0, 0));
    for pool in &snapshot.pools {
        let sum = pool.parts().map(|part| part.1);
        let mut sum = sum.fold(figures(&[]), millpond_core::observe::Observation::merge);
        for field in [&mut sum.item_bytes, &mut sum.capacity, &mut sum.high_water] {
            *field = 0;
        }
        let mut whole = pool.figures;
        (whole.item_bytes, whole.capacity, whole.high_water) = (0, 0, 0);
        assert_eq!(sum, whole, "{}", pool.name);
    }
}

#[test]
fn a_pool_that_was_replaced_counts_whole() {
    let before = snapshot();
    let mut now = before.clone();
    now.pools[2].figures = figures(&[("acquires", 5)]);
    let done = now.since(&before);
    assert_eq!(done.pool("frames").unwrap().figures.acquires, 5);
}

#[test]
fn json_comes_back_as_it_went() {
    for snapshot in [Snapshot::new(0), snapshot(), snapshot().since(&snapshot())] {
        assert_eq!(Snapshot::from_json(&snapshot.to_json()), Ok(snapshot));
    }
}

#[test]
fn what_an_older_version_did_not_write_is_zero() {
    let old = r#"{"version": 1, "taken_unix_ms": 5, "machines": 1, "pools":
        [{"name": "a", "kind": "fixed", "figures": {"acquires": 7}}]}"#;
    let snapshot = Snapshot::from_json(old).unwrap();
    assert_eq!(snapshot.pools[0].figures.acquires, 7);
    assert_eq!(snapshot.pools[0].figures.discards, 0);
}

#[test]
fn bad_input_gets_one_clear_error() {
    let not = |text: &str| Snapshot::from_json(text).unwrap_err().to_string();
    assert!(not("").starts_with("not a snapshot: EOF"));
    assert!(not("[1]").contains("line 1"));
    let newer = snapshot()
        .to_json()
        .replace("\"version\": 1", "\"version\": 9");
    assert_eq!(Snapshot::from_json(&newer), Err(SnapshotError::Version(9)));
    assert_eq!(
        not(&newer),
        "a snapshot of version 9; 1 to 1 are understood"
    );
    let twice = snapshot().to_json().replace("\"frames\"", "\"arenas\"");
    assert_eq!(
        Snapshot::from_json(&twice),
        Err(SnapshotError::Twice("arenas".to_owned()))
    );
}

/// Seeds of the fuzz target `snapshot`.
#[test]
fn extreme_snapshots_are_shown_without_panic() {
    let max = u64::MAX;
    let mut extreme = snapshot();
    for pool in &mut extreme.pools {
        let all = serde_json::to_value(pool.figures).unwrap();
        let fields = all.as_object().unwrap().keys();
        let fields: Vec<(&str, u64)> = fields.map(|name| (name.as_str(), max)).collect();
        pool.figures = figures(&fields);
        for class in &mut pool.classes {
            class.figures = pool.figures;
        }
    }
    let text = extreme
        .to_json()
        .replace("[\n          312", "[\n          18446744073709551615");
    let extreme = Snapshot::from_json(&text).unwrap();
    show(&extreme);
    for seed in [
        r#"{"version":1,"taken_unix_ms":0,"machines":0,"pools":[]}"#,
        r#"{"version":1,"taken_unix_ms":18446744073709551615,"covers_ms":0,"machines":4294967295,"pools":[{"name":"","kind":"arena","figures":{"acquires":1},"sampled":{"sizes":{"sum":1,"buckets":[[18446744073709551615,18446744073709551615],[0,1],[0,1]]}}}]}"#,
        r#"{"version":1,"taken_unix_ms":1,"machines":1,"pools":[{"name":"x","kind":"bytes","figures":{"item_bytes":1},"classes":[{"label":"","figures":{}},{"label":"","figures":{"item_bytes":0,"acquires":3,"high_water":9}}]}]}"#,
    ] {
        show(&Snapshot::from_json(seed).unwrap());
    }
}

#[test]
fn hostile_names_stay_names() {
    let registry = Registry::new();
    let mut pools = Vec::new();
    for (index, name) in HOSTILE.iter().enumerate() {
        let acquires = 1000 + index as u64;
        let fields = figures(&[("acquires", acquires), ("hits", 10), ("held_bytes", 9)]);
        pools.push(Arc::new(Told::new(name, fields)));
    }
    for pool in &pools {
        registry.register(pool).unwrap();
    }
    let snapshot = registry.snapshot();
    assert_eq!(Snapshot::from_json(&snapshot.to_json()).unwrap(), snapshot);

    // A label: one line for each pool, and every line well formed.
    let exporter = Exporter::new(&registry);
    for format in [Format::Text, Format::OpenMetrics] {
        let body = exporter.expose(format).body;
        let is_sample = |line: &&str| line.starts_with("millpond_acquires_total{pool=\"");
        assert_eq!(body.lines().filter(is_sample).count(), HOSTILE.len());
        let known = |line: &str| line.starts_with("millpond_") || line.starts_with("# ");
        assert!(body.lines().all(known), "a name began a line");
        assert!(!body.lines().any(|line| line.starts_with("millpond_up")));
    }

    // A page: as many elements as without the names.
    let page = Page::of(&snapshot).against(&snapshot).to_string();
    for element in [
        "<script>",
        "<img",
        "onerror=alert(1)>",
        "\u{1b}",
        "\u{202e}",
        "\0",
    ] {
        assert!(!page.contains(element), "{element:?} on the page");
    }
    // A terminal: nothing that moves the cursor.
    let table = snapshot.to_string();
    let line = Line::of(&snapshot).to_string();
    assert!(table.chars().all(|c| c == '\n' || !c.is_control()));
    assert!(line.chars().all(|c| !c.is_control()));
    // Configuration: readable, with the names as they are.
    let advice = Advisor::new().of_snapshot(&snapshot).to_toml();
    let read: toml::Table = advice.parse().expect(&advice);
    let named = read["pools"].as_table().unwrap();
    assert!(HOSTILE.iter().all(|name| named.contains_key(*name)));
}

fn observation() -> impl Strategy<Value = millpond_core::observe::Observation> {
    let all = serde_json::to_value(figures(&[])).unwrap();
    let names: Vec<String> = all.as_object().unwrap().keys().cloned().collect();
    let value = prop_oneof![Just(0), 0..1000_u64, Just(u64::MAX), any::<u64>()];
    proptest::collection::vec(value, names.len()).prop_map(move |values| {
        let fields: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
        figures(&fields)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_figures_are_shown_and_written(
        figures in proptest::collection::vec(observation(), 3),
        names in proptest::collection::hash_set(".{0,20}", 3),
    ) {
        let mut any = snapshot();
        for ((pool, figures), name) in any.pools.iter_mut().zip(figures).zip(names) {
            pool.name = name;
            pool.figures = figures;
        }
        show(&any);
        prop_assert_eq!(Snapshot::from_json(&any.to_json()).unwrap(), any);
    }

    #[test]
    fn any_text_is_a_snapshot_or_an_error(text in ".*", cut in 0..3000_usize, byte in any::<u8>()) {
        let _ = Snapshot::from_json(&text);
        let mut json = snapshot().to_json().into_bytes();
        let at = cut % json.len();
        json[at] = byte;
        if let Ok(snapshot) = Snapshot::from_json(&String::from_utf8_lossy(&json)) {
            show(&snapshot);
        }
        json.truncate(at);
        let _ = Snapshot::from_json(&String::from_utf8_lossy(&json));
    }

    #[test]
    fn a_series_covers_all_time_in_bounded_memory(most in 0..40_usize, pushes in 1..400_u64) {
        let mut series = Series::new(most);
        let mut snapshot = snapshot();
        for step in 0..pushes {
            snapshot.taken_unix_ms = 1000 + step;
            snapshot.pools[2].figures.acquires = step;
            series.push(&snapshot);
        }
        prop_assert!(series.len() <= most.max(2));
        let (first, last) = series.span_unix_ms().unwrap();
        prop_assert_eq!(first, 1000);
        // The last is not further away than two points are from each other.
        prop_assert!(1000 + pushes - last <= 2 * pushes / series.len() as u64 + 1);
        let seen: u64 = series.intervals("frames").map(|i| i.figures.acquires).sum();
        prop_assert_eq!(seen, last - first);
    }
}
