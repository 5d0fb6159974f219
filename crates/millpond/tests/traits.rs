//! What Rust users expect of types, asserted: a bound that gets lost is an error here.

use millpond::analytics as shown;
use millpond::{Pond, PondConfig, PoolConfig, Settings, arena, bytes, fixed, vector};
use std::borrow::Borrow;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::io;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

fn sent<T: Send + Sync>() {}
fn unwound<T: UnwindSafe + RefUnwindSafe>() {}
fn debugged<T: Debug>() {}

/// A handle: a name for something shared.
fn handle<T: Clone + Debug + Send + Sync + UnwindSafe + RefUnwindSafe + 'static>() {}

fn configuration<T: Clone + Default + Debug + Send + Sync + 'static>() {}

/// An error that comes out of slow paths, or of building something.
fn error<T: Error + Debug + Clone + PartialEq + Send + Sync + Unpin + 'static>() {
    let (name, bytes) = (std::any::type_name::<T>(), size_of::<T>());
    assert!(bytes <= 128, "{name} has {bytes} bytes");
}

/// An error of an operation: it says which limit, of whom, and how full, and no more.
fn small<T: Error + Debug + Clone + PartialEq + Send + Sync + Unpin + 'static>() {
    error::<T>();
    let (name, bytes) = (std::any::type_name::<T>(), size_of::<T>());
    assert!(bytes <= 96, "{name} has {bytes} bytes");
}

/// A lease of a value: it is compared, hashed and shown as the value.
fn lease<T, L>()
where
    L: Deref<Target = T> + DerefMut + AsRef<T> + Borrow<T>,
    L: Debug + Display + Eq + Ord + Hash + Send + Sync + UnwindSafe + RefUnwindSafe,
{
}

#[test]
fn handles_are_cloned_and_go_everywhere() {
    handle::<Pond>();
    handle::<millpond::Budget>();
    handle::<millpond::EventHook>();
    handle::<fixed::PoolHandle<u8>>();
    handle::<bytes::BytePool>();
    handle::<arena::ArenaManager>();
    handle::<shown::Registry>();
    sent::<fixed::FixedPool<u8>>();
    sent::<fixed::ObjectPool<String, fixed::Clear>>();
    sent::<fixed::IdPool<u8>>();
    sent::<vector::VectorPool<f32>>();
    sent::<vector::ScratchPool<f32>>();
    unwound::<fixed::FixedPool<u8>>();
    unwound::<vector::VectorPool<f32>>();
    debugged::<fixed::FixedPool<u8>>();
    debugged::<vector::VectorPool<f32>>();
}

#[test]
fn configurations_begin_with_defaults() {
    configuration::<PondConfig>();
    configuration::<PoolConfig>();
    configuration::<Settings>();
    configuration::<bytes::Config>();
    configuration::<arena::ScopeConfig>();
    configuration::<millpond::RegionOptions>();
    configuration::<millpond::Exhaustion>();
    configuration::<millpond::Adaptive>();
    configuration::<shown::Advisor>();
    fn alone<T: Default + Debug>() {}
    alone::<fixed::LocalFixedPool<u8>>();
    alone::<bytes::LocalBytePool>();
}

#[test]
fn errors_are_small_and_are_errors() {
    error::<millpond::PondError>();
    small::<millpond::AcquireError>();
    error::<millpond::BudgetExceeded>();
    small::<arena::ArenaFull>();
    small::<arena::LeaseError>();
    error::<arena::BuildError>();
    error::<bytes::ConfigError>();
    small::<bytes::StaleError>();
    small::<bytes::Full>();
    error::<vector::ShapeError>();
    small::<vector::LaneError>();
    small::<vector::InsertError>();
    small::<vector::LoadError>();
    error::<millpond::Refused<u8>>();
    error::<shown::RegisterError>();
    error::<shown::SnapshotError>();
    let message: Box<dyn Error + Send + Sync> = Settings::new().set("no", 1).unwrap_err().into();
    assert!(message.to_string().contains("there is no field no"));
}

#[test]
fn running_out_is_an_error_of_streams() {
    let pond = Pond::builder().with_exhaustion(millpond::Exhaustion::Fail);
    let pond = pond.build().unwrap();
    let pool = pond.fixed_pool::<u8>("one", 1).unwrap();
    let _held = pool.acquire(1).unwrap();
    let refused = io::Error::from(pool.acquire(2).unwrap_err().into_parts().0);
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    let wait = Some(std::time::Duration::from_millis(1));
    let late = Pond::builder().with_exhaustion(millpond::Exhaustion::Block { timeout: wait });
    let late = late.build().unwrap().fixed_pool::<u8>("one", 1).unwrap();
    let _held = late.acquire(1).unwrap();
    let refused = io::Error::from(late.acquire(2).unwrap_err().into_parts().0);
    assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
    let poor = Pond::builder().with_budget_bytes(0).build().unwrap();
    let refused = io::Error::from(poor.buffer(10).unwrap_err());
    assert_eq!(refused.kind(), io::ErrorKind::OutOfMemory);
}

#[test]
fn leases_are_the_value_that_they_lead_to() {
    lease::<String, fixed::Lease<'static, String>>();
    lease::<String, fixed::OwnedLease<String>>();
    lease::<String, fixed::ObjectLease<'static, String, fixed::Clear>>();
    lease::<String, fixed::OwnedObjectLease<String, fixed::Clear>>();
    sent::<fixed::SharedLease<'static, String>>();
    sent::<vector::RowLease<'static, f32>>();
    sent::<bytes::PoolBuf>();
    sent::<bytes::PoolBytes>();
    unwound::<bytes::PoolBuf>();
    unwound::<bytes::PoolBytes>();
    // An arena has one user at a time: its lease moves, and is not shared.
    fn moved<T: Send + Debug>() {}
    moved::<arena::Lease<'static>>();

    let pool = fixed::FixedPool::<String>::new(4);
    let (one, two) = (pool.try_acquire("a".into()), pool.try_acquire("b".into()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one < two);
    assert_eq!(format!("{one}{two}"), "ab");
    let mut set = std::collections::HashSet::new();
    assert!(set.insert(one) && set.contains(&String::from("a")));
    // Pinned where it lies, and seen as a trait.
    drop(std::pin::Pin::new(two));
}

#[test]
fn buffers_speak_the_traits_of_bytes() {
    fn buffer<B>()
    where
        B: io::Write + std::fmt::Write + Extend<u8> + for<'a> Extend<&'a u8>,
        B: PartialEq<[u8]> + AsRef<[u8]> + AsMut<[u8]> + Borrow<[u8]> + Eq + Ord + Hash,
        B: Into<Vec<u8>>,
    {
    }
    buffer::<bytes::PoolBuf>();
    fn shared<B: AsRef<[u8]> + Clone + Eq + Ord + Hash + PartialEq<[u8]> + Into<Vec<u8>>>() {}
    shared::<bytes::PoolBytes>();

    use io::{BufRead, Read, Seek, Write};
    let mut buffer = bytes::BytePool::default().acquire(64).unwrap();
    buffer.write_all(b"one\ntwo\n").unwrap();
    let slices = [io::IoSlice::new(&buffer), io::IoSlice::new(b"three\n")];
    let mut joined = Vec::new();
    assert_eq!(joined.write_vectored(&slices).unwrap(), 14);
    let mut cursor = io::Cursor::new(&buffer);
    let mut line = String::new();
    cursor.read_line(&mut line).unwrap();
    cursor.rewind().unwrap();
    let mut all = Vec::new();
    cursor.read_to_end(&mut all).unwrap();
    assert_eq!((line.as_str(), all.as_slice()), ("one\n", &buffer[..]));
}

#[test]
fn collections_of_arenas_are_collections() {
    fn collection<'a, C, T: 'a>()
    where
        C: Extend<T> + IntoIterator<Item = T> + Debug + Deref<Target = [T]>,
    {
    }
    collection::<arena::ArenaVec<'static, u8>, u8>();
    let manager = arena::ArenaManager::new();
    let lease = manager.lease(arena::Scope::Json).unwrap();
    let mut words = lease.vec();
    for word in ["mill", "pond"] {
        words.push(word).unwrap();
    }
    assert_eq!(serde_json::to_string(&words).unwrap(), r#"["mill","pond"]"#);
}
