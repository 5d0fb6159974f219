//! Figures as people read them: 1.5 MiB, 12 ms, 99.2 %.

/// Bytes in the unit in which they are a small number.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    scaled(bytes as f64, 1024.0, &units)
}

/// Nanoseconds in the unit in which they are a small number.
#[must_use]
pub(crate) fn nanos(nanos: f64) -> String {
    if nanos.abs() >= 60e9 {
        return format!("{:.1} min", nanos / 60e9);
    }
    scaled(nanos, 1000.0, &["ns", "µs", "ms", "s"])
}

/// A count with a unit for thousands.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn count(count: u64) -> String {
    scaled(count as f64, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
        .trim_end()
        .to_owned()
}

/// A capacity: the largest number stands for no limit.
#[must_use]
pub(crate) fn capacity(items: usize) -> String {
    if items == usize::MAX {
        return "no limit".to_owned();
    }
    count(items as u64)
}

/// Bytes that are held, of so many if there is a limit.
#[must_use]
pub(crate) fn held(held: u64, limit: u64) -> String {
    if limit >= usize::MAX as u64 {
        return format!("{} held, no limit", bytes(held));
    }
    format!("{} of {} held", bytes(held), bytes(limit))
}

/// A share in per cent.
#[must_use]
pub(crate) fn per_cent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Three digits, and the unit in which they are enough.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut scaled = value;
    let mut unit = 0;
    while scaled.abs() >= step && unit + 1 < units.len() {
        scaled /= step;
        unit += 1;
    }
    let digits = match scaled.abs() {
        _ if unit == 0 && value.fract() == 0.0 => 0,
        small if small < 10.0 => 2,
        small if small < 100.0 => 1,
        _ => 0,
    };
    format!("{scaled:.digits$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.50 KiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(nanos(1.5), "1.50 ns");
        assert_eq!(nanos(-2_500_000.0), "-2.50 ms");
        assert_eq!(nanos(90e9), "1.5 min");
        assert_eq!(count(999), "999");
        assert_eq!(count(12_345_678), "12.3 M");
        assert_eq!(per_cent(0.9923), "99.2 %");
        assert_eq!(capacity(usize::MAX), "no limit");
        assert_eq!(held(1024, 2048), "1.00 KiB of 2.00 KiB held");
        assert_eq!(held(1024, usize::MAX as u64), "1.00 KiB held, no limit");
    }
}
