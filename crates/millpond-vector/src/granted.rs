//! What the system really granted: huge pages, prefaulting and nodes are wishes.

use crate::element::Element;
use crate::pool::VectorPool;
use alloc::vec::Vec;
use core::fmt;
use millpond_core::engine::{Engine, Mode};
use millpond_core::region::{Backing, Granted};

/// What the slabs of a pool got, beside what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantedSlabs {
    /// One for each slab: its bytes, and what they are.
    pub slabs: Vec<(usize, Granted)>,
}

impl GrantedSlabs {
    /// Bytes of all slabs.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.slabs.iter().map(|(bytes, _)| bytes).sum()
    }

    /// Bytes that are backed by huge pages now; `None` if the system says so of
    /// no slab.
    #[must_use]
    pub fn huge_page_bytes(&self) -> Option<usize> {
        self.slabs
            .iter()
            .filter_map(|(_, granted)| granted.huge_page_bytes)
            .reduce(|sum, bytes| sum + bytes)
    }

    /// Bytes from the system's reserve of huge pages.
    #[must_use]
    pub fn reserved_bytes(&self) -> usize {
        self.bytes_where(|granted| granted.backing == Backing::MappedHuge)
    }

    /// Bytes that were touched when their slab was made.
    #[must_use]
    pub fn prefaulted_bytes(&self) -> usize {
        self.bytes_where(|granted| granted.prefaulted)
    }

    /// Bytes for which the system prefers the memory of node `node`.
    #[must_use]
    pub fn node_bytes(&self, node: u32) -> usize {
        self.bytes_where(|granted| granted.numa_node == Some(node))
    }

    fn bytes_where(&self, is_so: impl Fn(&Granted) -> bool) -> usize {
        let slabs = self.slabs.iter().filter(|(_, granted)| is_so(granted));
        slabs.map(|(bytes, _)| bytes).sum()
    }
}

impl fmt::Display for GrantedSlabs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slabs = self.slabs.len();
        let s = if slabs == 1 { "" } else { "s" };
        write!(f, "{slabs} slab{s} of {} bytes in all; ", self.bytes())?;
        match self.huge_page_bytes() {
            Some(bytes) => write!(f, "{bytes} in huge pages, ")?,
            None => f.write_str("huge pages unknown, ")?,
        }
        write!(
            f,
            "{} of them reserved; {} prefaulted",
            self.reserved_bytes(),
            self.prefaulted_bytes()
        )
    }
}

impl<E: Element, M: Mode> VectorPool<E, M> {
    /// What the system granted for the slabs that there are. For reports: reads
    /// the kernel's table of mappings once a slab, and no slab is made or given
    /// back meanwhile.
    ///
    /// ```
    /// use millpond_vector::{HugePages, VectorPool};
    ///
    /// let pool = VectorPool::<f32>::builder(768)
    ///     .huge_pages(HugePages::Transparent)
    ///     .prefault(true)
    ///     .build()?;
    /// pool.insert(&[1.0; 768])?;
    /// let granted = pool.granted();
    /// assert_eq!(granted.bytes(), 2 << 20);
    /// // At most what there is; on some systems none.
    /// assert!(granted.huge_page_bytes().is_none_or(|huge| huge <= granted.bytes()));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn granted(&self) -> GrantedSlabs {
        GrantedSlabs {
            slabs: self.engine.look_at_source(|source| source.granted()),
        }
    }
}
