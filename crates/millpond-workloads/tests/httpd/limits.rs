//! What one client may take, and what becomes of those who take more.

use crate::client::{Site, answers, chunked, connect, hear, limits};
use millpond_core::budget::Budget;
use millpond_workloads::httpd::{Limits, Memory, Pooled};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(8);

#[test]
fn heads_and_bodies_that_are_too_large_are_refused() {
    let site = Site::pooled(Limits {
        head_bytes: 1_000,
        body_bytes: 5_000,
        ..limits()
    });
    let cookie = |bytes| format!("Cookie: {}\r\n", "c".repeat(bytes));
    assert_eq!(site.ask("GET", "/small.txt", &cookie(800), b"").code, 200);
    assert_eq!(site.ask("GET", "/small.txt", &cookie(1_000), b"").code, 431);
    assert_eq!(
        site.ask("GET", "/small.txt", &"A: b\r\n".repeat(80), b"")
            .code,
        431
    );
    assert_eq!(
        site.ask("GET", &format!("/{}", "p".repeat(2_000)), "", b"")
            .code,
        431
    );
    let body = vec![b'b'; 5_001];
    let by_length = |bytes: usize, path| {
        let length = format!("Content-Length: {bytes}\r\n");
        site.ask("POST", path, &length, &body[..bytes]).code
    };
    let by_chunks = |bytes: usize, path| {
        let sent = chunked(&body[..bytes], 900);
        site.ask("POST", path, "Transfer-Encoding: chunked\r\n", &sent)
            .code
    };
    for path in ["/echo", "/digest", "/small.txt"] {
        let fits = if path == "/small.txt" { 405 } else { 200 };
        assert_eq!(
            (by_length(5_000, path), by_length(5_001, path)),
            (fits, 413)
        );
        assert_eq!(
            (by_chunks(5_000, path), by_chunks(5_001, path)),
            (fits, 413)
        );
    }
    // Refused by what is announced: nobody reads it first.
    let announced = site.ask("POST", "/echo", "Content-Length: 99999999999999\r\n", b"");
    assert_eq!(announced.code, 413);
    // Headers behind the last chunk are headers.
    let trailer = format!("0\r\nA: {}\r\n\r\n", "b".repeat(2_000));
    let answer = site.ask(
        "POST",
        "/echo",
        "Transfer-Encoding: chunked\r\n",
        trailer.as_bytes(),
    );
    assert_eq!(answer.code, 431);
    site.check();
}

/// Connects, and waits until the server closes; says after how long.
fn closed_after(address: SocketAddr, said: &[u8], drip: &[u8]) -> Duration {
    let began = Instant::now();
    let mut stream = connect(address);
    stream.write_all(said).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let mut drops = drip.iter().cycle();
    let mut answer = [0; 100];
    while began.elapsed() < LONG {
        let dripped = drops.next().map(|drop| stream.write_all(&[*drop]));
        if dripped.is_some_and(|dripped| dripped.is_err()) {
            return began.elapsed();
        }
        match stream.read(&mut answer) {
            Ok(0) => return began.elapsed(),
            Ok(_) => panic!("a slow client was answered"),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return began.elapsed(),
        }
    }
    panic!("a slow client was not dropped")
}

#[test]
fn slow_clients_are_dropped() {
    let site = Site::pooled(Limits {
        idle: SHORT,
        request: SHORT,
        ..limits()
    });
    let post = b"POST /digest HTTP/1.1\r\nHost: us\r\nContent-Length: 100000\r\n\r\nabc";
    let echo = b"POST /echo HTTP/1.1\r\nHost: us\r\nContent-Length: 100000\r\n\r\nabc";
    let chunks = b"POST /echo HTTP/1.1\r\nHost: us\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n";
    let cases: [(&str, &[u8], &[u8]); 7] = [
        ("nothing", b"", b""),
        ("half a head", b"GET / HTTP/1.1\r\nHo", b""),
        (
            "a head byte by byte",
            b"GET / HTTP/1.1\r\nHost: us\r\nA: ",
            b"b",
        ),
        (
            "headers one by one",
            b"GET / HTTP/1.1\r\nHost: us\r\n",
            b"A:b\r\n",
        ),
        ("half a body", post, b""),
        ("a body byte by byte", echo, b"x"),
        ("chunks byte by byte", chunks, b"x"),
    ];
    thread::scope(|scope| {
        let site = &site;
        for (what, said, drip) in cases {
            scope.spawn(move || {
                let took = closed_after(site.address(), said, drip);
                assert!(took >= SHORT, "{what}: dropped after {took:?}");
                assert!(
                    took < Duration::from_secs(4),
                    "{what}: dropped after {took:?}"
                );
            });
        }
    });
    assert_eq!(site.server.counts().slow.load(Ordering::Relaxed), 7);
    // Others are served all the same.
    assert_eq!(site.ask("GET", "/small.txt", "", b"").code, 200);
    site.check();
}

#[test]
fn who_does_not_read_or_reads_drop_by_drop_is_dropped() {
    for drop in [0, 1_000] {
        let site = Site::pooled(Limits {
            write: SHORT,
            ..limits()
        });
        let mut stream = connect(site.address());
        let request = "GET /large.bin HTTP/1.1\r\nHost: us\r\n\r\n".repeat(20);
        // Before it is sent: the server's clock may run before we are scheduled again.
        let began = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        while site.server.counts().slow.load(Ordering::Relaxed) == 0 {
            assert!(began.elapsed() < LONG, "a reader of {drop} bytes was kept");
            let _ = stream.read(&mut vec![0; drop]);
            thread::sleep(Duration::from_millis(10));
        }
        assert!(began.elapsed() >= SHORT);
        site.check();
    }
}

#[test]
fn connections_beyond_the_limit_are_turned_away() {
    let site = Site::pooled(Limits {
        connections: 2,
        ..limits()
    });
    let get = b"GET /small.txt HTTP/1.1\r\nHost: us\r\n\r\n";
    let mut kept = [connect(site.address()), connect(site.address())];
    for stream in &mut kept {
        stream.write_all(get).unwrap();
        let mut said = [0; 1_000];
        let read = stream.read(&mut said).unwrap();
        assert_eq!(answers(&said[..read])[0].code, 200);
    }
    let mut third = connect(site.address());
    assert_eq!(answers(&hear(&mut third))[0].code, 503);
    assert_eq!(site.server.counts().turned_away.load(Ordering::Relaxed), 1);
    // A place that was given up can be had again.
    drop(kept);
    let began = Instant::now();
    loop {
        let mut stream = connect(site.address());
        let _ =
            stream.write_all(b"GET /small.txt HTTP/1.1\r\nHost: us\r\nConnection: close\r\n\r\n");
        if answers(&hear(&mut stream))
            .first()
            .is_some_and(|answer| answer.code == 200)
        {
            break;
        }
        assert!(began.elapsed() < LONG, "no place became free");
        thread::sleep(Duration::from_millis(10));
    }
    site.check();
}

#[test]
fn without_memory_the_answer_is_503_and_with_it_200_again() {
    let budget = Budget::new("test", 8 << 20);
    let memory = Pooled::new(Some(&budget)).unwrap();
    let site = Site::new(memory.clone(), limits());
    assert_eq!(site.ask("GET", "/small.txt", "", b"").code, 200);
    let mut held = Vec::new();
    for bytes in [64 << 10, 32 << 10, 16 << 10, 8 << 10, 4 << 10, 2 << 10] {
        held.extend(std::iter::from_fn(|| memory.buffer(bytes).ok()));
    }
    assert!(held.len() > 32, "{}", held.len());
    assert_eq!(site.ask("GET", "/small.txt", "", b"").code, 503);
    drop(held);
    assert_eq!(site.ask("GET", "/large.bin", "", b"").code, 200);
    assert!(budget.held() <= 8 << 20);
    site.check();
}

#[test]
fn a_stop_ends_idle_connections_and_waits_for_requests() {
    let mut site = Site::pooled(limits());
    let (mut idle, mut busy) = (connect(site.address()), connect(site.address()));
    busy.write_all(b"POST /echo HTTP/1.1\r\nHost: us\r\nContent-Length: 4\r\n\r\nab")
        .unwrap();
    let began = Instant::now();
    while site.memory.outstanding() == 0 {
        assert!(began.elapsed() < LONG);
        thread::sleep(Duration::from_millis(5));
    }
    let later = thread::spawn(move || {
        thread::sleep(SHORT);
        busy.write_all(b"cd").unwrap();
        answers(&hear(&mut busy)).remove(0)
    });
    site.server.stop();
    let stopped = began.elapsed();
    let answer = later.join().unwrap();
    assert_eq!((answer.code, answer.text()), (200, "abcd"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(hear(&mut idle).is_empty());
    assert!(stopped < Duration::from_secs(4), "{stopped:?}");
    site.check();
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let mut site = Site::pooled(Limits {
        grace: SHORT,
        ..limits()
    });
    let mut stuck = connect(site.address());
    stuck
        .write_all(b"POST /echo HTTP/1.1\r\nHost: us\r\nContent-Length: 4\r\n\r\nab")
        .unwrap();
    let began = Instant::now();
    while site.memory.outstanding() == 0 {
        assert!(began.elapsed() < LONG);
        thread::sleep(Duration::from_millis(5));
    }
    let began = Instant::now();
    site.server.stop();
    assert!(began.elapsed() >= SHORT && began.elapsed() < Duration::from_secs(3));
    assert!(hear(&mut stuck).is_empty());
    site.check();
}
