//! The record of a change, as it is stored: a unified diff, then symbols and imports.
//!
//! ```text
//! @@ -3,1 +3,2 @@
//! -    pool.get()
//! +    let item = pool.acquire()?;
//! +    Ok(item)
//! symbol function 3 take
//! import crate::engine
//! ```
//!
//! Lines that went are in it, so any version can be had back from the current one.

use super::diff::Edit;
use super::memory::{Full, Scope, Text};
use super::symbols::Symbol;
use std::fmt::{self, Write};

/// Writes a record.
///
/// # Errors
///
/// If the scope has no room left.
pub fn write<'s, S: Scope>(
    scope: &'s S,
    (old, new): (&str, &str),
    edits: &[Edit],
    symbols: &[Symbol<'_>],
    imports: &[&str],
) -> Result<S::Text<'s>, Full> {
    let changed = if edits.is_empty() { 0 } else { new.len() / 4 };
    let mut record = scope.text(changed + 40 * symbols.len())?;
    let (mut old, mut new) = (Lines::of(old), Lines::of(new));
    for edit in edits {
        let Edit {
            old: from,
            removed,
            new: to,
            added,
        } = *edit;
        put(
            &mut record,
            format_args!("@@ -{},{removed} +{},{added} @@\n", from + 1, to + 1),
        )?;
        old.lines(from, removed, |line| signed(&mut record, "-", line))?;
        new.lines(to, added, |line| signed(&mut record, "+", line))?;
    }
    for Symbol { name, kind, line } in symbols {
        put(
            &mut record,
            format_args!("symbol {} {line} {name}\n", kind.word()),
        )?;
    }
    for import in imports {
        put(&mut record, format_args!("import {import}\n"))?;
    }
    Ok(record)
}

/// Writes formatted text.
///
/// # Errors
///
/// If the scope has no room left.
pub fn put(text: &mut impl Text, arguments: fmt::Arguments<'_>) -> Result<(), Full> {
    struct Writer<'t, T>(&'t mut T);
    impl<T: Text> Write for Writer<'_, T> {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            self.0.push_str(piece).map_err(|Full| fmt::Error)
        }
    }
    Writer(text).write_fmt(arguments).map_err(|fmt::Error| Full)
}

fn signed(record: &mut impl Text, sign: &str, line: &str) -> Result<(), Full> {
    record.push_str(sign)?;
    record.push_str(line)?;
    if line.ends_with('\n') {
        Ok(())
    } else {
        record.push_str("\n\\ No newline at end of file\n")
    }
}

/// The lines of a text, asked for in order.
struct Lines<'t> {
    rest: std::str::SplitInclusive<'t, char>,
    next: u32,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            rest: text.split_inclusive('\n'),
            next: 0,
        }
    }

    fn lines(
        &mut self,
        from: u32,
        count: u32,
        mut each: impl FnMut(&str) -> Result<(), Full>,
    ) -> Result<(), Full> {
        for _ in self.next..from {
            self.rest.next();
        }
        for line in self.rest.by_ref().take(count as usize) {
            each(line)?;
        }
        self.next = from + count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebase::diff;
    use crate::codebase::heap::Heap;
    use crate::codebase::symbols::SymbolKind;

    #[test]
    fn a_record_is_a_unified_diff() {
        let (old, new) = ("a\nb\nc\nd", "a\nx\ny\nc\nd\n");
        let edits = diff::edits(&Heap, old, new).unwrap();
        let symbol = Symbol {
            name: "x",
            kind: SymbolKind::Type,
            line: 2,
        };
        let record = write(&Heap, (old, new), &edits, &[symbol], &["crate::y"]).unwrap();
        assert_eq!(
            record,
            "@@ -2,1 +2,2 @@\n-b\n+x\n+y\n@@ -4,1 +5,1 @@\n-d\n\\ No newline at end of file\n+d\n\
             symbol type 2 x\nimport crate::y\n"
        );
    }
}
