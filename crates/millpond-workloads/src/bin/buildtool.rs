//! `buildtool`: flags, references, checksums and archives of a container build.

use anyhow::{Context, Result, ensure};
use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use millpond_analytics::{Registry, Tracker};
use millpond_workloads::buildtool::checksum::{self, Algorithm};
use millpond_workloads::buildtool::flags::Description;
use millpond_workloads::buildtool::log::{Level, Log};
use millpond_workloads::buildtool::memory::{Heap, Memory, Pooled};
use millpond_workloads::buildtool::reference::Reference;
use millpond_workloads::buildtool::runtime::{Runtime, StandIn};
use millpond_workloads::buildtool::{Service, Workshop, archive};
use millpond_workloads::cli::{self, MemoryArgs, Named};
use millpond_workloads::{corpus, memory};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

/// The parts of a container build that work on memory.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
    #[command(flatten)]
    memory: MemoryArgs,
    /// Print what the pools did
    #[arg(long, global = true)]
    stats: bool,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Print the flags of a build, one a line
    Flags(Told),
    /// Print image references in full
    Reference {
        /// References, as in alpine:3.20
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Print digests of files, as sha256sum does
    Checksum {
        /// Files or directories
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// How files are digested
        #[arg(long, value_enum, default_value_t = Algorithm::Sha256)]
        algorithm: Algorithm,
        /// Threads; all cores if 0
        #[arg(long, default_value_t = 0, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(0..=256))]
        threads: usize,
    },
    /// Write a directory as a tar archive
    ///
    /// Regular files only, and not the archive itself, where that lies in the directory; links,
    /// special files, and folders named `target`, `.git` and `node_modules` are left out. Equal files
    /// give an equal archive.
    Archive {
        /// The directory
        directory: PathBuf,
        /// The archive; .gz or .tgz at its end compresses it
        archive: PathBuf,
    },
    /// Prepare the build of a service: its flags, name, digest and archive
    Build(Build),
    /// Answer as a container runtime would, until interrupted
    StandIn {
        /// Where to listen; port 0 takes a free one
        #[arg(default_value = "127.0.0.1:0", value_parser = cli::address)]
        address: SocketAddr,
    },
}

#[derive(Debug, Args)]
struct Build {
    /// The image to be built
    image: String,
    /// The directory that the build sees
    context: PathBuf,
    /// The archive to be written
    archive: PathBuf,
    /// A container runtime to build it, as HOST:PORT
    #[arg(long, value_name = "ADDRESS", value_parser = cli::address)]
    runtime: Option<SocketAddr>,
    #[command(flatten)]
    told: Told,
}

/// Connections to a runtime at once.
const CONNECTIONS: usize = 4;

/// What a build is told.
#[derive(Debug, Args)]
struct Told {
    /// A label; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// A build argument; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    build_arg: Vec<(String, String)>,
    /// A platform; may be repeated
    #[arg(long, value_name = "SYSTEM/ARCHITECTURE")]
    platform: Vec<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Told {
    fn description(&self) -> Result<Description> {
        let mut description = Description::default();
        self.label
            .iter()
            .try_for_each(|(key, value)| description.label(key, value))?;
        self.build_arg
            .iter()
            .try_for_each(|(key, value)| description.argument(key, value))?;
        self.platform
            .iter()
            .try_for_each(|platform| description.platform(platform))?;
        Ok(description)
    }
}

fn main() -> ExitCode {
    cli::run(|arguments: Arguments| match arguments.memory.memory {
        memory::Memory::Heap => carry_out(&arguments.task, &Heap, &Tracker::new(&Registry::new())),
        memory::Memory::Pooled => {
            let pools = Pooled::new()?;
            let observed = pools
                .pools()
                .map(|(name, pool)| (name, Arc::new(pool.clone())));
            let registry = Registry::new();
            for (name, pool) in &observed {
                registry.register_as(name, pool)?;
            }
            let tracker = Tracker::new(&registry);
            carry_out(&arguments.task, &pools, &tracker)?;
            if arguments.stats {
                for (name, pool) in &observed {
                    let hit_rate = pool.stats().hit_rate() * 100.0;
                    cli::note(format_args!("{name}: hit rate {hit_rate:.1} %"));
                }
                let report = tracker.report();
                if !report.operations.is_empty() {
                    cli::note(report.to_string().trim_end());
                }
            }
            Ok(())
        }
    })
}

fn carry_out<M: Memory>(task: &Task, memory: &M, tracker: &Tracker) -> Result<()> {
    let mut out = cli::output();
    match task {
        Task::Flags(told) => {
            let flags = told.description()?.as_flags_in(memory)?;
            flags.iter().try_for_each(|flag| writeln!(out, "{flag}"))?;
        }
        Task::Reference { images } => {
            for image in images {
                let full = Reference::parse(image)?.text_in(memory)?;
                writeln!(out, "{}", &*full)?;
            }
        }
        Task::Checksum {
            paths,
            algorithm,
            threads,
        } => {
            for path in paths {
                print_digests(path, *algorithm, *threads, memory, &mut out)?;
            }
        }
        Task::Archive { directory, archive } => {
            let files = write_archive(directory, archive, memory)?;
            writeln!(out, "{}", cli::counted(files, "file"))?;
        }
        Task::Build(build) => return build.carry_out(memory, tracker, out),
        Task::StandIn { address } => return stand_in(*address, out),
    }
    Ok(out.flush()?)
}

fn print_digests(
    path: &Path,
    algorithm: Algorithm,
    threads: usize,
    memory: &impl Memory,
    out: &mut impl Write,
) -> Result<()> {
    let files = files_of(path)?;
    let bar = cli::progress_files("hashing", &files);
    let done = |bytes| bar.inc(bytes);
    let digests = checksum::files(&files, algorithm, cores(threads), memory, &done)?;
    bar.finish_and_clear();
    for (file, digest) in files.iter().zip(digests) {
        writeln!(out, "{digest}  {}", file.display())?;
    }
    Ok(())
}

/// Answers how many files are in the archive.
fn write_archive(directory: &Path, archive: &Path, memory: &impl Memory) -> Result<usize> {
    let (file, files) = archive_of(directory, archive)?;
    let bar = cli::progress_files("archiving", &files);
    let done = |bytes| bar.inc(bytes);
    let compressed = archive
        .extension()
        .is_some_and(|end| end == "gz" || end == "tgz");
    if compressed {
        archive::tar_gz(directory, &files, memory, file, done)?;
    } else {
        archive::tar(directory, &files, memory, file, done)?;
    }
    bar.finish_and_clear();
    Ok(files.len())
}

impl Build {
    fn carry_out(&self, memory: &impl Memory, tracker: &Tracker, out: impl Write) -> Result<()> {
        let description = self.told.description()?;
        Reference::parse(&self.image)?; // Before the archive is made.
        let (file, files) = archive_of(&self.context, &self.archive)?;
        let service = Service {
            image: &self.image,
            description: &description,
            context: &self.context,
            files: &files,
        };
        let bar = cli::progress_files("building", &files);
        let mut log = Log::new(memory, Level::Info, out);
        let mut workshop = Workshop::new(memory, cores(0))?.tracked(tracker);
        let built = workshop.build(&service, &mut log, file, |bytes| bar.inc(bytes))?;
        bar.finish_and_clear();
        if let Some(address) = self.runtime {
            let asking = Runtime::new(address, CONNECTIONS);
            let asked = asking.build(&built.image, &built.context);
            system()?.block_on(asked)?;
            log.entry(Level::Info, format_args!("built {}", built.image))?;
        }
        log.flush()
    }
}

fn stand_in(address: SocketAddr, mut out: impl Write) -> Result<()> {
    system()?.block_on(async {
        let stand_in = StandIn::bind(address, u32::MAX).await?;
        writeln!(out, "listening at {}", stand_in.address()?)?;
        out.flush()?;
        stand_in.serve(Arc::default()).await
    })
}

/// An empty archive, and the files below `directory` that go into it: not itself.
fn archive_of(directory: &Path, archive: &Path) -> Result<(Named<File>, Vec<PathBuf>)> {
    let mut files = files_of(directory)?;
    let file = cli::create(archive)?;
    let of = |path: &Path| path.canonicalize().ok();
    let itself = of(archive);
    // Names are compared first, because asking the system for each file takes long.
    files.retain(|path| path.file_name() != archive.file_name() || of(path) != itself);
    Ok((file, files))
}

/// The files below a path, which must be there.
fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    let found = path.metadata();
    let found = found.with_context(|| path.display().to_string())?;
    let readable = found.is_file() || found.is_dir();
    ensure!(readable, "{}: neither file nor directory", path.display());
    corpus::every_file(path)
}

fn system() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(2).enable_io().build()?)
}

fn cores(threads: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if threads == 0 { cores } else { threads }
}
