//! Runs the chapters, with peers, and writes the report.
//!
//! `cargo xtask bench` builds this in two profiles and starts it; by itself it
//! runs too, without what only a second build can show.

mod analytics;
mod cli;
mod contender;
mod contenders;
mod field_arena;
mod field_bytes;
mod field_fixed;
mod field_vector;
mod kernels;
mod ours;
mod session;
mod variants;
mod workloads;

use anyhow::Context;
use millpond_bench::chapter::Chapter;
use millpond_bench::counting::Counting;
use millpond_bench::{refusal, worker};
use std::alloc::System;
use std::process::ExitCode;

/// Counts what pools take from the heap; contenders on an allocator call theirs directly.
#[global_allocator]
static HEAP: Counting<System> = Counting::new(System);

/// All chapters, in the order of the report.
static CHAPTERS: &[&Chapter] = &[
    &field_fixed::CHAPTER,
    &field_arena::CHAPTER,
    &field_bytes::CHAPTER,
    &field_vector::CHAPTER,
    &analytics::CHAPTER,
    &workloads::encoder::CHAPTER,
    &workloads::pipeline::CHAPTER,
    &workloads::buildtool::CHAPTER,
    #[cfg(unix)]
    &workloads::httpd::CHAPTER,
    &workloads::codebase::CHAPTER,
];

fn main() -> ExitCode {
    let done = if std::env::args().nth(1).as_deref() == Some(worker::ARGUMENT) {
        worker::serve(work)
    } else {
        cli::parse().and_then(|arguments| session::run(&arguments))
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(refusal::exit_code(&error))
        }
    }
}

fn work(request: &worker::Request) -> anyhow::Result<Vec<worker::Measurement>> {
    let chapter = CHAPTERS
        .iter()
        .find(|chapter| chapter.name == request.chapter);
    (chapter.context("no such chapter")?.work)(request)
}
