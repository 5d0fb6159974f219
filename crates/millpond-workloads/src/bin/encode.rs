//! `encode`: packs text files into glyph codes, and unpacks them.

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use millpond_workloads::cli::{self, InputArgs, MemoryArgs};
use millpond_workloads::corpus::Document;
use millpond_workloads::encoder::archive::{Packed, pack, unpack};
use millpond_workloads::encoder::memory::{Heap, Memory, Pooled};
use millpond_workloads::encoder::sizing::Sizing;
use millpond_workloads::memory;
use std::fs::{self, File};
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
        /// The archive to read
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
            eprintln!(
                "pages: {} in the pool, {} acquires, {:.1} % overflows, {} resizes",
                stats.pool_size,
                stats.acquires,
                stats.overflow_rate * 100.0,
                stats.resizes
            );
            Ok(())
        }
    })
}

fn carry_out<M: Memory>(task: &Task, memory: &M) -> Result<()> {
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
            let name = || archive.display().to_string();
            let mut out = BufWriter::new(File::create(archive).with_context(name)?);
            let packed = pack(&documents, memory, &mut out, |bytes| bar.inc(bytes))?;
            out.flush().with_context(name)?;
            bar.finish_and_clear();
            let Packed {
                documents,
                text_bytes,
                archive_bytes,
            } = packed;
            let ratio = text_bytes as f64 / archive_bytes as f64;
            println!(
                "{documents} documents, {text_bytes} bytes of text in {archive_bytes}: {ratio:.2} ×"
            );
            Ok(())
        }
        Task::Unpack { archive, directory } => {
            let bytes = cli::read(archive)?;
            let bar = cli::progress_bytes("unpacking", bytes.len() as u64);
            let mut count = 0;
            unpack(&bytes, memory, |document, at| {
                count += 1;
                bar.set_position(at as u64);
                write(directory, &document)
            })
            .with_context(|| archive.display().to_string())?;
            bar.finish_and_clear();
            println!("{count} documents");
            Ok(())
        }
    }
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
