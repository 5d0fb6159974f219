//! Settings: layers, and errors that name source, field, value and what is allowed.

use millpond::arena::{Scope, ScopeConfig};
use millpond::{Adaptive, Exhaustion, Observe, PondConfig, SettingError, Settings};
use std::time::Duration;

fn toml(text: &str) -> Result<Settings, SettingError> {
    Settings::new().toml("pond.toml", text)
}

/// What reading `text`, and checking it as a whole, says.
fn complaint(text: &str) -> String {
    let error = toml(text).and_then(|settings| settings.config().map(drop));
    error.expect_err(text).to_string()
}

/// Each text is refused in words that begin as expected.
fn assert_complaints(cases: &[(&str, &str)]) {
    for &(text, expected) in cases {
        let found = complaint(text);
        assert!(
            found.starts_with(expected),
            "{text}\n  says {found}\n  not  {expected}"
        );
    }
}

#[test]
fn nothing_set_gives_the_defaults() {
    let config = Settings::new().config().unwrap();
    assert_eq!((config.nodes, config.results), (10_000, 1_000));
    assert_eq!(config.budget_bytes, usize::MAX);
    let pond = config.build().unwrap();
    assert_eq!(pond.bytes().sizes(), millpond::bytes::DEFAULT_SIZES);
    for (scope, bytes) in [
        (Scope::Primitive, 256 << 10),
        (Scope::Search, 1 << 20),
        (Scope::Json, 128 << 10),
    ] {
        let arena = pond.arena(scope).unwrap();
        assert_eq!(arena.limit_bytes(), 64 * bytes, "{scope}");
    }
    assert_eq!(ScopeConfig::default().percentile, 90);
}

#[test]
fn later_layers_win_whatever_the_order_of_reading() {
    let settings = Settings::new()
        .set("nodes", 4)
        .unwrap()
        .environment_of([
            ("MILLPOND_NODES", "3"),
            ("MILLPOND_RESULTS", "3"),
            ("PATH", "/"),
        ])
        .unwrap()
        .json(
            "pond.json",
            r#"{"nodes": 2, "results": 2, "budget_bytes": "2 MiB"}"#,
        )
        .unwrap()
        .toml(
            "pond.toml",
            "nodes = 1\nresults = 1\nbudget_bytes = 1\nexhaustion = 'fail'",
        )
        .unwrap();
    let config = settings.config().unwrap();
    assert_eq!((config.nodes, config.results), (4, 3));
    assert_eq!(config.budget_bytes, 2 << 20);
    assert_eq!(config.exhaustion, Exhaustion::Fail);
    let sources: Vec<_> = settings
        .effective()
        .map(|(field, _, source)| (field, source))
        .collect();
    assert_eq!(
        sources,
        [
            ("budget_bytes", "pond.json"),
            ("exhaustion", "pond.toml"),
            ("nodes", "code"),
            ("results", "environment"),
        ]
    );
}

#[test]
fn sizes_and_lists_read_the_same_in_every_layer() {
    let written = [
        toml("bytes.classes = ['4 KiB', 65536]").unwrap(),
        Settings::new()
            .json("j", r#"{"bytes": {"classes": ["4096", "64 KiB"]}}"#)
            .unwrap(),
        Settings::new()
            .environment_of([("MILLPOND_BYTES_CLASSES", "4KiB, 64 kib")])
            .unwrap(),
        Settings::new().set("bytes.classes", "4096,65536").unwrap(),
    ];
    for settings in written {
        let pond = settings.config().unwrap().build().unwrap();
        assert_eq!(pond.bytes().sizes(), [4096, 65536]);
    }
}

#[test]
fn policies_read_aloud() {
    let cases = [
        ("fail", Exhaustion::Fail),
        (
            "fallback",
            Exhaustion::Fallback {
                at_most: usize::MAX,
            },
        ),
        ("fallback 7", Exhaustion::Fallback { at_most: 7 }),
        ("grow 100", Exhaustion::Grow { extra: 100 }),
        ("wait", Exhaustion::Block { timeout: None }),
        (
            "wait 50 ms",
            Exhaustion::Block {
                timeout: Some(Duration::from_millis(50)),
            },
        ),
    ];
    for (text, policy) in cases {
        let config = Settings::new()
            .set("exhaustion", text)
            .unwrap()
            .config()
            .unwrap();
        assert_eq!(config.exhaustion, policy, "{text}");
    }
    for text in [
        "",
        "Fail",
        "grow",
        "grow -1",
        "wait 50",
        "fallback x",
        "fail 1",
    ] {
        assert!(Settings::new().set("exhaustion", text).is_err(), "{text:?}");
    }
}

#[test]
fn every_error_names_source_field_value_and_what_is_allowed() {
    let cases = [
        (
            "nodes = 0",
            "pond.toml: nodes is \"0\"; 1 to 4294967295 are allowed",
        ),
        (
            "nodes = -1",
            "pond.toml: nodes is \"-1\"; 1 to 4294967295 are allowed",
        ),
        (
            "nodes = 1.5",
            "pond.toml: nodes is \"1.5\"; 1 to 4294967295 are allowed",
        ),
        (
            "nodes = [1]",
            "pond.toml: nodes is \"1\"; 1 to 4294967295 are allowed",
        ),
        (
            "budget_bytes = '1 parsec'",
            "pond.toml: budget_bytes is \"1 parsec\"; 0 bytes or more are allowed, as a number or \
             like \"256 KiB\"",
        ),
        (
            "bytes.classes = ['4 KiB', '4 KiB']",
            "pond.toml: bytes.classes is \"4 KiB, 4 KiB\"; sizes: size class 1 is 4096",
        ),
        (
            "bytes.pool_min_size = '1 MiB'",
            "pond.toml: bytes.pool_min_size is \"1 MiB\"; pool_min_size: 1048576 is more",
        ),
        (
            "bytes.wipe_on_release = 1",
            "pond.toml: bytes.wipe_on_release is \"1\"; true and false are allowed",
        ),
        (
            "[arenas.json]\nlimit_bytes = '64 KiB'",
            "pond.toml: arenas.json.limit_bytes is \"64 KiB\"; 131072 or more are allowed",
        ),
        (
            "[arenas.search]\nparked = 2\nprewarm = 3",
            "pond.toml: arenas.search.prewarm is \"3\"; 0 to 2 are allowed",
        ),
        (
            "nodes.deep = 1",
            "pond.toml: there is no field nodes.deep; did you mean nodes?",
        ),
        ("arena = 1", "pond.toml: there is no field arena"),
        (
            "[[bytes]]\nclasses = []",
            "pond.toml: bytes is \"[{\\\"classes\\\":[]}]\"; a table of fields is allowed",
        ),
        (
            "pools.sessions = 5",
            "pond.toml: pools.sessions is \"5\"; a table of fields is allowed",
        ),
        (
            "arenas.json = '5 KiB'",
            "pond.toml: arenas.json is \"5 KiB\"; a table of fields is allowed",
        ),
        (
            "[''.nodes]",
            "pond.toml: there is no field .nodes; did you mean nodes?",
        ),
        ("'' = 5", "pond.toml: a field without a name stands there"),
        (
            "bytes.warm_up = 5\nbytes.buffers_per_class = 2",
            "pond.toml: bytes.warm_up is \"5\"; 0 to 2 are allowed",
        ),
        (
            "pools.x.warm_up = 5\npools.x.capacity = 2",
            "pond.toml: pools.x.warm_up is \"5\"; 0 to 2 are allowed",
        ),
    ];
    assert_complaints(&cases);
    assert!(complaint("nodes = ").starts_with("pond.toml: TOML parse error at line 1"));
    let error = Settings::new().json("pond.json", "[1]").unwrap_err();
    assert_eq!(
        error.to_string(),
        "pond.json: this is [1]; a table of fields is allowed"
    );
}

#[test]
fn a_field_that_is_there_twice_is_refused_by_name() {
    for (text, complaint) in [
        (
            r#"{"nodes": 1, "nodes": 2}"#,
            "pond.json: nodes is there twice; once is allowed at line 1 column 20",
        ),
        (
            r#"{"pools": {"x": {"capacity": 1, "capacity": 1}}}"#,
            "pond.json: pools.x.capacity is there twice; once is allowed at line 1 column 42",
        ),
        (
            r#"{"bytes": {"classes": "4096"}, "bytes": {"warm_up": 1}}"#,
            "pond.json: bytes is there twice; once is allowed at line 1 column 38",
        ),
        (
            r#"{"bytes": {"warm_up": 1}, "bytes.warm_up": 2}"#,
            "pond.json: bytes.warm_up is there twice; once is allowed",
        ),
    ] {
        let error = Settings::new().json("pond.json", text).unwrap_err();
        assert_eq!(error.to_string(), complaint);
        assert!(serde_json::from_str::<Settings>(text).is_err());
    }
    let error = complaint("nodes = 1\nnodes = 2");
    assert!(error.contains("duplicate key"), "{error}");
    let trailing = Settings::new().json("pond.json", "{} x").unwrap_err();
    assert!(trailing.to_string().contains("trailing"), "{trailing}");
}

#[test]
fn unknown_variables_are_refused_with_the_nearest_name() {
    let error = Settings::new()
        .environment_of([("MILLPOND_BYTES_CLASS", "1")])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment: there is no field MILLPOND_BYTES_CLASS; did you mean MILLPOND_BYTES_CLASSES?"
    );
    let error = Settings::new()
        .environment_of([("MILLPOND_nodes", "5")])
        .unwrap_err();
    assert!(
        error.to_string().ends_with("did you mean MILLPOND_NODES?"),
        "{error}"
    );
    let error = Settings::new()
        .environment_of([("MILLPOND_NODES", "many")])
        .unwrap_err();
    assert_eq!(
        (error.origin(), error.field(), error.value_found()),
        ("environment", Some("MILLPOND_NODES"), Some("many"))
    );
    assert!(
        Settings::new()
            .environment_of([("MILLPOND_DIAGNOSTICS", "off")])
            .is_ok()
    );
}

#[test]
fn settings_are_part_of_an_applications_own_configuration() {
    #[derive(serde::Deserialize)]
    struct Application {
        port: u16,
        pond: Settings,
    }
    let text = "port = 80\n[pond]\nnodes = 5\n[pond.bytes]\nclasses = '1 KiB'";
    let read: Application = toml::from_str(text).unwrap();
    assert_eq!((read.port, read.pond.config().unwrap().nodes), (80, 5));
    let error = toml::from_str::<Application>("port = 80\n[pond]\nnode = 5")
        .err()
        .unwrap();
    assert!(error.to_string().contains("did you mean nodes?"), "{error}");
}

/// A name that is a field in the reference can be set, and all have variables of
/// their own.
#[test]
fn the_reference_lists_fields_that_there_are() {
    let reference = Settings::reference();
    let mut variables = std::collections::BTreeSet::new();
    for row in reference.lines().skip(2) {
        let names: Vec<_> = row.split('`').collect();
        let error = Settings::new().set(names[1], "").unwrap_err();
        assert_eq!(error.value_found(), Some(""), "{row}");
        assert!(variables.insert(names[3].to_owned()), "{row}");
    }
    assert_eq!(variables.len(), 37);
}

#[test]
fn a_pool_is_configured_by_its_name() {
    let settings = toml(
        "[pools.sessions]\ncapacity = 7\nexhaustion = 'fail'\nwarm_up = 3\n\
         [pools.'a.b']\nadaptive = '16 to 128'\n\
         [pools.rows]\nalignment = 128\nslab_bytes = '64 KiB'\nwarm_up = 2",
    );
    let variables = [
        ("MILLPOND_POOLS_SESSIONS_CAPACITY", "5"),
        ("MILLPOND_POOLS_LATE_ONES_WARM_UP", "1"),
    ];
    let config = settings
        .and_then(|settings| settings.environment_of(variables))
        .and_then(|settings| settings.config())
        .unwrap();
    let names: Vec<&str> = config.pools.keys().map(String::as_str).collect();
    assert_eq!(names, ["a.b", "late_ones", "rows", "sessions"]);
    assert_eq!(
        config.pools["a.b"].adaptive,
        Some(Adaptive::between(16, 128))
    );
    assert_eq!(config.pools["late_ones"].warm_up, 1);

    let pond = config.build().unwrap();
    assert_eq!(pond.unmade_pools().count(), 4);
    let sessions = pond.fixed_pool::<u64>("sessions", 1000).unwrap();
    assert!(sessions.stats().created >= 3, "{:?}", sessions.stats());
    let held: Vec<_> = (0..5).map(|n| sessions.acquire(n).unwrap()).collect();
    assert!(sessions.acquire(5).is_err(), "of five, and told to fail");
    drop(held);
    let rows = pond.vector_pool::<u8>("rows", 10, 100).unwrap();
    assert_eq!(rows.acquire().unwrap().as_ptr().addr() % 128, 0);
    assert!(rows.stats().created >= 2);
    let unmade: Vec<_> = pond.unmade_pools().collect();
    assert_eq!(unmade, ["a.b", "late_ones"]);
}

#[test]
fn names_of_fields_of_pools_are_looked_at_too() {
    let cases = [
        (
            "[pools.x]\ncapacty = 1",
            "pond.toml: there is no field pools.x.capacty; did you mean pools.x.capacity?",
        ),
        (
            "pools.capacity = 1",
            "pond.toml: pools.capacity is \"1\"; a table of fields is allowed",
        ),
        (
            "pools.x.adaptive = '9 to 3'",
            "pond.toml: pools.x.adaptive is \"9 to 3\"; two numbers are allowed",
        ),
        (
            "pools.x.adaptive = '3 to 9 for 1001 of 1000 peaks'",
            "pond.toml: pools.x.adaptive is \"3 to 9 for 1001 of 1000 peaks\"; two numbers are \
             allowed",
        ),
        (
            "pools.x.advice_only = true",
            "pond.toml: pools.x.advice_only is \"true\"; pools.x.adaptive must be set",
        ),
        (
            "pools.x.capacity = {}",
            "pond.toml: pools.x.capacity is \"{}\"; 1 to 4294967295 are allowed",
        ),
        (
            "pools.x.alignment = 48",
            "pond.toml: pools.x.alignment is \"48\"; 16, 32, 64, 128 are allowed",
        ),
        (
            "bytes.huge_pages = 'big'",
            "pond.toml: bytes.huge_pages is \"big\"; none, transparent and explicit are allowed",
        ),
        (
            "name = ''",
            "pond.toml: name is \"\"; a name of 1 to 64 bytes",
        ),
    ];
    assert_complaints(&cases);
    let error = Settings::new()
        .environment_of([("MILLPOND_POOLS_CAPACITY", "1")])
        .unwrap_err();
    assert_eq!(error.field(), Some("MILLPOND_POOLS_CAPACITY"));
}

/// A pond has the scopes of its configuration, found by their names.
#[test]
fn scopes_of_ones_own_are_configured_by_name() {
    let config = toml(
        "[arenas.render]\nnominal_bytes = '512 KiB'\nlimit_bytes = '1 MiB'\n\
         [arenas.json]\nnominal_bytes = '64 KiB'",
    );
    let variables = [
        ("MILLPOND_ARENAS_RENDER_LIMIT_BYTES", "2 MiB"),
        ("MILLPOND_ARENAS_BATCH_JOB_NOMINAL_BYTES", "8 KiB"),
        ("MILLPOND_ARENAS_BATCH_JOB_PREWARM", "2"),
    ];
    let config = config
        .and_then(|settings| settings.environment_of(variables))
        .and_then(|settings| settings.config())
        .unwrap();
    let pond = config.build().unwrap();
    let of = |name| pond.arenas().scope_named(name).expect(name);
    assert_eq!(pond.arena(of("render")).unwrap().limit_bytes(), 2 << 20);
    assert_eq!(pond.arena(of("render")).unwrap().scope_name(), "render");
    assert_eq!(pond.arena(Scope::Json).unwrap().limit_bytes(), 4 << 20);
    let batch = pond.arenas().scope_stats(of("batch_job")).unwrap();
    assert_eq!(batch.parked, 2, "{batch:?}");
    assert_eq!(pond.arenas().scope_named("batch"), None);
}

#[test]
fn scopes_of_ones_own_are_checked() {
    let long = "x".repeat(65);
    let cases = [
        (
            "arenas.serach.wipe = true",
            "pond.toml: arenas.serach is a scope of one's own and needs \
             arenas.serach.nominal_bytes; did you mean arenas.search?",
        ),
        (
            "arenas.render.parked = 3",
            "pond.toml: arenas.render is a scope of one's own and needs arenas.render.nominal_bytes",
        ),
        (
            "[arenas.render]",
            "pond.toml: arenas.render is a scope of one's own and needs arenas.render.nominal_bytes",
        ),
        (
            "[arenas.render]\n[arenas.render.deep]",
            "pond.toml: arenas.render.deep is a scope of one's own and needs",
        ),
        ("[aernas]", "pond.toml: there is no field aernas"),
        (
            "[bytes.classes]",
            "pond.toml: bytes.classes is \"{}\"; increasing sizes",
        ),
        (
            "arenas.render.nominal = '1 MiB'",
            "pond.toml: there is no field arenas.render.nominal; did you mean \
             arenas.render.nominal_bytes?",
        ),
        (
            "arenas.render.nominal_bytes = 100",
            "pond.toml: arenas.render.nominal_bytes is \"100\"; 4096 bytes or more are allowed",
        ),
        (
            "arenas.render.nominal_bytes = '1 MiB'\narenas.render.limit_bytes = '512 KiB'",
            "pond.toml: arenas.render.limit_bytes is \"512 KiB\"; 1048576 or more are allowed",
        ),
        (
            &format!("arenas.{long}.nominal_bytes = 4096"),
            &format!(
                "pond.toml: arenas.{long}.nominal_bytes is \"4096\"; 1024 scopes of one's own \
                 with names of 1 to 64 bytes are allowed"
            ),
        ),
        (
            "pools.x.spread = 'wide'",
            "pond.toml: pools.x.spread is \"wide\"; packed, prefix_scan are allowed",
        ),
        (
            "pools.x.norms = 2",
            "pond.toml: pools.x.norms is \"2\"; true and false are allowed",
        ),
    ];
    assert_complaints(&cases);
    let error = Settings::new()
        .environment_of([("MILLPOND_ARENAS_JSON_NOMINAL", "1")])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment: there is no field MILLPOND_ARENAS_JSON_NOMINAL; did you mean \
         MILLPOND_ARENAS_JSON_NOMINAL_BYTES?"
    );
}

/// The size may stand in another source than the table, and the scopes of every pond
/// need none.
#[test]
fn empty_tables_say_nothing_that_is_not_said_elsewhere() {
    let empty = "[bytes]\n[arenas]\n[arenas.json]\n[arenas.render]\n[pools.x]\n[pools]";
    for (settings, source) in [
        (toml(empty), "pond.toml"),
        (
            Settings::new().json("pond.json", r#"{"arenas": {"render": {}}}"#),
            "pond.json",
        ),
    ] {
        let settings = settings.unwrap();
        let error = settings.config().unwrap_err();
        assert_eq!(
            (error.origin(), error.field()),
            (source, Some("arenas.render.nominal_bytes"))
        );
        let variable = [("MILLPOND_ARENAS_RENDER_NOMINAL_BYTES", "8 KiB")];
        let settings = settings.environment_of(variable).unwrap();
        let pond = settings.config().unwrap().build().unwrap();
        let render = pond.arenas().scope_named("render").unwrap();
        assert_eq!(pond.arena(render).unwrap().limit_bytes(), 64 * (8 << 10));
    }
    let variable = Settings::new().environment_of([("MILLPOND_ARENAS_RENDER", "")]);
    assert!(variable.is_err(), "a variable is no table");
}

#[test]
fn scopes_made_in_code_have_names_of_their_own() {
    for (first, second) in [("render", "render"), ("layout", "json")] {
        let mut config = PondConfig::default();
        config.arenas.own_scope(first, ScopeConfig::of(4096));
        config.arenas.own_scope(second, ScopeConfig::of(8192));
        let error = config.build().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "arenas: scope `{second}` was made twice: every scope needs a name of its own, \
                 and `primitive`, `search` and `json` are taken"
            )
        );
    }
}

#[test]
fn advice_and_spare_rows_reach_the_pools() {
    let text = "[pools.objects]\nadaptive = '16 to 128 for 1000 of 1000 peaks'\n\
                advice_only = true\n[pools.rows]\nspare_rows = 0\nslab_bytes = '64 KiB'";
    let pond = toml(text).unwrap().config().unwrap().build().unwrap();
    let objects = pond.fixed_pool::<u64>("objects", 16).unwrap();
    let burst: Vec<_> = (0..100).map(|n| objects.acquire(n)).collect();
    assert_eq!(objects.advise(), Some(100), "all peaks, and none applied");
    assert_eq!(objects.capacity(), 16);
    drop(burst);

    let held_after_removals = |name| {
        let mut rows = pond
            .vector_builder::<f32>(name, 1024, 1000)
            .slab_bytes(64 << 10)
            .build()
            .unwrap();
        let ids: Vec<_> = (0..1000)
            .map(|_| rows.insert(&[1.0; 1024]).unwrap())
            .collect();
        assert!(ids.into_iter().all(|id| rows.remove(id)));
        rows.stats().held_bytes
    };
    let (spare, plain) = (held_after_removals("rows"), held_after_removals("plain"));
    assert!(
        spare < plain,
        "{spare} bytes with no spare rows, {plain} with some"
    );
}

/// What each configuration type can be told, and the field for it. Without one: what
/// only code can say, and what is the pond's, the program's or another field's.
const KNOWN: [(&str, &[(&str, &str)]); 8] = [
    (
        "millpond/src/config.rs",
        &[
            ("with_name", "name"),
            ("with_budget_bytes", "budget_bytes"),
            ("with_exhaustion", "exhaustion"),
            ("with_exhaustion", "pools.NAME.exhaustion"),
            ("with_nodes", "nodes"),
            ("with_results", "results"),
            ("with_bytes_warm_up", "bytes.warm_up"),
            ("with_large_objects_from_bytes", "large_objects_from_bytes"),
            ("with_capacity", "pools.NAME.capacity"),
            ("with_warm_up", "pools.NAME.warm_up"),
            ("with_adaptive", "pools.NAME.adaptive"),
            ("with_advice_only", "pools.NAME.advice_only"),
            ("with_alignment", "pools.NAME.alignment"),
            ("with_spread", "pools.NAME.spread"),
            ("with_slab_bytes", "pools.NAME.slab_bytes"),
            ("with_spare_rows", "pools.NAME.spare_rows"),
            ("with_side_arrays", "pools.NAME.norms"),
            ("with_region", SEVERAL),
            ("with_arenas", SEVERAL),
            ("with_bytes", SEVERAL),
            ("with_pool", SEVERAL),
            ("with_hook", CODE),
        ],
    ),
    (
        "millpond-arena/src/config.rs",
        &[
            ("with_limit", "arenas.NAME.limit_bytes"),
            ("with_retention", "arenas.NAME.retain_bytes"),
            ("with_large", "arenas.NAME.large_bytes"),
            ("with_parked", "arenas.NAME.parked"),
            ("with_prewarm", "arenas.NAME.prewarm"),
            ("with_wipe", "arenas.NAME.wipe"),
            ("with_percentile", "arenas.NAME.percentile"),
        ],
    ),
    (
        "millpond-arena/src/manager.rs",
        &[
            ("configure", SEVERAL),
            ("own_scope", "arenas.NAME.nominal_bytes"),
            ("budget", "budget_bytes"),
            ("large_objects_from", "large_objects_from_bytes"),
            ("on_event", CODE),
        ],
    ),
    (
        "millpond-bytes/src/config.rs",
        &[
            ("with_name", "bytes.name"),
            ("with_sizes", "bytes.classes"),
            ("with_buffers_per_class", "bytes.buffers_per_class"),
            ("with_pool_min_size", "bytes.pool_min_size"),
            ("with_wipe_on_release", "bytes.wipe_on_release"),
            ("with_exhaustion", "exhaustion"),
            ("with_region", SEVERAL),
            ("with_budget", "budget_bytes"),
            ("with_hook", CODE),
        ],
    ),
    (
        "millpond-fixed/src/builder.rs",
        &[
            ("name", CODE),
            ("exhaustion", "pools.NAME.exhaustion"),
            ("adaptive", "pools.NAME.adaptive"),
            ("advised", "pools.NAME.advice_only"),
            ("region", SEVERAL),
            ("budget", "budget_bytes"),
            ("supplier", CODE),
            ("on_event", CODE),
        ],
    ),
    (
        "millpond-vector/src/builder.rs",
        &[
            ("capacity", "pools.NAME.capacity"),
            ("name", CODE),
            ("alignment", "pools.NAME.alignment"),
            ("spread", "pools.NAME.spread"),
            ("side_arrays", "pools.NAME.external_ids"),
            ("slab_bytes", "pools.NAME.slab_bytes"),
            ("spare_rows", "pools.NAME.spare_rows"),
            ("exhaustion", "pools.NAME.exhaustion"),
            ("huge_pages", "pools.NAME.huge_pages"),
            ("prefault", "pools.NAME.prefault"),
            ("numa_node", "pools.NAME.numa_node"),
            ("budget", "budget_bytes"),
            ("supplier", CODE),
            ("on_event", CODE),
        ],
    ),
    (
        "millpond-core/src/adaptive.rs",
        &[("for_share_of_peaks", "pools.NAME.adaptive")],
    ),
    (
        "millpond-core/src/region.rs",
        &[
            ("with_huge_pages", "bytes.huge_pages"),
            ("with_prefault", "bytes.prefault"),
            ("with_numa_node", "bytes.numa_node"),
        ],
    ),
];
const SEVERAL: &str = "has a type of its own, which is looked at itself";
const CODE: &str = "only code can say this";

/// A setting that a builder learns and text cannot say would be found here.
#[test]
fn whatever_a_builder_can_be_told_has_a_field() {
    let reference = Settings::reference();
    for (file, known) in KNOWN {
        let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(&path).expect(&path);
        let told = settings_of(&source);
        for &setting in &told {
            let is_known = known.iter().any(|&(known, _)| known == setting);
            assert!(is_known, "{file}: `{setting}` has no field");
        }
        for &(setting, field) in known {
            assert!(told.contains(&setting), "{file}: there is no `{setting}`");
            let is_field = reference.contains(&format!("| `{field}`<br>"));
            assert!(
                is_field || [SEVERAL, CODE].contains(&field),
                "{file}: {field}"
            );
        }
    }
}

/// The names of public functions that change what they are called on and give it back.
fn settings_of(source: &str) -> Vec<&str> {
    let functions = source.lines().filter_map(|line| {
        let (name, rest) = line
            .trim()
            .strip_prefix("pub ")?
            .split_once("fn ")?
            .1
            .split_once('(')?;
        let changes = rest.starts_with("mut self,") || rest.starts_with("&mut self,");
        let gives = ["-> Self", "-> &mut Self", "-> Scope"];
        (changes && gives.iter().any(|it| rest.contains(it))).then_some(name)
    });
    functions.collect()
}

#[test]
fn rows_are_laid_out_as_their_pool_is_configured() {
    let settings = toml("[pools.rows]\nspread = 'prefix_scan'\nnorms = true").unwrap();
    let pond = settings.config().unwrap().build().unwrap();
    let rows = pond.vector_pool::<f32>("rows", 256, 100).unwrap();
    assert_eq!(rows.layout().stride_bytes(), 1024 + 64);
    let plain = pond.vector_pool::<f32>("plain", 256, 100).unwrap();
    assert_eq!(plain.layout().stride_bytes(), 1024);
}

/// Whatever field is set: what is written is read as what was written.
#[test]
fn a_configuration_comes_back_from_toml_and_json() {
    let everything = [
        ("name", "shop"),
        ("budget_bytes", "1 GiB"),
        ("exhaustion", "wait 50 ms"),
        ("nodes", "7"),
        ("results", "8"),
        ("large_objects_from_bytes", "true"),
        ("bytes.name", "buffers"),
        ("bytes.classes", "4096, 65536"),
        ("bytes.buffers_per_class", "99"),
        ("bytes.warm_up", "2"),
        ("bytes.pool_min_size", "100"),
        ("bytes.wipe_on_release", "true"),
        ("bytes.huge_pages", "transparent"),
        ("bytes.prefault", "true"),
        ("bytes.numa_node", "0"),
        ("arenas.json.nominal_bytes", "64 KiB"),
        ("arenas.json.limit_bytes", "1 MiB"),
        ("arenas.json.retain_bytes", "512 KiB"),
        ("arenas.json.large_bytes", "8 KiB"),
        ("arenas.json.parked", "9"),
        ("arenas.json.prewarm", "1"),
        ("arenas.json.percentile", "75"),
        ("arenas.json.wipe", "true"),
        ("pools.x y.capacity", "5"),
        ("pools.x y.warm_up", "1"),
        ("pools.x y.exhaustion", "grow 3"),
        ("pools.x y.adaptive", "4 to 9 for 990 of 1000 peaks"),
        ("pools.x y.advice_only", "true"),
        ("pools.x y.huge_pages", "explicit"),
        ("pools.x y.prefault", "true"),
        ("pools.x y.numa_node", "1"),
        ("arenas.own x.nominal_bytes", "8 KiB"),
        ("arenas.own x.wipe", "true"),
        ("pools.x y.alignment", "128"),
        ("pools.x y.spread", "prefix_scan"),
        ("pools.x y.norms", "true"),
        ("pools.x y.external_ids", "true"),
        ("pools.x y.slab_bytes", "64 KiB"),
        ("pools.x y.spare_rows", "32"),
    ];
    let mut settings = Settings::new();
    let mut seen = std::collections::BTreeSet::new();
    for (field, value) in everything {
        settings = settings.set(field, value).unwrap();
        seen.insert(field.replace("x y", "NAME").replace("json", "NAME"));
        for config in [
            settings.config().unwrap(),
            Settings::new().config().unwrap(),
        ] {
            let json = serde_json::to_value(&config).unwrap();
            let from_json: PondConfig = serde_json::from_value(json.clone()).unwrap();
            let toml = toml::to_string(&config).unwrap();
            let from_toml: PondConfig = toml::from_str(&toml).unwrap();
            for again in [from_json, from_toml] {
                assert_eq!(
                    serde_json::to_value(&again).unwrap(),
                    json,
                    "{field}\n{toml}"
                );
            }
        }
    }
    let written = serde_json::to_value(settings.config().unwrap()).unwrap();
    assert_eq!(written["arenas"]["json"]["percentile"], 75);
    assert_eq!(written["pools"]["x y"]["exhaustion"], "grow 3");
    assert_eq!(written["arenas"]["own x"]["nominal_bytes"], 8192);
    for row in Settings::reference().lines().skip(2) {
        let field = row.split('`').nth(1).unwrap();
        assert!(seen.contains(field), "{field} is not tried");
    }
}

/// With `BLESS=1` the page is rewritten.
#[test]
fn the_page_of_all_fields_is_what_the_code_knows() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/configuration-fields.md"
    );
    let page = format!(
        "# Fields of the configuration\n\n\
         Made by `BLESS=1 cargo test -p millpond --test settings`; a test compares. Sizes are\n\
         numbers of bytes or read like `256 KiB`; defaults stand in parentheses. `NAME` is the name\n\
         that the program gives a pool, or that of a scope: `primitive`, `search`, `json`, or one\n\
         of one's own. In variables it is in capitals.\n\n{}",
        Settings::reference()
    );
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page,
        "docs/configuration-fields.md is outdated: BLESS=1 rewrites it"
    );
}

/// A process has one environment, so each gets a process of its own: this very test,
/// which then says what it read.
#[cfg(unix)]
#[test]
fn the_environment_of_the_process_is_read_or_refused_by_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    const CHILD: &str = "POND_TEST_SAY_SETTINGS";
    const NAME: &str = "the_environment_of_the_process_is_read_or_refused_by_name";
    if std::env::var_os(CHILD).is_some() {
        let read = Settings::new().environment().and_then(|it| it.config());
        match read {
            Ok(config) => println!("name={}.", config.name),
            Err(error) => println!("{error}."),
        }
        return;
    }
    let refused = "environment: MILLPOND_NAME is \"\u{fffd}\"; text in UTF-8 is allowed.";
    let unknown = "environment: there is no field MILLPOND_NAMES; did you mean MILLPOND_NAME?";
    for (variable, value, expected) in [
        ("MILLPOND_NAME", "shop".as_bytes(), "name=shop."),
        ("MILLPOND_NAME", b"\xff", refused),
        ("MILLPOND_DIAGNOSTICS", b"\xff", "name=pond."),
        ("MILLPONDS_NAME", b"\xff", "name=pond."),
        ("MILLPOND_NAMES", b"shop", unknown),
    ] {
        let program = std::env::current_exe().unwrap();
        let mut command = std::process::Command::new(program);
        command.args(["--exact", NAME, "--nocapture"]);
        command.env(CHILD, "1");
        command.env(variable, OsStr::from_bytes(value));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(expected), "{variable}: {said}");
    }
}

/// Classes below that size stay empty, and are no reason to refuse a pond.
#[test]
fn a_smallest_pooled_size_above_a_class_needs_no_buffers_of_it() {
    let settings = toml("[bytes]\npool_min_size = '9 KiB'\nwarm_up = 2").unwrap();
    let pond = settings.config().unwrap().build().unwrap();
    assert_eq!(pond.bytes().observe().created, 3 * 2, "16, 32 and 64 KiB");
}
