//! Where the workspace is, and which packages it has.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};

/// The directory of the virtual manifest.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies one level under the root")
}

/// Where cargo builds. `CARGO_TARGET_DIR` wins, as it does for cargo itself.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A build directory apart from the normal one.
///
/// Builds with other `RUSTFLAGS` would otherwise throw each other's work away.
pub(crate) fn target_dir_for(purpose: &str) -> PathBuf {
    target_dir().join(purpose)
}

/// The workspace's packages and the edges between them, without the registry.
pub(crate) fn metadata() -> Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata failed")
}
