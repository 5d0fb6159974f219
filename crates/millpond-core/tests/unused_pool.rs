//! A process whose first act is to stop a pool that nobody has used.
//!
//! Alone in its file, and so in its process, because any other test would have
//! prepared the process for it: closing an unused pool once failed there, for
//! want of a registration that only the first cache asked for.
#![cfg(not(millpond_loom))]

use millpond_core::engine::Released;
use millpond_core::shared::SharedEngine;
use millpond_core::slab::Slabs;

#[test]
fn an_unused_pool_can_be_closed_and_freed() {
    let engine = SharedEngine::new(4, 8, Slabs::new(8, 8));
    engine.close();
    assert!(engine.is_closed());
    // SAFETY: alive, and nobody acquires any more.
    let released = unsafe { SharedEngine::orphan(&raw const engine) };
    assert_eq!(released, Released::Last);
}
