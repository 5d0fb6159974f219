//! The parent: plans, starts workers one after another, judges, reports.

use crate::CHAPTERS;
use crate::cli::Arguments;
use crate::workloads::{MIMALLOC, on_mimalloc};
use anyhow::{Result, anyhow};
use millpond_bench::against::changes;
use millpond_bench::chapter::Chapter;
use millpond_bench::corpus::Corpus;
use millpond_bench::pin;
use millpond_bench::plan::{Build, Mode, Task, expected};
use millpond_bench::progress::{Progress, spoken};
use millpond_bench::provenance::{BuildNote, Provenance};
use millpond_bench::record::{ChapterRecord, LeftOut, Run, path_of};
use millpond_bench::refusal::Refusal;
use millpond_bench::report::{Against, Report};
use millpond_bench::worker::{self, Outcome, Quiet, Request};
use millpond_quiet::Tally;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const RECORDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../record");

/// Everything that a request may get wrong is found before the first measurement.
pub fn run(arguments: &Arguments) -> Result<()> {
    let chapters = chosen(&arguments.chapters)?;
    if arguments.list {
        list();
        return Ok(());
    }
    if let Some(name) = &arguments.save {
        path_of(Path::new(RECORDS), name)?;
    }
    let corpus = Corpus::load(Path::new(WORKSPACE), arguments.input.as_deref())?;
    let earlier = arguments
        .against
        .as_ref()
        .map(|name| earlier(name, &corpus))
        .transpose()?;
    if arguments.check {
        return Ok(());
    }
    let run = measure(arguments, &chapters, corpus)?;
    if let Some(name) = &arguments.save {
        run.save(Path::new(RECORDS), name)?;
        println!("saved as benches/record/{name}.json");
    }
    conclude(arguments, &run, earlier.as_ref())
}

fn chosen(names: &[String]) -> Result<Vec<&'static Chapter>> {
    if names.is_empty() {
        return Ok(CHAPTERS.to_vec());
    }
    let find = |name: &String| {
        CHAPTERS
            .iter()
            .copied()
            .find(|chapter| chapter.name == name)
            .ok_or_else(|| {
                let known: Vec<_> = CHAPTERS.iter().map(|chapter| chapter.name).collect();
                Refusal::because(format!(
                    "no chapter {name:?}; there is {}",
                    known.join(", ")
                ))
            })
    };
    names.iter().map(find).collect()
}

fn list() {
    for chapter in CHAPTERS {
        let time = |mode| spoken(expected(&(chapter.tasks)(mode)));
        let (quick, full) = (time(Mode::Quick), time(Mode::Full));
        println!(
            "{:14} quick {quick}, full {full}\n{:14} {}",
            chapter.name, "", chapter.question
        );
    }
}

fn earlier(name: &str, corpus: &Corpus) -> Result<Run> {
    let run = Run::load(Path::new(RECORDS), name)?;
    run.require_same_corpus(&corpus.note())?;
    Ok(run)
}

fn measure(arguments: &Arguments, chapters: &[&Chapter], corpus: Corpus) -> Result<Run> {
    let mode = if arguments.quick {
        Mode::Quick
    } else {
        Mode::Full
    };
    let builds = Builds::of(arguments)?;
    let left_out = builds.left_out(arguments);
    let provenance = Provenance::gather(Path::new(WORKSPACE), build_note());
    let mut run = Run::new(mode, provenance, corpus.note(), left_out);
    let plans: Vec<(&Chapter, Vec<Task>)> = chapters
        .iter()
        .map(|chapter| (*chapter, builds.possible((chapter.tasks)(mode))))
        .collect();
    let all: Vec<Task> = plans.iter().flat_map(|(_, tasks)| tasks.clone()).collect();
    let mut progress = Progress::through(&all);
    let mut watch = Watch::default();
    for (chapter, tasks) in plans {
        watch.calibrate();
        let record = measure_chapter(chapter, tasks, &builds, &corpus, &mut progress, &mut watch);
        run.chapters.push(record.inspect_err(|_| progress.clear())?);
    }
    progress.clear();
    run.provenance.finish(watch.tally);
    Ok(run)
}

fn measure_chapter(
    chapter: &Chapter,
    tasks: Vec<Task>,
    builds: &Builds,
    corpus: &Corpus,
    progress: &mut Progress,
    watch: &mut Watch,
) -> Result<ChapterRecord> {
    let began = Instant::now();
    let mut record = ChapterRecord::new(chapter);
    for task in tasks {
        progress.begin(chapter.name, &task.label);
        let binary = builds
            .binary(&task.build)
            .ok_or_else(|| anyhow!("no {:?}", task.build))?;
        let request = Request {
            chapter: chapter.name.into(),
            quiet: watch.quiet(task.expected),
            corpus: Some(corpus.clone()),
            ..task.request
        };
        let outcome = worker::ask(binary, &request)?;
        watch.note(&outcome);
        for mut measured in outcome.measurements {
            if let Build::Variant(name) = task.build {
                measured.contender = name.into();
            }
            record.add(&task.build, measured)?;
        }
        progress.finish(task.expected);
    }
    record.seconds = began.elapsed().as_secs_f64();
    record.conclude(chapter);
    Ok(record)
}

fn conclude(arguments: &Arguments, run: &Run, earlier: Option<&Run>) -> Result<()> {
    let against = arguments
        .against
        .as_deref()
        .zip(earlier)
        .map(|(name, then)| Against {
            name,
            origin: format!(
                "{} run of {}, commit {}, {}",
                then.mode.word(),
                then.provenance.date,
                then.provenance.commit_marked(),
                then.provenance.cpu
            ),
            changes: changes(then, run),
        });
    let report = Report { run, against };
    report.print();
    let page = report.write_to(&arguments.report)?;
    let page = page.canonicalize().unwrap_or(page);
    println!("report: {}", page.display());
    Ok(())
}

/// Looks out for neighbours that are busy on our cores.
struct Watch {
    /// The lowest quotient that a core showed.
    quotient: f64,
    tally: Tally,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            quotient: f64::INFINITY,
            tally: Tally::default(),
        }
    }
}

impl Watch {
    /// Looks at our core again. It has one lowest quotient; at times nobody shows it.
    fn calibrate(&mut self) {
        self.quotient = self.quotient.min(millpond_quiet::calibrate());
    }

    /// A process may wait for half as long as it should take.
    fn quiet(&self, expected: Duration) -> Quiet {
        let patience = (expected / 2).as_micros();
        Quiet {
            quotient: self.quotient,
            patience_micros: u64::try_from(patience).unwrap_or(u64::MAX),
        }
    }

    fn note(&mut self, outcome: &Outcome) {
        self.tally.slices += outcome.slices.slices;
        self.tally.shared += outcome.slices.shared;
    }
}

/// The binaries that tasks run in.
struct Builds<'a> {
    own: PathBuf,
    /// The workloads' worker with another global allocator, beside this binary.
    on_mimalloc: Option<PathBuf>,
    arguments: &'a Arguments,
}

impl<'a> Builds<'a> {
    fn of(arguments: &'a Arguments) -> Result<Self> {
        let own = std::env::current_exe()?;
        Ok(Self {
            on_mimalloc: on_mimalloc(&own),
            own,
            arguments,
        })
    }

    fn binary(&self, build: &Build) -> Option<&Path> {
        match build {
            Build::Release => Some(&self.own),
            Build::Fat => self.arguments.fat.as_deref(),
            Build::Variant(MIMALLOC) => self.on_mimalloc.as_deref(),
            Build::Variant(wanted) => {
                let mut variants = self.arguments.variants.iter();
                variants
                    .find(|(name, _)| name == wanted)
                    .map(|(_, path)| Path::new(path))
            }
        }
    }

    /// The tasks whose build exists; what is missing is in [`Builds::left_out`].
    fn possible(&self, tasks: Vec<Task>) -> Vec<Task> {
        tasks
            .into_iter()
            .filter(|task| self.binary(&task.build).is_some())
            .collect()
    }

    fn left_out(&self, arguments: &Arguments) -> Vec<LeftOut> {
        let note = |peer: &str, reason: &str| LeftOut {
            peer: peer.into(),
            reason: reason.into(),
        };
        let mut left_out: Vec<LeftOut> = arguments
            .left_out
            .iter()
            .map(|(peer, reason)| note(peer, reason))
            .collect();
        if self.arguments.fat.is_none() {
            left_out.push(note("fat LTO", "not built"));
        }
        for name in crate::variants::NAMES {
            if self.binary(&Build::Variant(name)).is_none() {
                left_out.push(note(name, "variant not built"));
            }
        }
        if pin::core_count() < 2 {
            left_out.push(note(
                "rows on two threads",
                "this process may use one core only",
            ));
        }
        left_out
    }
}

/// How this binary was built, and which peers it holds.
fn build_note() -> BuildNote {
    BuildNote {
        compiler: env!("MILLPOND_BUILD_COMPILER").into(),
        profiles: profiles(include_str!("../Cargo.toml")),
        flags: env!("MILLPOND_BUILD_FLAGS").into(),
        target: env!("MILLPOND_BUILD_TARGET").into(),
        peers: peers(include_str!("../Cargo.lock")),
    }
}

/// The profiles as the manifest states them: `release: opt-level = 3, lto = false`.
fn profiles(manifest: &str) -> Vec<String> {
    let sections = manifest.split("\n[profile.").skip(1);
    let described = sections.filter_map(|section| {
        let (name, settings) = section.split_once("]\n")?;
        let lines = settings.lines().take_while(|line| !line.is_empty());
        Some(format!("{name}: {}", lines.collect::<Vec<_>>().join(", ")))
    });
    described.collect()
}

/// Locked versions of the packages that contenders are made of.
fn peers(lock: &str) -> Vec<String> {
    let wanted = [
        ("mimalloc", cfg!(feature = "mimalloc")),
        ("tikv-jemallocator", cfg!(feature = "jemalloc")),
        ("snmalloc-rs", cfg!(feature = "snmalloc")),
        ("opool", true),
        ("zeropool", true),
        ("bytes", true),
        ("bytesbuf", true),
        ("object-pool", true),
        ("lockfree-object-pool", true),
        ("crossbeam-queue", true),
        ("sharded-slab", true),
        ("slab", true),
        ("slotmap", true),
        ("thunderdome", true),
    ];
    let version = |name: &str| {
        let at = lock.find(&format!("name = \"{name}\"\nversion = \""))?;
        lock[at..].split('"').nth(3)
    };
    let present = wanted.into_iter().filter(|(_, present)| *present);
    present
        .filter_map(|(name, _)| Some(format!("{name} {}", version(name)?)))
        .collect()
}
