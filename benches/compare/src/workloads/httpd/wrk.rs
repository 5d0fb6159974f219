//! What the program `wrk` says of the servers.

use super::super::SLICE;
use super::servers::{Remote, in_all_modes};
use super::{Traffic, WRK, WRK_PERCENTILES};
use anyhow::{Context, Result, bail, ensure};
use millpond_bench::counting;
use millpond_bench::worker::{Measurement, Request};
use millpond_workloads::httpd::load::Call;
use std::fmt::Write;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

const ROWS: [&str; 4] = [
    WRK,
    WRK_PERCENTILES[0],
    WRK_PERCENTILES[1],
    WRK_PERCENTILES[2],
];

/// What `wrk` measures of the servers, which take turns. Nothing, where there is no such
/// program.
pub fn measure(request: &Request) -> Result<Vec<Measurement>> {
    counting::pause();
    let traffic = Traffic::of(request)?;
    let servers = in_all_modes(request)?;
    let folder = std::env::temp_dir().join(format!("millpond-wrk-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("traffic.lua");
    std::fs::write(&path, script(&traffic.calls(WRK)))?;
    // Less than a second cannot be asked for.
    let quick = SLICE.as_micros() >= request.slice_micros.into();
    let measured = in_turn(&servers, if quick { 1 } else { 3 }, &path);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn in_turn(servers: &[Remote], runs: usize, script: &Path) -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    for server in servers {
        measured.extend(ROWS.map(|row| Measurement::new(row, server.mode, Vec::new())));
    }
    for run in 0..runs {
        for turn in 0..servers.len() {
            let place = (run + turn) % servers.len();
            let Some(found) = figures(servers[place].address, script)? else {
                return Ok(Vec::new());
            };
            let rows = &mut measured[place * ROWS.len()..][..ROWS.len()];
            for (measurement, figure) in rows.iter_mut().zip(found) {
                measurement.values.push(figure);
            }
        }
    }
    Ok(measured)
}

/// The figures of [`ROWS`], or `None` where there is no `wrk`.
fn figures(server: SocketAddr, script: &Path) -> Result<Option<[f64; 4]>> {
    let ran = Command::new("wrk")
        .args(["--threads", "1", "--connections", "64", "--duration", "1s"])
        .arg("--script")
        .arg(script)
        .arg(format!("http://{server}"))
        .output();
    let output = match ran {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        ran => ran?,
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.strip_prefix("said "));
    let line = line.with_context(|| format!("wrk said {said:?}"))?;
    let numbers: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [requests, micros, failed, p50, p99, p999] = numbers[..] else {
        bail!("wrk said {line:?}");
    };
    ensure!(failed == 0.0 && requests > 0.0, "wrk said {line:?}");
    Ok(Some([micros / requests, p50 * 1e3, p99 * 1e3, p999 * 1e3]))
}

/// What wrk is told: the calls in turn, and to say its figures in one line.
fn script(calls: &[Call]) -> String {
    let mut script = String::from("local calls, turn = {}, 0\n");
    for call in calls {
        script.push_str("calls[#calls + 1] = \"");
        for byte in call.as_bytes() {
            let _ = write!(script, "\\{byte:03}");
        }
        script.push_str("\"\n");
    }
    script.push_str(
        "request = function() turn = turn % #calls + 1 return calls[turn] end\n\
         done = function(summary, latency)\n\
         local errors = summary.errors\n\
         local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout\n\
         io.write(string.format('said %d %d %d %d %d %d\\n', summary.requests, summary.duration, failed,\n\
         latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))\n\
         end\n",
    );
    script
}
