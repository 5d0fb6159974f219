//! `Box` on an allocator: what most programs do today.
//!
//! The allocators are called through `GlobalAlloc` with a constant layout, as
//! `Box` does, side by side in one process: none of them is *the* global one.

use crate::contender::{Contender, Kind, Pool, Value};
use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// `Box<T>` on the allocator `A`.
pub struct Boxed<A>(PhantomData<A>);

/// An allocator as a contender.
pub trait Allocator: GlobalAlloc + Send + Sync + 'static {
    /// The name that reports show.
    const NAME: &'static str;
    /// Allocators are unit types; this is the value.
    const VALUE: Self;
    /// Gives memory back to the system, where the allocator can be asked to.
    fn trim() {}
}

impl<A: Allocator> Contender for Boxed<A> {
    const NAME: &'static str = A::NAME;
    const KIND: Kind = Kind::Allocator;
    type Pool<T: Value> = Self;
}

impl<A: Allocator, T: Value> Pool<T> for Boxed<A> {
    type Lease<'a> = Allocated<T, A>;

    fn with_capacity(_: usize) -> Self {
        Self(PhantomData)
    }

    #[inline(always)]
    fn try_acquire(&self, value: T) -> Option<Allocated<T, A>> {
        Some(Allocated::new(value))
    }

    fn trim(&self) {
        A::trim();
    }
}

/// An owned `T` on the allocator `A`.
///
/// # Invariants
/// 1. `at` came from `A` with the layout of `T`, holds a `T`, and is owned by this alone.
pub struct Allocated<T, A: Allocator> {
    at: NonNull<T>,
    allocator: PhantomData<A>,
}

impl<T, A: Allocator> Allocated<T, A> {
    const LAYOUT: Layout = Layout::new::<T>();

    #[inline(always)]
    fn new(value: T) -> Self {
        const { assert!(size_of::<T>() > 0) };
        // SAFETY: the layout's size is not 0, as asserted above.
        let memory = unsafe { A::VALUE.alloc(Self::LAYOUT) };
        let Some(at) = NonNull::new(memory.cast::<T>()) else {
            handle_alloc_error(Self::LAYOUT)
        };
        // SAFETY: `at` is fresh memory of `T`'s layout.
        unsafe { at.write(value) };
        Self {
            at,
            allocator: PhantomData,
        }
    }
}

impl<T, A: Allocator> Deref for Allocated<T, A> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: by invariant 1.
        unsafe { self.at.as_ref() }
    }
}

impl<T, A: Allocator> DerefMut for Allocated<T, A> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by invariant 1.
        unsafe { self.at.as_mut() }
    }
}

impl<T, A: Allocator> Drop for Allocated<T, A> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: by invariant 1; the value is not used again.
        unsafe { self.at.drop_in_place() };
        // SAFETY: by invariant 1, and `A` is one global allocator wherever it is called.
        unsafe { A::VALUE.dealloc(self.at.as_ptr().cast(), Self::LAYOUT) };
    }
}

// SAFETY: an owned `T` (invariant 1) on an allocator that any thread may free to.
unsafe impl<T: Send, A: Allocator> Send for Allocated<T, A> {}

impl Allocator for System {
    const NAME: &'static str = if cfg!(target_env = "gnu") {
        "Box on glibc"
    } else {
        "Box on the system allocator"
    };
    const VALUE: Self = System;

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn trim() {
        // SAFETY: may be called at any time, by any thread.
        unsafe { libc::malloc_trim(0) };
    }
}

#[cfg(feature = "mimalloc")]
impl Allocator for mimalloc::MiMalloc {
    const NAME: &'static str = "Box on mimalloc";
    const VALUE: Self = mimalloc::MiMalloc;
}

#[cfg(feature = "jemalloc")]
impl Allocator for tikv_jemallocator::Jemalloc {
    const NAME: &'static str = "Box on jemalloc";
    const VALUE: Self = tikv_jemallocator::Jemalloc;
}

#[cfg(feature = "snmalloc")]
impl Allocator for snmalloc_rs::SnMalloc {
    const NAME: &'static str = "Box on snmalloc";
    const VALUE: Self = snmalloc_rs::SnMalloc;
}
