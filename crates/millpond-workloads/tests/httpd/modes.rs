//! The same requests in every mode, arriving in the same pieces: the same answers.

use crate::client::{Answer, Site, chunked, connect, hear, limits};
use millpond_workloads::httpd::{Heap, Memory, Pooled};
use proptest::prelude::*;
use std::io::Write;
use std::sync::OnceLock;

/// One request, sent as it is told.
#[derive(Clone, Debug)]
struct Sent {
    method: &'static str,
    path: &'static str,
    body: Body,
    extra: &'static str,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    Length(Vec<u8>),
    Chunks(Vec<u8>, usize),
    /// Announces more than it sends, or frames it wrongly.
    Raw(&'static str, &'static str),
}

fn body() -> impl Strategy<Value = Body> {
    let json = prop_oneof![
        Just(r#"{"a":[1,2,{"b":"\u00e9"}],"a":3}"#.to_owned()),
        "[\\[\\]{}:,0-9\"a-z ]{0,40}",
        "\\[([0-9]{1,3},){0,300}1\\]",
    ];
    let bytes = prop_oneof![
        json.prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..20_000),
    ];
    prop_oneof![
        2 => Just(Body::None),
        4 => bytes.clone().prop_map(Body::Length),
        4 => (bytes, 1..5_000_usize).prop_map(|(bytes, size)| Body::Chunks(bytes, size)),
        1 => prop_oneof![
            Just(Body::Raw("Transfer-Encoding: chunked\r\n", "5\r\nhel")),
            Just(Body::Raw("Transfer-Encoding: chunked\r\n", "zz\r\n")),
            Just(Body::Raw("Content-Length: 5\r\nContent-Length: 6\r\n", "hello")),
            Just(Body::Raw("Content-Length: 2000000\r\n", "hello")),
        ],
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let method = prop_oneof![
        Just("GET"),
        Just("HEAD"),
        Just("POST"),
        Just("PUT"),
        Just("BREW")
    ];
    let path = prop_oneof![
        Just("/small.txt"),
        Just("/medium.bin"),
        Just("/%73mall.txt?x"),
        Just("/folder/../small.txt"),
        Just("/none"),
        Just("/echo"),
        Just("/digest"),
        Just("/json"),
    ];
    let extra = prop_oneof![
        8 => Just(""),
        1 => Just("Accept: */*\r\nCookie: a=b\r\n"),
        1 => Just("Expect: 100-continue\r\n"),
        1 => Just("Connection: close\r\n"),
        1 => Just("Broken header\r\n"),
    ];
    (method, path, body(), extra).prop_map(|(method, path, body, extra)| Sent {
        method,
        path,
        body,
        extra,
    })
}

fn bytes_of(requests: &[Sent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Sent {
        method,
        path,
        body,
        extra,
    } in requests
    {
        let (framing, body) = match body {
            Body::None => (String::new(), Vec::new()),
            Body::Length(body) => (format!("Content-Length: {}\r\n", body.len()), body.clone()),
            Body::Chunks(body, size) => (
                "Transfer-Encoding: chunked\r\n".to_owned(),
                chunked(body, *size),
            ),
            Body::Raw(framing, body) => ((*framing).to_owned(), body.as_bytes().to_vec()),
        };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: us\r\n{framing}{extra}\r\n");
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(&body);
    }
    bytes
}

/// What a server says, dates left out: as lines of heads and lengths of the rest.
fn said<M: Memory + Sync>(site: &Site<M>, bytes: &[u8], piece: usize) -> Vec<u8> {
    let mut stream = connect(site.address());
    let mut reader = stream.try_clone().unwrap();
    let heard = std::thread::spawn(move || hear(&mut reader));
    // A server that refused one stops listening.
    let sent = bytes
        .chunks(piece)
        .try_for_each(|part| stream.write_all(part));
    if sent.is_ok() {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut said = heard.join().unwrap();
    while let Some(at) = said.windows(6).position(|window| window == b"\nDate:") {
        said.drain(at..at + 6 + 1 + 29 + 1);
    }
    said
}

struct Sites {
    heap: Site<Heap>,
    pooled: Site<Pooled>,
}

fn sites() -> &'static Sites {
    static SITES: OnceLock<Sites> = OnceLock::new();
    SITES.get_or_init(|| Sites {
        heap: Site::heap(limits()),
        pooled: Site::pooled(limits()),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_mode_answers_the_same(
        requests in proptest::collection::vec(sent(), 1..8),
        piece in prop_oneof![Just(usize::MAX), 1..9_000_usize],
    ) {
        // One that is answered in any case: of those behind, the last may stay half said.
        let bytes = [b"GET /small.txt HTTP/1.1\r\nHost: us\r\n\r\n", &bytes_of(&requests)[..]].concat();
        let piece = piece.clamp(bytes.len() / 400 + 1, bytes.len());
        let (heap, pooled) = (said(&sites().heap, &bytes, piece), said(&sites().pooled, &bytes, piece));
        prop_assert!(heap == pooled, "{:?}\n{:?}", String::from_utf8_lossy(&heap), String::from_utf8_lossy(&pooled));
        prop_assert_eq!(Answer::head(&heap).0.code, 200);
    }
}
