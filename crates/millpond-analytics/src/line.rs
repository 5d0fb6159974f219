//! One line that says how the pools do: for logs.

use crate::figure;
use crate::snapshot::Snapshot;
use crate::table::{lost, printable};
use std::fmt;

/// A snapshot in one line; the worst pool is named.
///
/// ```
/// use millpond_analytics::{Line, Registry};
///
/// let line = Line::of(&Registry::new().snapshot()).to_string();
/// assert_eq!(line, "pools=0 held=0 B in_use=0 acquires=0 lost=0");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Line<'s>(&'s Snapshot);

impl<'s> Line<'s> {
    /// The line of a snapshot.
    #[must_use]
    pub const fn of(snapshot: &'s Snapshot) -> Self {
        Self(snapshot)
    }

    /// Sends the line to the application's logger, as a warning if an acquire
    /// gave nothing or an item was not kept, else as information.
    #[cfg(feature = "log")]
    pub fn log(&self) {
        let level = match lost(&self.0.total()) {
            0 => log::Level::Info,
            _ => log::Level::Warn,
        };
        log::log!(target: "millpond", level, "{self}");
    }

    /// As an event of `tracing`, with the totals as fields.
    #[cfg(feature = "tracing")]
    pub fn trace(&self) {
        let total = self.0.total();
        tracing::info!(
            target: "millpond",
            pools = self.0.pools.len(),
            held_bytes = total.held_bytes,
            in_use = total.in_use,
            acquires = total.acquires,
            hit_rate = total.hit_rate(),
            lost = lost(&total),
            "{self}"
        );
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.total();
        write!(
            f,
            "pools={} held={} in_use={} acquires={} lost={}",
            self.0.pools.len(),
            figure::bytes(total.held_bytes as u64),
            total.in_use,
            total.acquires,
            lost(&total),
        )?;
        let used = self.0.pools.iter().filter(|pool| pool.figures.acquires > 0);
        let worst = used.min_by(|a, b| {
            let rate = |pool: &crate::snapshot::PoolSnapshot| pool.figures.hit_rate();
            rate(a).total_cmp(&rate(b))
        });
        if let Some(worst) = worst {
            write!(
                f,
                " hit_rate={:.4} worst={:?} at {:.4}",
                total.hit_rate(),
                printable(&worst.name),
                worst.figures.hit_rate()
            )?;
        }
        Ok(())
    }
}
