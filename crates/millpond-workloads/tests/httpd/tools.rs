//! Programs that people have: curl, wrk, Prometheus. Where one is missing, its test
//! says so and proves nothing; where `TEST_CURL_IS_HERE`, `TEST_WRK_IS_HERE` or
//! `TEST_PROMETHEUS_IS_HERE` is set, it fails.

use crate::client::{LARGE, Site, answers, connect, hear, limits, noise};
use millpond_workloads::httpd::Memory;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn has(program: &str) -> bool {
    let ran = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    // `wrk --version` ends with 1.
    if ran.is_ok() {
        return true;
    }
    let told = format!("TEST_{}_IS_HERE", program.to_uppercase());
    assert!(
        std::env::var_os(told).is_none(),
        "there is no `{program}`: install it"
    );
    // To the terminal itself, for the harness hides what tests that pass print.
    let notice = format!("\n*** NOT PROVED: there is no `{program}`; its tests were skipped ***\n");
    let terminal = fs::OpenOptions::new().append(true).open("/dev/stderr");
    let _ = terminal.and_then(|mut terminal| terminal.write_all(notice.as_bytes()));
    eprintln!("{notice}");
    false
}

fn curl(arguments: &[&str], folder: &Path) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {said}");
    output.stdout
}

fn curl_is_served<M: Memory + Sync>(site: &Site<M>) {
    let url = |path: &str| format!("http://{}{path}", site.address());
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let upload = noise(700_000);
    fs::write(at.join("upload"), &upload).unwrap();

    let large = curl(&[&url("/large.bin")], at);
    assert!(large == fs::read(site.directory.path().join("large.bin")).unwrap());
    let head = curl(&["--head", &url("/large.bin")], at);
    let head = String::from_utf8(head).unwrap();
    assert!(
        head.contains(&format!("Content-Length: {LARGE}\r\n")),
        "{head}"
    );
    // By length, with a question before so large a body, and in chunks.
    let data = ["--data-binary", "@upload"];
    for more in [
        &["--header", "Expect:"][..],
        &["--header", "Expect: 100-continue"],
        &["--header", "Transfer-Encoding: chunked"],
        &["--http1.0"],
    ] {
        let echo = curl(&[&data, more, &[&url("/echo")]].concat(), at);
        assert!(echo == upload, "{more:?}");
    }
    let digest = curl(&["--upload-file", "upload", &url("/digest")], at);
    assert!(digest.starts_with(b"{\"bytes\":700000,"));
    // Two requests over one connection.
    let (small, empty) = (url("/small.txt"), url("/empty"));
    let connects = ["--write-out", "%{num_connects}", "--output", "-"];
    let twice = curl(&[&connects[..], &[&small, &empty]].concat(), at);
    assert_eq!(twice, b"a small file\n10");
    let code = ["--write-out", "%{http_code}", "--output", "answer"];
    for path in [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/none",
    ] {
        let found = curl(&[&code[..], &["--path-as-is", &url(path)]].concat(), at);
        assert_eq!(found, b"404", "{path}");
    }
}

#[test]
fn curl_gets_and_posts() {
    if !has("curl") {
        return;
    }
    let (heap, pooled) = (Site::heap(limits()), Site::pooled(limits()));
    curl_is_served(&heap);
    curl_is_served(&pooled);
    pooled.check();
}

/// Pipelines eight requests at a time.
const PIPELINE: &str = r#"
init = function(args)
  local each = {}
  for number = 1, 8 do
    each[number] = wrk.format(nil, number % 2 == 0 and "/small.txt" or "/medium.bin")
  end
  all = table.concat(each)
end
request = function() return all end
"#;

fn wrk(address: SocketAddr, path: &str, more: &[&str]) -> String {
    let output = Command::new("wrk")
        .args([
            "--threads",
            "1",
            "--connections",
            "16",
            "--duration",
            "1s",
            "--latency",
        ])
        .args(more)
        .arg(format!("http://{address}{path}"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    // wrk names these only if there were any.
    assert!(
        !said.contains("Socket errors") && !said.contains("Non-2xx"),
        "{said}"
    );
    let requests = said
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "));
    let requests: u64 = requests.unwrap().0.parse().unwrap();
    assert!(requests > 100, "{said}");
    said
}

#[test]
fn wrk_finds_no_error_and_loses_no_buffer() {
    if !has("wrk") {
        return;
    }
    let (heap, pooled) = (Site::heap(limits()), Site::pooled(limits()));
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("pipeline.lua");
    fs::write(&script, PIPELINE).unwrap();
    let script = script.to_str().unwrap();
    pooled.memory.warm_up(32).unwrap();
    for address in [heap.address(), pooled.address()] {
        wrk(address, "/medium.bin", &[]);
        wrk(address, "/small.txt", &["--script", script]);
    }
    let hit_rate = pooled.memory.stats().hit_rate();
    assert!(hit_rate >= 0.999, "hit rate {hit_rate}");
    pooled.check();
}

struct Prometheus {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn start(target: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: httpd\n  static_configs:\n  - targets: ['{target}']\n"
        );
        fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"))
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            address,
            _directory: directory,
        }
    }

    /// The value of a query that has one, once it is what is wanted.
    fn until(&self, query: &str, good: impl Fn(f64) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(40);
        let mut last = None;
        while Instant::now() < deadline {
            last = self.query(query);
            if last.is_some_and(&good) {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
        panic!("{query}: {last:?}");
    }

    fn query(&self, query: &str) -> Option<f64> {
        if std::net::TcpStream::connect(self.address).is_err() {
            return None;
        }
        let mut stream = connect(self.address);
        let query: String =
            percent_encoding::utf8_percent_encode(query, percent_encoding::NON_ALPHANUMERIC)
                .collect();
        let request = format!("GET /api/v1/query?query={query} HTTP/1.0\r\nHost: us\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let said = String::from_utf8(hear(&mut stream)).ok()?;
        let answer: serde_json::Value =
            serde_json::from_str(said.split_once("\r\n\r\n")?.1).ok()?;
        answer["data"]["result"][0]["value"][1]
            .as_str()?
            .parse()
            .ok()
    }
}

#[test]
fn a_real_prometheus_scrapes_the_metrics() {
    if !has("prometheus") {
        return;
    }
    let site = Site::pooled(limits());
    for _ in 0..100 {
        assert_eq!(
            site.ask("POST", "/json", "Content-Length: 2\r\n", b"[]")
                .code,
            200
        );
    }
    let prometheus = Prometheus::start(site.address());
    prometheus.until("up{job=\"httpd\"}", |up| up == 1.0);
    // An input and an output for each request, and an arena.
    let acquires = |pool| format!("sum(millpond_acquires_total{{pool=\"{pool}\"}})");
    prometheus.until(&acquires("bytes"), |count| count >= 200.0);
    prometheus.until(&acquires("arenas"), |count| count >= 100.0);
    // The scrape's own request is under way while it is answered.
    prometheus.until("sum(millpond_in_use{pool=\"bytes\"})", |count| count <= 2.0);
    drop(prometheus);
    site.check();
}

#[test]
fn figures_come_as_text_as_open_metrics_and_as_json() {
    let site = Site::pooled(limits());
    let plain = site.ask("GET", "/metrics", "", b"");
    assert_eq!(
        plain.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(
        plain
            .text()
            .contains("millpond_acquires_total{pool=\"bytes\"")
    );
    let accept = "Accept: application/openmetrics-text;version=1.0.0\r\n";
    let open = site.ask("GET", "/metrics", accept, b"");
    assert!(open.text().ends_with("# EOF\n"));
    let json = site.ask("GET", "/metrics.json", "", b"");
    let json: serde_json::Value = serde_json::from_str(json.text()).unwrap();
    let names: Vec<_> = json["pools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pool| &pool["name"])
        .collect();
    assert_eq!(names, ["arenas", "bytes"]);
    let head = site.ask("HEAD", "/metrics", "", b"");
    assert!(head.code == 200 && head.body.is_empty());
    assert!(answers(b"").is_empty());
    site.check();
}
