//! Calls from one library to another: through a table of addresses, of which the
//! disassembler shows the place and not the function.

use std::collections::BTreeMap;

/// Where each place of the table leads, from lines such as `address R_X86_64_RELATIVE
/// *ABS*+0x2d620` and `address R_X86_64_GLOB_DAT memset@GLIBC`.
pub(super) fn table(relocations: &str, listing: &str) -> BTreeMap<u64, String> {
    let functions: BTreeMap<u64, &str> = listing.lines().filter_map(function).collect();
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (place, _, value) = (words.next()?, words.next()?, words.next()?);
        let name = match value.strip_prefix("*ABS*+") {
            Some(address) => (*functions.get(&hex(address)?)?).to_owned(),
            None => value.to_owned(),
        };
        Some((hex(place)?, name))
    };
    relocations.lines().filter_map(entry).collect()
}

/// The line that begins a function: `000000000002d620 <name>:`.
fn function(line: &str) -> Option<(u64, &str)> {
    let (address, name) = line.strip_suffix(">:")?.split_once(" <")?;
    Some((hex(address)?, name))
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// The instruction with the name of the function that it calls through the table:
/// `call QWORD PTR [rip+0x8]  # a6898 <_DYNAMIC+0x610>`.
pub(super) fn named(instruction: String, table: &BTreeMap<u64, String>) -> String {
    let Some((code, comment)) = instruction.split_once('#') else {
        return instruction;
    };
    let place = comment.split_whitespace().next().and_then(hex);
    match place.and_then(|place| table.get(&place)) {
        Some(name) => format!("{code}# <{name}>"),
        None => instruction,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_through_the_table_get_the_names_of_what_they_call() {
        let listing = "0000000000001000 <f_slow>:\n    1000:\tret\n";
        let relocations = "OFFSET TYPE VALUE\n\
            00000000000a6898 R_X86_64_RELATIVE  *ABS*+0x0000000000001000\n\
            00000000000a68a0 R_X86_64_GLOB_DAT  memset@GLIBC_2.2.5\n";
        let table = table(relocations, listing);
        let call = |place| {
            let call = format!("call   QWORD PTR [rip+0x8]  # {place} <_DYNAMIC+0x1>");
            named(call, &table)
        };
        assert!(call("a6898").ends_with("# <f_slow>"));
        assert!(call("a68a0").ends_with("# <memset@GLIBC_2.2.5>"));
        assert!(
            call("a68a8").ends_with("<_DYNAMIC+0x1>"),
            "it leads nowhere known"
        );
        assert_eq!(named("ret".into(), &table), "ret");
    }
}
