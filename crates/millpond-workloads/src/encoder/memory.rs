//! Where pages, frames and the history's texts come from.

use super::frames::Frame;
use super::sizing::Sizing;
use arrayvec::ArrayVec;
use millpond_bytes::{BytePool, Config, PoolBuf};
use millpond_core::adaptive::Control;
use millpond_core::error::AcquireError;
use millpond_core::trim::Level;
use millpond_fixed::{Exhaustion, Lease, Local, LocalFixedPool};
use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};

/// Bytes of an output page.
pub const PAGE_BYTES: usize = 4096;

/// An output page: bytes, and behind them how many are written. Both lie in the 4 KiB,
/// so that pages fill slabs without a rest.
pub type Page = ArrayVec<u8, { PAGE_BYTES - size_of::<u32>() }>;

const _: () = assert!(size_of::<Page>() == PAGE_BYTES);

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

/// Pages from outside that may be out at once: documents of 256 MiB.
const OUTSIDE: usize = 1 << 16;

/// Pools: pages that adapt, frames, and bytes for texts.
///
/// A page that the page pool has no room for comes from outside, and is freed when it
/// is released: [`Exhaustion::Fallback`].
#[derive(Debug)]
pub struct Pooled {
    pages: LocalFixedPool<Page>,
    frames: LocalFixedPool<Frame>,
    texts: BytePool,
    control: RefCell<Control>,
    sizing: Sizing,
    encodings: Cell<u32>,
    resizes: Cell<u64>,
    peak: Cell<usize>,
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
    /// Pages from outside that are out.
    pub outside: usize,
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
                .exhaustion(Exhaustion::Fallback { at_most: OUTSIDE })
                .build_local(),
            frames: LocalFixedPool::local_builder(FRAMES)
                .name("frames")
                .build_local(),
            texts: BytePool::new(Config::for_storage().with_name("history"))?,
            control: RefCell::new(Control::new(sizing.rules())),
            sizing,
            encodings: Cell::default(),
            resizes: Cell::default(),
            peak: Cell::default(),
        })
    }

    /// The figures of the page pool.
    #[must_use]
    pub fn stats(&self) -> PageStats {
        let seen = self.pages.stats();
        let acquires = seen.acquires + seen.fallbacks;
        let peak = self.peak.get().max(seen.in_use + seen.fallback_in_use);
        PageStats {
            pool_size: seen.capacity,
            buffer_bytes: PAGE_BYTES,
            // A capacity below what is in use has nothing available.
            available: seen.capacity.saturating_sub(seen.in_use),
            acquires,
            overflows: seen.fallbacks,
            overflow_rate: seen.fallbacks as f64 / acquires.max(1) as f64,
            resizes: self.resizes.get(),
            efficiency: peak as f64 / seen.capacity.max(1) as f64,
            outside: seen.fallback_in_use,
            held_bytes: seen.held_bytes,
        }
    }

    /// The size that the pool should have, if it is another one, by what happened since
    /// the last advice. A new window begins.
    pub fn advise(&self) -> Option<usize> {
        self.encodings.set(0);
        self.control.borrow_mut().advise(&self.pages.stats())
    }

    /// Gives the pool another size, while pages are out: those beyond a smaller size go
    /// when they are released and trimmed.
    pub fn apply(&self, size: usize) {
        self.pages.set_capacity(size);
        self.pages.trim(Level::Full);
        self.resizes.set(self.resizes.get() + 1);
    }
}

impl Memory for Pooled {
    type Page<'m> = Lease<'m, Page, Local>;
    type Frame<'m> = Lease<'m, Frame, Local>;
    type Text<'m> = PoolBuf;

    #[inline]
    fn page(&self) -> Result<Lease<'_, Page, Local>, AcquireError> {
        Ok(self.pages.reserve()?.fill_with(Page::new))
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
        let seen = self.pages.stats();
        let used = seen.in_use + seen.fallback_in_use;
        self.peak.set(self.peak.get().max(used));
        self.encodings.set(self.encodings.get() + 1);
        if self.sizing.is_adaptive()
            && self.encodings.get() >= Sizing::EVERY
            && let Some(size) = self.advise()
        {
            self.apply(size);
        }
    }
}
