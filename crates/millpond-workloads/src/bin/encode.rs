//! `encode`: packs text files into glyph codes, and unpacks them.

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use millpond_workloads::cli::{self, InputArgs, MemoryArgs};
use millpond_workloads::corpus::Document;
use millpond_workloads::encoder::archive::{Packed, pack, unpack};
use millpond_workloads::encoder::memory::{Heap, Memory, Pooled};
use millpond_workloads::encoder::sizing::Sizing;
use millpond_workloads::memory;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

/// Packs text files into glyph codes of a learned dictionary, and unpacks them.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
    #[command(flatten)]
    memory: MemoryArgs,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Pack the text files of --input
    Pack {
        /// The archive to write
        archive: PathBuf,
        /// Bytes of text to take at most
        #[arg(long, default_value_t = usize::MAX, hide_default_value = true, value_name = "N")]
        limit: usize,
        #[command(flatten)]
        input: InputArgs,
    },
    /// Unpack an archive into a directory
    Unpack {
        /// The archive to read, or - for standard input
        archive: PathBuf,
        /// Where the files go
        directory: PathBuf,
    },
}

fn main() -> ExitCode {
    cli::run(|arguments: Arguments| match arguments.memory.memory {
        memory::Memory::Heap => carry_out(&arguments.task, &Heap),
        memory::Memory::Pooled => {
            let pools = Pooled::new(Sizing::adaptive())?;
            carry_out(&arguments.task, &pools)?;
            let stats = pools.stats();
            cli::note(format_args!(
                "pages: {} in the pool, {} acquires, {:.1} % overflows, {} resizes",
                stats.pool_size,
                stats.acquires,
                stats.overflow_rate * 100.0,
                stats.resizes
            ));
            Ok(())
        }
    })
}

fn carry_out<M: Memory>(task: &Task, memory: &M) -> Result<()> {
    let mut said = cli::output();
    match task {
        Task::Pack {
            archive,
            limit,
            input,
        } => {
            let documents = input.documents(*limit)?;
            let total = documents
                .iter()
                .map(|document| document.text.len() as u64)
                .sum();
            let bar = cli::progress_bytes("packing", total);
            let mut out = BufWriter::new(cli::create(archive)?);
            let packed = pack(&documents, memory, &mut out, |bytes| bar.inc(bytes))?;
            out.flush()?;
            bar.finish_and_clear();
            let Packed {
                documents,
                text_bytes,
                archive_bytes,
            } = packed;
            let ratio = text_bytes as f64 / archive_bytes as f64;
            writeln!(
                said,
                "{}, {text_bytes} bytes of text in {archive_bytes}: {ratio:.2} ×",
                cli::counted(documents, "document")
            )?;
        }
        Task::Unpack { archive, directory } => {
            let (name, bytes) = cli::read(archive)?;
            let bar = cli::progress_bytes("unpacking", bytes.len() as u64);
            let mut count = 0;
            unpack(&bytes, memory, |document, at| {
                count += 1;
                bar.set_position(at as u64);
                write(directory, &document)
            })
            .context(name)?;
            bar.finish_and_clear();
            writeln!(said, "{}", cli::counted(count, "document"))?;
        }
    }
    Ok(said.flush()?)
}

/// Writes a document below `directory`, and nowhere else.
fn write(directory: &Path, document: &Document) -> Result<()> {
    let path = Path::new(&document.path);
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    ensure!(
        inside,
        "{}: the path leads out of the directory",
        document.path
    );
    let path = directory.join(path);
    let folder = path.parent().unwrap_or(directory);
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(&path, &document.text).with_context(|| path.display().to_string())
}
