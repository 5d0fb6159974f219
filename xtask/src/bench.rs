//! `cargo xtask bench`: not written yet on this branch.

/// Flags of the main job.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Measure less, in three minutes at most.
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(args: BenchArgs) -> anyhow::Result<()> {
    anyhow::bail!(
        "the benchmark runner is not part of this tree yet (quick: {})",
        args.quick
    )
}
