//! The map of a pool's memory by address, as SVG.

use super::Text;
use crate::figure;
use crate::map::PoolRegions;
use crate::table::as_f64;
use millpond_core::observe::RegionFigures;
use std::fmt;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 12.0;

/// Most regions of a pool that are drawn; the others are summed up.
const MOST_REGIONS: usize = 32;

/// A strip for each region, from its first address to its last.
pub(super) fn map(f: &mut fmt::Formatter<'_>, pool: &PoolRegions) -> fmt::Result {
    writeln!(f, "<figure><h3>{}</h3>", Text(&pool.pool))?;
    for region in pool.regions.iter().take(MOST_REGIONS) {
        strip(f, region)?;
    }
    let (count, bytes) = (pool.regions.len() as u64, figure::bytes(pool.bytes()));
    let regions = match count {
        1 => "one region".to_owned(),
        _ => format!("{} regions", figure::count(count)),
    };
    write!(f, "<figcaption>{bytes} in {regions}")?;
    if let Some(rest) = pool.regions.get(MOST_REGIONS..).filter(|it| !it.is_empty()) {
        let bytes: u64 = rest.iter().map(|region| region.bytes as u64).sum();
        write!(f, ", of which {} are not drawn", figure::bytes(bytes))?;
    }
    f.write_str("</figcaption></figure>\n")
}

fn strip(f: &mut fmt::Formatter<'_>, region: &RegionFigures) -> fmt::Result {
    let end = region.address.saturating_add(region.bytes);
    writeln!(
        f,
        "<p class=\"region\"><code>{:#x}–{end:#x}</code> {} of {} items of {}</p>",
        region.address,
        figure::count(region.in_use as u64),
        figure::count(region.items as u64),
        figure::bytes(region.item_bytes as u64),
    )?;
    writeln!(
        f,
        "<svg class=\"strip\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\">"
    )?;
    let items = as_f64(region.items.max(1) as u64);
    let known = WIDTH * as_f64(region.handed_out as u64) / items;
    rect(f, "fresh", 0.0, WIDTH, 1.0)?;
    rect(f, "depot", 0.0, known, 1.0)?;
    let parts = as_f64(region.parts.len().max(1) as u64);
    for (place, &share) in region.parts.iter().enumerate() {
        if share > 0 {
            let x = WIDTH * as_f64(place as u64) / parts;
            // A single lease among many is still to be seen.
            let opacity = 0.25 + 0.75 * f64::from(share.min(100)) / 100.0;
            rect(f, "use", x, WIDTH / parts, opacity)?;
        }
    }
    f.write_str("</svg>\n")
}

fn rect(f: &mut fmt::Formatter<'_>, class: &str, x: f64, width: f64, opacity: f64) -> fmt::Result {
    writeln!(
        f,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"{HEIGHT}\" fill-opacity=\"{opacity:.2}\"/>"
    )
}
