//! Closing with items out: exactly one is told that it brought the last one home.
#![cfg(millpond_loom)]

mod model;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use millpond_core::engine::Released;
use model::{Pool, run};

#[test]
fn exactly_one_is_told_that_it_was_the_last() {
    loom::model(|| {
        let pool = Arc::new(Pool::<2>::new());
        let told = Arc::new(AtomicUsize::new(0));
        let tell = |told: &Arc<AtomicUsize>, released| {
            let last = usize::from(released == Released::Last);
            told.fetch_add(last, Ordering::Relaxed);
        };
        let holder = {
            let told = Arc::clone(&told);
            run(&pool, move |pool| {
                if let Some(entry) = pool.acquire() {
                    tell(&told, pool.release(entry));
                }
            })
        };
        let owner = {
            let told = Arc::clone(&told);
            run(&pool, move |pool| {
                let entry = pool.acquire();
                tell(&told, pool.engine.orphan());
                if let Some(entry) = entry {
                    tell(&told, pool.release(entry));
                }
            })
        };
        holder.join().expect("the holder ends");
        owner.join().expect("the owner ends");
        assert_eq!(told.load(Ordering::Relaxed), 1, "who frees the pool?");
    });
}
