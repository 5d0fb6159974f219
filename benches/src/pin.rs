//! Pinning threads to cores, where the system lets us.
//!
//! A thread that wanders loses its caches half way through a round, and a
//! two-thread row whose threads share a core measures the scheduler. Systems
//! without affinity run unpinned, and the provenance says so.

use std::sync::OnceLock;

/// Pins the calling thread to the `index`-th core that the process may use.
///
/// Returns whether it worked; the caller measures either way.
#[must_use]
pub fn to_core(index: usize) -> bool {
    let cores = cores();
    match cores.get(index % cores.len().max(1)) {
        Some(&core) => core_affinity::set_for_current(core),
        None => false,
    }
}

/// How many cores this process may use.
#[must_use]
pub fn core_count() -> usize {
    cores().len().max(1)
}

/// Whether somebody else is busy on a core that this process may use.
#[must_use]
pub fn any_core_is_shared() -> bool {
    std::thread::scope(|scope| {
        let probe = |index| {
            let _pinned = to_core(index);
            millpond_quiet::is_shared()
        };
        let probes: Vec<_> = (0..core_count())
            .map(|index| scope.spawn(move || probe(index)))
            .collect();
        probes
            .into_iter()
            .any(|probe| probe.join().unwrap_or(false))
    })
}

/// Asked for once, before anything is pinned: a pinned thread sees one core.
fn cores() -> &'static [core_affinity::CoreId] {
    static CORES: OnceLock<Vec<core_affinity::CoreId>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default())
}
