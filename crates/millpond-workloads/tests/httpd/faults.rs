//! A load with faults: connections cut in the middle, half requests, nonsense. Good
//! clients are served, and no buffer is lost.
//!
//! Some seconds here; as many as `TEST_LOAD_SECONDS` says, where it does.

use crate::client::{Site, connect, limits, noise};
use millpond_testing::Dice;
use millpond_workloads::httpd::Limits;
use millpond_workloads::httpd::load::{Call, Load};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

fn seconds() -> u64 {
    let told = std::env::var("TEST_LOAD_SECONDS").ok();
    told.map_or(3, |told| {
        told.parse().expect("TEST_LOAD_SECONDS is a number")
    })
}

fn calls() -> Vec<Call> {
    let json = br#"{"name":"a b","list":[1,2,3,{"deep":[true,null]}]}"#;
    vec![
        Call::get("/small.txt"),
        Call::post("/json", json),
        Call::get("/medium.bin"),
        Call::post("/echo", &noise(300)),
        Call::post("/digest", &noise(100_000)),
        Call::get("/large.bin"),
        Call::post("/echo", &noise(200_000)),
    ]
}

/// Does something that no good client does, and goes away.
fn sabotage(address: SocketAddr, dice: &mut Dice) {
    let mut stream = connect(address);
    let whole: &[&[u8]] = &[
        b"GET /large.bin HTTP/1.1\r\nHost: us\r\n\r\n",
        b"POST /json HTTP/1.1\r\nHost: us\r\nContent-Length: 30\r\n\r\n[1,2,3,[4,5,6],\"abcdefgh\"]    ",
        b"POST /echo HTTP/1.1\r\nHost: us\r\nContent-Length: 500000\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: us\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\nabc",
        b"POST /digest HTTP/1.1\r\nHost: us\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcBROKEN",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /small.txt HTTP/1.1\r\nHost: us\r\n\r\nGET /medium.bin HTTP/1.1\r\nHo",
    ];
    let request = whole[dice.below(whole.len())];
    // All of it, or cut at any byte.
    let cut = if dice.below(2) == 0 {
        request.len()
    } else {
        dice.below(request.len())
    };
    let _ = stream.write_all(&request[..cut]);
    match dice.below(4) {
        // Gone at once; what is not read makes this a reset.
        0 => {}
        // Gone in the middle of an answer.
        1 => {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
            let _ = stream.read(&mut [0; 1_000]);
        }
        // More of the body, which never ends.
        2 => {
            let _ = stream.write_all(&noise(10_000));
        }
        // Longer than the server waits.
        _ => thread::sleep(Duration::from_millis(dice.below(150) as u64)),
    }
}

#[test]
fn no_buffer_is_lost_under_faults() {
    let site = Site::pooled(Limits {
        idle: Duration::from_secs(10),
        request: Duration::from_millis(100),
        write: Duration::from_secs(5),
        ..limits()
    });
    let until = Instant::now() + Duration::from_secs(seconds());
    let address = site.address();
    let served: u64 = thread::scope(|scope| {
        let good: Vec<_> = [(1, 4), (3, 2)]
            .into_iter()
            .map(|(depth, connections)| {
                scope.spawn(move || {
                    let mut served = 0;
                    while Instant::now() < until {
                        // Their requests arrive whole, so however busy the machine is
                        // they are not too slow: they are read while they are written.
                        let mut load = Load::new(address, connections, depth, calls()).unwrap();
                        for _ in 0..20 {
                            match load.turn(|_| ()) {
                                Ok(turn) => served += turn,
                                Err(_) => break,
                            }
                        }
                    }
                    served
                })
            })
            .collect();
        for seed in 0..2 {
            scope.spawn(move || {
                let mut dice = Dice::new(seed);
                while Instant::now() < until {
                    sabotage(address, &mut dice);
                }
            });
        }
        good.into_iter().map(|good| good.join().unwrap()).sum()
    });
    let counts = site.server.counts();
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    assert!(served > 100, "{served} requests were served");
    assert!(of(&counts.requests) >= served);
    assert!(of(&counts.refused) > 0, "{counts:?}");
    assert!(of(&counts.slow) > 0, "{counts:?}");
    let memory = site.memory.clone();
    site.check();
    let stats = memory.stats();
    // Every class, not only their sum.
    for class in &stats.classes {
        assert_eq!(
            (class.acquires, class.outstanding),
            (class.releases, 0),
            "{stats}"
        );
    }
    assert_eq!(stats.discards.total(), 0);
}
