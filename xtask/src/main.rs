//! The workspace's own commands.

mod bench;

use clap::Parser;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Command {
    /// Measures millpond against what one would otherwise use
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    match Command::try_parse() {
        Ok(Command::Bench(args)) => bench::run(&args),
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            eprintln!(
                "{}",
                text.lines().next().unwrap_or("error: bad command line")
            );
            ExitCode::from(2)
        }
        Err(error) => error.exit(),
    }
}
