//! What the server answers.

use crate::client::{LARGE, Site, answers, chunked, connect, hear, limits, noise};
use std::fs;
use std::hash::Hasher;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::time::Duration;

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn files_are_served_whole_or_head_only() {
    let site = Site::pooled(limits());
    for (path, kind) in [
        ("small.txt", "text/plain; charset=utf-8"),
        ("empty", "application/octet-stream"),
        ("medium.bin", "application/octet-stream"),
        ("large.bin", "application/octet-stream"),
        ("folder/index.html", "text/html; charset=utf-8"),
    ] {
        let content = fs::read(site.directory.path().join(path)).unwrap();
        let got = site.ask("GET", &format!("/{path}?query"), "", b"");
        assert_eq!((got.code, got.body.len()), (200, content.len()));
        assert!(got.body == content, "{path}");
        assert_eq!(got.header("content-type"), Some(kind));
        let head = site.ask("HEAD", &format!("/{path}"), "", b"");
        assert_eq!((head.code, &head.headers), (200, &got.headers));
        assert!(head.body.is_empty());
    }
    assert_eq!(site.ask("GET", "/folder", "", b"").text(), "<p>index");
    site.check();
}

#[test]
fn what_is_not_there_is_404_and_no_path_leads_out() {
    let site = Site::pooled(limits());
    let root = site.directory.path();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path().join("secret"), root.join("link")).unwrap();
    symlink(outside.path(), root.join("up")).unwrap();
    let up = "/..".repeat(12);
    let spelled = "/%2e%2E".repeat(12);
    let secret = outside.path().join("secret");
    let secret = secret.display();
    for path in [
        "/none",
        "/",
        "/small.txt/more",
        "/link",
        "/up/secret",
        "/up/../small.txt",
        &format!("{up}{secret}"),
        &format!("{spelled}{secret}"),
        &format!("/folder{up}{secret}"),
        &format!("/..%2f..%2f..%2f..%2f..%2f..{secret}"),
        &format!("/{secret}"),
        "/small.txt%00",
        &format!("/{}", "a".repeat(4_000)),
    ] {
        let answer = site.ask("GET", path, "", b"");
        assert_eq!(answer.code, 404, "{path}");
        assert_eq!(answer.text(), "404 Not Found\n");
    }
    let refused = site.ask("POST", "/small.txt", "Content-Length: 3\r\n", b"abc");
    assert_eq!(refused.code, 405);
    assert_eq!(refused.header("allow"), Some("GET, HEAD, POST, PUT"));
    assert_eq!(site.ask("DELETE", "/small.txt", "", b"").code, 405);
    assert_eq!(site.ask("GET", "/echo", "", b"").code, 405);
    site.check();
}

#[test]
fn bodies_come_by_length_and_in_chunks_and_go_back() {
    let site = Site::pooled(limits());
    for bytes in [0, 1, 100, 8_000, 8_192, 70_000, 1 << 20] {
        let body = noise(bytes);
        let length = format!("Content-Length: {bytes}\r\n");
        for (headers, sent) in [
            (&*length, body.clone()),
            (CHUNKED, chunked(&body, 1_000)),
            (CHUNKED, chunked(&body, 100_000)),
        ] {
            let echo = site.ask("POST", "/echo", headers, &sent);
            assert_eq!(echo.code, 200);
            assert!(echo.body == body, "{bytes} bytes, {headers:?}");
            let mut digest = twox_hash::XxHash3_64::new();
            digest.write(&body);
            let digest = digest.finish();
            let expected = format!("{{\"bytes\":{bytes},\"xxh3\":\"{digest:016x}\"}}\n");
            assert_eq!(site.ask("PUT", "/digest", headers, &sent).text(), expected);
        }
    }
    site.check();
}

#[test]
fn a_json_document_is_taken_apart() {
    let site = Site::pooled(limits());
    let ask = |text: &str| {
        let length = format!("Content-Length: {}\r\n", text.len());
        let answer = site.ask("POST", "/json", &length, text.as_bytes());
        (answer.code, answer.text().to_owned())
    };
    let said = |shape: &str| (200, format!("{shape}\n"));
    assert_eq!(
        ask(r#"{"name":"p\u00f6nd","n":[1,2.5,-3,null,true]}"#),
        said(r#"{"values":8,"depth":3,"text_bytes":10,"sum":5e-1}"#)
    );
    assert_eq!(
        ask("7"),
        said(r#"{"values":1,"depth":1,"text_bytes":0,"sum":7e0}"#)
    );
    assert_eq!(
        ask("[1e308,1e308]"),
        said(r#"{"values":3,"depth":2,"text_bytes":0,"sum":null}"#)
    );
    // What outgrows the arena is worked on on the heap.
    let many = format!("[{}0]", "0,".repeat(400_000));
    assert_eq!(
        ask(&many),
        said(r#"{"values":400002,"depth":2,"text_bytes":0,"sum":0e0}"#)
    );
    for broken in ["", "{", "[1,]", "\u{1}", &"[".repeat(100_000)] {
        let (code, said) = ask(broken);
        assert_eq!(code, 400, "{broken:.10}");
        assert!(said.contains("line 1 column"), "{broken:.10}: {said}");
    }
    assert!(site.memory.fallbacks() >= 1);
    site.check();
}

#[test]
fn a_connection_is_kept_and_idle_ones_hold_nothing() {
    let site = Site::pooled(limits());
    let mut stream = connect(site.address());
    for _ in 0..3 {
        stream
            .write_all(b"GET /small.txt HTTP/1.1\r\nHost: us\r\n\r\n")
            .unwrap();
        let mut said = vec![0; 1_000];
        let read = stream.read(&mut said).unwrap();
        let answer = answers(&said[..read]).remove(0);
        assert_eq!(answer.header("connection"), Some("keep-alive"));
        assert_eq!(answer.text(), "a small file\n");
        let began = std::time::Instant::now();
        while site.memory.outstanding() > 0 && began.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(
            site.memory.outstanding(),
            0,
            "a connection that waits holds buffers: {}",
            site.memory.stats()
        );
    }
    // The old version closes unless it is asked not to.
    let said = site.talk(
        b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /empty HTTP/1.0\r\n\r\n",
    );
    let kept: Vec<_> = said
        .iter()
        .map(|answer| answer.header("connection"))
        .collect();
    assert_eq!(kept, [Some("keep-alive"), Some("close")]);
    site.check();
}

#[test]
fn pipelined_requests_are_answered_in_order_however_they_arrive() {
    let site = Site::pooled(limits());
    let body = noise(10_000);
    let mut requests = Vec::new();
    for number in 0..200 {
        let text = format!("request {number}");
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: us\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        requests.extend_from_slice(head.as_bytes());
        requests.extend_from_slice(b"GET /medium.bin HTTP/1.1\r\nHost: us\r\n\r\n");
        requests.extend_from_slice(b"HEAD /medium.bin HTTP/1.1\r\nHost: us\r\n\r\n");
        if number % 20 == 0 {
            let head = format!("POST /digest HTTP/1.1\r\nHost: us\r\n{CHUNKED}\r\n");
            requests.extend_from_slice(head.as_bytes());
            requests.extend_from_slice(&chunked(&body, 777));
        }
    }
    requests.extend_from_slice(b"GET /empty HTTP/1.1\r\nHost: us\r\nConnection: close\r\n\r\n");
    for piece in [requests.len(), 4_096, 977] {
        let mut stream = connect(site.address());
        let mut reader = stream.try_clone().unwrap();
        let heard = std::thread::spawn(move || hear(&mut reader));
        for part in requests.chunks(piece) {
            stream.write_all(part).unwrap();
        }
        let mut said = &heard.join().unwrap()[..];
        let mut next = |head_only: bool| {
            let (answer, head) = crate::client::Answer::head(said);
            let length: usize = answer.header("content-length").unwrap().parse().unwrap();
            said = &said[head..];
            let body = if head_only { 0 } else { length };
            let (body, rest) = said.split_at(body);
            said = rest;
            (answer.code, length, body)
        };
        for number in 0..200 {
            let text = format!("request {number}");
            assert_eq!(next(false), (200, text.len(), text.as_bytes()));
            assert_eq!(next(false), (200, 40_000, &noise(40_000)[..]));
            assert_eq!(next(true), (200, 40_000, &[][..]));
            if number % 20 == 0 {
                let (code, _, digest) = next(false);
                assert!(code == 200 && digest.starts_with(b"{\"bytes\":10000,"));
            }
        }
        assert_eq!(next(false), (200, 0, &[][..]));
    }
    site.check();
}

#[test]
fn an_answer_does_not_wait_for_the_rest_of_the_next_request() {
    let site = Site::pooled(limits());
    let mut stream = connect(site.address());
    stream
        .write_all(b"GET /small.txt HTTP/1.1\r\nHost: us\r\n\r\nGET /small")
        .unwrap();
    let mut said = vec![0; 1_000];
    let read = stream.read(&mut said).unwrap();
    assert_eq!(answers(&said[..read])[0].text(), "a small file\n");
    stream
        .write_all(b".txt HTTP/1.1\r\nHost: us\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert_eq!(answers(&hear(&mut stream))[0].text(), "a small file\n");
    site.check();
}

#[test]
fn malformed_requests_are_400_and_the_connection_is_closed() {
    let site = Site::pooled(limits());
    let host = "Host: us\r\n";
    let chunks = |body: &str| format!("POST /digest HTTP/1.1\r\n{host}{CHUNKED}\r\n{body}");
    for (request, code) in [
        ("\0\0\0\0\r\n\r\n".to_owned(), 400),
        ("GET\r\n\r\n".to_owned(), 400),
        ("GET /small.txt HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /small.txt HTTP/3.0\r\n\r\n".to_owned(), 505),
        (format!("GET /small.txt HTTP/1.1\r\n{host}: x\r\n\r\n"), 400),
        (
            format!("GET / HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n"),
            400,
        ),
        (
            format!("POST /echo HTTP/1.1\r\n{host}Content-Length: 3\r\n{CHUNKED}\r\n"),
            400,
        ),
        (
            format!("POST /echo HTTP/1.1\r\n{host}Transfer-Encoding: gzip\r\n\r\n"),
            501,
        ),
        (
            format!("POST /echo HTTP/1.1\r\n{host}Expect: more\r\n\r\n"),
            417,
        ),
        (chunks("xyz\r\n"), 400),
        (chunks("5\r\nhelloXX"), 400),
        (chunks("5\r\nhello\r\nfffffffffffffffff\r\n"), 400),
        (chunks("\r\n\r\n"), 400),
        (chunks("0\r\nbad trailer\r\n\r\n"), 400),
        (
            chunks(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "e".repeat(300))),
            400,
        ),
    ] {
        // A good request first, and one behind that must not be answered.
        let good = format!("GET /small.txt HTTP/1.1\r\n{host}\r\n");
        let said = site.talk(format!("{good}{request}{good}").as_bytes());
        let codes: Vec<_> = said.iter().map(|answer| answer.code).collect();
        assert_eq!(codes, [200, code], "{request:?}");
        assert_eq!(said[1].header("connection"), Some("close"));
    }
    site.check();
}

#[test]
fn who_expects_to_be_told_is_told_to_go_on() {
    let site = Site::pooled(limits());
    let mut stream = connect(site.address());
    let head = "POST /echo HTTP/1.1\r\nHost: us\r\nContent-Length: 2\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut said = [0; 25];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ok").unwrap();
    assert_eq!(answers(&hear(&mut stream))[0].text(), "ok");
    site.check();
}

#[test]
fn a_client_that_closes_its_half_hears_what_it_asked_for() {
    let site = Site::pooled(limits());
    let mut stream = connect(site.address());
    stream
        .write_all(b"GET /large.bin HTTP/1.1\r\nHost: us\r\n\r\nGET /half")
        .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(answers(&hear(&mut stream))[0].body.len(), LARGE);
    site.check();
}
