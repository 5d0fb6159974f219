//! The reference model that every pool is tested against, and the tools around
//! it.
//!
//! A pool is correct if nobody can tell it from a `HashMap` of leases, except by
//! a clock. This crate is that map, random operations that drive the pool and
//! the map together, and values and allocators that notice what a test cannot
//! see from outside.
//!
//! ```
//! use std::cell::RefCell;
//! use std::ops::{Deref, DerefMut};
//! use millpond_testing::{Lending, Lends, Specimen, pool_table};
//!
//! /// The pool under test: it only counts.
//! struct Counting { capacity: usize, in_use: RefCell<usize> }
//! struct Lease<'p, T>(&'p Counting, Box<T>);
//!
//! impl<T> Drop for Lease<'_, T> {
//!     fn drop(&mut self) { *self.0.in_use.borrow_mut() -= 1; }
//! }
//! impl<T> Deref for Lease<'_, T> {
//!     type Target = T;
//!     fn deref(&self) -> &T { &self.1 }
//! }
//! impl<T> DerefMut for Lease<'_, T> {
//!     fn deref_mut(&mut self) -> &mut T { &mut self.1 }
//! }
//!
//! // What the model needs to know of it.
//! impl<T: Specimen> Lends<T> for Counting {
//!     type Lease<'p> = Lease<'p, T>;
//!     fn try_acquire(&self, value: T) -> Result<Lease<'_, T>, T> {
//!         if self.in_use() == self.capacity { return Err(value); }
//!         *self.in_use.borrow_mut() += 1;
//!         Ok(Lease(self, Box::new(value)))
//!     }
//!     fn capacity(&self) -> Option<usize> { Some(self.capacity) }
//!     fn in_use(&self) -> usize { *self.in_use.borrow() }
//!     fn free(&self) -> Option<usize> { Some(self.capacity - self.in_use()) }
//! }
//!
//! # impl Counting { fn in_use(&self) -> usize { *self.in_use.borrow() } }
//! // One line for each variant: every type, every capacity, many seeds.
//! pool_table!(counting, |case| Lending::<_, T>::new(Counting {
//!     capacity: case.capacity,
//!     in_use: RefCell::new(0),
//! }));
//! ```
//!
//! ```text
//!   seed ──► trace: A A R0 W1 D0 T A …
//!               │
//!        ┌──────┴──────┐
//!        ▼             ▼
//!      pool          model        after every step they must agree:
//!   leases, counts   records      spans, stamps, refusals, free + in use
//! ```
//!
//! - [`PoolUnderTest`] and [`Lends`]: what a pool is to the model.
//! - [`run_table`], [`pool_table!`], [`run_seed`], [`replay`], [`run_threads`]:
//!   drive a pool. A failure prints its seed and the shortest trace found.
//! - [`Specimen`], [`Tracked`], [`Bomb`]: values that notice damage, double
//!   drops and leaks, and values that panic when told to.
//! - [`TestAllocator`]: counts, fails on command, and compares the layout of a
//!   deallocation with that of its allocation.
//!
//! A development dependency only; it depends on nothing.

mod allocator;
mod bomb;
mod conformance;
mod dice;
mod model;
mod run;
mod specimen;
mod table;
mod trace;
mod tracked;
mod under_test;

pub use allocator::{Counts, Failing, TestAllocator, count, walk_failures};
pub use bomb::{Bomb, Fuse, explode_everywhere};
pub use conformance::{conforms, conforms_alone};
pub use dice::Dice;
pub use model::{Model, Span, Token, Violation};
pub use run::{Failure, Threads, replay, run_seed, run_threads, run_trace};
pub use specimen::{Aligned, Large, Page, Specimen, damage_in, stamp_bytes};
pub use table::{CAPACITIES, Case, run_table};
pub use trace::{Op, Trace, TraceError};
pub use tracked::{Census, Tracked};
pub use under_test::{Lending, Lends, PoolUnderTest};
