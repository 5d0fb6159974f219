//! The terminal log: entries wait in a batch and are written together, in one piece.

use super::batched::Batched;
use super::memory::{Memory, Purpose};
use anyhow::Result;
use std::fmt::{self, Write as _};
use std::io::Write;

/// Entries that are written together.
pub const BATCH: usize = 64;

/// How much an entry matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For those who look closely.
    Debug,
    /// What happens.
    Info,
    /// What may be wrong.
    Warn,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info ",
            Self::Warn => "warn ",
        }
    }
}

/// A log that writes in batches. What waits is lost unless it is flushed.
pub struct Log<'m, M: Memory, W: Write> {
    memory: &'m M,
    waiting: Vec<M::Text>,
    out: W,
    least: Level,
}

impl<M: Memory, W: Write> fmt::Debug for Log<'_, M, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiting.len();
        f.debug_struct("Log")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

impl<'m, M: Memory, W: Write> Log<'m, M, W> {
    /// A log of what matters at least so much.
    pub fn new(memory: &'m M, least: Level, out: W) -> Self {
        let waiting = Vec::with_capacity(BATCH);
        Self {
            memory,
            waiting,
            out,
            least,
        }
    }

    /// Adds an entry; every 64th writes all that wait.
    ///
    /// # Errors
    ///
    /// If they cannot be written, or there is no memory.
    pub fn entry(&mut self, level: Level, what: fmt::Arguments<'_>) -> Result<()> {
        if level < self.least {
            return Ok(());
        }
        let mut text = self.memory.text(128)?;
        writeln!(text, "[{}] {what}", level.word())?;
        self.waiting.push(text);
        if self.waiting.len() == BATCH {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what waits, and gives the entries back.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or there is no memory.
    pub fn flush(&mut self) -> Result<()> {
        if !self.waiting.is_empty() {
            let buffer = self.memory.buffer(Purpose::Output)?;
            let mut batch = Batched::new(buffer, &mut self.out);
            self.waiting
                .drain(..)
                .try_for_each(|text| batch.write_all(text.as_bytes()))?;
            batch.flush()?;
        }
        Ok(self.out.flush()?)
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Heap, Pooled};
    use super::*;

    fn written<M: Memory>(memory: &M) -> String {
        let mut log = Log::new(memory, Level::Info, Vec::new());
        for n in 0..200 {
            let level = [Level::Debug, Level::Info, Level::Warn][n % 3];
            log.entry(level, format_args!("step {n}")).unwrap();
            assert!(log.waiting.len() < BATCH);
        }
        log.flush().unwrap();
        String::from_utf8(log.into_inner()).unwrap()
    }

    /// Counts writes.
    struct Writes(usize);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += 1;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_batch_is_one_write() {
        let pools = Pooled::new().unwrap();
        let mut log = Log::new(&pools, Level::Info, Writes(0));
        for n in 0..3 * BATCH {
            log.entry(Level::Info, format_args!("step {n}")).unwrap();
        }
        log.flush().unwrap();
        assert_eq!(log.into_inner().0, 3);
    }

    #[test]
    fn entries_arrive_in_order_in_every_mode() {
        let text = written(&Heap);
        assert_eq!(text.lines().count(), 133);
        assert!(text.starts_with("[info ] step 1\n[warn ] step 2\n[info ] step 4\n"));
        assert_eq!(written(&Pooled::new().unwrap()), text);
    }
}
