//! Where the memory of pools lies: their regions by address.

use millpond_core::observe::RegionFigures;
use serde::{Deserialize, Serialize};

/// Regions of pools by address, with how full each is: of [`Registry::memory_map`].
///
/// It is no part of a snapshot: to make one stops the pools for a moment each, and
/// addresses are for people who look at this process, and for nobody else.
///
/// [`Registry::memory_map`]: crate::Registry::memory_map
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemoryMap {
    /// The pools that know where their items lie.
    pub pools: Vec<PoolRegions>,
}

/// The regions of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolRegions {
    /// The name of the pool.
    pub pool: String,
    /// Its regions, in the order of their addresses.
    pub regions: Vec<RegionFigures>,
}

impl PoolRegions {
    pub(crate) fn of(pool: String, mut regions: Vec<RegionFigures>) -> Self {
        regions.sort_by_key(|region| region.address);
        Self { pool, regions }
    }

    /// Bytes of all regions.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.regions.iter().map(|region| region.bytes as u64).sum()
    }
}
