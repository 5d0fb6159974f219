//! What a scope is told, and what of that is refused.
#![forbid(unsafe_code)]

use crate::chunk::PAGE;
use core::fmt;

/// Requests of up to this many bytes are never large objects, whatever the
/// threshold: then the test for small types costs nothing at run time.
pub(crate) const NEVER_LARGE: usize = 1024;

/// The smallest arena that can be asked for.
const SMALLEST: usize = PAGE;

/// The largest figure that can be asked for: a quarter of the address space, so
/// that sums of a few do not overflow.
const LARGEST: usize = isize::MAX as usize / 2;

/// What becomes of the bytes of an arena when it comes home.
///
/// ```
/// use millpond_arena::{ScopeConfig, Wipe};
///
/// assert_eq!(ScopeConfig::of(64 << 10).wipe, Wipe::Never);
/// let secrets = ScopeConfig::of(64 << 10).with_wipe(Wipe::Zero);
/// assert_eq!(secrets.wipe, Wipe::Zero);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wipe {
    /// Nothing. They are overwritten by the next request that needs the room.
    #[default]
    Never,
    /// Every byte that was ever allocated is overwritten with zero, by stores
    /// that the compiler may not leave out.
    Zero,
}

/// How the arenas of one scope are sized and kept.
///
/// Sizes are in bytes. Those that are not set follow from the nominal size.
///
/// ```
/// use millpond_arena::{ArenaManager, Scope, ScopeConfig, Wipe};
///
/// let mut builder = ArenaManager::builder();
/// builder.configure(
///     Scope::Json,
///     ScopeConfig::of(128 << 10)
///         .with_limit(4 << 20)
///         .with_wipe(Wipe::Zero),
/// );
/// assert!(builder.build().is_ok());
///
/// let mut builder = ArenaManager::builder();
/// builder.configure(Scope::Json, ScopeConfig::of(128 << 10).with_limit(1000));
/// assert_eq!(
///     builder.build().unwrap_err().to_string(),
///     "scope `json`: limit_bytes is 1000, but must be 131072 or more"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScopeConfig {
    /// Bytes of an arena that was not used yet. Rounded up to whole pages.
    pub nominal_bytes: usize,
    /// The most that one lease may hold, chunks and large objects together.
    /// Unset: 64 × nominal.
    pub limit_bytes: Option<usize>,
    /// The most that an arena keeps when it comes home. Unset: 4 × nominal, or
    /// the limit if that is less.
    pub retain_bytes: Option<usize>,
    /// Requests of more than this many bytes are large objects: allocations of
    /// their own, which are really freed and really resized. Unset: a quarter of
    /// nominal, but at least 1 KiB.
    pub large_bytes: Option<usize>,
    /// How many arenas may be kept while nobody leases them. More are built when
    /// more are leased at once, and go when they come home. Unset: 64.
    pub parked: Option<usize>,
    /// How many arenas are built, and their pages touched, with the manager.
    pub prewarm: usize,
    /// What becomes of the bytes of an arena that comes home.
    pub wipe: Wipe,
    /// The share of leases, in per cent, that should find room in one chunk:
    /// arenas are built for this percentile of what leases used lately.
    pub percentile: u8,
}

impl Default for ScopeConfig {
    fn default() -> Self {
        Self::of(256 << 10)
    }
}

impl ScopeConfig {
    /// Arenas of `nominal_bytes`, everything else following from that.
    ///
    /// ```
    /// # use millpond_arena::ScopeConfig;
    /// let config = ScopeConfig::of(512 << 10);
    /// assert_eq!((config.nominal_bytes, config.limit_bytes), (512 << 10, None));
    /// ```
    #[must_use]
    pub const fn of(nominal_bytes: usize) -> Self {
        Self {
            nominal_bytes,
            limit_bytes: None,
            retain_bytes: None,
            large_bytes: None,
            parked: None,
            prewarm: 0,
            wipe: Wipe::Never,
            percentile: 90,
        }
    }

    /// Sets the most that one lease may hold.
    ///
    /// ```
    /// # use millpond_arena::ScopeConfig;
    /// let config = ScopeConfig::of(64 << 10).with_limit(1 << 20);
    /// assert_eq!(config.limit_bytes, Some(1 << 20));
    /// ```
    #[must_use]
    pub const fn with_limit(mut self, bytes: usize) -> Self {
        self.limit_bytes = Some(bytes);
        self
    }

    /// Sets the most that an arena keeps when it comes home.
    ///
    /// ```
    /// # use millpond_arena::ScopeConfig;
    /// let config = ScopeConfig::of(64 << 10).with_retention(64 << 10);
    /// assert_eq!(config.retain_bytes, Some(64 << 10));
    /// ```
    #[must_use]
    pub const fn with_retention(mut self, bytes: usize) -> Self {
        self.retain_bytes = Some(bytes);
        self
    }

    /// Sets the size above which a request is a large object.
    ///
    /// ```
    /// # use millpond_arena::ScopeConfig;
    /// let config = ScopeConfig::of(64 << 10).with_large(4096);
    /// assert_eq!(config.large_bytes, Some(4096));
    /// ```
    #[must_use]
    pub const fn with_large(mut self, bytes: usize) -> Self {
        self.large_bytes = Some(bytes);
        self
    }

    /// Sets how many arenas may be kept while nobody leases them.
    ///
    /// ```
    /// # use millpond_arena::ScopeConfig;
    /// let config = ScopeConfig::of(64 << 10).with_parked(8);
    /// assert_eq!(config.parked, Some(8));
    /// ```
    #[must_use]
    pub const fn with_parked(mut self, arenas: usize) -> Self {
        self.parked = Some(arenas);
        self
    }

    /// Sets how many arenas are built with the manager.
    ///
    /// ```
    /// # use millpond_arena::{ArenaManager, Scope, ScopeConfig};
    /// let mut builder = ArenaManager::builder();
    /// builder.configure(Scope::Json, ScopeConfig::of(64 << 10).with_prewarm(2));
    /// assert_eq!(builder.build()?.scope_stats(Scope::Json)?.parked, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn with_prewarm(mut self, arenas: usize) -> Self {
        self.prewarm = arenas;
        self
    }

    /// Sets what becomes of the bytes of an arena that comes home.
    ///
    /// ```
    /// # use millpond_arena::{ScopeConfig, Wipe};
    /// let config = ScopeConfig::of(64 << 10).with_wipe(Wipe::Zero);
    /// assert_eq!(config.wipe, Wipe::Zero);
    /// ```
    #[must_use]
    pub const fn with_wipe(mut self, wipe: Wipe) -> Self {
        self.wipe = wipe;
        self
    }

    /// Sets the share of leases, in per cent, that should find room in one chunk.
    ///
    /// ```
    /// # use millpond_arena::ScopeConfig;
    /// let config = ScopeConfig::of(64 << 10).with_percentile(99);
    /// assert_eq!(config.percentile, 99);
    /// ```
    #[must_use]
    pub const fn with_percentile(mut self, percent: u8) -> Self {
        self.percentile = percent;
        self
    }

    /// The figures, with what was not set filled in, if they agree.
    pub(crate) fn check(&self, scope: &'static str) -> Result<Figures, ConfigError> {
        let check = |field, value, least, most| {
            let error = ConfigError {
                scope,
                field,
                value,
                least,
                most,
            };
            if (least..=most).contains(&value) {
                Ok(value)
            } else {
                Err(error)
            }
        };
        let nominal = check("nominal_bytes", self.nominal_bytes, SMALLEST, LARGEST)?;
        let nominal = nominal.next_multiple_of(PAGE);
        let limit = match self.limit_bytes {
            None => nominal.saturating_mul(64).min(LARGEST),
            Some(limit) => check("limit_bytes", limit, nominal, LARGEST)?,
        };
        let retain = match self.retain_bytes {
            None => nominal.saturating_mul(4).min(limit),
            Some(retain) => check("retain_bytes", retain, nominal, limit)?,
        };
        let quarter = (nominal / 4).max(NEVER_LARGE);
        let large = match self.large_bytes {
            None => quarter,
            Some(large) => check("large_bytes", large, NEVER_LARGE, nominal)?,
        };
        let parked = match self.parked {
            None => 64.max(self.prewarm),
            Some(parked) => check("parked", parked, 0, u32::MAX as usize)?,
        };
        let percent = usize::from(self.percentile);
        Ok(Figures {
            nominal,
            limit,
            retain: retain / PAGE * PAGE,
            large,
            parked,
            prewarm: check("prewarm", self.prewarm, 0, parked)?,
            wipe: self.wipe != Wipe::Never,
            percent: check("percentile", percent, 1, 100)?,
        })
    }
}

/// A checked [`ScopeConfig`].
///
/// `nominal` and `retain` are whole pages, and `nominal <= retain <= limit`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) nominal: usize,
    pub(crate) limit: usize,
    pub(crate) retain: usize,
    pub(crate) large: usize,
    pub(crate) parked: usize,
    pub(crate) prewarm: usize,
    pub(crate) wipe: bool,
    pub(crate) percent: usize,
}

/// A figure of a scope that cannot be: which, and what is allowed.
///
/// ```
/// use millpond_arena::{ArenaManager, Scope, ScopeConfig};
///
/// let mut builder = ArenaManager::builder();
/// builder.configure(Scope::Json, ScopeConfig::of(100));
/// let error = builder.check().unwrap_err();
/// assert_eq!((error.scope, error.field, error.least), ("json", "nominal_bytes", 4096));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The scope's name.
    pub scope: &'static str,
    /// The field of [`ScopeConfig`].
    pub field: &'static str,
    /// What it was set to.
    pub value: usize,
    /// The least that is allowed, given the other fields.
    pub least: usize,
    /// The most that is allowed, given the other fields.
    pub most: usize,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scope,
            field,
            value,
            least,
            most,
        } = self;
        write!(
            f,
            "scope `{scope}`: {field} is {value}, but must be {least}"
        )?;
        match *most {
            LARGEST => f.write_str(" or more"),
            most => write!(f, " to {most}"),
        }
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: ScopeConfig = ScopeConfig::of(100 << 10);

    #[test]
    fn what_is_not_set_follows_from_the_nominal_size() {
        let figures = GOOD.check("good").expect("figures that agree");
        assert_eq!(figures.nominal, 100 << 10);
        assert_eq!(figures.limit, 6400 << 10);
        assert_eq!(figures.retain, 400 << 10);
        assert_eq!(figures.large, 25 << 10);
        assert_eq!((figures.parked, figures.prewarm), (64, 0));
    }

    #[test]
    fn odd_sizes_become_whole_pages() {
        let figures = ScopeConfig::of(4097).check("odd").expect("any size");
        assert_eq!(figures.nominal, 8192);
    }

    #[test]
    fn figures_that_disagree_are_refused_by_name() {
        let cases = [
            ("nominal_bytes", ScopeConfig::of(4095)),
            ("nominal_bytes", ScopeConfig::of(usize::MAX)),
            ("limit_bytes", GOOD.with_limit(1)),
            ("limit_bytes", GOOD.with_limit(usize::MAX)),
            ("retain_bytes", GOOD.with_retention(4096)),
            (
                "retain_bytes",
                GOOD.with_limit(200 << 10).with_retention(1 << 20),
            ),
            ("large_bytes", GOOD.with_large(0)),
            ("large_bytes", GOOD.with_large(1 << 20)),
            ("parked", GOOD.with_parked(usize::MAX)),
            ("prewarm", GOOD.with_parked(4).with_prewarm(5)),
            ("percentile", GOOD.with_percentile(0)),
            ("percentile", GOOD.with_percentile(101)),
        ];
        for (field, config) in cases {
            let error = config.check("bad").expect_err(field);
            assert_eq!((error.field, error.scope), (field, "bad"));
            assert!(!(error.least..=error.most).contains(&error.value));
        }
    }
}
