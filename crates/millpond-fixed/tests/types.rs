//! Proves what the types of this crate are, at compile time: which of them
//! threads may share and send, that they unwind, print and move freely, how
//! large they are, and that a pool can be a static. What they must *not* be is
//! proved by the programs under `compile_fail`.
#![cfg(feature = "std")]

use millpond_fixed::{
    AcquireError, Builder, FixedPool, Lease, LocalFixedPool, Mode, OwnedLease, PoolHandle, Refused,
    Shared,
};
use std::cell::Cell;
use std::fmt::{Debug, Display};
use std::marker::PhantomPinned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::sync::MutexGuard;

type Word = usize;
/// `Send` and not `Sync`.
type SendOnly = Cell<u8>;
/// `Sync` and not `Send`.
type SyncOnly = MutexGuard<'static, u8>;
/// Neither.
type Neither = Rc<u8>;

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}
const fn is_unpin<T: Unpin>() {}
const fn unwinds<T: UnwindSafe + RefUnwindSafe>() {}
const fn prints<T: Debug>() {}
const fn is_error<T: std::error::Error + Send + Sync + 'static>() {}
const fn displays<T: Debug + Display>() {}

/// Whether a type implements a trait, as a constant: the inherent constant is
/// preferred where its bound holds.
macro_rules! implements {
    ($type:ty: $trait:path) => {{
        trait Otherwise {
            const ANSWER: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}
        struct Question<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "used where the bound holds")]
        impl<T: ?Sized + $trait> Question<T> {
            const ANSWER: bool = true;
        }
        Question::<$type>::ANSWER
    }};
}

#[test]
fn a_pool_is_shared_and_sent_exactly_if_its_values_are_send() {
    const {
        is_sync::<FixedPool<SendOnly>>();
        is_send::<FixedPool<SendOnly>>();
        is_sync::<PoolHandle<SendOnly>>();
        is_send::<PoolHandle<SendOnly>>();
        is_send::<LocalFixedPool<SendOnly>>();
        is_send::<Builder<Neither>>();
    }
    assert!(
        !implements!(FixedPool<SyncOnly>: Sync),
        "a guard would move"
    );
    assert!(!implements!(FixedPool<SyncOnly>: Send));
    assert!(!implements!(FixedPool<Neither>: Sync));
    assert!(!implements!(FixedPool<Neither>: Send));
    assert!(!implements!(PoolHandle<SyncOnly>: Sync));
    assert!(!implements!(PoolHandle<Neither>: Send));
    assert!(!implements!(LocalFixedPool<u8>: Sync), "it has no atomics");
    assert!(!implements!(LocalFixedPool<Neither>: Send));
}

#[test]
fn a_lease_is_send_if_its_value_is_and_sync_if_its_value_is() {
    const {
        is_send::<Lease<'static, SendOnly>>();
        is_send::<OwnedLease<SendOnly>>();
        is_sync::<Lease<'static, SyncOnly>>();
        is_sync::<OwnedLease<SyncOnly>>();
        is_sync::<Lease<'static, u8, millpond_fixed::Local>>();
    }
    assert!(!implements!(Lease<'static, SendOnly>: Sync));
    assert!(!implements!(OwnedLease<SendOnly>: Sync));
    assert!(!implements!(Lease<'static, SyncOnly>: Send));
    assert!(!implements!(OwnedLease<SyncOnly>: Send));
    assert!(
        !implements!(Lease<'static, u8, millpond_fixed::Local>: Send),
        "its release would be on another thread"
    );
}

#[test]
fn a_future_of_a_lease_is_send_if_the_value_is() {
    fn is_send(_: impl Send) {}
    let pool = FixedPool::<SendOnly>::new(1);
    let handle = FixedPool::<SendOnly>::new(1).into_handle();
    is_send(pool.acquire_async(Cell::new(1)));
    is_send(handle.acquire_owned_async(Cell::new(1)));
    assert_eq!(pool.stats().in_use, 0, "futures do nothing unless polled");
}

#[test]
fn pools_unwind_and_leases_do_as_their_values_do() {
    const {
        unwinds::<FixedPool<Cell<u8>>>();
        unwinds::<LocalFixedPool<Cell<u8>>>();
        unwinds::<PoolHandle<Cell<u8>>>();
        unwinds::<Lease<'static, u8>>();
        unwinds::<OwnedLease<u8>>();
    }
    assert!(!implements!(Lease<'static, Cell<u8>>: RefUnwindSafe));
    assert!(!implements!(Lease<'static, &'static mut u8>: UnwindSafe));
}

#[test]
fn leases_move_freely_even_if_their_values_must_not() {
    const {
        is_unpin::<FixedPool<PhantomPinned>>();
        is_unpin::<PoolHandle<PhantomPinned>>();
        is_unpin::<Lease<'static, PhantomPinned>>();
        is_unpin::<OwnedLease<PhantomPinned>>();
    }
    // A pinned lease of a value that must not move can be polled where it is.
    let pool = FixedPool::new(1);
    let mut future = pool
        .try_acquire(async { 7 })
        .expect("one is free")
        .into_pin();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = std::future::Future::poll(std::pin::Pin::new(&mut future), &mut context);
    assert_eq!(polled, std::task::Poll::Ready(7));
}

#[test]
fn everything_prints() {
    struct Silent;
    const {
        prints::<FixedPool<Silent>>();
        prints::<LocalFixedPool<Silent>>();
        prints::<PoolHandle<Silent>>();
        prints::<Builder<Silent>>();
        prints::<Refused<Silent>>();
        displays::<Lease<'static, u8>>();
        displays::<OwnedLease<u8>>();
        is_error::<AcquireError>();
        is_error::<Refused<u8>>();
    }
    assert!(!implements!(Lease<'static, Silent>: Debug));
    let pool = FixedPool::<u8>::builder(3).name("printed").build();
    let lease = pool.try_acquire(5).expect("three are free");
    let text = format!("{pool:?} {lease:?} {lease}");
    assert!(
        text.contains("\"printed\"") && text.ends_with(" 5 5"),
        "{text}"
    );
}

#[test]
fn leases_are_two_words_and_handles_one() {
    fn words<T>() -> usize {
        size_of::<T>() / size_of::<Word>()
    }
    assert_eq!(words::<Lease<'static, [u8; 4096]>>(), 2);
    assert_eq!(words::<Option<Lease<'static, u8>>>(), 2);
    assert_eq!(words::<Lease<'static, u8, millpond_fixed::Local>>(), 2);
    assert_eq!(words::<OwnedLease<[u8; 4096]>>(), 2);
    assert_eq!(words::<Option<OwnedLease<u8>>>(), 2);
    assert_eq!(words::<Option<PoolHandle<u8>>>(), 1);
}

#[test]
fn leases_see_through_to_their_values() {
    fn all_of<L>(left: &L, right: &L)
    where
        L: AsRef<String> + std::borrow::Borrow<String> + Ord + Eq + std::hash::Hash,
    {
        assert!(left < right && left != right);
        assert_eq!(left.as_ref(), "a");
        assert_eq!(right.borrow(), "b");
    }
    let pool = FixedPool::new(2);
    let mut one = pool.try_acquire(String::from("a")).expect("free");
    let two = pool.try_acquire(String::from("b")).expect("free");
    all_of(&one, &two);
    one.push('c');
    assert_eq!(one.as_mut(), "ac");
    assert_eq!(std::borrow::BorrowMut::<String>::borrow_mut(&mut one), "ac");
}

/// A pool is made at compile time, and its leases are `'static`.
static WORDS: FixedPool<String> = FixedPool::new(2);

#[test]
fn a_static_pool_lends_static_leases_to_any_thread() {
    fn hold<M: Mode>(lease: Lease<'static, String, M>) -> usize {
        lease.len()
    }
    let lease = WORDS.try_acquire(String::from("static")).expect("free");
    let length = std::thread::spawn(move || hold::<Shared>(lease)).join();
    assert_eq!(length.expect("no panic"), 6);
    assert_eq!(WORDS.stats().in_use, 0);
}

#[test]
fn a_pool_that_borrows_may_be_dropped_after_what_it_borrows() {
    // The pool holds no values, so it need not be dropped first.
    let pool = FixedPool::new(1);
    let text = String::from("dropped before the pool");
    let lease = pool.try_acquire(text.as_str()).expect("free");
    assert_eq!(*lease, text);
    drop(lease);
}
