//! The page: one HTML file for people, which needs no network.

mod chart;
mod region;
mod style;

use crate::calibration::Calibration;
use crate::figure;
use crate::map::MemoryMap;
use crate::savings::Savings;
use crate::series::Series;
use crate::snapshot::{PoolSnapshot, Snapshot};
use crate::table::{as_f64, lost};
use chart::{Curve, time_chart};
use millpond_core::observe::Observation;
use std::fmt;

/// Most pools that get pictures of their own: those that hold most.
const MOST_PICTURED: usize = 24;

/// A page about a snapshot: figures, memory by use and by address, sizes against classes, top
/// holders; with a series also what happened over time, and beside an earlier
/// snapshot what changed.
///
/// ```
/// use millpond_analytics::{Page, Registry, Series};
///
/// let snapshot = Registry::new().snapshot();
/// let html = Page::of(&snapshot).over(&Series::new(10)).against(&snapshot).to_string();
/// assert!(html.starts_with("<!DOCTYPE html>"));
/// ```
///
/// Whatever a name contains is text on the page and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Page<'p> {
    snapshot: &'p Snapshot,
    series: Option<&'p Series>,
    earlier: Option<&'p Snapshot>,
    machine: Option<&'p Calibration>,
    map: Option<&'p MemoryMap>,
}

impl<'p> Page<'p> {
    /// A page about one snapshot.
    #[must_use]
    pub const fn of(snapshot: &'p Snapshot) -> Self {
        Self {
            snapshot,
            series: None,
            earlier: None,
            machine: None,
            map: None,
        }
    }

    /// With utilisation and hit rate over time.
    #[must_use]
    pub const fn over(mut self, series: &'p Series) -> Self {
        self.series = Some(series);
        self
    }

    /// With what changed since an earlier snapshot.
    #[must_use]
    pub const fn against(mut self, earlier: &'p Snapshot) -> Self {
        self.earlier = Some(earlier);
        self
    }

    /// With the time saved.
    #[must_use]
    pub const fn calibrated(mut self, machine: &'p Calibration) -> Self {
        self.machine = Some(machine);
        self
    }

    /// With the regions of the pools by address, and how full they are.
    ///
    /// ```
    /// use millpond_analytics::{Page, Registry};
    ///
    /// let registry = Registry::new();
    /// let (snapshot, map) = (registry.snapshot(), registry.memory_map());
    /// let html = Page::of(&snapshot).mapped(&map).to_string();
    /// # assert!(html.starts_with("<!DOCTYPE html>"));
    /// ```
    #[must_use]
    pub const fn mapped(mut self, map: &'p MemoryMap) -> Self {
        self.map = Some(map);
        self
    }

    /// The pools that hold most, most first.
    fn pictured(&self) -> Vec<&'p PoolSnapshot> {
        let mut pools: Vec<&PoolSnapshot> = self.snapshot.pools.iter().collect();
        pools.sort_by_key(|pool| std::cmp::Reverse(pool.figures.held_bytes));
        pools.truncate(MOST_PICTURED);
        pools
    }
}

/// Text with what HTML would take for its own replaced.
pub(crate) struct Text<'t>(pub(crate) &'t str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Visible, and unable to turn the direction of what follows.
                _ if letter.is_control() || is_invisible(letter) => {
                    write!(f, "{}", letter.escape_unicode())?;
                }
                _ => write!(f, "{letter}")?,
            }
        }
        Ok(())
    }
}

const fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(style::HEAD)?;
        self.tiles(f)?;
        self.pools(f)?;
        self.over_time(f)?;
        self.memory(f)?;
        self.regions(f)?;
        self.sizes(f)?;
        self.holders(f)?;
        self.changes(f)?;
        f.write_str("</main>\n</html>\n")
    }
}

impl Page<'_> {
    fn tiles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.snapshot.total();
        let savings = Savings::of(self.snapshot, self.machine);
        f.write_str("<div class=\"tiles\">\n")?;
        tile(f, "pools", &self.snapshot.pools.len().to_string(), "")?;
        tile(f, "held", &figure::bytes(total.held_bytes as u64), "")?;
        tile(f, "in use", &figure::bytes(total.used_bytes as u64), "")?;
        if total.acquires > 0 {
            let mood = if total.hit_rate() < 0.95 {
                "bad"
            } else {
                "good"
            };
            tile(f, "hit rate", &figure::per_cent(total.hit_rate()), mood)?;
        }
        let mood = if lost(&total) > 0 { "bad" } else { "good" };
        tile(f, "lost", &figure::count(lost(&total)), mood)?;
        let avoided = figure::count(savings.allocations_avoided);
        tile(f, "allocations avoided", &avoided, "")?;
        if let Some(ratio) = savings.reuse_ratio() {
            tile(
                f,
                "reused for each byte allocated",
                &format!("{ratio:.1}"),
                "",
            )?;
        }
        // What was not measured is not shown.
        let saved = self.machine.and(savings.time_saved_ns);
        if let Some(ns) = saved {
            tile(f, "time saved", &figure::nanos(ns), "")?;
        }
        f.write_str("</div>\n")
    }

    fn pools(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.snapshot.pools.is_empty() {
            return f.write_str("<p>No pool is registered.</p>\n");
        }
        f.write_str("<h2>Pools</h2>\n<div class=\"wide\"><table>\n<tr><th>pool<th>kind<th>class")?;
        for heading in [
            "capacity",
            "in use",
            "free",
            "peak",
            "acquires",
            "hit rate",
            "refused",
            "fallback",
            "discarded",
            "waits",
            "held",
            "wasted",
        ] {
            write!(f, "<th class=\"n\">{heading}")?;
        }
        f.write_str("\n")?;
        for pool in &self.snapshot.pools {
            for (class, figures, _) in pool.parts() {
                let (name, kind) = (Text(&pool.name), Text(&pool.kind));
                write!(
                    f,
                    "<tr><td class=\"name\">{name}<td>{kind}<td>{}",
                    Text(class)
                )?;
                for cell in cells(&figures) {
                    write!(f, "<td class=\"n\">{cell}")?;
                }
                f.write_str("\n")?;
            }
        }
        f.write_str("</table></div>\n")?;
        for budget in &self.snapshot.budgets {
            writeln!(
                f,
                "<p>Budget <b>{}</b>: {}, at most {}, {} refused.</p>",
                Text(&budget.name),
                figure::held(budget.held_bytes, budget.limit_bytes),
                figure::bytes(budget.high_water_bytes),
                figure::count(budget.refusals)
            )?;
        }
        Ok(())
    }

    fn over_time(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(series) = self.series else {
            return Ok(());
        };
        let Some((from, to)) = series.span_unix_ms().filter(|(from, to)| from < to) else {
            return Ok(());
        };
        f.write_str("<h2>Over time</h2>\n<div class=\"charts\">\n")?;
        for pool in self.pictured() {
            let mut hits = Curve::new("hit rate", "hit");
            let mut used = Curve::new("utilisation", "use");
            for interval in series.intervals(&pool.name) {
                let figures = interval.figures;
                if figures.acquires > 0 {
                    hits.push(interval.to_unix_ms, figures.hit_rate());
                }
                if figures.held_bytes > 0 {
                    let share =
                        as_f64(figures.used_bytes as u64) / as_f64(figures.held_bytes as u64);
                    used.push(interval.to_unix_ms, share);
                }
            }
            time_chart(f, &pool.name, (from, to), &[used, hits])?;
        }
        f.write_str("</div>\n")
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools = self.pictured();
        let held = pools.iter().any(|pool| pool.figures.held_bytes > 0);
        if !held {
            return Ok(());
        }
        f.write_str(
            "<h2>Memory map</h2>\n<p class=\"key\"><span><i class=\"use\"></i>in use</span> \
             <span><i class=\"cached\"></i>cached by threads</span> \
             <span><i class=\"depot\"></i>in the depot</span> \
             <span><i class=\"waste\"></i>wasted</span></p>\n<div class=\"charts\">\n",
        )?;
        for pool in pools.iter().filter(|pool| pool.figures.held_bytes > 0) {
            chart::memory_map(f, pool)?;
        }
        f.write_str("</div>\n")
    }

    fn regions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(map) = self.map.filter(|map| !map.pools.is_empty()) else {
            return Ok(());
        };
        let mut pools: Vec<_> = map.pools.iter().collect();
        pools.sort_by_key(|pool| std::cmp::Reverse(pool.bytes()));
        f.write_str(
            "<h2>Memory by address</h2>\n<p class=\"key\"><span><i class=\"use\"></i>leased, the \
             darker the fuller</span> <span><i class=\"depot\"></i>free</span> \
             <span><i class=\"fresh\"></i>never handed out</span></p>\n<div class=\"charts\">\n",
        )?;
        for pool in pools.iter().take(MOST_PICTURED) {
            region::map(f, pool)?;
        }
        f.write_str("</div>\n")
    }

    fn sizes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sampled = |pool: &&PoolSnapshot| pool.parts().any(|part| !part.2.sizes.is_empty());
        let pools: Vec<_> = self.pictured().into_iter().filter(sampled).collect();
        if pools.is_empty() {
            return Ok(());
        }
        f.write_str("<h2>Sizes asked for, against classes</h2>\n<div class=\"charts\">\n")?;
        for pool in pools {
            chart::size_chart(f, pool)?;
        }
        f.write_str("</div>\n")
    }

    fn holders(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools = self.snapshot.pools.iter();
        let mut holders: Vec<_> = pools
            .flat_map(|pool| pool.holders.iter().map(move |holder| (pool, holder)))
            .collect();
        if holders.is_empty() {
            return Ok(());
        }
        holders.sort_by_key(|(_, holder)| std::cmp::Reverse(holder.held_ns));
        f.write_str(
            "<h2>Longest holders</h2>\n<div class=\"wide\"><table>\n\
             <tr><th>pool<th class=\"n\">held for<th>thread<th>acquired at\n",
        )?;
        for (pool, holder) in holders.into_iter().take(50) {
            writeln!(
                f,
                "<tr><td class=\"name\">{}<td class=\"n\">{}<td>{}<td>{}",
                Text(&pool.name),
                figure::nanos(as_f64(holder.held_ns)),
                Text(&holder.thread),
                Text(&holder.location)
            )?;
        }
        f.write_str("</table></div>\n")
    }

    fn changes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(earlier) = self.earlier else {
            return Ok(());
        };
        let done = self.snapshot.clone().since(earlier);
        let took = figure::nanos(as_f64(done.covers_ms.unwrap_or(0)) * 1e6);
        writeln!(
            f,
            "<h2>What changed in {took}</h2>\n<div class=\"wide\"><table>"
        )?;
        f.write_str("<tr><th>pool")?;
        for heading in [
            "in use",
            "held",
            "acquires",
            "hit rate",
            "refused",
            "discarded",
        ] {
            write!(f, "<th class=\"n\">{heading}")?;
        }
        f.write_str("\n")?;
        for pool in &done.pools {
            let before = earlier.pool(&pool.name).map(|pool| pool.figures);
            write!(f, "<tr><td class=\"name\">{}", Text(&pool.name))?;
            for cell in changed(&pool.figures, &before.unwrap_or_default()) {
                write!(f, "<td class=\"n\">{cell}")?;
            }
            if before.is_none() {
                f.write_str("<td>new")?;
            }
            f.write_str("\n")?;
        }
        for gone in &earlier.pools {
            if done.pool(&gone.name).is_none() {
                writeln!(
                    f,
                    "<tr><td class=\"name\">{}<td colspan=\"6\">gone",
                    Text(&gone.name)
                )?;
            }
        }
        f.write_str("</table></div>\n")
    }
}

fn tile(f: &mut fmt::Formatter<'_>, what: &str, value: &str, mood: &str) -> fmt::Result {
    writeln!(f, "<div class=\"tile {mood}\"><b>{value}</b>{what}</div>")
}

fn cells(figures: &Observation) -> [String; 12] {
    [
        figure::capacity(figures.capacity),
        figure::count(figures.in_use as u64),
        figure::count(figures.cached.saturating_add(figures.depot) as u64),
        figure::count(figures.high_water as u64),
        figure::count(figures.acquires),
        rate(figures),
        figure::count(figures.exhausted),
        figure::count(figures.fallbacks),
        figure::count(figures.discards),
        figure::count(figures.waits),
        figure::bytes(figures.held_bytes as u64),
        figure::bytes(figures.wasted_bytes as u64),
    ]
}

fn rate(figures: &Observation) -> String {
    match figures.acquires {
        0 => "–".to_owned(),
        _ => figure::per_cent(figures.hit_rate()),
    }
}

/// Gauges with their change; counters, which are changes already.
fn changed(done: &Observation, before: &Observation) -> [String; 6] {
    [
        signed(done.in_use, before.in_use, figure::count),
        signed(done.held_bytes, before.held_bytes, figure::bytes),
        figure::count(done.acquires),
        rate(done),
        figure::count(done.exhausted),
        figure::count(done.discards),
    ]
}

fn signed(now: usize, before: usize, written: fn(u64) -> String) -> String {
    let sign = if now >= before { "+" } else { "−" };
    format!("{sign}{}", written(now.abs_diff(before) as u64))
}
