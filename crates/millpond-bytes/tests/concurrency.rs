//! Threads at once: buffers, views, tables.

use millpond_bytes::{BytePool, Config, PoolBytes};
use millpond_core::size_class::SizeClasses;
use std::sync::Barrier;
use std::thread;

const ROUNDS: usize = if cfg!(miri) { 20 } else { 20_000 };

#[test]
fn nobody_sees_anybody_elses_bytes() {
    let pool = BytePool::new(Config::new().with_sizes(&[32, 64])).expect("valid");
    thread::scope(|scope| {
        for id in 1..=3_u8 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let mut buffer = pool.acquire(1 + round % 64).expect("memory");
                    buffer.resize(buffer.capacity(), id).expect("it fits");
                    if round % 8 == 0 {
                        thread::yield_now();
                    }
                    assert!(buffer.iter().all(|&byte| byte == id));
                }
            });
        }
    });
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn the_last_view_gives_back_whoever_has_it() {
    let pool = BytePool::new(Config::new().with_sizes(&[32])).expect("valid");
    for _ in 0..ROUNDS / 10 + 1 {
        let mut buffer = pool.acquire(32).expect("memory");
        buffer.resize(32, 3).expect("it fits");
        let views: [PoolBytes; 3] = {
            let first = buffer.freeze();
            [first.clone(), first.slice(1..9), first]
        };
        let meeting = Barrier::new(3);
        let thawed: usize = thread::scope(|scope| {
            let threads = views.map(|view| {
                let meeting = &meeting;
                scope.spawn(move || {
                    meeting.wait();
                    assert!(view.iter().all(|&byte| byte == 3));
                    match view.try_into_mut() {
                        Ok(mut buffer) => {
                            buffer.fill(4);
                            1
                        }
                        Err(view) => {
                            drop(view);
                            0
                        }
                    }
                })
            });
            threads
                .map(|thread| thread.join().expect("no panic"))
                .iter()
                .sum()
        });
        assert!(thawed <= 1);
        assert_eq!(pool.stats().outstanding(), 0);
    }
}

#[test]
fn tables_change_under_the_feet_of_those_who_acquire() {
    let pool = BytePool::new(Config::new().with_sizes(&[16, 64])).expect("valid");
    let tables = [&[16, 64][..], &[20, 40, 80], &[64]];
    let tables = tables.map(|sizes| SizeClasses::new(sizes).expect("a table"));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for len in (1..=64).cycle().take(ROUNDS) {
                    let buffer = pool.acquire(len).expect("memory");
                    assert!(buffer.capacity() >= len);
                }
            });
        }
        for table in tables.iter().cycle().take(ROUNDS / 20 + 3) {
            pool.apply(table).expect("valid");
        }
    });
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn a_pool_goes_while_others_release_its_buffers() {
    for _ in 0..ROUNDS / 40 + 1 {
        let pool = BytePool::new(Config::new().with_sizes(&[16, 32])).expect("valid");
        let held: Vec<_> = [1, 20, 100]
            .map(|len| pool.acquire(len).expect("memory"))
            .into();
        thread::scope(|scope| {
            for buffer in held {
                scope.spawn(move || drop(buffer));
            }
            drop(pool);
        });
    }
}

#[test]
fn what_is_zeroed_ahead_beside_new_tables_is_in_none_that_is_gone() {
    let table = |size: usize| SizeClasses::new(&[size]).expect("valid");
    let pool = BytePool::new(Config::new().with_sizes(&[64])).expect("valid");
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS / 20 {
                pool.zero_ahead(64, 2).expect("memory");
                drop(pool.acquire_zeroed(64).expect("memory"));
            }
        });
        for _ in 0..ROUNDS / 40 {
            pool.apply(&table(128)).expect("valid");
            pool.apply(&table(64)).expect("valid");
        }
        pool.apply(&table(256)).expect("valid");
    });
    // Nobody has a buffer, so none is in a class that is in the table no more, but
    // for those that came home to one, which wait for a trim.
    assert_eq!(pool.stats().outstanding(), 0);
    pool.trim(millpond_bytes::Level::Light);
    let retired = |class: &&millpond_bytes::ClassStats| !class.is_current;
    for class in pool.stats().classes.iter().filter(retired) {
        assert_eq!(class.held_bytes, 0, "{} bytes", class.size);
    }
}
