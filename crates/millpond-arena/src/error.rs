//! Why memory was refused: small errors that name the limit.
#![forbid(unsafe_code)]

use core::fmt;
use millpond_core::error::AcquireError;

/// Which limit stood in the way of an allocation in an arena.
///
/// ```
/// use millpond_arena::{ArenaManager, Full, Scope};
///
/// let arena = ArenaManager::new().lease(Scope::Json)?;
/// let refused = arena.alloc_slice_uninit::<u64>(usize::MAX).unwrap_err();
/// assert_eq!(refused.full(), Full::Overflow);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Full {
    /// The lease may not hold more.
    Lease,
    /// The manager's budget, or one above it, has no room.
    Budget,
    /// The system had no memory.
    Memory,
    /// The request is larger than an address space.
    Overflow,
}

/// An allocation that was refused. Running out is ordinary: return it, or make
/// do with less.
///
/// ```
/// use millpond_arena::{ArenaManager, Full, Scope, ScopeConfig};
///
/// let mut builder = ArenaManager::builder();
/// builder.configure(Scope::Json, ScopeConfig::of(64 << 10).with_limit(64 << 10));
/// let manager = builder.build()?;
/// let arena = manager.lease(Scope::Json)?;
///
/// let refused = arena.alloc_slice_default::<u8>(1 << 20).unwrap_err();
/// assert_eq!(refused.full(), Full::Lease);
/// assert!(refused.to_string().starts_with("arena `json`: 1048576 bytes refused"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaFull {
    pub(crate) scope: &'static str,
    pub(crate) full: Full,
    pub(crate) requested_bytes: usize,
    pub(crate) held_bytes: usize,
    pub(crate) limit_bytes: usize,
}

impl ArenaFull {
    /// The name of the scope.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let refused = arena.alloc_slice_uninit::<u8>(1 << 30).unwrap_err();
    /// assert_eq!(refused.scope(), "json");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn scope(&self) -> &'static str {
        self.scope
    }

    /// Which limit was hit.
    ///
    /// ```
    /// use millpond_arena::Full;
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let refused = arena.alloc_slice_uninit::<u8>(1 << 30).unwrap_err();
    /// assert_eq!(refused.full(), Full::Lease);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn full(&self) -> Full {
        self.full
    }

    /// Bytes that were asked for.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let refused = arena.alloc_slice_uninit::<u8>(1 << 30).unwrap_err();
    /// assert_eq!(refused.requested_bytes(), 1 << 30);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn requested_bytes(&self) -> usize {
        self.requested_bytes
    }

    /// Bytes that the lease held.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let refused = arena.alloc_slice_uninit::<u8>(1 << 30).unwrap_err();
    /// assert_eq!(refused.held_bytes(), arena.held_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Bytes that the lease may hold.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope};
    /// # let arena = ArenaManager::new().lease(Scope::Json)?;
    /// let refused = arena.alloc_slice_uninit::<u8>(1 << 30).unwrap_err();
    /// assert_eq!(refused.limit_bytes(), arena.limit_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }
}

impl fmt::Display for ArenaFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scope,
            requested_bytes,
            held_bytes,
            limit_bytes,
            ..
        } = self;
        let why = match self.full {
            Full::Lease => "the limit of the lease",
            Full::Budget => "the budget",
            Full::Memory => "the system",
            Full::Overflow => "the address space",
        };
        write!(
            f,
            "arena `{scope}`: {requested_bytes} bytes refused by {why} (holds {held_bytes} of {limit_bytes})"
        )
    }
}

impl core::error::Error for ArenaFull {}

impl From<ArenaFull> for std::io::Error {
    fn from(error: ArenaFull) -> Self {
        Self::new(std::io::ErrorKind::OutOfMemory, error)
    }
}

impl From<ArenaFull> for allocator_api2::alloc::AllocError {
    fn from(_: ArenaFull) -> Self {
        Self
    }
}

/// A lease that was refused.
///
/// ```
/// use millpond_arena::{ArenaManager, LeaseError, Scope};
///
/// let manager = ArenaManager::new();
/// let refused = manager.lease(Scope::Own(0)).unwrap_err();
/// assert!(matches!(refused, LeaseError::UnknownScope { own_scopes: 0, .. }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseError {
    /// The manager has no such scope: it was made by another builder.
    UnknownScope {
        /// The scope.
        scope: crate::Scope,
        /// How many own scopes the manager has.
        own_scopes: usize,
    },
    /// A limit was hit, or the manager is gone.
    Refused(AcquireError),
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownScope { scope, own_scopes } => {
                write!(
                    f,
                    "{scope} is unknown to this manager, which has {own_scopes}"
                )
            }
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LeaseError {}

impl From<AcquireError> for LeaseError {
    fn from(error: AcquireError) -> Self {
        Self::Refused(error)
    }
}

impl From<LeaseError> for std::io::Error {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Refused(error) => error.into(),
            unknown @ LeaseError::UnknownScope { .. } => {
                Self::new(std::io::ErrorKind::NotFound, unknown)
            }
        }
    }
}
