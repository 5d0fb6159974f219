//! Memory modes: where a system takes its memory from, for the same work.
//!
//! ```text
//!  heap       Box, Vec, String on the system allocator
//!  mimalloc   the same code and the same mode, in a build with `--features mimalloc`
//!  pooled     the same algorithm on millpond pools
//! ```
//!
//! The first two are one mode in two builds, because a program has one global
//! allocator. [`Memory::label`] is the name that reports use.

use clap::ValueEnum;
use std::fmt;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where a system takes its memory from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Memory {
    /// Boxes, vectors and strings on the global allocator
    Heap,
    /// Millpond pools
    #[default]
    Pooled,
}

impl Memory {
    /// Both modes of one build.
    pub const ALL: [Self; 2] = [Self::Heap, Self::Pooled];

    /// The mode's name, which for the heap is that of this build's allocator.
    ///
    /// ```
    /// use millpond_workloads::memory::Memory;
    /// assert_eq!(Memory::Pooled.label(), "pooled");
    /// # #[cfg(not(feature = "mimalloc"))]
    /// assert_eq!(Memory::Heap.label(), "heap");
    /// ```
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::Heap if cfg!(feature = "mimalloc") => "mimalloc",
            Self::Heap => "heap",
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
