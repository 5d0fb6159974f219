//! What the system really granted: huge pages, prefaulting and nodes are wishes.

use crate::element::Element;
use crate::pool::VectorPool;
use alloc::collections::BTreeSet;
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

    /// Bytes for which the system prefers the memory of node `node`, which is a
    /// promise; where they lie says [`GrantedSlabs::placed_bytes`].
    #[must_use]
    pub fn node_bytes(&self, node: u32) -> usize {
        self.bytes_where(|granted| granted.numa_node == Some(node))
    }

    /// Bytes of slabs whose pages lie on node `node`, by a sample; `None` if the
    /// system says so of no slab.
    #[must_use]
    pub fn placed_bytes(&self, node: u32) -> Option<usize> {
        let is_known = |(_, granted): &(usize, Granted)| granted.placed_node.is_some();
        let says = self.slabs.iter().any(is_known);
        says.then(|| self.bytes_where(|granted| granted.placed_node == Some(node)))
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
        )?;
        let nodes: BTreeSet<u32> = self
            .slabs
            .iter()
            .filter_map(|(_, granted)| granted.placed_node)
            .collect();
        nodes.into_iter().try_for_each(|node| {
            let bytes = self.placed_bytes(node).unwrap_or_default();
            write!(f, "; {bytes} on node {node}")
        })
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
    /// assert!(granted.placed_bytes(0).is_none_or(|bytes| bytes <= granted.bytes()));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn granted(&self) -> GrantedSlabs {
        GrantedSlabs {
            slabs: self.engine.look_at_source(|source| source.granted()),
        }
    }
}
