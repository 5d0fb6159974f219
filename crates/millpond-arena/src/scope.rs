//! Scopes: kinds of arenas, by what they are for.
#![forbid(unsafe_code)]

use core::fmt;

/// A kind of arena. Three come with every manager; the rest are the user's own.
///
/// ```
/// use millpond_arena::{ArenaManager, Scope, ScopeConfig};
///
/// let mut builder = ArenaManager::builder();
/// let render = builder.own_scope("render", ScopeConfig::of(512 << 10));
/// let manager = builder.build()?;
/// let arena = manager.lease(render)?;
/// assert_eq!(arena.scope_name(), "render");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// One operation of a database or a service: 256 KiB.
    Primitive,
    /// One search, with its candidates and scores: 1 MiB.
    Search,
    /// One document that is parsed or written: 128 KiB.
    Json,
    /// A scope of the user's own, numbered by the builder that made it.
    Own(u16),
}

/// How many scopes every manager has.
pub(crate) const BUILT_IN: usize = 3;

impl Scope {
    /// The scopes that every manager has.
    pub const BUILT_IN: [Self; BUILT_IN] = [Self::Primitive, Self::Search, Self::Json];

    /// The place of the scope in a manager's list.
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Primitive => 0,
            Self::Search => 1,
            Self::Json => 2,
            Self::Own(number) => BUILT_IN + number as usize,
        }
    }

    /// The scope of a place in a manager's list.
    pub(crate) fn at(index: usize) -> Option<Self> {
        match Self::BUILT_IN.get(index) {
            Some(&scope) => Some(scope),
            None => u16::try_from(index - BUILT_IN).ok().map(Self::Own),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primitive => f.write_str("primitive"),
            Self::Search => f.write_str("search"),
            Self::Json => f.write_str("json"),
            Self::Own(number) => write!(f, "own scope {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_numbered_without_gaps() {
        let own = (0..3).map(Scope::Own);
        let all = Scope::BUILT_IN.into_iter().chain(own);
        for (index, scope) in all.enumerate() {
            assert_eq!(scope.index(), index);
            assert_eq!(Scope::at(index), Some(scope));
        }
    }
}
