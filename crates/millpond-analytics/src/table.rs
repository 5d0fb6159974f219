//! Tables for terminals and logs.

use crate::figure;
use crate::savings::Savings;
use crate::snapshot::Snapshot;
use comfy_table::{CellAlignment, Table, presets};
use millpond_core::observe::Observation;
use std::fmt;

const HEADINGS: [&str; 10] = [
    "pool", "class", "capacity", "in use", "free", "peak", "acquires", "hit rate", "lost", "held",
];

/// A table: a row for each pool, or for each class of those that have several.
///
/// `lost` counts acquires that gave nothing or fell back, and items that were
/// not kept. Control characters in names are escaped.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = new_table(&HEADINGS);
        for pool in &self.pools {
            for (class, figures, _) in pool.parts() {
                table.add_row(row(&pool.name, class, &figures));
            }
        }
        writeln!(f, "{}", table.trim_fmt())?;
        for budget in &self.budgets {
            writeln!(
                f,
                "budget {}: {}, at most {}, {} refused",
                printable(&budget.name),
                figure::held(budget.held_bytes, budget.limit_bytes),
                figure::bytes(budget.high_water_bytes),
                figure::count(budget.refusals),
            )?;
        }
        for pool in &self.pools {
            for holder in &pool.holders {
                writeln!(
                    f,
                    "{} held for {} by {} since {}",
                    printable(&pool.name),
                    figure::nanos(as_f64(holder.held_ns)),
                    printable(&holder.thread),
                    printable(&holder.location),
                )?;
            }
        }
        Ok(())
    }
}

fn row(pool: &str, class: &str, figures: &Observation) -> Vec<String> {
    vec![
        printable(pool),
        printable(class),
        figure::capacity(figures.capacity),
        figure::count(figures.in_use as u64),
        figure::count(figures.cached.saturating_add(figures.depot) as u64),
        figure::count(figures.high_water as u64),
        figure::count(figures.acquires),
        match figures.acquires {
            0 => "–".to_owned(),
            _ => figure::per_cent(figures.hit_rate()),
        },
        figure::count(lost(figures)),
        figure::bytes(figures.held_bytes as u64),
    ]
}

/// Acquires that gave nothing or fell back, and releases that were not kept.
pub(crate) fn lost(figures: &Observation) -> u64 {
    [figures.exhausted, figures.fallbacks, figures.discards]
        .into_iter()
        .fold(0, u64::saturating_add)
}

/// A table without a frame, its numbers to the right.
pub(crate) fn new_table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(headings.to_vec());
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A name with its control characters escaped, so that it cannot move a cursor
/// or begin a line.
pub(crate) fn printable(name: &str) -> String {
    let mut printable = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_control() {
            printable.extend(letter.escape_default());
        } else {
            printable.push(letter);
        }
    }
    printable
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Savings in a few lines; what is not known is left out.
impl fmt::Display for Savings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "allocations: {} avoided, {} made",
            figure::count(self.allocations_avoided),
            figure::count(self.allocations_made)
        )?;
        write!(
            f,
            "bytes: {} reused, {} allocated",
            figure::bytes(self.bytes_reused),
            figure::bytes(self.bytes_allocated)
        )?;
        if let Some(ratio) = self.reuse_ratio() {
            write!(f, " ({ratio:.1} for each)")?;
        }
        writeln!(f, "; peak {}", figure::bytes(self.peak_bytes))?;
        if let Some(ns) = self.time_saved_ns {
            writeln!(f, "time saved: {}", figure::nanos(ns))?;
        }
        Ok(())
    }
}
