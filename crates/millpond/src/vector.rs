//! Rows of numbers that are aligned, padded, and never move: `millpond-vector`.

#[cfg(feature = "std")]
pub use millpond_vector::OwnedRow;
#[cfg(feature = "rtrb")]
pub use millpond_vector::ring;
pub use millpond_vector::{
    AlignedBuf, Alignment, Bf16, Builder, CapacityUsage, Column, DEFAULT_BLOCKS, Element, F16,
    Gather, GrantedSlabs, InsertError, Lane, LaneError, LoadError, LocalVectorPool, Moved,
    RowBatch, RowId, RowLayout, RowLease, Run, Runs, ScratchPool, ShapeError, SideArrays, Soa,
    SoaLease, SoaPool, Spread, Triples8, Triples8Lease, Triples8Pool, VectorPool, kernel,
};
