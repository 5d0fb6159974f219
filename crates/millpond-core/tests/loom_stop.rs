//! Stop against the owners of caches: no item is lost, none is given twice.
#![cfg(millpond_loom)]

mod model;

use loom::sync::Arc;
use model::{Pool, check_whole, run};

/// Acquires and releases `times` times, as far as there are items.
fn use_items<const N: usize>(times: usize) -> impl FnOnce(&Pool<N>) {
    move |pool| {
        for _ in 0..times {
            if let Some(entry) = pool.acquire() {
                let _ = pool.release(entry);
            }
        }
    }
}

/// The first thread leaves an item in its cache; whoever else acquires must stop it.
#[test]
fn stop_against_acquire_and_release() {
    loom::model(|| {
        let pool = Arc::new(Pool::<1>::new());
        let owner = run(&pool, use_items(2));
        let reclaimer = run(&pool, use_items(1));
        owner.join().expect("the owner ends");
        reclaimer.join().expect("the reclaimer ends");
        check_whole(&pool);
    });
}

/// Both have caches and both stop each other, again and again.
#[test]
fn two_owners_stop_each_other() {
    loom::model(|| {
        let pool = Arc::new(Pool::<1>::new());
        let threads = [run(&pool, use_items(3)), run(&pool, use_items(3))];
        for thread in threads {
            thread.join().expect("the thread ends");
        }
        check_whole(&pool);
    });
}

/// Two reclaimers come for what one owner has. Three threads are many: each does little.
#[test]
fn stops_in_pairs() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let pool = Arc::new(Pool::<1>::new());
        let threads = [1, 1, 1].map(|times| run(&pool, use_items(times)));
        for thread in threads {
            thread.join().expect("the thread ends");
        }
        check_whole(&pool);
    });
}
