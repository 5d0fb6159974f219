//! The unsafe ledger: `docs/unsafe-ledger.md` names every file with `unsafe` in it.
//!
//! ```text
//!  | File | Blocks | Impls | Functions | The argument |
//! ```
//!
//! Counts come from the tokens of a file, so comments and strings do not count and
//! macro bodies do. `--bless` rewrites counts and adds or drops rows; the argument is
//! a sentence that a person writes, and a row without one is a violation.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::str::FromStr;

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Violation;
use super::tree::Tree;
use crate::workspace;

const LEDGER: &str = "docs/unsafe-ledger.md";

/// How much unsafe code a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    blocks: usize,
    impls: usize,
    functions: usize,
}

impl Counts {
    fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {} | {}", self.blocks, self.impls, self.functions)
    }
}

/// One row of the ledger, with its line.
#[derive(Debug)]
struct Row {
    line: usize,
    counts: String,
    argument: String,
}

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(ledger) = tree.text(LEDGER) else {
        return vec![Violation::new(LEDGER, 1, "there is no unsafe ledger")];
    };
    let (rows, mut violations) = rows(ledger);
    let found = match counts_of(tree) {
        Ok(found) => found,
        Err(violation) => return vec![violation],
    };
    for (file, counts) in &found {
        match rows.get(file) {
            None => violations.push(Violation::new(
                file.clone(),
                1,
                format!("has unsafe code but no row in {LEDGER}"),
            )),
            Some(row) => violations.extend(compare(file, *counts, row)),
        }
    }
    for (file, row) in &rows {
        if !found.contains_key(file) {
            violations.push(Violation::new(
                LEDGER,
                row.line,
                format!("{file} has no unsafe code any more"),
            ));
        }
    }
    violations
}

fn compare(file: &str, counts: Counts, row: &Row) -> Vec<Violation> {
    let mut violations = Vec::new();
    if row.counts != counts.to_string() {
        let what = format!(
            "{file}: the ledger says {}, the file has {counts} (run `cargo xtask tidy --bless`)",
            row.counts
        );
        violations.push(Violation::new(LEDGER, row.line, what));
    }
    if !row.argument.ends_with('.') {
        violations.push(Violation::new(
            LEDGER,
            row.line,
            format!("{file}: the argument is not a sentence"),
        ));
    }
    violations
}

/// Rewrites the table of the ledger from the files; sentences stay.
pub(crate) fn bless(tree: &Tree) -> Result<()> {
    let ledger = tree
        .text(LEDGER)
        .with_context(|| format!("there is no {LEDGER}"))?;
    let found = counts_of(tree).map_err(|violation| anyhow::anyhow!("{violation}"))?;
    fs::write(workspace::root().join(LEDGER), blessed(ledger, &found))?;
    Ok(())
}

fn blessed(ledger: &str, found: &BTreeMap<String, Counts>) -> String {
    let (known, _) = rows(ledger);
    let is_row = |line: &&str| line.starts_with("| `");
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut passed_table = false;
    for line in ledger.lines() {
        let part = if passed_table {
            &mut after
        } else {
            &mut before
        };
        passed_table |= line.starts_with("|---");
        if !is_row(&line) {
            part.push(line.to_owned());
        }
    }
    let rows = found.iter().map(|(file, counts)| {
        let argument = known.get(file).map_or("", |row| row.argument.as_str());
        format!("| `{file}` | {counts} | {argument} |")
    });
    let lines: Vec<String> = before.into_iter().chain(rows).chain(after).collect();
    lines.join("\n") + "\n"
}

/// The rows by file, and violations for rows that cannot be read.
fn rows(ledger: &str) -> (BTreeMap<String, Row>, Vec<Violation>) {
    let (mut rows, mut violations) = (BTreeMap::new(), Vec::new());
    for (text, line) in ledger
        .lines()
        .zip(1..)
        .filter(|(text, _)| text.starts_with("| `"))
    {
        let cells: Vec<&str> = text.trim_matches('|').split(" | ").map(str::trim).collect();
        let [file, blocks, impls, functions, argument] = cells[..] else {
            violations.push(Violation::new(LEDGER, line, "a row has five columns"));
            continue;
        };
        let row = Row {
            line,
            counts: format!("{blocks} | {impls} | {functions}"),
            argument: argument.trim_end_matches('|').trim().to_owned(),
        };
        if rows
            .insert(file.trim_matches('`').to_owned(), row)
            .is_some()
        {
            violations.push(Violation::new(LEDGER, line, format!("{file} has two rows")));
        }
    }
    (rows, violations)
}

fn counts_of(tree: &Tree) -> Result<BTreeMap<String, Counts>, Violation> {
    let mut found = BTreeMap::new();
    for (path, text) in tree.rust_files() {
        let counts = count(text).map_err(|what| Violation::new(path, 1, what))?;
        if !counts.is_none() {
            found.insert(path.to_owned(), counts);
        }
    }
    Ok(found)
}

/// Whether a file has unsafe code; one that does not parse is treated as if it had.
pub(crate) fn is_unsafe(source: &str) -> bool {
    count(source).map_or(true, |counts| !counts.is_none())
}

/// Counts the unsafe code of one file.
fn count(source: &str) -> Result<Counts, String> {
    let tokens = TokenStream::from_str(source).map_err(|error| format!("is not Rust: {error}"))?;
    let mut counts = Counts::default();
    count_tokens(tokens, &mut counts);
    Ok(counts)
}

fn count_tokens(tokens: TokenStream, counts: &mut Counts) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => count_tokens(group.stream(), counts),
            TokenTree::Ident(word) if word == "unsafe" => classify(&tokens[at + 1..], counts),
            _ => {}
        }
    }
}

/// What an `unsafe` begins. `unsafe(no_mangle)` and pointer types promise nothing themselves.
fn classify(rest: &[TokenTree], counts: &mut Counts) {
    let is_word = |token: Option<&TokenTree>, word: &str| matches!(token, Some(TokenTree::Ident(found)) if found == word);
    match rest.first() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            counts.blocks += 1;
        }
        first if is_word(first, "impl") => counts.impls += 1,
        first if is_word(first, "trait") => counts.functions += 1,
        first if is_word(first, "fn") => {
            counts.functions += usize::from(matches!(rest.get(1), Some(TokenTree::Ident(_))));
        }
        first if is_word(first, "extern") => {
            counts.functions += usize::from(!matches!(rest.get(3), Some(TokenTree::Group(_))));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
        // unsafe in a comment
        unsafe impl Send for A {}
        unsafe fn a() { unsafe { b() } }
        unsafe extern "C" fn c() {}
        unsafe trait D {}
        type Pointer = unsafe fn(u8);
        #[unsafe(no_mangle)] fn e() { f("unsafe { }"); }
        macro_rules! g { () => { unsafe { h() } } }
    "#;

    fn ledger(rows: &str) -> String {
        format!(
            "# Ledger\n\n| File | Blocks | Impls | Functions | The argument |\n|---|---|---|---|---|\n{rows}\nThe end.\n"
        )
    }

    fn complaints(rows: &str) -> Vec<String> {
        let tree = Tree::of_files(&[
            (LEDGER, &ledger(rows)),
            ("a.rs", SOURCE),
            ("safe.rs", "fn f() {}"),
        ]);
        check(&tree)
            .into_iter()
            .map(|violation| violation.to_string())
            .collect()
    }

    #[test]
    fn tokens_are_counted_and_text_is_not() {
        assert_eq!(
            count(SOURCE),
            Ok(Counts {
                blocks: 2,
                impls: 1,
                functions: 3
            })
        );
    }

    #[test]
    fn a_matching_row_is_fine() {
        assert_eq!(complaints("| `a.rs` | 2 | 1 | 3 | It holds. |"), [""; 0]);
    }

    #[test]
    fn a_file_without_a_row_and_a_row_without_a_file_are_found() {
        assert_eq!(complaints("").len(), 1);
        assert_eq!(
            complaints("| `a.rs` | 2 | 1 | 3 | It holds. |\n| `b.rs` | 1 | 0 | 0 | Gone. |").len(),
            1
        );
    }

    #[test]
    fn a_wrong_count_and_a_missing_argument_are_found() {
        assert_eq!(complaints("| `a.rs` | 1 | 1 | 3 | It holds. |").len(), 1);
        assert_eq!(complaints("| `a.rs` | 2 | 1 | 3 | |").len(), 1);
    }

    #[test]
    fn blessing_keeps_sentences_and_what_stands_around_the_table() {
        let old = ledger("| `a.rs` | 0 | 0 | 0 | It holds. |\n| `gone.rs` | 1 | 0 | 0 | Gone. |");
        let found = BTreeMap::from([("a.rs".to_owned(), count(SOURCE).unwrap())]);
        assert_eq!(
            blessed(&old, &found),
            ledger("| `a.rs` | 2 | 1 | 3 | It holds. |")
        );
    }
}
