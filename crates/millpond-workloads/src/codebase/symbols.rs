//! Symbols and imports, found by regular expressions.
//!
//! A database that answers while somebody types cannot wait for a compiler, and
//! has to make sense of files that do not parse. A line that looks like a
//! definition is one.

use super::memory::{Full, List};
use regex::{CaptureLocations, Regex};

/// What kind of thing a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SymbolKind {
    /// A function or method.
    Function,
    /// A type: struct, enum, union, class, type alias.
    Type,
    /// A trait or interface.
    Trait,
    /// A module.
    Module,
    /// A constant or static.
    Constant,
    /// A macro.
    Macro,
}

impl SymbolKind {
    fn of(keyword: &str) -> Self {
        match keyword {
            "fn" | "def" | "function" | "func" => Self::Function,
            "trait" | "interface" => Self::Trait,
            "mod" => Self::Module,
            "const" | "static" => Self::Constant,
            "macro_rules!" => Self::Macro,
            _ => Self::Type,
        }
    }

    /// The word that answers use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Type => "type",
            Self::Trait => "trait",
            Self::Module => "module",
            Self::Constant => "constant",
            Self::Macro => "macro",
        }
    }
}

/// A definition in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'t> {
    /// Its name.
    pub name: &'t str,
    /// What it is.
    pub kind: SymbolKind,
    /// Its line, from 1.
    pub line: u32,
}

/// Finds definitions and imports; holds what the search needs, so that it does not
/// allocate.
#[derive(Debug)]
pub struct Extractor {
    definitions: Regex,
    imports: Regex,
    places: [CaptureLocations; 2],
}

impl Default for Extractor {
    fn default() -> Self {
        let definitions = Regex::new(
            r#"(?m)^[ \t]*(?:(?:pub(?:\([^)\n]*\))?|export|default|async|unsafe|abstract|public|private|protected|const|extern(?: "[^"\n]*")?)[ \t]+)*(fn|struct|enum|union|trait|mod|type|const|static|macro_rules!|def|class|function|func|interface)[ \t]+(?:mut[ \t]+)?([A-Za-z_]\w*)"#,
        )
        .expect("a valid expression");
        let imports = Regex::new(
            r#"(?m)^[ \t]*(?:(?:pub(?:\([^)\n]*\))?[ \t]+)?(?:use|mod|import|from)[ \t]+["']?|#[ \t]*include[ \t]*["<])([\w./:]+)"#,
        )
        .expect("a valid expression");
        let places = [definitions.capture_locations(), imports.capture_locations()];
        Self {
            definitions,
            imports,
            places,
        }
    }
}

impl Extractor {
    /// Appends the definitions in `text`, in order.
    ///
    /// # Errors
    ///
    /// If the list has no room left.
    pub fn symbols<'t>(
        &mut self,
        text: &'t str,
        into: &mut impl List<Symbol<'t>>,
    ) -> Result<(), Full> {
        let places = &mut self.places[0];
        let (mut at, mut counted, mut line) = (0, 0, 1);
        while self
            .definitions
            .captures_read_at(places, text, at)
            .is_some()
        {
            let [(from, to), (name_from, name_to)] =
                [1, 2].map(|group| places.get(group).expect("both groups take part"));
            line += text.as_bytes()[counted..from]
                .iter()
                .filter(|&&b| b == b'\n')
                .count();
            counted = from;
            let name = &text[name_from..name_to];
            let kind = SymbolKind::of(&text[from..to]);
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            into.push(Symbol { name, kind, line })?;
            at = name_to;
        }
        Ok(())
    }

    /// Appends what `text` imports, as written.
    ///
    /// # Errors
    ///
    /// If the list has no room left.
    pub fn imports<'t>(
        &mut self,
        text: &'t str,
        into: &mut impl List<&'t str>,
    ) -> Result<(), Full> {
        let places = &mut self.places[1];
        let mut at = 0;
        while self.imports.captures_read_at(places, text, at).is_some() {
            let (from, to) = places.get(1).expect("the group takes part");
            into.push(&text[from..to])?;
            at = to;
        }
        Ok(())
    }
}

/// The words of an import by which a file may be found, last first:
/// `crate::engine::Shared` gives `Shared`, `engine`, `crate`; `./a/b.h` gives `b`, `a`.
pub fn segments(import: &str) -> impl Iterator<Item = &str> {
    let import = import.rsplit_once('.').map_or(import, |(stem, extension)| {
        if matches!(extension, "h" | "hpp" | "js" | "ts" | "py" | "rs") {
            stem
        } else {
            import
        }
    });
    import
        .rsplit(['/', ':', '.'])
        .filter(|segment| !segment.is_empty())
}

/// The word by which a file is imported: its stem, or its folder if the stem says nothing.
#[must_use]
pub fn module_name(path: &str) -> &str {
    let mut parts = path.rsplit('/');
    let file = parts.next().unwrap_or(path);
    let stem = file.split('.').next().unwrap_or(file);
    if !matches!(stem, "mod" | "lib" | "main" | "index" | "__init__") {
        return stem;
    }
    match parts.next() {
        Some("src") => parts.next().unwrap_or(stem),
        Some(folder) => folder,
        None => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUST: &str = "use crate::engine::Shared;\nmod pool;\n\npub struct Pool;\n\nimpl Pool {\n    pub(crate) const unsafe fn take(&self) {}\n}\nmacro_rules! nope { () => {} }\nconst LIMIT: u32 = 3;\n";

    fn found(text: &str) -> (Vec<Symbol<'_>>, Vec<&str>) {
        let mut extractor = Extractor::default();
        let (mut symbols, mut imports) = (Vec::new(), Vec::new());
        extractor.symbols(text, &mut symbols).unwrap();
        extractor.imports(text, &mut imports).unwrap();
        (symbols, imports)
    }

    #[test]
    fn rust_is_understood() {
        let (symbols, imports) = found(RUST);
        let short: Vec<_> = symbols
            .iter()
            .map(|s| (s.name, s.kind.word(), s.line))
            .collect();
        assert_eq!(
            short,
            [
                ("pool", "module", 2),
                ("Pool", "type", 4),
                ("take", "function", 7),
                ("nope", "macro", 9),
                ("LIMIT", "constant", 10)
            ]
        );
        assert_eq!(imports, ["crate::engine::Shared", "pool"]);
    }

    #[test]
    fn other_languages_are_recognised() {
        let (symbols, imports) =
            found("from a.b import c\nclass Tree:\n    def grow(self): pass\n");
        assert_eq!(
            symbols.iter().map(|s| s.name).collect::<Vec<_>>(),
            ["Tree", "grow"]
        );
        assert_eq!(imports, ["a.b"]);
        assert_eq!(found("#include \"net/socket.h\"\n").1, ["net/socket.h"]);
        assert_eq!(
            segments("net/socket.h").collect::<Vec<_>>(),
            ["socket", "net"]
        );
    }

    #[test]
    fn folders_name_files_whose_stem_says_nothing() {
        for (path, name) in [
            ("crates/pond/src/lib.rs", "pond"),
            ("src/engine/mod.rs", "engine"),
            ("src/engine.rs", "engine"),
            ("main.rs", "main"),
        ] {
            assert_eq!(module_name(path), name);
        }
    }
}
