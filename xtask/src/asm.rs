//! `cargo xtask asm`: the machine code of the fast paths, read with `objdump`.
//!
//! A fast path has no locked instruction, no fence, no exchange with memory, no system
//! call, and leaves only for functions that are cold by name (`…_slow`, `…_cold`). One
//! locked instruction costs more than everything else on the path together, and nothing
//! but the machine code shows that none has crept in.
//!
//! The kernels of the vector pools are looked at too: see [`kernels`].
//! So is what wipes: see [`wipes`].

mod calls;
mod kernels;
mod wipes;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{Verdict, command, probe, tool};

/// What a call may lead to: the parts of a name that say "cold".
const COLD: &[&str] = &["_slow", "_cold"];

/// Disassemblers that print the format we read. A linker for Rust brings the first along.
const DISASSEMBLERS: &[&str] = &["objdump", "llvm-objdump"];

/// One instruction as printed, and why it must not be there.
#[derive(Debug, PartialEq, Eq)]
struct Intruder {
    instruction: String,
    why: &'static str,
}

pub(crate) fn run() -> Result<Verdict> {
    let probe = probe::build()?;
    let mut clean = true;
    for function in probe::FAST_PATHS {
        let instructions = disassemble(&probe, function)?;
        let intruders = intruders(function, &instructions);
        println!(
            "{function}: {} instructions, {} intruders",
            instructions.len(),
            intruders.len()
        );
        for intruder in &intruders {
            println!("    {:<60} {}", intruder.instruction, intruder.why);
        }
        clean &= intruders.is_empty();
    }
    let (versions, findings) = kernels::look(&listing(&probe)?)?;
    println!("kernels: {versions} versions, {} findings", findings.len());
    for finding in &findings {
        println!("    {:<60} {}", finding.function, finding.why);
    }
    let wiped = wipes::look(&probe)?;
    Ok(Verdict::from_holds(clean && findings.is_empty() && wiped))
}

/// The machine code of the whole probe, as a disassembler prints it.
fn listing(probe: &Path) -> Result<String> {
    objdump(
        probe,
        &[
            "--disassemble",
            "--demangle",
            "--no-show-raw-insn",
            "-M",
            "intel",
        ],
    )
}

fn objdump(probe: &Path, flags: &[&str]) -> Result<String> {
    let program = DISASSEMBLERS.iter().find(|program| tool::answers(program));
    ensure!(
        program.is_some(),
        "objdump is missing: it comes with the package `binutils`"
    );
    let mut objdump = Command::new(program.copied().unwrap_or_default());
    command::output_of(objdump.args(flags).arg(probe))
}

fn disassemble(probe: &Path, function: &str) -> Result<Vec<String>> {
    let listing = listing(probe)?;
    let table = calls::table(&objdump(probe, &["--dynamic-reloc"])?, &listing);
    let instructions = body(&listing, function).into_iter();
    let instructions: Vec<_> = instructions
        .map(|instruction| calls::named(instruction, &table))
        .collect();
    ensure!(
        !instructions.is_empty(),
        "{} has no function {function}",
        probe.display()
    );
    Ok(instructions)
}

/// The instructions of one function in a listing, without addresses.
fn body(listing: &str, function: &str) -> Vec<String> {
    let header = format!("<{function}>:");
    let after = listing
        .lines()
        .skip_while(|line| !line.ends_with(&header))
        .skip(1);
    let lines = after.take_while(|line| !line.trim().is_empty());
    lines
        .filter_map(|line| Some(line.split_once(":\t")?.1.trim().to_owned()))
        .collect()
}

fn intruders(function: &str, instructions: &[String]) -> Vec<Intruder> {
    let intruder = |instruction: &String| {
        let why = complaint(function, instruction)?;
        Some(Intruder {
            instruction: instruction.clone(),
            why,
        })
    };
    instructions.iter().filter_map(intruder).collect()
}

fn complaint(function: &str, instruction: &str) -> Option<&'static str> {
    let mnemonic = instruction.split_whitespace().next()?;
    match mnemonic {
        "lock" => Some("a locked instruction"),
        "mfence" | "sfence" | "lfence" => Some("a fence"),
        "xchg" if instruction.contains('[') => Some("an exchange with memory is locked"),
        "syscall" | "int" => Some("a system call"),
        "call" => departs(function, instruction).then_some("a call that is not cold"),
        _ if mnemonic.starts_with('j') => {
            departs(function, instruction).then_some("a jump to code that is not cold")
        }
        _ => None,
    }
}

/// Whether a call or jump leads outside of the function, to something that is not cold.
fn departs(function: &str, instruction: &str) -> bool {
    let Some(target) = target(instruction) else {
        return true;
    };
    let within = target == function && !instruction.starts_with("call");
    !within && !COLD.iter().any(|part| target.contains(part))
}

/// The function that `<name+0x12>` at the end of an instruction names.
fn target(instruction: &str) -> Option<&str> {
    let name = instruction.split_once('<')?.1.rsplit_once('>')?.0;
    Some(name.rsplit_once("+0x").map_or(name, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gate itself: `cargo test` reads the machine code of this build.
    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn the_fast_paths_have_no_lock_no_fence_and_no_stray_call() {
        let probe = probe::build().unwrap();
        for function in probe::FAST_PATHS {
            let instructions = disassemble(&probe, function).unwrap();
            assert_eq!(intruders(function, &instructions), [], "{function}");
            assert!(
                instructions
                    .iter()
                    .any(|instruction| instruction.starts_with("ret")),
                "{function}"
            );
        }
    }

    /// As above, for the kernels: they are vectorised, whole registers at a time.
    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn kernels_over_padded_rows_are_vectorised() {
        let probe = probe::build().unwrap();
        let (versions, findings) = kernels::look(&listing(&probe).unwrap()).unwrap();
        assert_eq!(findings, []);
        assert_eq!(versions, 3 * probe::KERNELS.len());
    }

    /// As above: what is wiped is written, and what is merely filled is not.
    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn wiped_bytes_are_written_though_nobody_reads_them() {
        assert!(wipes::look(&probe::build().unwrap()).unwrap());
    }

    #[test]
    fn each_intruder_is_found() {
        let cases = [
            "lock cmpxchg QWORD PTR [rdi],rsi",
            "lock dec DWORD PTR [rax]",
            "mfence",
            "sfence",
            "lfence",
            "xchg   QWORD PTR [rdi],rax",
            "syscall",
            "call   1040 <malloc@plt>",
            "call   QWORD PTR [rip+0x2f12]        # 5000 <__tls_get_addr@GLIBC_2.3>",
            "call   rax",
            "call   1000 <f>",
            "jmp    1040 <<core::vec::Vec<T> as Drop>::drop>",
            "jne    1040 <g+0x10>",
            "jmp    rax",
        ];
        for instruction in cases {
            assert!(complaint("f", instruction).is_some(), "{instruction}");
        }
    }

    #[test]
    fn what_belongs_there_is_left_alone() {
        let cases = [
            "mov    rax,QWORD PTR fs:0xfffffffffffffff8",
            "xchg   ax,ax",
            "jne    1020 <f+0x20>",
            "jmp    1020 <f>",
            "call   2000 <millpond_core::pool::Pool::acquire_slow>",
            "jmp    2000 <<T as millpond_core::Source<P>>::release_slow+0x4>",
            "ret",
        ];
        for instruction in cases {
            assert_eq!(complaint("f", instruction), None, "{instruction}");
        }
    }

    #[test]
    fn a_function_is_cut_out_of_a_listing() {
        let listing = "0000000000001000 <f>:\n    1000:\tmov    eax,edi\n    1002:\tret\n\n0000000000001010 <g>:\n    1010:\tlock inc DWORD PTR [rdi]\n";
        assert_eq!(body(listing, "f"), ["mov    eax,edi", "ret"]);
        assert_eq!(body(listing, "h"), [""; 0]);
    }
}
