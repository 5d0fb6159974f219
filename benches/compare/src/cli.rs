//! The command line. `cargo xtask bench` passes its own flags on to this one.

use anyhow::Result;
use clap::Parser;
use clap::error::ErrorKind;
use millpond_bench::refusal::Refusal;
use std::path::PathBuf;

/// Measures millpond against what one would otherwise use.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
pub struct Arguments {
    /// A look instead of a judgement: fewer and shorter rounds
    #[arg(long)]
    pub quick: bool,
    /// List the chapters with the time that they take, and stop
    #[arg(long)]
    pub list: bool,
    /// Run this chapter only; may be repeated
    #[arg(long = "chapter", value_name = "NAME")]
    pub chapters: Vec<String>,
    /// Keep the run as benches/record/NAME.json
    #[arg(long, value_name = "NAME")]
    pub save: Option<String>,
    /// Compare with the record NAME
    #[arg(long, value_name = "NAME")]
    pub against: Option<String>,
    /// Take the real input from this directory
    #[arg(long, value_name = "DIR")]
    pub input: Option<PathBuf>,

    /// Check the request and stop before measuring.
    #[arg(long, hide = true)]
    pub check: bool,
    /// Where the report goes.
    #[arg(long, hide = true, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/report"))]
    pub report: PathBuf,
    /// The same binary under fat link-time optimisation.
    #[arg(long, hide = true)]
    pub fat: Option<PathBuf>,
    /// The variant binary of each cfg, as NAME=PATH.
    #[arg(long = "variant", hide = true, value_parser = pair)]
    pub variants: Vec<(String, String)>,
    /// What was left out, as PEER=REASON.
    #[arg(long = "left-out", hide = true, value_parser = pair)]
    pub left_out: Vec<(String, String)>,
}

/// Parses the command line; a bad one is refused in one line.
pub fn parse() -> Result<Arguments> {
    Arguments::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
        _ => Refusal::because(first_line(&error.to_string())),
    })
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or("bad command line");
    line.trim_start_matches("error: ").to_owned()
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
