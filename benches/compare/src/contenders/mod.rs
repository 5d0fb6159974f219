//! All contenders, in the order in which reports list them.

mod allocators;
mod crates;
pub mod intrusive;
mod ours;
mod queues;

use crate::contender::Contender;
use std::alloc::System;

pub use allocators::{Allocator, Boxed};
pub use ours::{Ours, SHARED};

/// Something that is done for each contender.
pub trait Visitor {
    /// Does it for `C`.
    fn visit<C: Contender>(&mut self);
}

/// Visits every contender that this build has.
pub fn visit_all(visitor: &mut impl Visitor) {
    visitor.visit::<Ours>();
    visitor.visit::<Boxed<System>>();
    #[cfg(feature = "mimalloc")]
    visitor.visit::<Boxed<mimalloc::MiMalloc>>();
    #[cfg(feature = "jemalloc")]
    visitor.visit::<Boxed<tikv_jemallocator::Jemalloc>>();
    #[cfg(feature = "snmalloc")]
    visitor.visit::<Boxed<snmalloc_rs::SnMalloc>>();
    visitor.visit::<crates::Opool>();
    visitor.visit::<crates::OpoolOfBox>();
    visitor.visit::<crates::ObjectPool>();
    visitor.visit::<crates::LockfreeObjectPool>();
    visitor.visit::<queues::Crossbeam>();
    visitor.visit::<queues::MutexVec>();
}

/// The names of all contenders in this build.
pub fn names() -> Vec<&'static str> {
    struct Names(Vec<&'static str>);
    impl Visitor for Names {
        fn visit<C: Contender>(&mut self) {
            self.0.push(C::NAME);
        }
    }
    let mut names = Names(Vec::new());
    visit_all(&mut names);
    names.0
}
