//! Where strings and buffers come from: the heap, or pools named for their use.

use super::files::Tables;
use anyhow::Result;
use arrayvec::ArrayString;
use millpond_bytes::{BytePool, Config, ConfigError, PoolBuf, PoolString, StringPool, StringSize};
use millpond_core::error::AcquireError;
use millpond_fixed::{Clear, Exhaustion, FixedPool, ObjectHandle, OwnedObjectLease};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// What a buffer is for; each use has a pool of its own, and a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Reading files that are hashed.
    Hash,
    /// Writing archives.
    Archive,
    /// Writing what people read.
    Output,
}

impl Purpose {
    /// Bytes of a buffer.
    ///
    /// Larger ones were no faster for files, and leave the second level of
    /// the processor's cache (November 2026, 2-core virtual machine).
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Hash => 64 << 10,
            Self::Archive => 32 << 10,
            // A batch of the log, mostly.
            Self::Output => 8 << 10,
        }
    }
}

/// Lends strings and buffers; dropping one gives it back.
pub trait Memory: Sync {
    /// Text that is being written.
    type Text: fmt::Write + Deref<Target = str> + Send;
    /// Text so short that no pool is worth its while.
    type Name: fmt::Write + Deref<Target = str>;
    /// Bytes to be overwritten, as many as their [`Purpose`] says.
    type Buffer: DerefMut<Target = [u8]>;
    /// What is known of files.
    type Tables: DerefMut<Target = Tables>;

    /// An empty string, with room for about `bytes`.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    fn text(&self, bytes: usize) -> Result<Self::Text, AcquireError>;

    /// An empty name, with room for about `bytes`.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    fn name(&self, bytes: usize) -> Result<Self::Name, AcquireError>;

    /// A buffer; its contents are anything.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    fn buffer(&self, purpose: Purpose) -> Result<Self::Buffer>;

    /// Tables that know no file.
    ///
    /// # Errors
    ///
    /// If there is no memory for them.
    fn tables(&self) -> Result<Self::Tables, AcquireError>;
}

/// The heap: `String` and `Vec`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

/// A value where it is: what [`Heap`] lends for an object of a pool.
#[derive(Debug)]
pub struct Own<T>(T);

impl<T> Deref for Own<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Own<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl Memory for Heap {
    type Text = String;
    type Name = String;
    type Buffer = Vec<u8>;
    type Tables = Own<Tables>;

    fn text(&self, bytes: usize) -> Result<String, AcquireError> {
        Ok(String::with_capacity(bytes))
    }

    fn name(&self, bytes: usize) -> Result<String, AcquireError> {
        Ok(String::with_capacity(bytes))
    }

    fn buffer(&self, purpose: Purpose) -> Result<Vec<u8>> {
        Ok(vec![0; purpose.bytes()])
    }

    fn tables(&self) -> Result<Own<Tables>, AcquireError> {
        Ok(Own(Tables::default()))
    }
}

/// Pools: strings in three sizes, a pool of bytes for each purpose, and tables that are
/// recycled.
#[derive(Debug)]
pub struct Pooled {
    strings: StringPool,
    tables: ObjectHandle<Tables, Clear>,
    hash: BytePool,
    archive: BytePool,
    output: BytePool,
}

impl Pooled {
    /// Empty pools, without a limit.
    ///
    /// # Errors
    ///
    /// If there is no memory for their tables.
    pub fn new() -> Result<Self, ConfigError> {
        let of = |name, purpose: Purpose| {
            BytePool::new(Config::new().with_name(name).with_sizes(&[purpose.bytes()]))
        };
        let tables = FixedPool::<Tables>::builder(WORKSHOPS)
            .exhaustion(Exhaustion::Fallback {
                at_most: usize::MAX,
            })
            .build_objects(Clear::rejecting_above(KEPT_FILES));
        Ok(Self {
            strings: StringPool::new()?,
            tables: tables.into_handle(),
            hash: of("hash", Purpose::Hash)?,
            archive: of("archive", Purpose::Archive)?,
            output: of("output", Purpose::Output)?,
        })
    }

    /// The pools, for their figures.
    #[must_use]
    pub fn pools(&self) -> [(&'static str, &BytePool); 4] {
        let strings = self.strings.pool();
        [
            ("strings", strings),
            ("hash", &self.hash),
            ("archive", &self.archive),
            ("output", &self.output),
        ]
    }
}

/// Workshops at once whose tables are recycled.
const WORKSHOPS: usize = 16;

/// Files of which tables are recycled: some 20 MB of them.
const KEPT_FILES: usize = 100_000;

/// Bytes of a name that lies where it is used: a registry, three folders, a tag.
const INLINE: usize = 124;

/// A name: in place if it is short, of a pool if it is not.
///
/// A lease and its return cost as much as an allocator that is good at small blocks,
/// so a pool gains nothing on 40 bytes, and loses where it does more than that. What is
/// not allocated at all gains.
#[derive(Debug)]
pub enum Name {
    /// In place.
    Inline(ArrayString<INLINE>),
    /// A pool's.
    Pooled(PoolString),
}

impl Deref for Name {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match self {
            Self::Inline(name) => name,
            Self::Pooled(name) => name,
        }
    }
}

impl fmt::Write for Name {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self {
            Self::Inline(name) => name.write_str(text),
            Self::Pooled(name) => name.write_str(text),
        }
    }
}

impl Memory for Pooled {
    type Text = PoolString;
    type Name = Name;
    type Buffer = PoolBuf;
    type Tables = OwnedObjectLease<Tables, Clear>;

    fn tables(&self) -> Result<Self::Tables, AcquireError> {
        self.tables.acquire_owned()
    }

    #[inline]
    fn name(&self, bytes: usize) -> Result<Name, AcquireError> {
        if bytes <= INLINE {
            return Ok(Name::Inline(ArrayString::new()));
        }
        Ok(Name::Pooled(self.text(bytes)?))
    }

    #[inline]
    fn text(&self, bytes: usize) -> Result<PoolString, AcquireError> {
        self.strings.acquire(match bytes {
            0..=256 => StringSize::Small,
            257..=2048 => StringSize::Medium,
            _ => StringSize::Large,
        })
    }

    fn buffer(&self, purpose: Purpose) -> Result<PoolBuf> {
        let pool = match purpose {
            Purpose::Hash => &self.hash,
            Purpose::Archive => &self.archive,
            Purpose::Output => &self.output,
        };
        Ok(pool.acquire_stale(purpose.bytes())?)
    }
}
