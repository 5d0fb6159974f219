//! The primitives: store, retrieve, search, link, transform. JSON in, JSON out.
//!
//! A primitive is asked with an object of arguments and answers with an object. What
//! is wrong with a request is said in one sentence: which argument, what was found,
//! what is allowed.

use super::database::{Codebase, MOST_HITS};
use super::index::{Hit, Ranking};
use super::json::{Json, ParseError, Words, quote};
use super::memory::{Full, Memory, Purpose, Scope, Text, with_scope};
use super::record::put;

/// A longer request is refused: room for the largest file, escaped.
pub const LONGEST_REQUEST: usize = 12 << 20;

/// Hits if a search does not say how many.
const USUAL_HITS: usize = 10;

/// What can be asked of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primitive {
    /// Save a file.
    Store,
    /// Read a file, or the record of a change.
    Retrieve,
    /// Find files.
    Search,
    /// Link two files.
    Link,
    /// Replace text in a file.
    Transform,
}

impl Primitive {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Store,
        Self::Retrieve,
        Self::Search,
        Self::Link,
        Self::Transform,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Retrieve => "retrieve",
            Self::Search => "search",
            Self::Link => "link",
            Self::Transform => "transform",
        }
    }

    /// The primitive of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|primitive| primitive.name() == name)
    }

    /// Whether it changes the database.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Store | Self::Link | Self::Transform)
    }

    /// What it does, for whoever chooses among tools.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Store => "Save a file; answers its version and what changed",
            Self::Retrieve => "Read a file, or with `change` the record of one of its changes",
            Self::Search => "Find files by words, similarity and the graph of imports and links",
            Self::Link => "Link two files under a name of your own",
            Self::Transform => "Replace texts in a file, each of which must occur, and save it",
        }
    }

    /// The JSON schema of its arguments.
    #[must_use]
    pub fn schema(self) -> serde_json::Value {
        let text = || serde_json::json!({ "type": "string" });
        let (properties, required) = match self {
            Self::Store => (
                serde_json::json!({ "path": text(), "content": text() }),
                vec!["path", "content"],
            ),
            Self::Retrieve => (
                serde_json::json!({ "path": text(), "change": { "type": "integer", "minimum": 1 } }),
                vec!["path"],
            ),
            Self::Search => (
                serde_json::json!({
                    "query": text(),
                    "limit": { "type": "integer", "minimum": 1, "maximum": MOST_HITS },
                    "ranking": { "enum": ["hybrid", "text", "vector", "graph"] },
                }),
                vec!["query"],
            ),
            Self::Link => (
                serde_json::json!({ "from": text(), "to": text(), "kind": text() }),
                vec!["from", "to", "kind"],
            ),
            Self::Transform => {
                let edit = serde_json::json!({
                    "type": "object",
                    "properties": { "find": text(), "replace": text() },
                    "required": ["find", "replace"],
                });
                (
                    serde_json::json!({ "path": text(), "edits": { "type": "array", "items": edit, "minItems": 1 } }),
                    vec!["path", "edits"],
                )
            }
        };
        serde_json::json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Store => &["path", "content"],
            Self::Retrieve => &["path", "change"],
            Self::Search => &["query", "limit", "ranking"],
            Self::Link => &["from", "to", "kind"],
            Self::Transform => &["path", "edits"],
        }
    }
}

/// Why a primitive gave no answer.
#[derive(Debug)]
pub enum Fault {
    /// The request is at fault: this sentence says how.
    Refused(String),
    /// The database could not do it.
    Failed(anyhow::Error),
    /// No room in the scope; asked again on the heap, nothing has changed.
    Full,
}

impl From<Full> for Fault {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl From<ParseError> for Fault {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Malformed(why) => Self::Refused(format!("not JSON: {why}")),
            ParseError::Full => Self::Full,
        }
    }
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::Failed(error) => write!(f, "{error:#}"),
            Self::Full => f.write_str("no room"),
        }
    }
}

fn refused<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Refused(why.into()))
}

impl<M: Memory> Codebase<M> {
    /// Carries out a primitive that only reads; `with` is handed the answer.
    ///
    /// # Errors
    ///
    /// If the request is at fault, the primitive writes, or the store fails.
    pub fn ask<R>(
        &self,
        primitive: Primitive,
        request: &str,
        with: impl Fn(&str) -> R,
    ) -> Result<R, Fault> {
        check(request)?;
        with_scope!(self.memory(), Purpose::Json, |scope| lift(
            self.read_in(scope, primitive, request)
                .map(|answer| with(&answer))
        ))
    }

    /// Carries out any primitive; `with` is handed the answer.
    ///
    /// # Errors
    ///
    /// If the request is at fault, or the store fails.
    pub fn call<R>(
        &mut self,
        primitive: Primitive,
        request: &str,
        with: impl Fn(&str) -> R,
    ) -> Result<R, Fault> {
        if !primitive.writes() {
            return self.ask(primitive, request, with);
        }
        check(request)?;
        // The scope must not borrow the database, which is changed meanwhile.
        let lease = self.memory().scope(Purpose::Json);
        let pooled = lease.as_ref().map(|scope| {
            self.write_in(scope, primitive, request)
                .map(|answer| with(&answer))
        });
        match pooled {
            Some(Err(Fault::Full)) | None => {
                self.memory().fell_back();
                let answer = self.write_in(&super::heap::Heap, primitive, request)?;
                Ok(with(&answer))
            }
            Some(done) => done,
        }
    }

    fn read_in<'s, S: Scope>(
        &self,
        scope: &'s S,
        primitive: Primitive,
        request: &'s str,
    ) -> Result<S::Text<'s>, Fault> {
        let arguments = Arguments::of(scope, primitive, request)?;
        match primitive {
            Primitive::Retrieve => self.retrieve_in(scope, &arguments),
            Primitive::Search => self.search_in(scope, &arguments),
            _ => refused(format!("{} changes the database", primitive.name())),
        }
    }

    /// What can run out of room runs before anything is changed, but for the answer,
    /// which has its room by then.
    fn write_in<'s, S: Scope>(
        &mut self,
        scope: &'s S,
        primitive: Primitive,
        request: &'s str,
    ) -> Result<S::Text<'s>, Fault> {
        let arguments = Arguments::of(scope, primitive, request)?;
        match primitive {
            Primitive::Store => {
                let (path, content) = (arguments.text("path")?, arguments.text("content")?);
                self.save_in(scope, path, content)
            }
            Primitive::Link => self.link_in(scope, &arguments),
            Primitive::Transform => self.transform_in(scope, &arguments),
            Primitive::Retrieve | Primitive::Search => self.read_in(scope, primitive, request),
        }
    }

    fn save_in<'s, S: Scope>(
        &mut self,
        scope: &'s S,
        path: &str,
        content: &str,
    ) -> Result<S::Text<'s>, Fault> {
        let mut answer = scope.text(6 * path.len() + ANSWER)?;
        let saved = self.save_file(path, content)?;
        answer.push_str("{\"path\":")?;
        quote(&mut answer, path)?;
        put(
            &mut answer,
            format_args!(
                ",\"version\":{},\"removed\":{},\"added\":{},\"symbols\":{},\"imports\":{}}}",
                saved.version, saved.removed, saved.added, saved.symbols, saved.imports
            ),
        )?;
        Ok(answer)
    }

    fn retrieve_in<'s, S: Scope>(
        &self,
        scope: &'s S,
        arguments: &Arguments<'s, S>,
    ) -> Result<S::Text<'s>, Fault> {
        let path = arguments.text("path")?;
        let write = |version: u64, key: &str, text: &str| {
            let mut answer = scope.text(path.len() + text.len() + text.len() / 8 + ANSWER)?;
            answer.push_str("{\"path\":")?;
            quote(&mut answer, path)?;
            put(
                &mut answer,
                format_args!(",\"version\":{version},\"{key}\":"),
            )?;
            quote(&mut answer, text)?;
            answer.push_str("}")?;
            Ok(answer)
        };
        let found = match arguments.count("change", u64::MAX)? {
            Some(version) => {
                self.change(path, version, |record| write(version, "change", record))?
            }
            None => self.retrieve(path, |version, content| write(version, "content", content))?,
        };
        found.unwrap_or_else(|| refused(format!("no such file or change: {path:?}")))
    }

    fn search_in<'s, S: Scope>(
        &self,
        scope: &'s S,
        arguments: &Arguments<'s, S>,
    ) -> Result<S::Text<'s>, Fault> {
        let query = arguments.text("query")?;
        let limit = arguments
            .count("limit", MOST_HITS as u64)?
            .map_or(USUAL_HITS, |n| usize::try_from(n).unwrap_or(MOST_HITS));
        let ranking = match arguments.text_or("ranking", "hybrid")? {
            "hybrid" => Ranking::Hybrid,
            "text" => Ranking::Text,
            "vector" => Ranking::Vector,
            "graph" => Ranking::Graph,
            other => {
                return refused(format!(
                    "ranking {other:?}: use hybrid, text, vector or graph"
                ));
            }
        };
        Ok(self.search(query, ranking, limit, |hits| write_hits(scope, hits))??)
    }

    fn link_in<'s, S: Scope>(
        &mut self,
        scope: &'s S,
        arguments: &Arguments<'s, S>,
    ) -> Result<S::Text<'s>, Fault> {
        let [from, to, kind] = ["from", "to", "kind"].map(|name| arguments.text(name));
        let mut answer = scope.text(ANSWER)?;
        let new = self
            .link(from?, to?, kind?)
            .map_err(|error| Fault::Refused(format!("{error:#}")))?;
        put(&mut answer, format_args!("{{\"new\":{new}}}"))?;
        Ok(answer)
    }

    fn transform_in<'s, S: Scope>(
        &mut self,
        scope: &'s S,
        arguments: &Arguments<'s, S>,
    ) -> Result<S::Text<'s>, Fault> {
        let path = arguments.text("path")?;
        let edits = match arguments.0.get("edits") {
            Some(Json::Array(edits)) if !edits.is_empty() => edits,
            Some(other) => {
                return refused(format!(
                    "edits is {}, an array of find and replace is needed",
                    other.kind()
                ));
            }
            None => return refused("edits is missing"),
        };
        let before = self.retrieve(path, |_, content| copied(scope, content))?;
        let Some(before) = before else {
            return refused(format!("no file {path:?}"));
        };
        let mut content = before?;
        for edit in edits.iter() {
            once(edit, &["find", "replace"])?;
            let edit = Borrowed(edit);
            content = replaced(scope, &content, edit.text("find")?, edit.text("replace")?)?;
        }
        self.save_in(scope, path, &content)
    }
}

/// Room for what an answer holds beside paths and texts.
const ANSWER: usize = 256;

/// Makes room errors the outer ones, which [`with_scope`] understands.
fn lift<R>(result: Result<R, Fault>) -> Result<Result<R, Fault>, Full> {
    match result {
        Err(Fault::Full) => Err(Full),
        done => Ok(done),
    }
}

fn check(request: &str) -> Result<(), Fault> {
    let length = request.len();
    if length > LONGEST_REQUEST {
        return refused(format!(
            "a request of {length} bytes, at most {LONGEST_REQUEST} are allowed"
        ));
    }
    Ok(())
}

fn copied<'s, S: Scope>(scope: &'s S, text: &str) -> Result<S::Text<'s>, Full> {
    let mut copy = scope.text(text.len())?;
    copy.push_str(text)?;
    Ok(copy)
}

fn replaced<'s, S: Scope>(
    scope: &'s S,
    text: &str,
    find: &str,
    replace: &str,
) -> Result<S::Text<'s>, Fault> {
    if find.is_empty() || !text.contains(find) {
        return refused(format!("find {find:?} does not occur"));
    }
    let mut made = scope.text(text.len() + replace.len())?;
    for (place, piece) in text.split(find).enumerate() {
        if place > 0 {
            made.push_str(replace)?;
        }
        made.push_str(piece)?;
    }
    Ok(made)
}

fn write_hits<'s, S: Scope>(scope: &'s S, hits: &[Hit<'_>]) -> Result<S::Text<'s>, Full> {
    let mut answer = scope.text(hits.len() * ANSWER + ANSWER)?;
    answer.push_str("{\"hits\":[")?;
    for (place, hit) in hits.iter().enumerate() {
        answer.push_str(if place > 0 {
            ",{\"path\":"
        } else {
            "{\"path\":"
        })?;
        quote(&mut answer, hit.path)?;
        put(&mut answer, format_args!(",\"score\":{:.6}", hit.score))?;
        for (name, rank) in ["text", "vector", "graph"].into_iter().zip(hit.ranks) {
            if let Some(rank) = rank {
                put(&mut answer, format_args!(",\"{name}\":{rank}"))?;
            }
        }
        if let Some((symbol, line)) = hit.symbol {
            answer.push_str(",\"symbol\":")?;
            quote(&mut answer, symbol)?;
            put(&mut answer, format_args!(",\"line\":{line}"))?;
        }
        answer.push_str("}")?;
    }
    answer.push_str("]}")?;
    Ok(answer)
}

/// Refuses an object that has one of these keys twice: which one was meant?
fn once<S: Scope>(object: &Json<'_, S>, keys: &[&str]) -> Result<(), Fault> {
    match object.twice(keys) {
        None => Ok(()),
        Some(key) => refused(format!("{key} is there twice, once is allowed")),
    }
}

/// The arguments of a request: an object with known keys, each of them once.
struct Arguments<'s, S: Scope>(Json<'s, S>);

impl<'s, S: Scope> Arguments<'s, S> {
    fn of(scope: &'s S, primitive: Primitive, request: &'s str) -> Result<Self, Fault> {
        let json = Json::parse(scope, request)?;
        let Json::Object(entries) = &json else {
            return refused(format!(
                "arguments are {}, an object is needed",
                json.kind()
            ));
        };
        let known = primitive.arguments();
        if let Some((key, _)) = entries
            .iter()
            .find(|(key, _)| !known.contains(&key.as_str()))
        {
            return refused(format!(
                "{}: no argument {:?}; there is {}",
                primitive.name(),
                key.as_str(),
                known.join(", ")
            ));
        }
        once(&json, known)?;
        Ok(Self(json))
    }

    fn text(&self, name: &str) -> Result<&str, Fault> {
        Borrowed(&self.0).text(name)
    }

    fn text_or<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str, Fault> {
        if self.0.get(name).is_none() {
            Ok(default)
        } else {
            self.text(name)
        }
    }

    /// A whole number from 1 to `most`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, positive, and bounded"
    )]
    fn count(&self, name: &str, most: u64) -> Result<Option<u64>, Fault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(&Json::Number(n)) if n >= 1.0 && n.fract() == 0.0 && n <= most as f64 => {
                Ok(Some(n as u64))
            }
            Some(Json::Number(n)) => refused(format!(
                "{name} is {n}, a whole number from 1 to {most} is needed"
            )),
            Some(other) => refused(format!(
                "{name} is {}, a whole number is needed",
                other.kind()
            )),
        }
    }
}

struct Borrowed<'a, 's, S: Scope>(&'a Json<'s, S>);

impl<'a, 's, S: Scope> Borrowed<'a, 's, S> {
    fn text(&self, name: &str) -> Result<&'a str, Fault> {
        match self.0.get(name) {
            Some(Json::Text(text)) => Ok(Words::as_str(text)),
            Some(other) => refused(format!("{name} is {}, a text is needed", other.kind())),
            None => refused(format!("{name} is missing")),
        }
    }
}
