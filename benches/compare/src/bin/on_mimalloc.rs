//! The workloads' worker with mimalloc as the global allocator.
//!
//! A program has one global allocator, so the third memory mode is a build of its
//! own. It carries out the tasks of the workloads' chapters, on the heap only.

#[path = "../workloads/mod.rs"]
#[allow(dead_code, reason = "the chapters' other half is the parent's")]
mod workloads;

use millpond_bench::counting::Counting;
use millpond_bench::worker;
use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static HEAP: Counting<MiMalloc> = Counting::new(MiMalloc);

fn main() -> ExitCode {
    match worker::serve(workloads::on_the_heap) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
