//! Resident memory of this process, as the system counts it.

/// Resident bytes, or `None` where the system does not say. Linux only.
#[must_use]
pub fn bytes() -> Option<u64> {
    sum_of("Rss:")
}

/// Resident bytes that are no file's, or `None` where the system does not say: what
/// a program asked for, without the pages of its own code, which come as it first
/// runs them. Linux only.
#[must_use]
pub fn anonymous_bytes() -> Option<u64> {
    sum_of("Anonymous:")
}

/// `smaps_rollup` walks the page tables and is exact; the counters in `statm` and
/// `status` are kept per core and lag by some hundred pages.
fn sum_of(field: &str) -> Option<u64> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    kibibytes(&rollup, field)
}

/// The figure behind `field` in one of the kernel's tables, in bytes.
fn kibibytes(table: &str, field: &str) -> Option<u64> {
    let line = table.lines().find(|line| line.starts_with(field))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// The most resident bytes that this process ever had, or `None` where the system
/// does not say. Linux only; the kernel's own figure, some hundred pages coarse.
#[must_use]
pub fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    kibibytes(&status, "VmHWM:")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn touched_memory_becomes_resident_and_the_peak_stays_when_it_goes() {
        for resident in [super::bytes, super::anonymous_bytes] {
            let before = resident().unwrap();
            let touched = std::hint::black_box(vec![1_u8; 64 << 20]);
            let after = resident().unwrap();
            // Less some: what other tests hold may go meanwhile.
            assert!(after >= before + (48 << 20), "{before} then {after}");
            drop(touched);
            assert!(super::peak_bytes().unwrap() > (63 << 20));
        }
    }
}
