//! N-Triples made of source files: who mentions what, on which line.
//!
//! Real text has no triples in it, so they are taken out of it: each identifier of
//! a file becomes one, with the frequencies that people write identifiers in.

use crate::corpus::Document;
use std::fmt::Write;

/// The predicate of most statements.
pub const MENTIONS: &str = "<urn:millpond:mentions>";
/// The predicate of one statement a file.
pub const LINES: &str = "<urn:millpond:lines>";

/// Statements about `documents`, at most `limit`.
#[must_use]
pub fn ntriples(documents: &[Document], limit: usize) -> String {
    let mut text = String::new();
    let mut left = limit;
    for Document { path, text: source } in documents {
        let subject = format!("<urn:millpond:{}>", path.escape_default()).replace([' ', '"'], "_");
        let subject = subject.replace(['\\', '{', '}', '^', '`', '|'], "_");
        let lines = source.lines().count();
        if left == 0 {
            break;
        }
        left -= 1;
        writeln!(
            text,
            "{subject} {LINES} \"{lines}\"^^<http://www.w3.org/2001/XMLSchema#integer> ."
        )
        .expect("a string takes everything");
        for word in words(source).take(left) {
            writeln!(text, "{subject} {MENTIONS} \"{word}\" .").expect("a string takes everything");
            left -= 1;
        }
    }
    text
}

fn words(source: &str) -> impl Iterator<Item = &str> {
    let apart = |char: char| !char.is_alphanumeric() && char != '_';
    source.split(apart).filter(|word| word.len() > 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::ntriples::Parser;

    #[test]
    fn statements_are_ntriples_and_as_many_as_asked_for() {
        let document = |path: &str| Document {
            path: path.into(),
            text: "fn main() { println!(\"é\"); }\n".repeat(3),
        };
        let text = ntriples(&[document("a b\\{c}.rs"), document("d.rs")], 9);
        let mut parser = Parser::new(&text);
        let mut count = 0;
        while parser.statement().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 9);
    }
}
