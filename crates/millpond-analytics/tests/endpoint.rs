//! Proves that the endpoint and the handler answer what they are asked, survive
//! what they are not, and listen on this machine only.

mod fixture;

use fixture::server;
use millpond_analytics::{Bridge, Endpoint, Exporter, Format, LOOPBACK, Line, Snapshot};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn endpoint() -> (fixture::Server, Endpoint) {
    let server = server();
    let exporter = Exporter::new(&server.registry);
    let endpoint = Endpoint::bind(exporter, "127.0.0.1:0".parse().unwrap()).unwrap();
    (server, endpoint)
}

fn ask(endpoint: &Endpoint, request: &[u8]) -> String {
    let mut client = TcpStream::connect(endpoint.address()).unwrap();
    let _ = client.write_all(request);
    let mut answer = String::new();
    let _ = client.read_to_string(&mut answer);
    answer
}

fn get(endpoint: &Endpoint, path: &str, headers: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    let answer = ask(endpoint, request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = format!("Content-Length: {}", body.len());
    assert!(head.contains(&length), "{head}");
    (head.to_owned(), body.to_owned())
}

#[test]
fn formats_are_negotiated() {
    // (Accept, what is sent)
    let cases = [
        ("", Format::Text),
        ("*/*", Format::Text),
        ("text/plain", Format::Text),
        ("application/openmetrics-text", Format::OpenMetrics),
        (
            "Application/OpenMetrics-Text; version=1.0.0; charset=utf-8",
            Format::OpenMetrics,
        ),
        (
            "application/openmetrics-text;q=0.5,text/plain;q=0.9",
            Format::Text,
        ),
        ("application/openmetrics-text;q=0", Format::Text),
        ("application/openmetrics-text;q=x,text/plain", Format::Text),
        // What Prometheus 2.42 sends.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics,
        ),
    ];
    let (_server, endpoint) = endpoint();
    for (accept, format) in cases {
        assert_eq!(Format::accepted_by(accept), format, "{accept}");
        let (head, body) = get(&endpoint, "/metrics", &format!("Accept: {accept}\r\n"));
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(
            head.contains(&format!("Content-Type: {}", format.content_type())),
            "{head}"
        );
        assert_eq!(body.ends_with("# EOF\n"), format == Format::OpenMetrics);
    }
}

#[test]
fn a_pool_that_panics_ends_the_answer_and_not_the_endpoint() {
    let (server, endpoint) = endpoint();
    let figures = &server.pools[0].figures;
    std::thread::scope(|threads| {
        let panics = threads.spawn(|| {
            let _guard = figures.lock().unwrap();
            panic!("from now on the pool's figures panic too");
        });
        assert!(panics.join().is_err());
    });
    for path in ["/metrics", "/snapshot.json", "/"] {
        let (head, _) = get(&endpoint, path, "");
        assert!(head.starts_with("HTTP/1.1 500"), "{path}: {head}");
    }
    figures.clear_poison();
    let (head, _) = get(&endpoint, "/metrics", "");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
}

#[test]
fn the_snapshot_and_the_page_are_served_and_nothing_else() {
    let (server, endpoint) = endpoint();
    let (_, json) = get(&endpoint, "/snapshot.json", "");
    let served = Snapshot::from_json(&json).unwrap();
    assert_eq!(served.pools, server.registry.snapshot().pools);
    let (head, page) = get(&endpoint, "/?x=1", "");
    assert!(head.contains("text/html") && page.contains("frames"));
    for path in ["/metrics/", "/../etc/passwd", "//", "/snapshot", "*"] {
        let (head, _) = get(&endpoint, path, "");
        assert!(head.starts_with("HTTP/1.1 404"), "{path}: {head}");
    }
}

#[test]
fn what_is_not_a_request_gets_an_error_and_the_next_client_an_answer() {
    let (_server, endpoint) = endpoint();
    let long = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 10_000]].concat();
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100));
    let cases: [(&[u8], &str); 7] = [
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"nonsense\r\n\r\n", "400"),
        (b"GET /metrics HTTP/9.9\r\n\r\n", "400"),
        (b"\0\xff\xfe\r\n\r\n", "400"),
        (many.as_bytes(), "400"),
        (&long, "431"),
        (b"", ""),
    ];
    for (request, status) in cases {
        if request.is_empty() {
            drop(TcpStream::connect(endpoint.address()).unwrap());
        } else {
            let answer = ask(&endpoint, request);
            // A client that sent too much may see the connection reset instead.
            let reset = status == "431" && answer.is_empty();
            let expected = format!("HTTP/1.1 {status}");
            assert!(reset || answer.starts_with(&expected), "{answer}");
        }
        assert!(get(&endpoint, "/metrics", "").0.contains("200 OK"));
    }
}

#[test]
fn a_client_that_says_nothing_holds_nobody_for_long() {
    let (_server, endpoint) = endpoint();
    let begin = Instant::now();
    let silent = TcpStream::connect(endpoint.address()).unwrap();
    let mut slow = TcpStream::connect(endpoint.address()).unwrap();
    slow.write_all(b"GET /metr").unwrap();
    assert!(get(&endpoint, "/metrics", "").0.contains("200 OK"));
    assert!(begin.elapsed() < Duration::from_secs(10));
    drop(silent);
}

#[test]
fn it_listens_on_this_machine_unless_told_otherwise_and_ends_when_dropped() {
    assert!(LOOPBACK.ip().is_loopback());
    let (_server, endpoint) = endpoint();
    let address = endpoint.address();
    drop(endpoint);
    assert!(TcpStream::connect(address).is_err());
}

/// The handler inside an application's own server.
#[test]
fn axum_serves_the_handler() {
    let server = server();
    let exporter = Exporter::new(&server.registry);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let handler = move |request: axum::extract::Request| async move { exporter.handle(&request) };
        let app = axum::Router::new().route("/metrics", axum::routing::get(handler));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let client = tokio::task::spawn_blocking(move || {
            let mut client = TcpStream::connect(address).unwrap();
            client
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\nConnection: close\r\n\r\n")
                .unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = client.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("application/openmetrics-text; version=1.0.0"));
        assert!(answer.contains("millpond_acquires_total{pool=\"frames\",class=\"\"} 1000000"));
    });
}

mod recorder {
    //! A recorder of `metrics` that keeps what it is given.

    use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata};
    use metrics::{Recorder, SharedString, Unit};
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    pub(crate) struct Kept(pub(crate) Arc<Mutex<BTreeMap<String, f64>>>);

    struct One(Kept, String);

    impl One {
        fn set(&self, value: f64) {
            self.0.0.lock().unwrap().insert(self.1.clone(), value);
        }
    }

    impl CounterFn for One {
        fn increment(&self, _: u64) {
            unreachable!("counters are copied whole");
        }

        fn absolute(&self, value: u64) {
            self.set(u32::try_from(value).unwrap().into());
        }
    }

    impl GaugeFn for One {
        fn increment(&self, _: f64) {
            unreachable!("gauges are set");
        }

        fn decrement(&self, _: f64) {
            unreachable!("gauges are set");
        }

        fn set(&self, value: f64) {
            self.set(value);
        }
    }

    impl Kept {
        fn one(&self, key: &Key) -> Arc<One> {
            let labels: Vec<&str> = key.labels().map(metrics::Label::value).collect();
            Arc::new(One(
                self.clone(),
                format!("{} {}", key.name(), labels.join("/")),
            ))
        }
    }

    impl Recorder for Kept {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.one(key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.one(key))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            unreachable!("histograms are not copied");
        }
    }
}

#[test]
fn the_bridge_copies_every_figure() {
    let server = server();
    let kept = recorder::Kept::default();
    metrics::with_local_recorder(&kept, || Bridge::new(&server.registry).report());
    let kept = kept.0.lock().unwrap();
    assert_eq!(kept["millpond_acquires_total frames/"], 1_000_000.0);
    assert_eq!(kept["millpond_in_use buffers/4096"], 2.0);
    assert_eq!(kept["millpond_wait_seconds_total frames/"], 0.0025);
    assert_eq!(
        kept["millpond_budget_held_bytes server"],
        f64::from(5 << 20)
    );
    // Six parts, three pools with a longest hold, one budget.
    let figures = millpond_analytics::catalogue::FIGURES.len();
    let budgets = millpond_analytics::catalogue::BUDGETS.len();
    assert_eq!(kept.len(), figures * 6 + 3 + budgets);
}

mod logger {
    //! A logger that keeps the lines of one target.

    use std::sync::Mutex;

    pub(crate) static LINES: Mutex<Vec<(log::Level, String)>> = Mutex::new(Vec::new());

    pub(crate) struct Keep;

    impl log::Log for Keep {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.target() == "millpond"
        }

        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                let line = (record.level(), record.args().to_string());
                LINES.lock().unwrap().push(line);
            }
        }

        fn flush(&self) {}
    }
}

#[test]
fn a_line_is_logged_as_a_warning_if_something_was_lost() {
    log::set_logger(&logger::Keep).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let snapshot = server().registry.snapshot();
    Line::of(&snapshot).log();
    Line::of(&snapshot.clone().since(&snapshot)).log();
    Line::of(&snapshot).trace(); // No subscriber: costs nothing and says nothing.
    let lines = logger::LINES.lock().unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].0, log::Level::Warn);
    assert!(lines[0].1.contains("worst=\"buffers\""));
    assert_eq!(lines[1].0, log::Level::Info);
}
