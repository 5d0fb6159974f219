//! Proves that a manager shows its scopes as the classes of one pool.

use millpond_arena::{ArenaManager, Diagnosis, Scope};
use millpond_core::observe::Observe;

#[test]
fn scopes_are_classes_and_add_up() {
    let manager = ArenaManager::new();
    manager.set_diagnosis(Diagnosis::Full);
    for _ in 0..10 {
        let arena = manager.lease(Scope::Json).expect("no limit");
        arena.alloc_slice_copy(&[1_u8; 5000]).expect("fits");
    }
    let held = manager.lease(Scope::Primitive).expect("no limit");
    assert_eq!(manager.kind(), "arena");
    let classes = manager.classes();
    let labels: Vec<&str> = classes.iter().map(|class| &*class.label).collect();
    assert_eq!(labels, ["primitive", "search", "json"]);
    let json = &classes[2];
    assert_eq!(json.figures.acquires, 10);
    assert_eq!(
        (json.sampled.sizes.count(), json.sampled.hold_ns.count()),
        (10, 10)
    );
    let used = json.sampled.sizes.quantile(0.5).expect("ten were used");
    assert!((5000..10_000).contains(&used), "{used}");
    let sum = manager.observe();
    assert_eq!((sum.acquires, sum.in_use), (11, 1));
    assert_eq!(Observe::holders(&manager).len(), 1);
    drop(held);
}
