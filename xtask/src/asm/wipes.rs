//! Wiping: zeroes that nobody reads must still be written.
//!
//! The functions that wipe call `memset`; the exported one calls nothing else that
//! could do it instead. The same function without the wipe's own barrier sets no
//! memory: so the optimiser would have left it out.

use std::path::Path;

use anyhow::Result;

use super::disassemble;
use crate::probe;

/// Whether all is as it should be; prints what was found.
pub(super) fn look(probe: &Path) -> Result<bool> {
    let mut holds = true;
    for function in probe::WIPES {
        let wipes = sets_memory(&disassemble(probe, function)?);
        let verdict = if wipes { "wipes" } else { "DOES NOT WIPE" };
        println!("{function}: {verdict}");
        holds &= wipes;
    }
    let own = disassemble(probe, probe::WIPES[0])?;
    for stray in own.iter().filter(|instruction| is_stray(instruction)) {
        println!("    {stray:<60} a call that is not memset");
        holds = false;
    }
    let kept = sets_memory(&disassemble(probe, probe::DEAD_FILL)?);
    let verdict = if kept {
        "KEPT: this shows nothing"
    } else {
        "left out, as it may be"
    };
    println!("{}: {verdict}", probe::DEAD_FILL);
    Ok(holds && !kept)
}

/// Whether memory is set by a call, or by the instruction that does the same.
fn sets_memory(instructions: &[String]) -> bool {
    let sets = |instruction: &String| {
        instruction.starts_with("rep stos")
            || (is_call(instruction) && instruction.contains("memset"))
    };
    instructions.iter().any(sets)
}

fn is_call(instruction: &str) -> bool {
    instruction.starts_with("call") || instruction.starts_with("jmp")
}

/// Calls but of `memset`, of `memcpy`, by which the secret came, and of what guards the
/// stack.
fn is_stray(instruction: &str) -> bool {
    let known = ["memset", "memcpy", "__rust_probestack"];
    instruction.starts_with("call") && !known.iter().any(|name| instruction.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_setting_memory_is_wiping() {
        let wipes = |instruction: &str| sets_memory(&[instruction.to_owned()]);
        assert!(wipes("rep stos QWORD PTR es:[rdi],rax"));
        assert!(wipes("call   1040 <memset@plt>"));
        assert!(wipes("call   QWORD PTR [rip+0x8]  # <memset@GLIBC_2.2.5>"));
        assert!(!wipes("call   1040 <memcpy@plt>"));
        assert!(!wipes("lea    rax,[rip+0x8]  # <memset>"));
    }

    #[test]
    fn stray_calls_are_found() {
        assert!(is_stray("call   1040 <explicit_bzero>"));
        assert!(!is_stray("call   1040 <memset@plt>"));
        assert!(!is_stray("jmp    1040 <f+0x10>"));
    }
}
