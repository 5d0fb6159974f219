//! x
use millpond_fixed::*;
use std::hint::black_box;
use std::time::Instant;
#[inline(never)]
#[unsafe(no_mangle)]
pub fn probe_shared(pool: &FixedPool<[u64; 8]>, v: u64) -> u64 {
    let l = pool.try_acquire([v; 8]).unwrap_or_else(|_| std::process::abort());
    black_box(&l);
    l[3]
}
fn time(name: &str, n: u64, mut f: impl FnMut()) {
    f();
    let mut best = f64::MAX;
    for _ in 0..7 {
        let t = Instant::now();
        f();
        best = best.min(t.elapsed().as_nanos() as f64 / n as f64);
    }
    println!("{name}: {best:.2} ns");
}
fn shuf<P>(get: impl Fn(u64) -> P) {
    let mut held: Vec<Option<P>> = (0..64).map(|i| Some(get(i))).collect();
    let mut x = 88172645463325252u64;
    let n = 2_000_000;
    time("  shuf64", n, || {
        for i in 0..n {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            let k = (x % 64) as usize;
            held[k] = None;
            held[k] = Some(get(i));
        }
    });
}
fn main() {
    for cap in [1usize, 64, 8192] {
        let pool = FixedPool::<[u64; 8]>::new(cap);
        let n = 5_000_000;
        time(&format!("shared N={cap}"), n, || {
            for i in 0..n {
                let l = pool.try_acquire([i; 8]).unwrap_or_else(|_| std::process::abort());
                black_box(&*l);
            }
        });
        println!("{:?}", pool.stats());
        if cap >= 64 {
            shuf(|i| pool.try_acquire([i; 8]).ok().unwrap());
        }
    }
    let pool = LocalFixedPool::<[u64; 8]>::new_local(8192);
    let n = 5_000_000;
    time("local", n, || {
        for i in 0..n {
            let l = pool.try_acquire([i; 8]).unwrap_or_else(|_| std::process::abort());
            black_box(&*l);
        }
    });
    shuf(|i| pool.try_acquire([i; 8]).ok().unwrap());
    time("box", n, || {
        for i in 0..n {
            let l = Box::new([i; 8]);
            black_box(&*l);
        }
    });
    shuf(|i| Box::new([i; 8]));
    let pool = FixedPool::<[u64; 8]>::new(1);
    let _l = pool.try_acquire([0; 8]).unwrap();
    time("fail", n, || {
        for i in 0..n {
            black_box(pool.try_acquire([i; 8]).is_err());
        }
    });
    black_box(probe_shared(&FixedPool::new(1), 3));
}
