//! `pipeline`: takes N-Triples through hooks and prints receipts.

use anyhow::{Context, Result};
use clap::Parser;
use millpond_workloads::cli::{self, InputArgs, MemoryArgs, counted};
use millpond_workloads::memory::Memory;
use millpond_workloads::pipeline::memory::{Buffers, Heap, Ledger, RECEIPTS, local_buffers};
use millpond_workloads::pipeline::ntriples::Parser as NTriples;
use millpond_workloads::pipeline::receipt::{Page, Receipt};
use millpond_workloads::pipeline::reflex::Question;
use millpond_workloads::pipeline::{Passed, Pattern, Pipeline, sample};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Takes N-Triples through pattern hooks, eight triples at a time.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// A file of N-Triples, or - for standard input; without it, statements about the files of
    /// --input
    #[arg(conflicts_with_all = ["input", "limit"])]
    file: Option<PathBuf>,
    /// Count the triples with this predicate, as in <urn:knows>; may be repeated
    #[arg(long, value_name = "IRI", value_parser = predicate)]
    predicate: Vec<String>,
    /// Print every receipt as a line
    #[arg(long)]
    receipts: bool,
    /// Statements to make of --input at most
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    memory: MemoryArgs,
}

/// Bytes between two steps of the progress bar, so that it costs nothing beside a run.
const PROGRESS: u64 = 256 << 10;

fn main() -> ExitCode {
    cli::run(|arguments: Arguments| match arguments.memory.memory {
        Memory::Heap => pass(&arguments, &Heap, Heap),
        Memory::Pooled => pass(&arguments, &local_buffers(), Page::new(RECEIPTS)),
    })
}

fn pass<B: Buffers, L: Ledger>(arguments: &Arguments, buffers: &B, ledger: L) -> Result<()> {
    let (name, text) = text(arguments)?;
    let mut pipeline = Pipeline::new(buffers, ledger);
    for predicate in &arguments.predicate {
        let predicate = Some(predicate.as_str());
        pipeline.hook(
            Pattern {
                predicate,
                ..Pattern::ANY
            },
            Question::Count,
        );
    }
    let mut out = cli::output();
    let (mut answers, mut written) = (vec![0_u64; arguments.predicate.len()], Ok(()));
    let began = Instant::now();
    let bar = cli::progress_bytes("reading", text.len() as u64);
    let read = |bytes: usize| {
        if bytes as u64 >= bar.position() + PROGRESS {
            bar.set_position(bytes as u64);
        }
    };
    let ended = pipeline.ingest_watched(&text, read, |receipt| {
        answers[receipt.hook as usize] += u64::from(receipt.answer);
        if arguments.receipts && written.is_ok() {
            written = print(&mut out, receipt);
        }
    });
    let took = began.elapsed();
    bar.finish_and_clear();
    ended.with_context(|| name.clone())?;
    written?;
    for (predicate, answer) in arguments.predicate.iter().zip(answers) {
        writeln!(out, "{answer} × {predicate}")?;
    }
    let Passed {
        statements,
        runs,
        receipts,
    } = pipeline.passed();
    let (terms, memory) = (pipeline.terms().len(), arguments.memory.memory);
    writeln!(
        out,
        "{name}: {}, {}, {}, {} in {took:.1?} ({memory})",
        counted(statements, "statement"),
        counted(terms, "term"),
        counted(runs, "run"),
        counted(receipts, "receipt")
    )?;
    out.flush()?;
    Ok(())
}

/// A predicate in canonical form, as statements have it.
fn predicate(text: &str) -> Result<String, String> {
    let statement = format!("<urn:s> {text} <urn:o> .");
    match NTriples::new(&statement).statement() {
        Ok(Some([_, predicate, _])) if !text.contains(char::is_whitespace) => {
            Ok(predicate.to_owned())
        }
        _ => Err("expected an absolute IRI in <>, as in <urn:knows>".into()),
    }
}

fn text(arguments: &Arguments) -> Result<(String, String)> {
    let Some(file) = &arguments.file else {
        let documents = arguments.input.documents(usize::MAX)?;
        let text = sample::ntriples(&documents, arguments.limit);
        return Ok(("the corpus".into(), text));
    };
    let (name, bytes) = cli::read(file)?;
    let text = String::from_utf8(bytes);
    let text = text.with_context(|| format!("{name}: not UTF-8"))?;
    Ok((name, text))
}

fn print(out: &mut impl Write, receipt: &Receipt) -> io::Result<()> {
    let Receipt {
        hook,
        answer,
        run,
        tick,
        lanes,
        ..
    } = receipt;
    writeln!(
        out,
        "run {tick} {run:016x} hook {hook} lanes {lanes:08b} answer {answer}"
    )
}
