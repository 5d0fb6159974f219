//! A pool that is freed while the release that freed it, or another one, returns.
//! What could go wrong is seen by Miri, with many seeds.
use millpond_fixed::*;
#[test]
fn freed_while_release_returns() {
    for n in 2..4 {
        let pool = FixedPool::<u64>::new(8).into_handle();
        let leases: Vec<_> = (0..n).map(|i| pool.try_acquire_owned(i).unwrap()).collect();
        drop(pool);
        let threads: Vec<_> = leases
            .into_iter()
            .map(|l| std::thread::spawn(move || drop(l)))
            .collect();
        for t in threads {
            t.join().unwrap();
        }
    }
}
#[test]
fn handle_dropped_while_releases_return() {
    let pool = FixedPool::<u64>::new(8).into_handle();
    let leases: Vec<_> = (0..2).map(|i| pool.try_acquire_owned(i).unwrap()).collect();
    let threads: Vec<_> = leases
        .into_iter()
        .map(|l| {
            let pool = pool.clone();
            std::thread::spawn(move || {
                let x = pool.try_acquire_owned(7).unwrap();
                drop(pool);
                drop(l);
                drop(x);
            })
        })
        .collect();
    drop(pool);
    for t in threads {
        t.join().unwrap();
    }
}

/// The pool is freed by the waker that a release runs. Once, the release held a
/// reference to it as an argument, which promises that it outlives the call.
#[test]
fn freed_by_the_waker_inside_release() {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Wake, Waker};
    type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
    struct Inline(Mutex<Option<Task>>);
    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            let mut task = self.0.lock().unwrap().take().unwrap();
            let waker = Waker::from(self.clone());
            assert!(
                task.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_ready()
            );
        }
    }
    let pool = FixedPool::<u64>::new(1).into_handle();
    let lease = pool.try_acquire_owned(1).unwrap();
    let mut task: Task = Box::pin(async move {
        drop(pool.acquire_async(2).await.unwrap());
    });
    let inline = Arc::new(Inline(Mutex::new(None)));
    let waker = Waker::from(inline.clone());
    assert!(
        task.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    *inline.0.lock().unwrap() = Some(task);
    drop(lease);
}
