//! Secrets are gone from the memory of the process when their lease is.
#![cfg(all(target_os = "linux", not(miri)))]

use allocator_api2::alloc::Allocator;
use millpond_arena::{ArenaManager, Diagnosis, Lease, Level, Scope, ScopeConfig, Wipe};
use std::alloc::Layout;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;

/// Bytes of the secret. It is never in memory as a whole but in arenas: what is
/// searched for is its complement.
const LEN: usize = 64;

fn complement(index: usize) -> u8 {
    (index * index * 11 + index * 29 + 3).to_le_bytes()[0]
}

/// Writes the secret again and again.
fn spell(place: &mut [u8]) {
    for (index, byte) in place.iter_mut().enumerate() {
        *byte = !complement(index % LEN);
    }
}

/// Overwrites the stack below: what the calls before this one left there are copies
/// of the test's own, which no arena promises to wipe.
#[inline(never)]
fn scrub_stack() {
    let mut dead = [0_u8; 128 << 10];
    std::hint::black_box(&mut dead);
}

/// How often the secret is in this process's writable memory, read from outside
/// of the program's own view of it.
fn occurrences() -> usize {
    scrub_stack();
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
        let complement: [u8; LEN] = core::array::from_fn(complement);
        let starts = bytes[..read].windows(LEN);
        found += starts.filter(|window| **window == complement).count();
        bytes.fill(0);
    }
    found
}

fn manager(wipe: Wipe) -> ArenaManager {
    let mut builder = ArenaManager::builder();
    let config = ScopeConfig::of(16 << 10).with_limit(8 << 20);
    builder.configure(Scope::Json, config.with_wipe(wipe));
    builder.build().expect("figures that agree")
}

/// Allocates by `layout`, and spells.
fn spelled(lease: &Lease<'_>, layout: Layout) -> core::ptr::NonNull<u8> {
    let block = lease.allocate(layout).expect("room");
    // SAFETY: the caller's alone; zeroed first, so that it is initialised.
    unsafe { block.cast::<u8>().write_bytes(0, layout.size()) };
    // SAFETY: initialised above.
    spell(unsafe { core::slice::from_raw_parts_mut(block.as_ptr().cast(), layout.size()) });
    block.cast()
}

/// Puts the secret wherever bytes can be left behind.
fn spread(lease: &Lease<'_>) {
    let layout = |size| Layout::from_size_align(size, 8).expect("small");
    // The last allocation, undone.
    let undone = spelled(lease, layout(256));
    // SAFETY: allocated above.
    unsafe { lease.deallocate(undone, layout(256)) };
    // The last allocation, shrunk.
    let shrunk = spelled(lease, layout(1024));
    // SAFETY: allocated above.
    let shrunk = unsafe { lease.shrink(shrunk, layout(1024), layout(64)) }.expect("room");
    // Grown where it lies, and moved because it is not the last any more.
    // SAFETY: shrunk to this layout above.
    let grown = unsafe { lease.grow(shrunk.cast(), layout(64), layout(512)) }.expect("room");
    spelled(lease, layout(64));
    // SAFETY: grown to this layout above.
    unsafe { lease.grow(grown.cast(), layout(512), layout(2048)) }.expect("room");
    // Vectors that grow in turns leave blocks behind, in several chunks.
    let (mut one, mut two) = (lease.vec::<u8>(), lease.vec::<u8>());
    let mut secret = [0; LEN];
    spell(&mut secret);
    for _ in 0..400 {
        one.extend_from_slice(&secret).expect("room");
        two.extend_from_slice(&secret).expect("room");
    }
    secret.fill(0);
    std::hint::black_box(&mut secret);
    // A large object, resized, and one that is freed early.
    let large = spelled(lease, layout(30_000));
    // SAFETY: allocated above.
    let large = unsafe { lease.grow(large, layout(30_000), layout(90_000)) }.expect("room");
    // SAFETY: grown to this layout above.
    unsafe { lease.shrink(large.cast(), layout(90_000), layout(20_000)) }.expect("room");
    let early = spelled(lease, layout(40_000));
    // SAFETY: allocated above.
    unsafe { lease.deallocate(early, layout(40_000)) };
}

#[test]
fn wiped_arenas_leave_nothing_in_memory() {
    let wiping = manager(Wipe::Zero);
    for round in 0..3 {
        let mut lease = wiping.lease(Scope::Json).expect("memory");
        spread(&lease);
        assert!(occurrences() > 100, "the search finds what is there");
        if round == 1 {
            lease.reset();
            assert_eq!(occurrences(), 0, "nor after a reset");
            spread(&lease);
        }
        if round == 2 {
            // An arena that is discarded on its way home is wiped as well.
            lease.defer(|| panic!("a destructor")).expect("room");
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(lease)));
            assert!(ended.is_err());
        } else {
            drop(lease);
        }
        assert_eq!(occurrences(), 0, "and nothing when it is gone");
    }
    wiping.trim(Level::Full);
    // What is not wiped stays, which shows that the search would find it: in the
    // chunk that is kept, at least.
    let plain = manager(Wipe::Never);
    let lease = plain.lease(Scope::Json).expect("memory");
    spelled(&lease, Layout::from_size_align(1024, 8).expect("small"));
    drop(lease);
    assert!(occurrences() >= 1);
    // Under full diagnostics the pattern lies where it was.
    plain.set_diagnosis(Diagnosis::Full);
    let lease = plain.lease(Scope::Json).expect("memory");
    spelled(&lease, Layout::from_size_align(2048, 8).expect("small"));
    drop(lease);
    assert_eq!(occurrences(), 0);
}
