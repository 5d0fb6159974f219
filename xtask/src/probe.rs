//! The probe: a small program whose exported functions are the fast paths.
//!
//! `benches/probe` wraps each fast path in a function that is never inlined and keeps its
//! name, so that it can be found in the machine code and counted. Run with
//! `NAME TIMES` it calls one of them that often.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::Message;

use crate::{command, workspace};

/// The exported functions: acquire and release of one item, apart and together.
pub(crate) const FAST_PATHS: &[&str] = &[
    "fast_shared_acquire",
    "fast_shared_release",
    "fast_shared_pair",
    "fast_local_acquire",
    "fast_local_release",
    "fast_local_pair",
    "fast_id_lookup",
    "fast_row_acquire",
    "fast_row_release",
    "fast_row_pair",
    "fast_bytes_acquire",
    "fast_bytes_release",
    "fast_bytes_pair",
    "fast_local_bytes_pair",
];

/// Functions that must write zeroes which nobody reads: an exported one, and the one
/// that every wiped buffer goes home through.
pub(crate) const WIPES: &[&str] = &[
    "wipe_of_dead_bytes",
    "millpond_bytes::class::Class::bring_home_slow",
];

/// The same without what keeps the optimiser from leaving it out: it must be gone, or
/// [`WIPES`] would show nothing.
pub(crate) const DEAD_FILL: &str = "fill_of_dead_bytes";

/// Kernels over padded rows, each compiled for several processors: the part of a name
/// that all of its versions have.
pub(crate) const KERNELS: &[&str] = &["kernel::dot", "kernel::l2_squared"];

/// The same work on a pool by itself and on one of a pond, and how many instructions
/// more the latter may take: none. The half instruction is the arenas' look at their
/// retention now and then, which does not fall on the same calls in both.
pub(crate) const FACADE: &[(&str, &str, f64)] = &[
    ("alone_fixed", "pond_fixed", 0.0),
    ("alone_object", "pond_object", 0.0),
    ("alone_row", "pond_row", 0.0),
    ("alone_buffer", "pond_buffer", 0.0),
    ("alone_arena", "pond_arena", 0.5),
];

const PACKAGE: &str = "millpond-probe";

/// Builds the probe as users build: the release profile, no flags of this machine.
pub(crate) fn build() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--package", PACKAGE]);
    cargo.arg("--message-format=json-render-diagnostics");
    cargo
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    cargo
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command::announce(&cargo);
    let output = cargo.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the probe does not build");
    let executable = Message::parse_stream(&output.stdout[..]).find_map(|message| match message {
        Ok(Message::CompilerArtifact(artifact)) if artifact.target.name == PACKAGE => {
            artifact.executable
        }
        _ => None,
    });
    executable
        .map(PathBuf::from)
        .context("cargo built the probe but named no executable")
}
