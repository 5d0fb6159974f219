//! `cargo xtask bench`: builds what the benchmarks need, then runs them.
//!
//! ```text
//!  trial     which peers with C or C++ parts compile, link and start here?  (cached)
//!  release   the binary that is judged; it checks the request before anything else is built
//!  fat       the same under fat link-time optimisation, shown beside it
//!  variants  one tiny binary under three cfgs: what our own mechanisms cost
//! ```
//!
//! Everything lives below `target/bench`, and the report in `target/report`.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The flags of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// A look instead of a judgement: fewer and shorter rounds
    #[arg(long)]
    quick: bool,
    /// List the chapters with the time that they take, and stop
    #[arg(long)]
    list: bool,
    /// Run this chapter only; may be repeated
    #[arg(long = "chapter", value_name = "NAME")]
    chapters: Vec<String>,
    /// Keep the run as benches/record/NAME.json
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    /// Compare with the record NAME
    #[arg(long, value_name = "NAME")]
    against: Option<String>,
    /// Take the real input from this directory
    #[arg(long, value_name = "DIR")]
    input: Option<PathBuf>,
}

/// The flags of `cargo xtask replay`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// A trace that `TraceRecorder` of `millpond-analytics` wrote
    trace: PathBuf,
    /// Replay what this pool did only
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// A table of size classes to try too, such as 2048,4096,8192; may be repeated
    #[arg(long = "classes", value_name = "BYTES,...")]
    tables: Vec<String>,
    /// The byte pool of a pond's configuration to try too: TOML, such as advice; may be
    /// repeated
    #[arg(long = "config", value_name = "FILE")]
    configurations: Vec<PathBuf>,
}

/// Builds the replayer with the peers that build here, and runs it.
pub(crate) fn replay(args: &ReplayArgs) -> ExitCode {
    match Workshop::find().and_then(|workshop| workshop.replay(args)) {
        Ok(code) => code,
        Err(error) => crate::cannot(&error),
    }
}

/// Builds and runs; the exit code is the benchmark's own where it got that far.
pub(crate) fn run(args: &BenchArgs) -> ExitCode {
    match Workshop::find().and_then(|workshop| workshop.bench(args)) {
        Ok(code) => code,
        Err(error) => crate::cannot(&error),
    }
}

impl BenchArgs {
    /// The same flags, for the binary that carries them out.
    fn passed_on(&self) -> Vec<String> {
        let mut flags = Vec::new();
        let mut push = |flag: &str, value: Option<&str>| {
            flags.push(flag.to_owned());
            flags.extend(value.map(str::to_owned));
        };
        if self.quick {
            push("--quick", None);
        }
        if self.list {
            push("--list", None);
        }
        for chapter in &self.chapters {
            push("--chapter", Some(chapter));
        }
        for (flag, value) in [("--save", &self.save), ("--against", &self.against)] {
            if let Some(value) = value {
                push(flag, Some(value));
            }
        }
        if let Some(input) = &self.input {
            push("--input", Some(&input.to_string_lossy()));
        }
        flags
    }
}

/// A peer with C or C++ parts: a feature of `benches/compare`.
const PEERS: [&str; 3] = ["mimalloc", "jemalloc", "snmalloc"];

/// Names that the benchmark knows its variants by, and the cfg of each.
const VARIANTS: [(&str, &str, Option<&str>); 3] = [
    ("millpond as shipped", "shipped", None),
    ("without reclaim", "no-reclaim", Some("millpond_no_reclaim")),
    (
        "without counters",
        "no-counters",
        Some("millpond_no_counters"),
    ),
];

/// Where things are built.
struct Workshop {
    workspace: PathBuf,
    target: PathBuf,
}

impl Workshop {
    fn find() -> Result<Self> {
        let metadata = cargo_metadata::MetadataCommand::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .no_deps()
            .exec()
            .context("cargo metadata failed")?;
        let workspace = metadata.workspace_root.into_std_path_buf();
        Ok(Self {
            workspace,
            target: metadata.target_directory.into_std_path_buf(),
        })
    }

    fn bench(&self, args: &BenchArgs) -> Result<ExitCode> {
        let trials = self.trials()?;
        let compare = self.build_compare("release", &trials)?;
        let flags = args.passed_on();
        if args.list {
            return exit_code(Command::new(&compare).args(&flags));
        }
        let checked = Command::new(&compare)
            .args(&flags)
            .arg("--check")
            .status()?;
        if !checked.success() {
            return Ok(ExitCode::from(checked.code().map_or(1, code_of)));
        }
        let mut command = Command::new(&compare);
        command
            .args(&flags)
            .arg("--report")
            .arg(self.target.join("report"));
        command
            .arg("--fat")
            .arg(self.build_compare("fat", &trials)?);
        for (name, directory, cfg) in VARIANTS {
            let path = self.build_variant(directory, cfg)?;
            command
                .arg("--variant")
                .arg(format!("{name}={}", path.display()));
        }
        for trial in &trials {
            if let Some(reason) = &trial.failure {
                command
                    .arg("--left-out")
                    .arg(format!("{}={reason}", trial.peer));
            }
        }
        exit_code(&mut command)
    }

    fn replay(&self, args: &ReplayArgs) -> Result<ExitCode> {
        // Before anything is built for it.
        for file in std::iter::once(&args.trace).chain(&args.configurations) {
            let opened = std::fs::File::open(file);
            opened.with_context(|| format!("cannot read {}", file.display()))?;
        }
        let replay = self.build_with_peers("replay", "release", &self.trials()?)?;
        let mut command = Command::new(replay);
        command.arg(&args.trace);
        if let Some(pool) = &args.pool {
            command.args(["--pool", pool]);
        }
        for table in &args.tables {
            command.args(["--classes", table]);
        }
        for file in &args.configurations {
            command.arg("--config").arg(file);
        }
        exit_code(&mut command)
    }

    fn build_compare(&self, profile: &str, trials: &[Trial]) -> Result<PathBuf> {
        self.build_with_peers("millpond-compare", profile, trials)
    }

    fn build_with_peers(&self, binary: &str, profile: &str, trials: &[Trial]) -> Result<PathBuf> {
        let features = trials.iter().filter(|trial| trial.failure.is_none());
        let features: Vec<&str> = features.map(|trial| trial.peer.as_str()).collect();
        let mut cargo = self.cargo_compare(binary, &features);
        cargo.args(["--profile", profile]);
        if profile == "release" && features.contains(&"mimalloc") {
            cargo.args(["--bin", "on-mimalloc"]);
        }
        succeed(&mut cargo)?;
        Ok(self.compare_target().join(profile).join(executable(binary)))
    }

    fn cargo_compare(&self, binary: &str, features: &[&str]) -> Command {
        let mut cargo = cargo();
        cargo
            .current_dir(self.workspace.join("benches/compare"))
            .args([
                "build",
                "--locked",
                "--bin",
                binary,
                "--features",
                &features.join(","),
            ])
            .arg("--target-dir")
            .arg(self.compare_target());
        cargo
    }

    fn compare_target(&self) -> PathBuf {
        self.target.join("bench/compare")
    }

    /// Another cfg is another build of everything below it, so each has its own directory.
    fn build_variant(&self, directory: &str, cfg: Option<&str>) -> Result<PathBuf> {
        let target = self.target.join("bench").join(directory);
        let mut cargo = cargo();
        cargo
            .current_dir(&self.workspace)
            .args([
                "build",
                "--locked",
                "--release",
                "--package",
                "millpond-variant",
            ])
            .arg("--target-dir")
            .arg(&target);
        if let Some(cfg) = cfg {
            let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
            cargo.env("RUSTFLAGS", format!("{flags} --cfg {cfg}"));
        }
        succeed(&mut cargo)?;
        Ok(target.join("release").join(executable("millpond-variant")))
    }
}

/// Whether a peer can be had on this machine.
#[derive(Debug, Serialize, Deserialize)]
struct Trial {
    peer: String,
    /// Why not, in one line.
    failure: Option<String>,
}

/// Trials and what they depended on: compilers and locked versions.
#[derive(Debug, Serialize, Deserialize)]
struct Cache {
    circumstances: u64,
    trials: Vec<Trial>,
}

impl Workshop {
    /// Trial compiles, or what they found last time in the same circumstances.
    fn trials(&self) -> Result<Vec<Trial>> {
        let path = self.target.join("bench/peers.json");
        let circumstances = self.circumstances()?;
        let cached = std::fs::read(&path)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok());
        if let Some(Cache {
            circumstances: then,
            trials,
        }) = cached
            && then == circumstances
        {
            return Ok(trials);
        }
        let trials = PEERS
            .map(|peer| self.try_peer(peer))
            .into_iter()
            .collect::<Result<_>>()?;
        let cache = Cache {
            circumstances,
            trials,
        };
        std::fs::create_dir_all(self.target.join("bench"))?;
        std::fs::write(&path, serde_json::to_vec(&cache)?)?;
        Ok(cache.trials)
    }

    fn circumstances(&self) -> Result<u64> {
        let mut hasher = DefaultHasher::new();
        let compare = self.workspace.join("benches/compare");
        for file in ["Cargo.toml", "Cargo.lock"] {
            let path = compare.join(file);
            let text = std::fs::read(&path).with_context(|| format!("no {}", path.display()))?;
            text.hash(&mut hasher);
        }
        for (tool, flag) in [("rustc", "-vV"), ("cc", "--version"), ("c++", "--version")] {
            let output = Command::new(tool).arg(flag).output();
            output.ok().map(|output| output.stdout).hash(&mut hasher);
        }
        for choice in ["CC", "CXX", "CFLAGS", "CXXFLAGS"] {
            std::env::var_os(choice).hash(&mut hasher);
        }
        Ok(hasher.finish())
    }

    /// Compiles, links and starts a program that allocates from `peer`.
    fn try_peer(&self, peer: &str) -> Result<Trial> {
        eprintln!("trying whether {peer} builds here");
        let built = self
            .cargo_compare("trial", &[peer])
            .arg("--release")
            .output()?;
        let said = if built.status.success() {
            let run = Command::new(
                self.compare_target()
                    .join("release")
                    .join(executable("trial")),
            );
            let ran = { run }.output()?;
            if ran.status.success() {
                return Ok(Trial {
                    peer: peer.into(),
                    failure: None,
                });
            }
            ran.stderr
        } else {
            built.stderr
        };
        let reason = telling_line(&String::from_utf8_lossy(&said));
        eprintln!("leaving {peer} out: {reason}");
        Ok(Trial {
            peer: peer.into(),
            failure: Some(reason),
        })
    }
}

/// The line of a failed build that says most: the C compiler's, or the first error.
fn telling_line(text: &str) -> String {
    let find = |part: &str| text.lines().find(|line| line.contains(part));
    let line = find("error occurred")
        .or_else(|| find("error:"))
        .or_else(|| text.lines().next());
    line.unwrap_or("no message")
        .trim()
        .trim_start_matches("error: ")
        .to_owned()
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn executable(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}

/// Runs a quiet cargo to its end; says what is going on only if it takes a while,
/// so that a request that is refused is refused in one line.
fn succeed(cargo: &mut Command) -> Result<()> {
    let cargo = cargo.arg("--quiet").stdin(Stdio::null());
    let mut running = cargo.spawn().context("cannot start cargo")?;
    let began = Instant::now();
    let mut announced = false;
    let status = loop {
        if let Some(status) = running.try_wait()? {
            break status;
        }
        if !announced && began.elapsed() > PATIENCE {
            eprintln!("building: {}", shown(cargo));
            announced = true;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if !status.success() {
        bail!("the build failed: {}", shown(cargo));
    }
    Ok(())
}

/// How long a build may take before it is worth a line.
const PATIENCE: Duration = Duration::from_secs(1);

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn exit_code(command: &mut Command) -> Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    Ok(ExitCode::from(status.code().map_or(1, code_of)))
}

fn code_of(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(1)
}
