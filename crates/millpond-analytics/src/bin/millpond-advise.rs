//! `millpond-advise`: what to configure, from what was recorded.
//!
//! Exit codes: 0 advice was given, 1 there is nothing to advise on, 2 the
//! question could not be answered.

#![forbid(unsafe_code)]

use clap::Parser;
use millpond_analytics::{Advisor, Snapshot, Trace, fleet};
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Advises on pools: capacity, warm-up, size classes, sizes of arenas.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The Prometheus server that knows the fleet, such as `http://prometheus:9090`.
    #[arg(long, value_name = "URL", required_unless_present_any = ["snapshot", "trace"])]
    prometheus: Option<String>,

    /// Snapshots in JSON instead, one of each machine.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "prometheus")]
    snapshot: Vec<PathBuf>,

    /// A trace instead, which `TraceRecorder` wrote: demand and sizes are exact.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prometheus", "snapshot"])]
    trace: Option<PathBuf>,

    /// How far to look back: a number with s, m, h, d or w.
    #[arg(long, default_value = "1d")]
    window: String,

    /// The share of acquires that is to find an item.
    #[arg(long, default_value_t = 0.99, value_parser = share)]
    hit_rate: f64,

    /// Most classes of a table.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..))]
    classes: u8,

    /// What the sizes of classes are multiples of.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    step_bytes: u32,

    /// How to write the advice.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// As configuration.
    Toml,
    /// For programs.
    Json,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share from 0 to 1 is allowed".to_owned()),
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("millpond-advise: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let step = usize::try_from(arguments.step_bytes)?;
    let advisor = Advisor::new()
        .target_hit_rate(arguments.hit_rate)
        .classes(arguments.classes.into())
        .step_bytes(step);
    let advice = match (&arguments.trace, &arguments.prometheus) {
        (Some(file), _) => {
            let named = |error: &dyn Error| format!("{}: {error}", file.display());
            let file = fs::File::open(file).map_err(|error| named(&error))?;
            advisor.of_trace(&Trace::read(file).map_err(|error| named(&error))?)
        }
        (None, Some(url)) => {
            let server = fleet::Server::new(url);
            advisor.of_snapshot(&server.snapshot(&arguments.window)?)
        }
        (None, None) => advisor.of_snapshot(&read(&arguments.snapshot)?),
    };
    match arguments.output {
        Output::Text => print!("{advice}"),
        Output::Toml => print!("{}", advice.to_toml()),
        Output::Json => println!("{}", serde_json::to_string_pretty(&advice)?),
    }
    if advice.pools.is_empty() {
        eprintln!("millpond-advise: no pool has been used there");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The sum of snapshots in files.
fn read(files: &[PathBuf]) -> Result<Snapshot, Box<dyn Error>> {
    let mut sum: Option<Snapshot> = None;
    for file in files {
        let named = |error: &dyn Error| format!("{}: {error}", file.display());
        let text = fs::read_to_string(file).map_err(|error| named(&error))?;
        let snapshot = Snapshot::from_json(&text).map_err(|error| named(&error))?;
        sum = Some(match sum {
            Some(sum) => sum.merge(&snapshot),
            None => snapshot,
        });
    }
    sum.ok_or_else(|| "no snapshot".into())
}
