//! Pictures of the page, as SVG.

use super::Text;
use crate::figure;
use crate::snapshot::PoolSnapshot;
use crate::table::as_f64;
use millpond_core::observe::Observation;
use std::fmt;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 110.0;

/// Most cells of a memory map: ten rows of twenty.
const CELLS: usize = 200;
const CELLS_A_ROW: usize = 20;

/// A line over time of something between 0 and 1.
pub(super) struct Curve {
    name: &'static str,
    class: &'static str,
    points: Vec<(u64, f64)>,
}

impl Curve {
    pub(super) const fn new(name: &'static str, class: &'static str) -> Self {
        Self {
            name,
            class,
            points: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, unix_ms: u64, share: f64) {
        self.points.push((unix_ms, share.clamp(0.0, 1.0)));
    }
}

pub(super) fn time_chart(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    (from, to): (u64, u64),
    curves: &[Curve],
) -> fmt::Result {
    begin(f, title)?;
    for share in [0.0, 0.5, 1.0] {
        let y = HEIGHT * (1.0 - share);
        writeln!(
            f,
            "<line class=\"grid\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/>"
        )?;
    }
    let span = as_f64(to.saturating_sub(from)).max(1.0);
    for curve in curves {
        write!(f, "<polyline class=\"line {}\" points=\"", curve.class)?;
        for &(at, share) in &curve.points {
            let x = WIDTH * as_f64(at.saturating_sub(from)) / span;
            write!(f, "{x:.1},{:.1} ", HEIGHT * (1.0 - share))?;
        }
        f.write_str("\"/>\n")?;
    }
    f.write_str("</svg>\n<figcaption class=\"key\">")?;
    for curve in curves {
        let last = curve.points.last().map(|point| figure::per_cent(point.1));
        let last = last.unwrap_or_else(|| "–".to_owned());
        let (class, name) = (curve.class, curve.name);
        write!(f, "<span><i class=\"{class}\"></i>{name} {last}</span> ")?;
    }
    writeln!(
        f,
        "<span>over {}</span></figcaption></figure>",
        figure::nanos(span * 1e6)
    )
}

/// How many cells of a map are of which kind: the ends of each kind, one after the
/// other, and what a cell is.
struct Cells {
    used: f64,
    cached: f64,
    depot: f64,
    all: usize,
    each: &'static str,
}

impl Cells {
    /// A cell for each slot, where there is room for as many.
    fn of_slots(figures: &Observation) -> Option<Self> {
        let Observation {
            created, in_use, ..
        } = *figures;
        let used = in_use.min(created);
        let cached = used.saturating_add(figures.cached).min(created);
        (1..=CELLS).contains(&created).then_some(Self {
            used: as_f64(used as u64),
            cached: as_f64(cached as u64),
            depot: as_f64(created as u64),
            all: created,
            each: "a slot each",
        })
    }

    /// A cell for each half per cent of what is held.
    fn of_bytes(figures: &Observation) -> Self {
        let held = figures.held_bytes.max(1);
        let free = held.saturating_sub(figures.used_bytes.saturating_add(figures.wasted_bytes));
        let items = figures.cached.saturating_add(figures.depot).max(1);
        let cached = as_f64(free as u64) * as_f64(figures.cached as u64) / as_f64(items as u64);
        let cells = |bytes: f64| bytes * as_f64(CELLS as u64) / as_f64(held as u64);
        let used = cells(as_f64(figures.used_bytes as u64));
        Self {
            used,
            cached: used + cells(cached),
            depot: used + cells(as_f64(free as u64)),
            all: CELLS,
            each: "half a per cent each",
        }
    }

    fn class(&self, cell: usize) -> &'static str {
        match as_f64(cell as u64) + 0.5 {
            middle if middle < self.used => "use",
            middle if middle < self.cached => "cached",
            middle if middle < self.depot => "depot",
            _ => "waste",
        }
    }
}

/// What the memory of a pool is used for: its slots, by what becomes of them and not
/// by where they lie, or its bytes where slots are many or of several sizes.
pub(super) fn memory_map(f: &mut fmt::Formatter<'_>, pool: &PoolSnapshot) -> fmt::Result {
    begin(f, &pool.name)?;
    let figures = &pool.figures;
    let slots = Cells::of_slots(figures).filter(|_| pool.classes.is_empty());
    let cells = slots.unwrap_or_else(|| Cells::of_bytes(figures));
    let (width, height) = (WIDTH / 20.0, HEIGHT / 10.0);
    for cell in 0..cells.all {
        let class = cells.class(cell);
        let x = as_f64((cell % CELLS_A_ROW) as u64) * width;
        let y = as_f64((cell / CELLS_A_ROW) as u64) * height;
        let (wide, high) = (width - 1.0, height - 1.0);
        writeln!(
            f,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\"/>"
        )?;
    }
    writeln!(
        f,
        "</svg>\n<figcaption>{} held, {} in use; {}</figcaption></figure>",
        figure::bytes(figures.held_bytes as u64),
        figure::bytes(figures.used_bytes as u64),
        cells.each
    )
}

/// Sizes that were asked for as bars, classes as lines.
pub(super) fn size_chart(f: &mut fmt::Formatter<'_>, pool: &PoolSnapshot) -> fmt::Result {
    begin(f, &pool.name)?;
    let mut asked = crate::advisor::requests(pool);
    asked.sort_unstable();
    let classes: Vec<u64> = pool
        .classes
        .iter()
        .map(|class| class.figures.item_bytes as u64)
        .filter(|&bytes| bytes > 0)
        .collect();
    let sizes = asked.iter().map(|&(size, _)| size as u64);
    let largest = sizes.chain(classes.iter().copied()).max().unwrap_or(1);
    let most = asked.iter().map(|&(_, count)| count).max().unwrap_or(1);
    let smallest = asked.first().map_or(1, |&(size, _)| size as u64 / 2).max(1);
    // Logarithms, as classes double.
    let octaves = (as_f64(largest) / as_f64(smallest)).log2().max(1.0);
    let x = |bytes: u64| {
        let above = as_f64(bytes.max(smallest)) / as_f64(smallest);
        WIDTH * above.log2() / octaves
    };
    for &(size, count) in &asked {
        let height = HEIGHT * as_f64(count) / as_f64(most.max(1));
        let (left, right) = (x(size as u64 - size as u64 / 9), x(size as u64));
        writeln!(
            f,
            "<rect class=\"use\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{}: {}</title></rect>",
            HEIGHT - height,
            (right - left).max(1.5),
            figure::bytes(size as u64),
            figure::count(count)
        )?;
    }
    for &bytes in &classes {
        let at = x(bytes);
        writeln!(
            f,
            "<line class=\"class\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{HEIGHT}\"><title>class {}</title></line>",
            figure::bytes(bytes)
        )?;
    }
    writeln!(
        f,
        "</svg>\n<figcaption>{} to {}, {} classes</figcaption></figure>",
        figure::bytes(smallest),
        figure::bytes(largest),
        classes.len()
    )
}

fn begin(f: &mut fmt::Formatter<'_>, title: &str) -> fmt::Result {
    let title = Text(title);
    writeln!(
        f,
        "<figure><h3>{title}</h3><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
    )
}
