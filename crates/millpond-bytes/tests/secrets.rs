//! Secrets are gone from the memory of the process when their buffer is.
#![cfg(all(target_os = "linux", not(miri)))]

use millpond_bytes::{BytePool, Config, PoolBuf};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;

/// Bytes of the secret. It is never in memory as a whole but in the buffer: what
/// is searched for is its complement.
const LEN: usize = 64;

fn complement(index: usize) -> u8 {
    (index * index * 7 + index * 13 + 5).to_le_bytes()[0]
}

fn filled(mut buffer: PoolBuf) -> PoolBuf {
    buffer.resize(buffer.capacity(), 0).expect("it fits");
    for (index, byte) in buffer[100..100 + LEN].iter_mut().enumerate() {
        *byte = !complement(index);
    }
    buffer
}

/// How often the secret is in this process's writable memory, read from outside
/// of the program's own view of it.
fn occurrences() -> usize {
    let memory = File::open("/proc/self/mem").expect("our own memory");
    let maps = BufReader::new(File::open("/proc/self/maps").expect("our own map"));
    let mut found = 0;
    for line in maps.lines() {
        let line = line.expect("a line");
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').expect("a range");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        found += search(&memory, address(from), address(to));
    }
    found
}

fn search(memory: &File, from: u64, to: u64) -> usize {
    const CHUNK: usize = 1 << 20;
    let mut bytes = vec![0; CHUNK + LEN];
    let mut found = 0;
    for at in (from..to).step_by(CHUNK) {
        let len = usize::try_from(to - at).map_or(CHUNK + LEN, |left| left.min(CHUNK + LEN));
        let Ok(read) = memory.read_at(&mut bytes[..len], at) else {
            continue; // Not all that is mapped can be read.
        };
        // What the search itself reads into is mapped as well, so it holds the
        // complement, and is made to before it can be read again.
        bytes[..read].iter_mut().for_each(|byte| *byte = !*byte);
        let starts = bytes[..read].windows(LEN);
        found += starts
            .filter(|window| {
                window
                    .iter()
                    .enumerate()
                    .all(|(i, &byte)| byte == complement(i))
            })
            .count();
        bytes.fill(0);
    }
    found
}

#[test]
fn wiped_buffers_leave_nothing_in_memory() {
    let wiping = BytePool::new(Config::new().with_wipe_on_release(true)).expect("valid");
    let plain = BytePool::default();
    let mut single = plain.acquire(4096).expect("memory");
    single.wipe_on_release();
    let mut oversize = plain.acquire(100_000).expect("memory");
    oversize.wipe_on_release();
    for buffer in [wiping.acquire(4096).expect("memory"), single, oversize] {
        let buffer = filled(buffer);
        assert!(occurrences() >= 1, "the search finds what is there");
        let view = buffer.freeze();
        let other = view.clone();
        drop(view);
        drop(other);
        assert_eq!(occurrences(), 0, "and nothing when it is gone");
    }
    // What is not wiped stays, which shows that the search would find it.
    drop(filled(plain.acquire(4096).expect("memory")));
    assert!(occurrences() >= 1);
}
