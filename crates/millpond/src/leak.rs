//! Who still had what when a pond was closed.

use core::fmt;
use core::time::Duration;
use millpond_core::diagnostics::Holder;
use std::string::String;
use std::vec::Vec;

/// What was still leased when a pond was closed. Empty if all is well.
///
/// The memory is not lost: each lease gives its own back when it ends.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use = "a leak report says who still holds leases"]
pub struct LeakReport {
    /// For how long the pond waited for leases to come home.
    pub waited: Duration,
    /// Pools of which something was leased.
    pub leaks: Vec<Leak>,
}

/// A pool of which something was leased when its pond was closed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Leak {
    /// The pool's name.
    pub pool: String,
    /// Its kind: `fixed`, `arena`, `vector`, `bytes`.
    pub kind: &'static str,
    /// Items that were leased.
    pub leased: usize,
    /// Bytes of these items.
    pub leased_bytes: usize,
    /// Who acquired them, longest holder first, as far as diagnostics know:
    /// nobody, if they are off.
    pub holders: Vec<Holder>,
}

impl LeakReport {
    /// Whether everything was home.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaks.is_empty()
    }

    /// Items that were leased, of all pools.
    #[must_use]
    pub fn leased(&self) -> usize {
        self.leaks.iter().map(|leak| leak.leased).sum()
    }
}

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("everything came home");
        }
        writeln!(f, "still leased after {:?}:", self.waited)?;
        for leak in &self.leaks {
            writeln!(f, "  {leak}")?;
            for holder in &leak.holders {
                writeln!(
                    f,
                    "    acquired at {}, held for {:?}",
                    holder.location, holder.held
                )?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pool,
            kind,
            leased,
            leased_bytes,
            ..
        } = self;
        write!(
            f,
            "{kind} pool `{pool}`: {leased} items, {leased_bytes} bytes"
        )
    }
}
