//! Caches exchange magazines with the depot: every item goes round, none is lost.
#![cfg(millpond_loom)]

mod model;

use loom::sync::Arc;
use model::{Pool, check_whole, run};

/// Holds two items at once, so that with magazines of one or two rounds some of them come
/// from the depot and go back to it.
fn hold_two<const N: usize>(pool: &Pool<N>) {
    let first = pool.acquire();
    let second = pool.acquire();
    for entry in [first, second].into_iter().flatten() {
        let _ = pool.release(entry);
    }
}

#[test]
fn items_go_round_by_way_of_the_depot() {
    loom::model(|| {
        let pool = Arc::new(Pool::<3>::new());
        let threads = [run(&pool, hold_two), run(&pool, hold_two)];
        for thread in threads {
            thread.join().expect("the thread ends");
        }
        check_whole(&pool);
    });
}
