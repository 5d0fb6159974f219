//! Resident memory of this process, as the system counts it.

/// Resident bytes, or `None` where the system does not say.
///
/// Linux only. `smaps_rollup` walks the page tables and is exact; the counters
/// in `statm` and `status` are kept per core and lag by some hundred pages.
#[must_use]
pub fn bytes() -> Option<u64> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = rollup.lines().find(|line| line.starts_with("Rss:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// The most resident bytes that this process ever had, or `None` where the system
/// does not say. Linux only; the kernel's own figure, some hundred pages coarse.
#[must_use]
pub fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn the_peak_stays_when_memory_goes() {
        let touched = std::hint::black_box(vec![1_u8; 64 << 20]);
        drop(touched);
        assert!(super::peak_bytes().unwrap() > (63 << 20));
    }

    #[test]
    fn touched_memory_becomes_resident() {
        let before = super::bytes().unwrap();
        let touched = std::hint::black_box(vec![1_u8; 32 << 20]);
        let after = super::bytes().unwrap();
        // Less a little: other pages of the process may go meanwhile.
        assert!(after >= before + (31 << 20), "{before} then {after}");
        drop(touched);
    }
}
