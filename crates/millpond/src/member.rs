//! What a pond does with a pool, whatever its kind.

use core::sync::atomic::{AtomicU64, Ordering};
use millpond_core::diagnostics::Diagnosis;
use millpond_core::observe::Observe;
use millpond_core::trim::{Level, Trim, TrimReport};
use std::string::String;
use std::sync::Arc;

/// What a pool lets a pond do.
pub(crate) trait Controls: Send + Sync {
    fn trim(&self, level: Level) -> TrimReport;

    /// Refuses acquires from now on, if pools of this kind can.
    fn close(&self) {}

    fn diagnose(&self, _level: Diagnosis) {}
}

/// A pool of a pond: it lives as long as the pond does.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) figures: Arc<dyn Observe + Send + Sync>,
    pub(crate) controls: Arc<dyn Controls>,
    /// Acquires at the last tick, to tell who was idle since.
    acquires: AtomicU64,
}

impl Member {
    pub(crate) fn new<P>(name: &str, pool: &Arc<P>) -> Self
    where
        P: Observe + Controls + 'static,
    {
        Self {
            name: String::from(name),
            figures: Arc::clone(pool) as _,
            controls: Arc::clone(pool) as _,
            acquires: AtomicU64::new(0),
        }
    }

    /// Gives back what is cached if nobody acquired since the last tick.
    pub(crate) fn tick(&self) -> TrimReport {
        let now = self.figures.observe().acquires;
        if self.acquires.swap(now, Ordering::Relaxed) == now {
            self.controls.trim(Level::Moderate)
        } else {
            TrimReport::default()
        }
    }
}

/// A pool that was made elsewhere.
pub(crate) struct Adopted<P>(pub(crate) Arc<P>);

impl<P: Trim + Send + Sync> Controls for Adopted<P> {
    fn trim(&self, level: Level) -> TrimReport {
        self.0.trim(level)
    }
}

impl<P: Observe> Observe for Adopted<P> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn observe(&self) -> millpond_core::observe::Observation {
        self.0.observe()
    }

    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn classes(&self) -> std::vec::Vec<millpond_core::observe::Class> {
        self.0.classes()
    }

    fn sampled(&self) -> millpond_core::observe::Sampled {
        self.0.sampled()
    }

    fn holders(&self) -> std::vec::Vec<millpond_core::diagnostics::Holder> {
        self.0.holders()
    }

    fn regions(&self) -> std::vec::Vec<millpond_core::observe::RegionFigures> {
        self.0.regions()
    }
}

#[cfg(feature = "fixed")]
impl<T: Send> Controls for millpond_fixed::PoolHandle<T> {
    fn trim(&self, level: Level) -> TrimReport {
        (**self).trim(level)
    }

    fn close(&self) {
        (**self).close();
    }

    fn diagnose(&self, level: Diagnosis) {
        self.set_diagnosis(level);
    }
}

#[cfg(feature = "vector")]
impl<E: millpond_vector::Element> Controls for millpond_vector::VectorPool<E> {
    fn trim(&self, level: Level) -> TrimReport {
        self.trim(level)
    }

    fn close(&self) {
        self.set_capacity(0);
    }

    fn diagnose(&self, level: Diagnosis) {
        self.set_diagnosis(level);
    }
}

#[cfg(feature = "bytes")]
impl Controls for millpond_bytes::BytePool {
    fn trim(&self, level: Level) -> TrimReport {
        self.trim(level)
    }

    fn diagnose(&self, level: Diagnosis) {
        self.set_diagnosis(level);
    }
}

#[cfg(feature = "fixed")]
impl<T, R> Controls for millpond_fixed::ObjectHandle<T, R>
where
    T: Send,
    R: millpond_fixed::Recycle<T> + Send + Sync,
{
    fn trim(&self, level: Level) -> TrimReport {
        (**self).trim(level)
    }

    fn close(&self) {
        (**self).close();
    }

    fn diagnose(&self, level: Diagnosis) {
        self.set_diagnosis(level);
    }
}

#[cfg(feature = "arena")]
impl Controls for millpond_arena::ArenaManager {
    fn trim(&self, level: Level) -> TrimReport {
        self.trim(level)
    }

    fn diagnose(&self, level: Diagnosis) {
        self.set_diagnosis(level);
    }
}
