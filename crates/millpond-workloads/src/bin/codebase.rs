//! `codebase`: index files, search them, serve them as tools.

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use millpond_workloads::cli::{self, InputArgs, MemoryArgs};
use millpond_workloads::codebase::{Codebase, Heap, Memory, Pooled, Ranking, Store, ToolServer};
use millpond_workloads::{corpus, memory};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A code database with search and a tool server.
#[derive(Parser)]
#[command(name = "codebase", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Save files into a database
    Index {
        #[command(flatten)]
        input: InputArgs,
        /// One transaction for each file, each named on standard output once it lasts
        #[arg(long)]
        each: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Print the files that a query means
    Search {
        /// Words, names or a sentence
        query: String,
        /// How many files
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// What decides
        #[arg(long, value_enum, default_value_t = By::Hybrid)]
        by: By,
        #[command(flatten)]
        common: Common,
    },
    /// Serve tools over the Model Context Protocol on standard input and output
    Serve {
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
struct Common {
    /// The database; made if it is not there
    #[arg(long, value_name = "FILE", default_value = "code.redb")]
    db: PathBuf,
    #[command(flatten)]
    memory: MemoryArgs,
    /// Print what the pools did, as JSON on standard error
    #[arg(long)]
    stats: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    Hybrid,
    Text,
    Vector,
    Graph,
}

impl From<By> for Ranking {
    fn from(by: By) -> Self {
        match by {
            By::Hybrid => Self::Hybrid,
            By::Text => Self::Text,
            By::Vector => Self::Vector,
            By::Graph => Self::Graph,
        }
    }
}

fn main() -> ExitCode {
    cli::run(|Cli { command }| match &command {
        Command::Index { common, .. }
        | Command::Search { common, .. }
        | Command::Serve { common } => match common.memory.memory {
            memory::Memory::Heap => run(Heap, &command, common),
            memory::Memory::Pooled => run(Pooled::new(), &command, common),
        },
    })
}

fn run<M: Memory>(memory: M, command: &Command, common: &Common) -> Result<()> {
    let report = match command {
        Command::Index { input, each, .. } => index(memory, &common.db, input, *each),
        Command::Search {
            query, limit, by, ..
        } => search(memory, &common.db, query, (*by).into(), (*limit).into()),
        Command::Serve { .. } => serve(memory, &common.db),
    }?;
    if common.stats {
        eprintln!("{report:#}");
    }
    Ok(())
}

/// Files that are saved in one transaction.
const BATCH: usize = 256;

fn index<M: Memory>(memory: M, db: &Path, input: &InputArgs, each: bool) -> Result<Value> {
    let mut files = Vec::new();
    for root in input.roots()? {
        let folder = root
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for document in corpus::documents(&[root], usize::MAX).unwrap_or_default() {
            files.push((format!("{folder}/{}", document.path), document.text));
        }
    }
    if files.is_empty() {
        bail!(
            "no text below {}",
            input
                .input
                .as_deref()
                .unwrap_or(Path::new("the workspace"))
                .display()
        );
    }
    let mut code = Codebase::open(memory, Store::open(db)?)?;
    let total = files.iter().map(|(_, text)| text.len() as u64).sum();
    let bar = cli::progress_bytes("index", total);
    let mut out = std::io::stdout().lock();
    for batch in files.chunks(if each { 1 } else { BATCH }) {
        let batch: Vec<(&str, &str)> = batch
            .iter()
            .map(|(path, text)| (&**path, &**text))
            .collect();
        let mut saved = None;
        code.save_files(&batch, |path, done| saved = Some((path.to_owned(), done)))?;
        bar.inc(batch.iter().map(|(_, text)| text.len() as u64).sum());
        if let (true, Some((path, done))) = (each, saved) {
            writeln!(out, "{} {path}", done.version)?;
            out.flush()?;
        }
    }
    bar.finish_and_clear();
    let size = code.size();
    writeln!(
        out,
        "{} files, {} nodes, {} edges, {} words",
        size.files, size.nodes, size.edges, size.words
    )?;
    Ok(code.report())
}

fn search<M: Memory>(
    memory: M,
    db: &Path,
    query: &str,
    by: Ranking,
    limit: usize,
) -> Result<Value> {
    let code = open(memory, db)?;
    code.search(query, by, limit, |hits| -> Result<()> {
        let mut out = std::io::stdout().lock();
        for hit in hits {
            match hit.symbol {
                Some((name, line)) => writeln!(out, "{:.4} {}:{line} {name}", hit.score, hit.path)?,
                None => writeln!(out, "{:.4} {}", hit.score, hit.path)?,
            }
        }
        Ok(())
    })??;
    Ok(code.report())
}

fn serve<M: Memory>(memory: M, db: &Path) -> Result<Value> {
    let server = ToolServer::new(Codebase::open(memory, Store::open(db)?)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_io()
        // At the end of the input answers that are under way are waited for, not for ever.
        .enable_time()
        .build()?;
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    let served = runtime.block_on(server.serve(input, output));
    // A thread may still be reading standard input; nobody waits for it.
    runtime.shutdown_background();
    served
}

/// Opens a database that must be there.
fn open<M: Memory>(memory: M, db: &Path) -> Result<Codebase<M>> {
    db.metadata()
        .with_context(|| format!("database {}", db.display()))?;
    Codebase::open(memory, Store::open(db)?)
}
