//! N-Triples: one statement a line, read without allocating.
//!
//! The grammar is that of the W3C's recommendation of 2014. Terms come out in
//! canonical form, escapes resolved, so that two spellings of a term are one
//! string: `<http://a/\u0062>` is `<http://a/b>`. A term without escapes is a slice
//! of the text; one with escapes is written into a string that is reused.

use std::error::Error;
use std::fmt;
use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;

/// What stands where the grammar allows something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is allowed there.
    pub expected: &'static str,
    /// What stands there, or `None` at the end of the line.
    pub found: Option<char>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            expected,
            found,
        } = self;
        write!(f, "line {line}, column {column}: expected {expected}, ")?;
        match found {
            Some(found) => write!(f, "found {found:?}"),
            None => f.write_str("found the end of the line"),
        }
    }
}

impl Error for SyntaxError {}

/// Subject, predicate and object in canonical form.
pub type Terms<'t> = [&'t str; 3];

/// Reads a text statement by statement.
///
/// ```
/// use millpond_workloads::pipeline::ntriples::Parser;
///
/// let mut parser = Parser::new("<urn:a> <urn:b> \"caf\\u00e9\"@fr . # a comment\n");
/// assert_eq!(parser.statement()?, Some(["<urn:a>", "<urn:b>", "\"café\"@fr"]));
/// assert_eq!(parser.statement()?, None);
///
/// let error = Parser::new("<urn:a> urn:b <urn:c> .").statement().unwrap_err();
/// assert_eq!(error.to_string(), "line 1, column 9: expected an IRI in <>, found 'u'");
/// # Ok::<(), millpond_workloads::pipeline::ntriples::SyntaxError>(())
/// ```
#[derive(Debug)]
pub struct Parser<'a> {
    rest: &'a str,
    line: usize,
    scratch: String,
}

/// A term: a piece of the line as it stands, or of the scratch string.
#[derive(Clone, Debug)]
enum Place {
    Line(Range<usize>),
    Scratch(Range<usize>),
}

impl<'a> Parser<'a> {
    /// A parser at the beginning of `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            line: 0,
            scratch: String::new(),
        }
    }

    /// The line that was read last, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Bytes that are still to be read.
    #[must_use]
    pub fn left_bytes(&self) -> usize {
        self.rest.len()
    }

    /// The next statement, or `None` at the end of the text.
    ///
    /// # Errors
    ///
    /// Where a line is neither a statement nor empty nor a comment. The parser
    /// then stands behind that line and can go on.
    pub fn statement(&mut self) -> Result<Option<Terms<'_>>, SyntaxError> {
        while !self.rest.is_empty() {
            let line = self.take_line();
            self.scratch.clear();
            let mut reader = Line::new(line, &mut self.scratch);
            let parsed = reader.statement().map_err(|expected| {
                let (column, found) = reader.position();
                SyntaxError {
                    line: self.line,
                    column,
                    expected,
                    found,
                }
            })?;
            if let Some(places) = parsed {
                let scratch = &self.scratch;
                return Ok(Some(places.map(|place| match place {
                    Place::Line(range) => &line[range],
                    Place::Scratch(range) => &scratch[range],
                })));
            }
        }
        Ok(None)
    }

    /// The next line without its end, which is `\n`, `\r\n` or `\r`.
    fn take_line(&mut self) -> &'a str {
        let text = self.rest;
        let end = text.bytes().position(|byte| matches!(byte, b'\n' | b'\r'));
        let end = end.unwrap_or(text.len());
        let after = &text[end..];
        let ends = ["\r\n", "\n", "\r"];
        let after = ends.iter().find_map(|end| after.strip_prefix(end));
        self.rest = after.unwrap_or_default();
        self.line += 1;
        &text[..end]
    }
}

/// What the grammar would have allowed.
type Expected = &'static str;

/// A cursor in one line.
struct Line<'l, 's> {
    text: &'l str,
    chars: Peekable<CharIndices<'l>>,
    scratch: &'s mut String,
    /// Where in `text` the current term has been copied up to, once it has an
    /// escape; before that the term is as it stands.
    copied: Option<usize>,
}

impl<'l, 's> Line<'l, 's> {
    fn new(text: &'l str, scratch: &'s mut String) -> Self {
        Self {
            text,
            chars: text.char_indices().peekable(),
            scratch,
            copied: None,
        }
    }

    /// Where the cursor stands: the column from 1, and the character there.
    fn position(&mut self) -> (usize, Option<char>) {
        let offset = self.offset();
        let column = self.text[..offset].chars().count() + 1;
        (column, self.peek())
    }

    fn offset(&mut self) -> usize {
        self.chars
            .peek()
            .map_or(self.text.len(), |(offset, _)| *offset)
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, char)| *char)
    }

    fn skip(&mut self) {
        self.chars.next();
    }

    fn take(&mut self, wanted: char) -> bool {
        self.chars.next_if(|(_, char)| *char == wanted).is_some()
    }

    fn expect(&mut self, wanted: char, expected: Expected) -> Result<(), Expected> {
        self.take(wanted).then_some(()).ok_or(expected)
    }

    fn spaces(&mut self) {
        while self.take(' ') || self.take('\t') {}
    }

    fn statement(&mut self) -> Result<Option<[Place; 3]>, Expected> {
        self.spaces();
        if matches!(self.peek(), None | Some('#')) {
            return Ok(None);
        }
        let subject = match self.peek() {
            Some('<') => self.term(Self::iri)?,
            Some('_') => self.term(Self::blank)?,
            _ => return Err("an IRI in <> or a blank node"),
        };
        self.spaces();
        let predicate = self.term(Self::iri)?;
        self.spaces();
        let object = match self.peek() {
            Some('<') => self.term(Self::iri)?,
            Some('_') => self.term(Self::blank)?,
            Some('"') => self.term(Self::literal)?,
            _ => return Err("an IRI in <>, a blank node or a literal"),
        };
        self.spaces();
        self.expect('.', "a full stop")?;
        self.spaces();
        match self.peek() {
            None | Some('#') => Ok(Some([subject, predicate, object])),
            Some(_) => Err("the end of the line or a comment"),
        }
    }

    /// Reads a term and says where its canonical form stands.
    fn term(&mut self, read: fn(&mut Self) -> Result<(), Expected>) -> Result<Place, Expected> {
        let (begin, scratch) = (self.offset(), self.scratch.len());
        self.copied = None;
        read(self)?;
        let end = self.offset();
        let Some(copied) = self.copied else {
            return Ok(Place::Line(begin..end));
        };
        self.scratch.push_str(&self.text[copied..end]);
        let whole = self.text[begin..end].len();
        debug_assert!(self.scratch.len() - scratch < whole, "escapes only shrink");
        Ok(Place::Scratch(scratch..self.scratch.len()))
    }

    fn iri(&mut self) -> Result<(), Expected> {
        const ALLOWED: Expected = "a character of an IRI or '>'";
        let begin = self.offset();
        self.expect('<', "an IRI in <>")?;
        self.scheme()?;
        loop {
            match self.peek() {
                Some('>') => break,
                Some('\\') => {
                    let resolved = self.code_point(begin)?;
                    if forbidden_in_iri(resolved) {
                        return Err(ALLOWED);
                    }
                }
                Some(char) if !forbidden_in_iri(char) => self.skip(),
                _ => return Err(ALLOWED),
            }
        }
        self.skip();
        Ok(())
    }

    /// An IRI is absolute: it begins with a scheme.
    fn scheme(&mut self) -> Result<(), Expected> {
        const ALLOWED: Expected = "a scheme and ':', because relative IRIs are not allowed";
        let letter = self.peek().is_some_and(|char| char.is_ascii_alphabetic());
        if !letter {
            return Err(ALLOWED);
        }
        let inside = |char: char| char.is_ascii_alphanumeric() || "+-.".contains(char);
        while self.peek().is_some_and(inside) {
            self.skip();
        }
        self.expect(':', ALLOWED)
    }

    fn blank(&mut self) -> Result<(), Expected> {
        self.expect('_', "a blank node")?;
        self.expect(':', "':' after '_'")?;
        let first = |char: char| starts_name(char) || char.is_ascii_digit();
        if !self.peek().is_some_and(first) {
            return Err("a letter, a digit, '_' or ':'");
        }
        self.skip();
        // A full stop belongs to the label only if more of the label follows it.
        loop {
            let mut ahead = self.chars.clone();
            while ahead.next_if(|(_, char)| *char == '.').is_some() {}
            if !ahead.peek().is_some_and(|(_, char)| continues_name(*char)) {
                return Ok(());
            }
            ahead.next();
            self.chars = ahead;
        }
    }

    fn literal(&mut self) -> Result<(), Expected> {
        let begin = self.offset();
        self.expect('"', "a literal")?;
        loop {
            match self.peek() {
                Some('"') => break,
                Some('\\') => self.escape(begin)?,
                Some(_) => self.skip(),
                None => return Err("'\"' at the end of the literal"),
            }
        }
        self.skip();
        if self.take('^') {
            self.expect('^', "'^^' and a datatype")?;
            return self.datatype(begin);
        }
        if self.take('@') {
            return self.language();
        }
        Ok(())
    }

    fn datatype(&mut self, begin: usize) -> Result<(), Expected> {
        self.expect('<', "a datatype in <>")?;
        self.scheme()?;
        while let Some(char) = self.peek().filter(|char| *char != '>') {
            if char == '\\' {
                self.code_point(begin)?;
            } else if forbidden_in_iri(char) {
                return Err("a character of an IRI or '>'");
            } else {
                self.skip();
            }
        }
        self.expect('>', "'>' at the end of the datatype")
    }

    fn language(&mut self) -> Result<(), Expected> {
        let letters = |char: char| char.is_ascii_alphabetic();
        let more = |char: char| char.is_ascii_alphanumeric();
        self.some(letters, "a letter of a language")?;
        while self.take('-') {
            self.some(more, "a letter or a digit of a language")?;
        }
        Ok(())
    }

    fn some(&mut self, kind: fn(char) -> bool, expected: Expected) -> Result<(), Expected> {
        if !self.peek().is_some_and(kind) {
            return Err(expected);
        }
        while self.peek().is_some_and(kind) {
            self.skip();
        }
        Ok(())
    }

    /// `\n` and its like, or a code point.
    fn escape(&mut self, begin: usize) -> Result<(), Expected> {
        let after = self.text[self.offset() + 1..].chars().next();
        let resolved = match after {
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('f') => '\u{c}',
            Some(char @ ('"' | '\'' | '\\')) => char,
            _ => return self.code_point(begin).map(drop),
        };
        self.copy(begin);
        self.skip();
        self.skip();
        self.resolve(resolved);
        Ok(())
    }

    /// `\uXXXX` or `\UXXXXXXXX`.
    fn code_point(&mut self, begin: usize) -> Result<char, Expected> {
        self.copy(begin);
        self.skip();
        let digits = match self.peek() {
            Some('u') => 4,
            Some('U') => 8,
            _ => return Err("an escape: one of t b n r f \" ' \\ in literals, u or U"),
        };
        self.skip();
        let mut value = 0_u32;
        for _ in 0..digits {
            let digit = self.peek().and_then(|char| char.to_digit(16));
            let digit = digit.ok_or("a hexadecimal digit")?;
            value = value.wrapping_mul(16).wrapping_add(digit);
            self.skip();
        }
        let resolved = char::from_u32(value).ok_or("the number of a character before this")?;
        self.resolve(resolved);
        Ok(resolved)
    }

    /// Copies the term up to the cursor into the scratch string.
    fn copy(&mut self, begin: usize) {
        let offset = self.offset();
        let from = self.copied.unwrap_or(begin);
        self.scratch.push_str(&self.text[from..offset]);
        self.copied = Some(offset);
    }

    /// Writes what the escape before the cursor stands for.
    fn resolve(&mut self, char: char) {
        self.scratch.push(char);
        self.copied = Some(self.offset());
    }
}

fn forbidden_in_iri(char: char) -> bool {
    char <= ' ' || "<>\"{}|^`\\".contains(char)
}

/// `PN_CHARS_U` of the grammar.
fn starts_name(char: char) -> bool {
    matches!(char,
        'A'..='Z' | 'a'..='z' | '_' | ':'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}'
        | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

/// `PN_CHARS` of the grammar.
fn continues_name(char: char) -> bool {
    starts_name(char)
        || char.is_ascii_digit()
        || matches!(char, '-' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<[String; 3]>, SyntaxError> {
        let mut parser = Parser::new(text);
        let mut found = Vec::new();
        while let Some(terms) = parser.statement()? {
            found.push(terms.map(str::to_owned));
        }
        Ok(found)
    }

    #[test]
    fn what_the_grammar_allows_is_read_in_canonical_form() {
        for (text, terms) in [
            (
                "<urn:a> <urn:b> <urn:c> .",
                ["<urn:a>", "<urn:b>", "<urn:c>"],
            ),
            ("<urn:a><urn:b><urn:c>.", ["<urn:a>", "<urn:b>", "<urn:c>"]),
            ("\t_:a\t<urn:b> _:c.d .#x", ["_:a", "<urn:b>", "_:c.d"]),
            ("_:a<urn:b>_:c.", ["_:a", "<urn:b>", "_:c"]),
            (r#"_:1 <urn:b> "" ."#, ["_:1", "<urn:b>", r#""""#]),
            (
                r#"_:1 <urn:b> "a\tb\"\\"@en-GB ."#,
                ["_:1", "<urn:b>", "\"a\tb\"\\\"@en-GB"],
            ),
            (
                r#"_:1 <urn:b> "\u0041\U0001F600" ."#,
                ["_:1", "<urn:b>", "\"A😀\""],
            ),
            (
                r#"_:1 <urn:\u0062> "1"^^<urn:\u0063> ."#,
                ["_:1", "<urn:b>", "\"1\"^^<urn:c>"],
            ),
            (
                r#"_:1 <urn:b> "\n"^^<urn:\u0063d> ."#,
                ["_:1", "<urn:b>", "\"\n\"^^<urn:cd>"],
            ),
            (
                r#"_:1 <urn:b> "x # y ." . # z"#,
                ["_:1", "<urn:b>", "\"x # y .\""],
            ),
        ] {
            assert_eq!(all(text).unwrap(), [terms.map(str::to_owned)], "{text}");
        }
    }

    #[test]
    fn empty_lines_comments_and_all_line_ends_are_read() {
        let text = "# one\r\n\r\n  <urn:a> <urn:b> _:c .\r<urn:d> <urn:e> _:f .\n";
        assert_eq!(all(text).unwrap().len(), 2);
        assert!(all("").unwrap().is_empty());
        assert!(all(" # only a comment").unwrap().is_empty());
    }

    #[test]
    fn what_the_grammar_forbids_is_named_with_line_and_column() {
        for (text, line, column, found) in [
            ("\n\"a\" <urn:b> <urn:c> .", 2, 1, Some('"')),
            ("<urn:a> _:b <urn:c> .", 1, 9, Some('_')),
            ("<urn:a> <urn:b> <urn:c>", 1, 24, None),
            ("<urn:a> <urn:b> <urn:c> . x", 1, 27, Some('x')),
            ("<urn:a> <urn:b> <rel> .", 1, 21, Some('>')),
            ("<urn:a b> <urn:b> <urn:c> .", 1, 7, Some(' ')),
            ("<urn:é> <urn:b> \"é", 1, 19, None),
            ("<urn:a> <urn:b> \"\\x\" .", 1, 19, Some('x')),
            ("<urn:a> <urn:b> \"\\u12G4\" .", 1, 22, Some('G')),
            ("<urn:a> <urn:b> \"\\uD800\" .", 1, 24, Some('"')),
            ("<urn:a> <urn:b> \"a\"@ .", 1, 21, Some(' ')),
            ("<urn:a> <urn:b> \"a\"^<urn:c> .", 1, 21, Some('<')),
            ("<urn:a> <urn:b> 'a' .", 1, 17, Some('\'')),
            ("_: <urn:b> _:c .", 1, 3, Some(' ')),
            ("<urn:\\u0020> <urn:b> _:c .", 1, 12, Some('>')),
        ] {
            let error = all(text).unwrap_err();
            let place = (error.line, error.column, error.found);
            assert_eq!(place, (line, column, found), "{text}: {error}");
        }
    }

    #[test]
    fn after_an_error_the_next_line_can_be_read() {
        let mut parser = Parser::new("nonsense\n_:a <urn:b> _:c .\n");
        assert!(parser.statement().is_err());
        assert_eq!(parser.statement(), Ok(Some(["_:a", "<urn:b>", "_:c"])));
        assert_eq!(parser.line(), 2);
    }
}
