//! Allocates once from each peer that was compiled in.
//!
//! `cargo xtask bench` builds and runs this with one feature at a time, to learn
//! which peers compile, link and start on this machine.

use std::alloc::{GlobalAlloc, Layout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let peers: &[(&str, &dyn GlobalAlloc)] = &[
        #[cfg(feature = "mimalloc")]
        ("mimalloc", &mimalloc::MiMalloc),
        #[cfg(feature = "jemalloc")]
        ("jemalloc", &tikv_jemallocator::Jemalloc),
        #[cfg(feature = "snmalloc")]
        ("snmalloc", &snmalloc_rs::SnMalloc),
    ];
    for (name, peer) in peers {
        if !serves(*peer) {
            eprintln!("error: {name} returned no memory");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn serves(peer: &dyn GlobalAlloc) -> bool {
    let layout = Layout::new::<[u64; 8]>();
    // SAFETY: the layout's size is not 0.
    let memory = unsafe { peer.alloc(layout) };
    if memory.is_null() {
        return false;
    }
    // SAFETY: `memory` is valid for the layout, which has room for a byte.
    unsafe { memory.write_volatile(1) };
    // SAFETY: it came from this peer with this layout.
    unsafe { peer.dealloc(memory, layout) };
    true
}
