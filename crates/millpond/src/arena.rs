//! Arenas lent by scope: `millpond-arena`.

pub use millpond_arena::{
    ArenaFull, ArenaManager, ArenaString, ArenaVec, BuildError, Builder, ConfigError, Discarded,
    Full, IntoIter, Lease, LeaseError, Scope, ScopeConfig, ScopeStats, ScopeView, UnboundString,
    UnboundVec, Wipe,
};

#[cfg(feature = "serde_json")]
pub use millpond_arena::document;
