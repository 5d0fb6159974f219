//! What the user asked for cannot be done: one clear line, exit code 2.

use std::fmt;

/// A request that we refuse, with the one line that says why.
///
/// Everything else that goes wrong is an ordinary error with exit code 1; a
/// refusal means that the same command will be refused again.
#[derive(Debug)]
pub struct Refusal(pub String);

impl Refusal {
    /// A refusal as an error, ready for `return Err(…)`.
    pub fn because(reason: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self(reason.into()))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// The exit code that belongs to `error`: 2 for a refusal, 1 for the rest.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Refusal>() { 2 } else { 1 }
}
