//! Slow-path happenings as events of `tracing`.

use millpond_core::event::{Event, EventHook};

/// A hook that makes an event of `tracing` of everything that happens on a slow
/// path, with the target `millpond` and the pool as a field.
///
/// What is refused, what diagnostics found wrong, and a pool that is closed while
/// items are leased are warnings, the rest is for
/// debugging. Ordinary acquires and releases say nothing, and cost nothing.
///
/// ```
/// use millpond::Pond;
///
/// let pond = Pond::builder().with_hook(millpond::tracing_hook()).build()?;
/// # Ok::<(), millpond::PondError>(())
/// ```
#[must_use]
pub fn tracing_hook() -> EventHook {
    EventHook::new(|pool, event| match event {
        Event::Refused { limit, in_use } => {
            tracing::warn!(target: "millpond", pool, in_use, "refused: {limit}");
        }
        Event::Closed { leased } if *leased > 0 => {
            tracing::warn!(target: "millpond", pool, leased, "closed while items are leased");
        }
        Event::Damaged { .. } | Event::DoubleRelease { .. } | Event::ForeignRelease { .. } => {
            tracing::warn!(target: "millpond", pool, "{event:?}");
        }
        _ => tracing::debug!(target: "millpond", pool, "{event:?}"),
    })
}
