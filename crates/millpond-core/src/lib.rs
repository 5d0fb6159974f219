//! Placeholder while the engine is written.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
pub mod budget;
pub mod poison;
#[cfg(feature = "alloc")]
pub mod region;
