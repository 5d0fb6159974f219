//! `codebase`: index files, search them, serve them as tools.

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use millpond_workloads::cli::{self, InputArgs, MemoryArgs, counted};
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
    #[command(flatten)]
    common: Common,
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
    },
    /// Print the files that a query means
    Search {
        /// Words, names or a sentence
        #[arg(value_parser = query)]
        query: String,
        /// How many files
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// What decides
        #[arg(long, value_enum, default_value_t = By::Hybrid)]
        by: By,
    },
    /// Serve tools over the Model Context Protocol on standard input and output
    Serve,
}

#[derive(Args)]
struct Common {
    /// The database; made by index and serve if it is not there
    #[arg(long, value_name = "FILE", default_value = "code.redb", global = true)]
    db: PathBuf,
    #[command(flatten)]
    memory: MemoryArgs,
    /// Print what the pools did, as JSON on standard error
    #[arg(long, global = true)]
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
    cli::run(|Cli { command, common }| match common.memory.memory {
        memory::Memory::Heap => run(Heap, &command, &common),
        memory::Memory::Pooled => run(Pooled::new(), &command, &common),
    })
}

fn run<M: Memory>(memory: M, command: &Command, common: &Common) -> Result<()> {
    let report = match command {
        Command::Index { input, each } => index(memory, &common.db, input, *each),
        Command::Search { query, limit, by } => {
            search(memory, &common.db, query, (*by).into(), (*limit).into())
        }
        Command::Serve => serve(memory, &common.db),
    }?;
    if common.stats {
        cli::note(format_args!("{report:#}"));
    }
    Ok(())
}

fn query(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("expected at least a word".into()),
        _ => Ok(text.to_owned()),
    }
}

/// The texts to be saved, each under its path below the folder that its root is.
fn files_of(input: &InputArgs) -> Result<Vec<(String, String)>> {
    let (mut files, roots) = (Vec::new(), input.roots()?);
    for root in &roots {
        // `.` and `..` have no name of their own.
        let named = root.canonicalize()?;
        let folder = named.file_name().filter(|_| root.is_dir());
        let folder = folder.map(|name| format!("{}/", name.to_string_lossy()));
        let folder = folder.unwrap_or_default();
        let documents = corpus::documents(std::slice::from_ref(root), usize::MAX);
        for document in documents.unwrap_or_default() {
            files.push((format!("{folder}{}", document.path), document.text));
        }
    }
    let first = roots.first().map(|root| root.display().to_string());
    ensure!(
        !files.is_empty(),
        "no text below {}",
        first.unwrap_or_default()
    );
    Ok(files)
}

/// Files that are saved in one transaction.
const BATCH: usize = 256;

fn index<M: Memory>(memory: M, db: &Path, input: &InputArgs, each: bool) -> Result<Value> {
    let files = files_of(input)?;
    let mut code = Codebase::open(memory, Store::open(db)?)?;
    let total = files.iter().map(|(_, text)| text.len() as u64).sum();
    let bar = cli::progress_bytes("index", total);
    let mut out = cli::output();
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
        "{}, {}, {}, {}",
        counted(size.files, "file"),
        counted(size.nodes, "node"),
        counted(size.edges, "edge"),
        counted(size.words, "word")
    )?;
    out.flush()?;
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
        if hits.is_empty() {
            cli::note(format_args!("nothing found for {query:?}"));
        }
        let mut out = cli::output();
        for hit in hits {
            match hit.symbol {
                Some((name, line)) => writeln!(out, "{:.4} {}:{line} {name}", hit.score, hit.path)?,
                None => writeln!(out, "{:.4} {}", hit.score, hit.path)?,
            }
        }
        Ok(out.flush()?)
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
