//! Pools that supply other pools with memory.

use millpond::Budget;
use millpond::bytes::{BytePool, Config};
use millpond::vector::VectorPool;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Both are charged to one budget and are its members, so a supplier that is refused
/// must not have the pool that it supplies asked for memory: that one holds its lock.
#[test]
fn a_supplier_that_its_budget_refuses_waits_for_nobody() {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        for room in (1..80).map(|steps| steps * 512) {
            let all = Budget::new("all", 1 << 20);
            let bytes = BytePool::new(Config::new().with_budget(&all)).expect("valid");
            let rows = VectorPool::<f32>::builder(768)
                .budget(&all)
                .supplier(Arc::new(bytes))
                .build()
                .expect("a row")
                .into_shared();
            let rest = all.limit() - all.held();
            let hog = all.try_charge(rest.saturating_sub(room)).expect("room");
            let _ = rows.try_acquire();
            drop(hog);
        }
        done.send(()).expect("somebody waits");
    });
    let ended = ended.recv_timeout(Duration::from_secs(60));
    assert_eq!(ended, Ok(()), "it hangs");
}
