//! Where pages, frames and the history's texts come from.

use super::frames::Frame;
use arrayvec::ArrayVec;
use millpond_bytes::{BytePool, Config, PoolBuf};
use millpond_core::error::{AcquireError, Limit};
use millpond_core::trim::Level;
use millpond_fixed::{Lease, Local, LocalFixedPool};
use std::cell::Cell;
use std::ops::{Deref, DerefMut};

use super::sizing::{Advice, Sizing, Window};

/// Bytes of an output page.
pub const PAGE_BYTES: usize = 4096;

/// An output page: bytes, and how many of them are written.
pub type Page = ArrayVec<u8, PAGE_BYTES>;

/// Lends what encoders and decoders work in; dropping a thing gives it back.
pub trait Memory {
    /// An output page.
    type Page<'m>: DerefMut<Target = Page>
    where
        Self: 'm;
    /// A context frame.
    type Frame<'m>: DerefMut<Target = Frame>
    where
        Self: 'm;
    /// A copy of a document.
    type Text<'m>: Deref<Target = [u8]>
    where
        Self: 'm;

    /// An empty page.
    ///
    /// # Errors
    ///
    /// If there is no memory for one.
    fn page(&self) -> Result<Self::Page<'_>, AcquireError>;

    /// An empty frame.
    ///
    /// # Errors
    ///
    /// If there is no memory for one.
    fn frame(&self) -> Result<Self::Frame<'_>, AcquireError>;

    /// A copy of `text`.
    ///
    /// # Errors
    ///
    /// If there is no memory for one.
    fn text(&self, text: &[u8]) -> Result<Self::Text<'_>, AcquireError>;

    /// Told after every encoding.
    fn encoded(&self) {}
}

/// The heap: a box for each page and frame, a vector for each text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

impl Memory for Heap {
    type Page<'m> = Box<Page>;
    type Frame<'m> = Box<Frame>;
    type Text<'m> = Vec<u8>;

    #[inline]
    fn page(&self) -> Result<Box<Page>, AcquireError> {
        Ok(Box::new(Page::new()))
    }

    #[inline]
    fn frame(&self) -> Result<Box<Frame>, AcquireError> {
        Ok(Box::new(Frame::new()))
    }

    fn text(&self, text: &[u8]) -> Result<Vec<u8>, AcquireError> {
        Ok(text.to_vec())
    }
}

/// Frames that may be open at once: encoder and decoder, as deep as they go.
const FRAMES: usize = 64;

/// Pools: pages that adapt, frames, and bytes for texts.
#[derive(Debug)]
pub struct Pooled {
    pages: LocalFixedPool<Page>,
    frames: LocalFixedPool<Frame>,
    texts: BytePool,
    sizing: Sizing,
    overflows: Cell<u64>,
    resizes: Cell<u64>,
    peak: Cell<usize>,
    overflowing: Cell<usize>,
    window: Cell<Window>,
}

/// What the page pool did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageStats {
    /// Pages that the pool may have.
    pub pool_size: usize,
    /// Bytes of a page.
    pub buffer_bytes: usize,
    /// Pages that are free or may still be made.
    pub available: usize,
    /// Pages that were asked for.
    pub acquires: u64,
    /// Of those, pages that came from outside, because the pool had none.
    pub overflows: u64,
    /// Overflows ÷ acquires since the pool was made.
    pub overflow_rate: f64,
    /// How often the size changed.
    pub resizes: u64,
    /// Most pages in use at once ÷ size.
    pub efficiency: f64,
    /// Bytes that the pool has from the system.
    pub held_bytes: usize,
}

impl Pooled {
    /// Pools whose page pool has the size and the habits that `sizing` says.
    ///
    /// # Errors
    ///
    /// If there are no byte classes: never for the ones that are used here.
    pub fn new(sizing: Sizing) -> Result<Self, millpond_bytes::ConfigError> {
        Ok(Self {
            pages: LocalFixedPool::local_builder(sizing.start())
                .name("pages")
                .build_local(),
            frames: LocalFixedPool::local_builder(FRAMES)
                .name("frames")
                .build_local(),
            texts: BytePool::new(Config::for_storage().with_name("history"))?,
            sizing,
            overflows: Cell::default(),
            resizes: Cell::default(),
            peak: Cell::default(),
            overflowing: Cell::default(),
            window: Cell::default(),
        })
    }

    /// The figures of the page pool.
    #[must_use]
    pub fn stats(&self) -> PageStats {
        let pool = self.pages.stats();
        let (inside, overflows) = (pool.acquires, self.overflows.get());
        // A capacity below what is in use has nothing available.
        let available = pool.capacity.saturating_sub(pool.in_use);
        let peak = self.peak.get().max(pool.in_use);
        PageStats {
            pool_size: pool.capacity,
            buffer_bytes: PAGE_BYTES,
            available,
            acquires: inside + overflows,
            overflows,
            overflow_rate: overflows as f64 / (inside + overflows).max(1) as f64,
            resizes: self.resizes.get(),
            efficiency: peak as f64 / pool.capacity.max(1) as f64,
            held_bytes: pool.held_bytes,
        }
    }

    /// What the window since the last advice says about the pool's size.
    ///
    /// `None` if nothing was acquired in it. Begins a new window.
    pub fn advise(&self) -> Option<Advice> {
        let stats = self.stats();
        let since = self.window.get();
        let acquires = stats.acquires - since.acquires;
        let overflows = stats.overflows - since.overflows;
        self.window.set(Window {
            encodings: 0,
            acquires: stats.acquires,
            overflows: stats.overflows,
        });
        self.sizing.advice(stats.pool_size, acquires, overflows)
    }

    /// Follows advice, while pages are out: those beyond a smaller size go when
    /// they are released and trimmed.
    pub fn apply(&self, advice: Advice) {
        if let Advice::Resize { to } = advice {
            self.pages.set_capacity(to);
            self.pages.trim(Level::Full);
            self.resizes.set(self.resizes.get() + 1);
        }
    }
}

/// A page of the pool, or one from outside.
#[derive(Debug)]
pub enum PooledPage<'m> {
    /// Of the pool.
    Inside(Lease<'m, Page, Local>),
    /// An overflow, freed when it is released.
    Outside(Outside<'m>),
}

/// A page that the pool had no room for.
#[derive(Debug)]
pub struct Outside<'m> {
    page: Box<Page>,
    count: &'m Cell<usize>,
}

impl Drop for Outside<'_> {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
    }
}

impl Deref for PooledPage<'_> {
    type Target = Page;

    #[inline]
    fn deref(&self) -> &Page {
        match self {
            Self::Inside(page) => page,
            Self::Outside(outside) => &outside.page,
        }
    }
}

impl DerefMut for PooledPage<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Page {
        match self {
            Self::Inside(page) => page,
            Self::Outside(outside) => &mut outside.page,
        }
    }
}

impl Pooled {
    #[cold]
    fn overflow(&self, error: AcquireError) -> Result<PooledPage<'_>, AcquireError> {
        if *error.limit() != Limit::Capacity {
            return Err(error);
        }
        self.overflows.set(self.overflows.get() + 1);
        self.overflowing.set(self.overflowing.get() + 1);
        let used = self.pages.stats().in_use + self.overflowing.get();
        self.peak.set(self.peak.get().max(used));
        Ok(PooledPage::Outside(Outside {
            page: Box::new(Page::new()),
            count: &self.overflowing,
        }))
    }
}

impl Memory for Pooled {
    type Page<'m> = PooledPage<'m>;
    type Frame<'m> = Lease<'m, Frame, Local>;
    type Text<'m> = PoolBuf;

    #[inline]
    fn page(&self) -> Result<PooledPage<'_>, AcquireError> {
        match self.pages.try_acquire_with(Page::new) {
            Ok(page) => Ok(PooledPage::Inside(page)),
            Err(error) => self.overflow(error),
        }
    }

    #[inline]
    fn frame(&self) -> Result<Lease<'_, Frame, Local>, AcquireError> {
        self.frames.try_acquire_with(Frame::new)
    }

    fn text(&self, text: &[u8]) -> Result<PoolBuf, AcquireError> {
        let mut copy = self.texts.acquire(text.len())?;
        let room = copy.extend_from_slice(text);
        debug_assert!(room.is_ok(), "a buffer has what was asked for");
        Ok(copy)
    }

    fn encoded(&self) {
        let pages = self.pages.stats();
        self.peak.set(self.peak.get().max(pages.in_use));
        let mut window = self.window.get();
        window.encodings += 1;
        self.window.set(window);
        if window.encodings >= self.sizing.every()
            && self.sizing.is_adaptive()
            && let Some(advice) = self.advise()
        {
            self.apply(advice);
        }
    }
}
