//! What takes part: allocators, pools of buffers, and ours.

use bytes::BytesMut;
use bytesbuf::BytesBuf;
use bytesbuf::mem::GlobalPool;
use millpond_bytes::{BytePool, PoolBuf};
use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Our name.
pub const OURS: &str = "millpond BytePool";
/// The name of the byte pool that bars name.
pub const ZEROPOOL: &str = "zeropool";

/// Buffers of many sizes, or of six.
pub trait Buffers: Send + Sync + Sized + 'static {
    /// The name that reports show.
    const NAME: &'static str;
    /// Whether sizes need not be constants.
    const MIXED: bool = true;
    /// Whether it can hand out zeroes.
    const ZEROES: bool = true;
    /// Whether its steady state is meant to do without the heap.
    const POOLS: bool = true;
    /// The guard.
    type Buffer<'a>: Memory
    where
        Self: 'a;

    /// One that has lent some of each size already.
    fn new() -> Self;

    /// A buffer of `LEN` bytes.
    fn acquire<const LEN: usize>(&self) -> Self::Buffer<'_>;

    /// A buffer of `len` bytes.
    fn acquire_any(&self, len: usize) -> Self::Buffer<'_>;

    /// A buffer of `LEN` zeroes.
    fn zeroed<const LEN: usize>(&self) -> Self::Buffer<'_>;
}

/// Memory on loan.
pub trait Memory {
    /// The first byte.
    fn start(&mut self) -> *mut u8;
}

/// Something that is done for each contender.
pub trait Visitor {
    /// Does it for `B`.
    fn visit<B: Buffers>(&mut self);
}

/// Visits every contender that this build has.
pub fn visit_all(visitor: &mut impl Visitor) {
    visitor.visit::<BytePool>();
    visitor.visit::<On<System>>();
    #[cfg(feature = "mimalloc")]
    visitor.visit::<On<mimalloc::MiMalloc>>();
    #[cfg(feature = "jemalloc")]
    visitor.visit::<On<tikv_jemallocator::Jemalloc>>();
    #[cfg(feature = "snmalloc")]
    visitor.visit::<On<snmalloc_rs::SnMalloc>>();
    visitor.visit::<zeropool::ZeroPool>();
    visitor.visit::<Opools>();
    visitor.visit::<ObjectPools>();
    visitor.visit::<BytesMuts>();
    visitor.visit::<GlobalPool>();
}

/// How many they are.
pub fn count() -> usize {
    struct Count(usize);
    impl Visitor for Count {
        fn visit<B: Buffers>(&mut self) {
            self.0 += 1;
        }
    }
    let mut count = Count(0);
    visit_all(&mut count);
    count.0
}

impl Buffers for BytePool {
    const NAME: &'static str = OURS;
    type Buffer<'a> = PoolBuf;

    fn new() -> Self {
        let pool = Self::default();
        pool.warm_up(64).expect("memory");
        pool
    }

    #[inline(always)]
    fn acquire<const LEN: usize>(&self) -> PoolBuf {
        self.try_acquire(LEN).expect("memory")
    }

    #[inline(always)]
    fn acquire_any(&self, len: usize) -> PoolBuf {
        self.try_acquire(len).expect("memory")
    }

    #[inline(always)]
    fn zeroed<const LEN: usize>(&self) -> PoolBuf {
        self.acquire_zeroed(LEN).expect("memory")
    }
}

impl Memory for PoolBuf {
    #[inline(always)]
    fn start(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }
}

/// A general allocator.
pub struct On<A>(PhantomData<A>);

/// An allocator as a contender.
pub trait Allocator: GlobalAlloc + Send + Sync + 'static {
    /// The name that reports show.
    const NAME: &'static str;
    /// Allocators are unit types; this is the value.
    const VALUE: Self;
}

impl Allocator for System {
    const NAME: &'static str = if cfg!(target_env = "gnu") {
        "glibc"
    } else {
        "the system allocator"
    };
    const VALUE: Self = System;
}

#[cfg(feature = "mimalloc")]
impl Allocator for mimalloc::MiMalloc {
    const NAME: &'static str = "mimalloc";
    const VALUE: Self = mimalloc::MiMalloc;
}

#[cfg(feature = "jemalloc")]
impl Allocator for tikv_jemallocator::Jemalloc {
    const NAME: &'static str = "jemalloc";
    const VALUE: Self = tikv_jemallocator::Jemalloc;
}

#[cfg(feature = "snmalloc")]
impl Allocator for snmalloc_rs::SnMalloc {
    const NAME: &'static str = "snmalloc";
    const VALUE: Self = snmalloc_rs::SnMalloc;
}

/// An allocated block.
///
/// # Invariants
/// 1. `at` came from `A` with `layout`, and is owned by this alone.
pub struct Block<A: Allocator> {
    at: NonNull<u8>,
    layout: Layout,
    allocator: PhantomData<A>,
}

impl<A: Allocator> Block<A> {
    #[inline(always)]
    fn holding(at: *mut u8, layout: Layout) -> Self {
        let Some(at) = NonNull::new(at) else {
            handle_alloc_error(layout)
        };
        Self {
            at,
            layout,
            allocator: PhantomData,
        }
    }

    #[inline(always)]
    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, 16).expect("a small layout")
    }
}

impl<A: Allocator> Memory for Block<A> {
    #[inline(always)]
    fn start(&mut self) -> *mut u8 {
        self.at.as_ptr()
    }
}

impl<A: Allocator> Drop for Block<A> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: by invariant 1, and `A` is one global allocator wherever it is called.
        unsafe { A::VALUE.dealloc(self.at.as_ptr(), self.layout) };
    }
}

impl<A: Allocator> Buffers for On<A> {
    const NAME: &'static str = A::NAME;
    const POOLS: bool = false;
    type Buffer<'a> = Block<A>;

    fn new() -> Self {
        Self(PhantomData)
    }

    #[inline(always)]
    fn acquire<const LEN: usize>(&self) -> Block<A> {
        self.acquire_any(LEN)
    }

    #[inline(always)]
    fn acquire_any(&self, len: usize) -> Block<A> {
        let layout = Block::<A>::layout(len);
        // SAFETY: no row asks for nothing.
        Block::holding(unsafe { A::VALUE.alloc(layout) }, layout)
    }

    #[inline(always)]
    fn zeroed<const LEN: usize>(&self) -> Block<A> {
        let layout = Block::<A>::layout(LEN);
        // SAFETY: no row asks for nothing.
        Block::holding(unsafe { A::VALUE.alloc_zeroed(layout) }, layout)
    }
}

/// A buffer of `zeropool`, either kind.
pub enum ZeroBuf<'a> {
    /// Bytes of any value.
    Any(zeropool::BufUninit<'a>),
    /// Zeroes.
    Zero(zeropool::Buf<'a>),
}

impl Memory for ZeroBuf<'_> {
    #[inline(always)]
    fn start(&mut self) -> *mut u8 {
        match self {
            Self::Any(buffer) => buffer.as_uninit_mut().as_mut_ptr().cast(),
            Self::Zero(buffer) => buffer.as_mut_ptr(),
        }
    }
}

impl Buffers for zeropool::ZeroPool {
    const NAME: &'static str = ZEROPOOL;
    type Buffer<'a> = ZeroBuf<'a>;

    fn new() -> Self {
        let pool = Self::new().min_buffer_size(2 << 10).track_stats(false);
        for size in millpond_bytes::DEFAULT_SIZES {
            pool.warm(64, size);
        }
        pool
    }

    #[inline(always)]
    fn acquire<const LEN: usize>(&self) -> ZeroBuf<'_> {
        ZeroBuf::Any(self.alloc_uninit(LEN))
    }

    #[inline(always)]
    fn acquire_any(&self, len: usize) -> ZeroBuf<'_> {
        ZeroBuf::Any(self.alloc_uninit(len))
    }

    #[inline(always)]
    fn zeroed<const LEN: usize>(&self) -> ZeroBuf<'_> {
        ZeroBuf::Zero(self.alloc(LEN))
    }
}

/// Which of the six pools serves a size.
const fn index_of(len: usize) -> usize {
    len.trailing_zeros() as usize - 11
}

/// Makes vectors of one size for `opool`; resets nothing.
pub struct Vectors(usize);

impl opool::PoolAllocator<Vec<u8>> for Vectors {
    fn allocate(&self) -> Vec<u8> {
        vec![0; self.0]
    }
}

/// One `opool` for each size.
pub struct Opools([opool::Pool<Vectors, Vec<u8>>; 6]);

impl Memory for opool::RefGuard<'_, Vectors, Vec<u8>> {
    #[inline(always)]
    fn start(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }
}

impl Buffers for Opools {
    const NAME: &'static str = "opool";
    const MIXED: bool = false;
    const ZEROES: bool = false;
    type Buffer<'a> = opool::RefGuard<'a, Vectors, Vec<u8>>;

    fn new() -> Self {
        let sizes = millpond_bytes::DEFAULT_SIZES;
        Self(sizes.map(|size| opool::Pool::new_prefilled(64, Vectors(size))))
    }

    #[inline(always)]
    fn acquire<const LEN: usize>(&self) -> Self::Buffer<'_> {
        self.0[const { index_of(LEN) }].get()
    }

    fn acquire_any(&self, len: usize) -> Self::Buffer<'_> {
        self.0[index_of(len)].get()
    }

    fn zeroed<const LEN: usize>(&self) -> Self::Buffer<'_> {
        self.acquire::<LEN>()
    }
}

/// One `object-pool` for each size.
pub struct ObjectPools([object_pool::Pool<Vec<u8>>; 6]);

impl Memory for object_pool::Reusable<'_, Vec<u8>> {
    #[inline(always)]
    fn start(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }
}

impl Buffers for ObjectPools {
    const NAME: &'static str = "object-pool";
    const MIXED: bool = false;
    const ZEROES: bool = false;
    type Buffer<'a> = object_pool::Reusable<'a, Vec<u8>>;

    fn new() -> Self {
        let sizes = millpond_bytes::DEFAULT_SIZES;
        Self(sizes.map(|size| object_pool::Pool::new(64, || vec![0; size])))
    }

    #[inline(always)]
    fn acquire<const LEN: usize>(&self) -> Self::Buffer<'_> {
        self.acquire_any(LEN)
    }

    #[inline(always)]
    fn acquire_any(&self, len: usize) -> Self::Buffer<'_> {
        let pool = &self.0[index_of(len)];
        pool.pull(|| vec![0; len])
    }

    fn zeroed<const LEN: usize>(&self) -> Self::Buffer<'_> {
        self.acquire::<LEN>()
    }
}

/// `BytesMut`, made anew each time.
pub struct BytesMuts;

impl Memory for BytesMut {
    #[inline(always)]
    fn start(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }
}

impl Buffers for BytesMuts {
    const NAME: &'static str = "BytesMut";
    const POOLS: bool = false;
    type Buffer<'a> = BytesMut;

    fn new() -> Self {
        Self
    }

    #[inline(always)]
    fn acquire<const LEN: usize>(&self) -> BytesMut {
        BytesMut::with_capacity(LEN)
    }

    #[inline(always)]
    fn acquire_any(&self, len: usize) -> BytesMut {
        BytesMut::with_capacity(len)
    }

    #[inline(always)]
    fn zeroed<const LEN: usize>(&self) -> BytesMut {
        BytesMut::zeroed(LEN)
    }
}

impl Memory for BytesBuf {
    #[inline(always)]
    fn start(&mut self) -> *mut u8 {
        self.first_unfilled_slice().as_mut_ptr().cast()
    }
}

impl Buffers for GlobalPool {
    const NAME: &'static str = "bytesbuf";
    // Its blocks are its own business: a buffer may be of several.
    const MIXED: bool = false;
    const ZEROES: bool = false;
    type Buffer<'a> = BytesBuf;

    fn new() -> Self {
        Self::new()
    }

    #[inline(always)]
    fn acquire<const LEN: usize>(&self) -> BytesBuf {
        self.reserve(LEN)
    }

    #[inline(always)]
    fn acquire_any(&self, len: usize) -> BytesBuf {
        self.reserve(len)
    }

    fn zeroed<const LEN: usize>(&self) -> BytesBuf {
        self.reserve(LEN)
    }
}
