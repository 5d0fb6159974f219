//! The tiny binary `millpond-variant`, compiled once for each cfg that it names.

/// The pool as we ship it.
pub const SHIPPED: &str = "millpond as shipped";
/// Without the means to reclaim what other threads cache.
pub const NO_RECLAIM: &str = "without reclaim";
/// Without counters.
pub const NO_COUNTERS: &str = "without counters";

/// The row that the binary measures, in every chapter that asks it.
pub const ROW: &str = "mechanism";

/// All of them, in the order in which they take turns.
pub const NAMES: [&str; 3] = [SHIPPED, NO_RECLAIM, NO_COUNTERS];
