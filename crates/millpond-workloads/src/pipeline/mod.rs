//! The pipeline: N-Triples to receipts, eight triples at a time.
//!
//! ```text
//!  text ─ingest─▶ terms ─transform─▶ ids ─load─▶ run ─reflex─▶ lanes ─emit─▶ receipts
//!        ntriples.rs      terms.rs        run.rs      reflex.rs      receipt.rs
//! ```
//!
//! ```
//! use millpond_workloads::pipeline::{Pipeline, Pattern, memory};
//! use millpond_workloads::pipeline::receipt::Page;
//! use millpond_workloads::pipeline::reflex::Question;
//!
//! let buffers = memory::local_buffers();
//! let mut pipeline = Pipeline::new(&buffers, Page::new(memory::RECEIPTS));
//! pipeline.hook(Pattern { predicate: Some("<urn:knows>"), ..Pattern::ANY }, Question::Count);
//!
//! let text = "<urn:a> <urn:knows> <urn:b> .\n<urn:b> <urn:name> \"B\" .\n";
//! let mut answers = Vec::new();
//! pipeline.ingest(text, |receipt| answers.push(receipt.answer))?;
//! assert_eq!(answers, [1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each stage writes into what it is handed. Between the ids and the receipts
//! nothing is allocated in the pooled mode, and nothing is parsed or looked up:
//! that is the hot path, [`Pipeline::process`].

pub mod memory;
pub mod ntriples;
pub mod receipt;
pub mod reflex;
pub mod rings;
pub mod run;
pub mod sample;
pub mod terms;

use self::memory::{Buffers, Exhausted, Ledger};
use self::ntriples::{Parser, SyntaxError};
use self::receipt::Receipt;
use self::reflex::{Hook, Question};
use self::run::{InvalidSize, LANES, Run, Triple};
use self::terms::Terms;
use std::error::Error;
use std::fmt;
use std::ops::DerefMut;

/// Why a pipeline stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The text is not N-Triples.
    Syntax(SyntaxError),
    /// More triples than a run takes.
    Size(InvalidSize),
    /// No buffer or no receipt was left.
    Exhausted(Exhausted),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => error.fmt(f),
            Self::Size(error) => error.fmt(f),
            Self::Exhausted(error) => error.fmt(f),
        }
    }
}

impl Error for Fault {}

impl From<SyntaxError> for Fault {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

impl From<InvalidSize> for Fault {
    fn from(error: InvalidSize) -> Self {
        Self::Size(error)
    }
}

impl From<Exhausted> for Fault {
    fn from(error: Exhausted) -> Self {
        Self::Exhausted(error)
    }
}

/// The terms that a hook looks for, in canonical form; `None` matches all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pattern<'t> {
    /// The subject.
    pub subject: Option<&'t str>,
    /// The predicate.
    pub predicate: Option<&'t str>,
    /// The object.
    pub object: Option<&'t str>,
}

impl Pattern<'_> {
    /// Matches every triple.
    pub const ANY: Self = Self {
        subject: None,
        predicate: None,
        object: None,
    };
}

/// What has passed through a pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Statements that were read.
    pub statements: u64,
    /// Runs that were loaded.
    pub runs: u64,
    /// Receipts that were emitted.
    pub receipts: u64,
}

/// All stages on one thread.
#[derive(Debug)]
pub struct Pipeline<'m, B, L> {
    buffers: &'m B,
    ledger: L,
    terms: Terms,
    hooks: Vec<Hook>,
    passed: Passed,
}

impl<'m, B: Buffers, L: Ledger> Pipeline<'m, B, L> {
    /// A pipeline without hooks.
    pub fn new(buffers: &'m B, ledger: L) -> Self {
        Self {
            buffers,
            ledger,
            terms: Terms::new(),
            hooks: Vec::new(),
            passed: Passed::default(),
        }
    }

    /// Adds a hook; its number is that of hooks before it.
    pub fn hook(&mut self, pattern: Pattern<'_>, question: Question) {
        let terms = [pattern.subject, pattern.predicate, pattern.object];
        let ids = terms.map(|term| term.map(|term| self.terms.id_of(term)));
        self.hooks.push(Hook::new(ids, question));
    }

    /// Takes all statements of `text` through all stages.
    ///
    /// # Errors
    ///
    /// The first [`Fault`]. What came before it has been emitted.
    pub fn ingest(&mut self, text: &str, emit: impl FnMut(&Receipt)) -> Result<(), Fault> {
        self.ingest_watched(text, |_| (), emit)
    }

    /// The same; `read` is told after each run how many bytes of `text` were read.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::ingest`].
    pub fn ingest_watched(
        &mut self,
        text: &str,
        mut read: impl FnMut(usize),
        mut emit: impl FnMut(&Receipt),
    ) -> Result<(), Fault> {
        let mut parser = Parser::new(text);
        let mut waiting = [Triple::default(); LANES];
        let mut length = 0;
        while let Some(statement) = parser.statement()? {
            waiting[length] = statement.map(|term| self.terms.id_of(term));
            self.passed.statements += 1;
            length += 1;
            if length == LANES {
                self.process(&waiting, &mut emit)?;
                read(text.len() - parser.left_bytes());
                length = 0;
            }
        }
        if length > 0 {
            self.process(&waiting[..length], &mut emit)?;
        }
        read(text.len());
        Ok(())
    }

    /// Load, reflex, emit: one run of up to eight triples. The hot path.
    ///
    /// # Errors
    ///
    /// If there are more than eight triples, or a buffer or receipt is missing.
    #[inline]
    pub fn process(
        &mut self,
        triples: &[Triple],
        mut emit: impl FnMut(&Receipt),
    ) -> Result<(), Fault> {
        let run = Run::load_into(self.buffers.buffer()?, triples)?;
        let (hooks, tick) = (&self.hooks, self.passed.runs);
        let receipts = self.ledger.with_page(hooks.len(), |page| {
            reflex(&run, hooks, tick, |receipt| page.write(receipt))?;
            page.written().iter().for_each(&mut emit);
            Ok::<_, Exhausted>(page.written().len() as u64)
        })?;
        self.passed.runs += 1;
        self.passed.receipts += receipts;
        Ok(())
    }

    /// What has passed so far.
    pub fn passed(&self) -> Passed {
        self.passed
    }

    /// The terms that were seen.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }
}

/// Asks every hook about `run` and writes a receipt for each.
#[inline]
fn reflex<B: DerefMut<Target = [u64]>, E>(
    run: &Run<B>,
    hooks: &[Hook],
    tick: u64,
    mut write: impl FnMut(Receipt) -> Result<(), E>,
) -> Result<(), E> {
    let digest = run.digest();
    for (hook, number) in hooks.iter().zip(0..) {
        let lanes = hook.lanes(run);
        write(Receipt {
            hook: number,
            answer: hook.answer(lanes),
            run: digest,
            tick,
            lanes,
            subjects: run.columns()[0],
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::memory::{Heap, RECEIPTS, local_buffers};
    use super::receipt::Page;
    use super::*;

    #[test]
    fn a_syntax_error_stops_and_what_came_before_has_been_emitted() {
        let mut pipeline = Pipeline::new(&Heap, Heap);
        pipeline.hook(Pattern::ANY, Question::Count);
        let text = format!("{}broken\n", "<urn:a> <urn:b> <urn:c> .\n".repeat(9));
        let mut answers = Vec::new();
        let fault = pipeline.ingest(&text, |receipt| answers.push(receipt.answer));
        assert_eq!(
            fault.unwrap_err().to_string().split(':').next(),
            Some("line 10, column 1")
        );
        assert_eq!(answers, [8]);
    }

    #[test]
    fn progress_never_goes_back_and_ends_with_the_text() {
        let mut pipeline = Pipeline::new(&Heap, Heap);
        let line = "<urn:a> <urn:b> <urn:c> .\n";
        let text = line.repeat(20);
        let mut seen = Vec::new();
        let read = pipeline.ingest_watched(&text, |bytes| seen.push(bytes), |_| ());
        assert_eq!(read, Ok(()));
        assert_eq!(seen, [8, 16, 20].map(|lines| lines * line.len()));
    }

    #[test]
    fn more_hooks_than_receipts_are_exhausted_capacity() {
        let buffers = local_buffers();
        let mut pipeline = Pipeline::new(&buffers, Page::new(RECEIPTS));
        (0..=RECEIPTS).for_each(|_| pipeline.hook(Pattern::ANY, Question::Ask));
        let fault = pipeline.process(&[[1, 2, 3]], |_| ()).unwrap_err();
        assert!(fault.to_string().contains("all 1024 receipts"), "{fault}");
        assert_eq!(memory::usage(&buffers).in_use, 0);
    }

    #[test]
    fn nine_triples_are_an_invalid_size_and_the_buffer_comes_home() {
        let buffers = local_buffers();
        let mut pipeline = Pipeline::new(&buffers, Page::new(RECEIPTS));
        let fault = pipeline.process(&[[1, 2, 3]; 9], |_| ()).unwrap_err();
        assert_eq!(fault, Fault::Size(InvalidSize { triples: 9 }));
        assert_eq!(memory::usage(&buffers).in_use, 0);
    }
}
