//! Kernels over padded rows: whole registers at a time, and never one number.
//!
//! Rows are padded so that no kernel needs code for a rest. Whether the compiler saw it
//! that way shows in the loops: those that calculate do so with packed instructions, in
//! the registers of the processor that the version is for.

use anyhow::{Result, ensure};

use crate::probe;

/// One function of the listing: its whole name, and its instructions with their places.
#[derive(Debug)]
struct Function<'l> {
    name: &'l str,
    instructions: Vec<(u64, &'l str)>,
}

/// What is wrong with a kernel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) function: String,
    pub(super) why: String,
}

/// Looks at every version of every kernel; answers how many there were, and what is wrong.
///
/// # Errors
///
/// If a kernel is not in the listing.
pub(super) fn look(listing: &str) -> Result<(usize, Vec<Finding>)> {
    let (mut seen, mut findings) = (0, Vec::new());
    for kernel in probe::KERNELS {
        let versions = functions(listing, &format!("{kernel}::"));
        ensure!(!versions.is_empty(), "the probe has no version of {kernel}");
        seen += versions.len();
        findings.extend(versions.iter().filter_map(|version| {
            let why = complaint(version)?;
            let function = version.name.to_owned();
            Some(Finding { function, why })
        }));
    }
    Ok((seen, findings))
}

/// The versions of a kernel, which multiversion names so.
fn functions<'l>(listing: &'l str, kernel: &str) -> Vec<Function<'l>> {
    let mut found: Vec<Function<'l>> = Vec::new();
    let mut inside = false;
    for line in listing.lines() {
        if let Some(name) = header(line) {
            inside = name.contains(kernel) && name.ends_with("_version");
            if inside {
                let instructions = Vec::new();
                found.push(Function { name, instructions });
            }
        } else if inside
            && let Some(function) = found.last_mut()
            && let Some((place, instruction)) = line.split_once(":\t")
            && let Ok(place) = u64::from_str_radix(place.trim(), 16)
        {
            function.instructions.push((place, instruction.trim()));
        }
    }
    found
}

fn header(line: &str) -> Option<&str> {
    line.strip_suffix(">:")?
        .split_once('<')
        .map(|(_, name)| name)
}

/// The registers that a version is to use.
fn register(name: &str) -> &'static str {
    match name {
        _ if name.contains("avx512") => "zmm",
        _ if name.contains("avx2") => "ymm",
        _ => "xmm",
    }
}

fn complaint(function: &Function<'_>) -> Option<String> {
    let loops = loops(&function.instructions);
    let scalar = loops.iter().flatten().find(|(_, it)| calculates(it, "ss"));
    if let Some((_, instruction)) = scalar {
        return Some(format!("a loop takes one number at a time: {instruction}"));
    }
    let register = register(function.name);
    let is_packed = |body: &&[(u64, &str)]| {
        let whole = |it: &str| calculates(it, "ps") && it.contains(register);
        body.iter().any(|(_, it)| whole(it))
    };
    let packed = loops.iter().any(|body| is_packed(&&body[..]));
    (!packed).then(|| format!("no loop calculates in {register} registers"))
}

/// The bodies of loops that have no loop inside.
fn loops<'f>(instructions: &'f [(u64, &'f str)]) -> Vec<Vec<(u64, &'f str)>> {
    let jumps = instructions.iter().filter_map(|&(place, instruction)| {
        let target = instruction
            .starts_with('j')
            .then(|| target(instruction))??;
        (target <= place).then_some((target, place))
    });
    let spans: Vec<(u64, u64)> = jumps.collect();
    let first = instructions.first().map_or(0, |(place, _)| *place);
    let innermost = spans.iter().filter(|(start, end)| {
        let inner =
            |(from, to): &&(u64, u64)| from >= start && to <= end && (from, to) != (start, end);
        *start >= first && !spans.iter().any(|span| inner(&span))
    });
    let body = |&(start, end): &(u64, u64)| {
        let within = instructions
            .iter()
            .filter(|(place, _)| (start..=end).contains(place));
        within.copied().collect()
    };
    innermost.map(body).collect()
}

/// Where a jump leads: `jne    4fff0 <name+0x40>`.
fn target(instruction: &str) -> Option<u64> {
    u64::from_str_radix(instruction.split_whitespace().nth(1)?, 16).ok()
}

/// Whether an instruction adds or multiplies floats, `ss` one or `ps` many.
fn calculates(instruction: &str, kind: &str) -> bool {
    let mnemonic = instruction.split_whitespace().next().unwrap_or_default();
    let operation = mnemonic.strip_prefix('v').unwrap_or(mnemonic);
    operation.ends_with(kind)
        && ["add", "sub", "mul", "fmadd", "fnmadd"]
            .iter()
            .any(|stem| operation.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(version: &str, body: &[&str]) -> String {
        let lines = body.iter().zip(0x1000..);
        let lines: String = lines
            .map(|(it, at)| format!("    {at:x}:\t{it}\n"))
            .collect();
        format!("0000000000001000 <k::dot::dot_{version}_version>:\n{lines}\n")
    }

    fn complaint_of(version: &str, body: &[&str]) -> Option<String> {
        let listing = listing(version, body);
        let functions = functions(&listing, "k::dot::");
        assert_eq!(
            (functions.len(), functions[0].instructions.len()),
            (1, body.len())
        );
        complaint(&functions[0])
    }

    #[test]
    fn packed_loops_of_the_right_width_are_left_alone() {
        let cases = [
            (
                "default",
                [
                    "xorps xmm0,xmm0",
                    "mulps  xmm1,xmm0",
                    "jne    1001 <f+0x1>",
                    "addss  xmm0,xmm1",
                ],
            ),
            (
                "avx2",
                [
                    "vxorps ymm0,ymm0",
                    "vmulps ymm1,ymm0,ymm2",
                    "jne    1001 <f+0x1>",
                    "ret",
                ],
            ),
            (
                "avx2_avx512f",
                [
                    "nop",
                    "vfmadd231ps zmm1,zmm0,zmm2",
                    "jne    1001 <f+0x1>",
                    "ret",
                ],
            ),
        ];
        for (version, body) in cases {
            assert_eq!(complaint_of(version, &body), None, "{version}");
        }
    }

    #[test]
    fn scalar_and_narrow_loops_and_no_loop_at_all_are_found() {
        let cases = [
            (
                "default",
                ["nop", "mulss  xmm1,xmm0", "jne    1001 <f+0x1>", "ret"],
            ),
            (
                "avx2",
                [
                    "vmulps ymm1,ymm0,ymm2",
                    "jne    1000 <f>",
                    "vaddss xmm1,xmm0",
                    "jne    1002 <f+0x2>",
                ],
            ),
            (
                "avx2_avx512f",
                ["nop", "vmulps ymm1,ymm0,ymm2", "jne    1001 <f+0x1>", "ret"],
            ),
            (
                "default",
                ["mulps  xmm1,xmm0", "addps  xmm1,xmm2", "nop", "ret"],
            ),
        ];
        for (version, body) in cases {
            assert!(
                complaint_of(version, &body).is_some(),
                "{version}: {body:?}"
            );
        }
    }

    #[test]
    fn a_kernel_that_is_not_there_is_an_error() {
        assert!(look("0000000000001000 <main>:\n    1000:\tret\n").is_err());
    }
}
