//! Where figures come from: without this, a figure is a rumour.

use millpond_quiet::Tally;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::Command;

/// What a reader needs to know before believing or repeating a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provenance {
    /// When the run began, in UTC.
    pub date: String,
    /// The commit that was measured.
    pub commit: String,
    /// Whether the work tree differed from it.
    pub dirty: bool,
    /// Physical or virtual, architecture, system.
    pub machine: String,
    /// The processor's model name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory of the machine in GiB.
    pub memory_gib: f64,
    /// The kernel's release.
    pub kernel: String,
    /// Compiler, profiles and flags.
    pub build: BuildNote,
    /// Load average over one minute before the run, and after it.
    pub load: [Option<f64>; 2],
    /// How many slices were timed, and how many of them beside a busy neighbour.
    #[serde(default)]
    pub slices: Tally,
    /// Whether threads could be pinned.
    pub pinned: bool,
}

/// How the measured binary was built; known to the binary, not to us.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BuildNote {
    /// `rustc --version`.
    pub compiler: String,
    /// The profiles' settings, as their manifest states them.
    pub profiles: Vec<String>,
    /// `RUSTFLAGS`, or nothing.
    pub flags: String,
    /// Target triple.
    pub target: String,
    /// The peers that were compiled in, with their locked versions.
    pub peers: Vec<String>,
}

impl Provenance {
    /// Looks around, before the first measurement.
    #[must_use]
    pub fn gather(workspace: &Path, build: BuildNote) -> Self {
        let commit = git(workspace, &["rev-parse", "--short=12", "HEAD"]);
        let status = git(workspace, &["status", "--porcelain"]);
        let cores = crate::pin::core_count();
        Self {
            date: jiff::Timestamp::now()
                .strftime("%Y-%m-%d %H:%M UTC")
                .to_string(),
            commit: commit.unwrap_or_else(|| "unknown".into()),
            dirty: status.is_some_and(|status| !status.is_empty()),
            machine: machine(),
            cpu: cpu_field("model name").unwrap_or_else(|| "unknown".into()),
            cores,
            memory_gib: memory_gib().unwrap_or(0.0),
            kernel: read_trimmed("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into()),
            build,
            load: [load_average(), None],
            slices: Tally::default(),
            pinned: std::thread::spawn(|| crate::pin::to_core(0))
                .join()
                .unwrap_or(false),
        }
    }

    /// Notes the load once the measurements are over, and what they were.
    pub fn finish(&mut self, slices: Tally) {
        self.slices = slices;
        self.load[1] = load_average();
    }

    /// The commit, marked where the work tree differed.
    #[must_use]
    pub fn commit_marked(&self) -> String {
        let mark = if self.dirty {
            " with uncommitted changes"
        } else {
            ""
        };
        format!("{}{mark}", self.commit)
    }

    /// Label and value of each fact, for all reports.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let load = |load: Option<f64>| load.map_or("unknown".into(), |load| format!("{load:.2}"));
        vec![
            ("commit", self.commit_marked()),
            ("date", self.date.clone()),
            (
                "machine",
                format!(
                    "{}, {} cores, {:.0} GiB",
                    self.machine, self.cores, self.memory_gib
                ),
            ),
            ("processor", self.cpu.clone()),
            ("kernel", self.kernel.clone()),
            (
                "compiler",
                format!("{} for {}", self.build.compiler, self.build.target),
            ),
            ("profiles", self.build.profiles.join("; ")),
            (
                "flags",
                if self.build.flags.is_empty() {
                    "none".into()
                } else {
                    self.build.flags.clone()
                },
            ),
            (
                "threads",
                if self.pinned {
                    "pinned".into()
                } else {
                    "not pinned".into()
                },
            ),
            (
                "load before, after",
                format!("{}, {}", load(self.load[0]), load(self.load[1])),
            ),
            (
                "beside a busy neighbour",
                format!("{} of {} slices", self.slices.shared, self.slices.slices),
            ),
            ("peers", self.build.peers.join(", ")),
        ]
    }
}

fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .current_dir(directory)
        .args(arguments)
        .output()
        .ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

fn machine() -> String {
    let virtual_machine = cpu_field("flags").map(|flags| flags.contains("hypervisor"));
    let kind = match virtual_machine {
        Some(true) => "virtual machine",
        Some(false) => "physical machine",
        None => "machine of unknown kind",
    };
    format!(
        "{kind}, {} {}",
        std::env::consts::ARCH,
        std::env::consts::OS
    )
}

fn cpu_field(name: &str) -> Option<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_gib() -> Option<f64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib: f64 = meminfo
        .lines()
        .next()?
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()?;
    Some(kib / f64::from(1 << 20))
}

fn load_average() -> Option<f64> {
    read_trimmed("/proc/loadavg")?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn read_trimmed(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}
