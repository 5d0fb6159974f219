//! Each integration with the crate that it is for, used as a stranger would.

use millpond::arena::Scope;
use millpond::bytes::{BytePool, PoolBytes};
use millpond::fixed::Hooks;
use millpond::{Exhaustion, Observe, Pond};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn pond() -> Pond {
    Pond::builder().build().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// `AsyncReadExt::read_buf` takes whatever is `BufMut`.
#[test]
fn tokio_reads_into_pooled_buffers() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let pond = pond();
    let read = runtime().block_on(async {
        let (mut here, mut there) = tokio::io::duplex(64);
        there.write_all(b"a message").await.unwrap();
        drop(there);
        let mut buffer = pond.buffer(64).unwrap();
        while here.read_buf(&mut buffer).await.unwrap() > 0 {}
        buffer
    });
    assert_eq!(read.as_slice(), b"a message");
    assert_eq!(pond.observe().in_use, 1);
}

#[test]
fn a_task_waits_for_a_free_item() {
    let pond = Pond::builder()
        .with_exhaustion(Exhaustion::Fail)
        .build()
        .unwrap();
    let connections = pond.fixed_pool::<u32>("connections", 1).unwrap();
    runtime().block_on(async {
        let first = connections.acquire_owned(1).unwrap();
        let waiting = connections.clone();
        let second = tokio::spawn(async move { *waiting.acquire_owned_async(2).await.unwrap() });
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(!second.is_finished());
        drop(first);
        assert_eq!(second.await.unwrap(), 2);
    });
    assert_eq!(connections.stats().waits, 1);
}

#[test]
fn frozen_buffers_are_bytes_and_come_home() {
    let pool = BytePool::default();
    let mut buffer = pool.acquire(100).unwrap();
    buffer.extend_from_slice(b"payload").unwrap();
    let shared = bytes::Bytes::from(buffer.freeze());
    let part = shared.slice(3..);
    drop(shared);
    assert_eq!((&part[..], pool.observe().in_use), (&b"load"[..], 1));
    drop(part);
    assert_eq!(pool.observe().in_use, 0);
}

#[test]
fn hashbrown_maps_live_in_arenas() {
    use hashbrown::{DefaultHashBuilder, HashMap};
    let pond = pond();
    let arena = pond.arena(Scope::Search).unwrap();
    let mut scores = HashMap::with_hasher_in(DefaultHashBuilder::default(), &arena);
    scores.try_reserve(1000).unwrap();
    for n in 0..1000_u32 {
        scores.insert(n, n * n);
    }
    assert_eq!(scores[&31], 961);
    assert!(arena.used_bytes() >= 8 * 1000);
}

#[test]
fn collections_of_allocator_api2_live_in_arenas() {
    let pond = pond();
    let arena = pond.arena(Scope::Primitive).unwrap();
    let mut words = allocator_api2::vec::Vec::new_in(&arena);
    words.try_reserve(2).unwrap();
    words.extend(["mill", "pond"]);
    assert_eq!(words.concat(), "millpond");
}

#[test]
fn serde_json_writes_into_pooled_buffers() {
    let pond = pond();
    let mut buffer = pond.buffer(256).unwrap();
    serde_json::to_writer(&mut buffer, &serde_json::json!({"id": 7, "tags": ["a"]})).unwrap();
    assert_eq!(buffer.as_slice(), br#"{"id":7,"tags":["a"]}"#);
}

/// A pool finds the cache of the thread that asks, so workers share one handle
/// and no lock.
#[test]
fn rayon_workers_share_a_pool_without_sharing_its_caches() {
    use rayon::prelude::*;
    let pond = pond();
    let scratch = pond.fixed_pool::<[u64; 64]>("scratch", 1000).unwrap();
    let sum: u64 = (0..10_000_u64)
        .into_par_iter()
        .map(|n| scratch.acquire([n; 64]).unwrap()[63])
        .sum();
    assert_eq!(sum, 10_000 * 9_999 / 2);
    let figures = scratch.stats();
    assert_eq!((figures.acquires, figures.in_use), (10_000, 0));
    assert!(figures.hit_rate() > 0.9, "{figures:?}");
}

/// Counts the events that come from the pools.
struct Events(&'static AtomicUsize);

impl tracing::Subscriber for Events {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "millpond"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn tracing_hears_of_slow_paths_and_of_nothing_else() {
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    tracing::subscriber::with_default(Events(&HEARD), || {
        let pond = Pond::builder()
            .with_exhaustion(Exhaustion::Fail)
            .with_hook(millpond::tracing_hook())
            .build()
            .unwrap();
        let pool = pond.fixed_pool::<u8>("one", 1).unwrap();
        drop(pool.acquire(1).unwrap());
        let created = HEARD.load(Ordering::Relaxed);
        assert!(created > 0, "creating is a slow path");
        for n in 0..100 {
            drop(pool.acquire(n).unwrap());
        }
        assert_eq!(HEARD.load(Ordering::Relaxed), created);
        let _held = pool.acquire(1).unwrap();
        assert!(pool.acquire(2).is_err());
        assert!(HEARD.load(Ordering::Relaxed) > created);
    });
}

/// The rows of a pool that lives for ever are buffers of Arrow.
#[test]
fn arrow_reads_rows_without_a_copy() {
    use arrow_buffer::{Buffer, ScalarBuffer};
    use millpond::vector::VectorPool;
    use std::sync::LazyLock;
    static ROWS: LazyLock<VectorPool<f32>> = LazyLock::new(|| VectorPool::new(100, 10).unwrap());

    let mut row = ROWS.try_acquire().unwrap();
    row.fill(2.5);
    let address = row.as_ptr();
    let column = ScalarBuffer::<f32>::from(Buffer::from(row));
    assert_eq!((column.as_ptr(), column[99]), (address, 2.5));
    assert_eq!(ROWS.stats().in_use, 1);
    drop(column);
    assert_eq!(ROWS.stats().in_use, 0);
}

/// A secret is gone when its buffer is home: all of the slot, not the contents only.
#[test]
fn buffers_of_secrets_are_zeroed() {
    use zeroize::Zeroizing;
    let pool = BytePool::default();
    let mut secret = Zeroizing::new(pool.acquire(32).unwrap());
    secret
        .extend_from_slice(b"correct horse battery staple")
        .unwrap();
    secret.truncate(7); // What is behind is as secret.
    drop(secret);
    let stale = pool.acquire_stale(2048).unwrap();
    assert!(stale.iter().all(|&byte| byte == 0));
}

/// Objects with secrets are made ready for the next user by forgetting them.
#[test]
fn objects_of_secrets_are_zeroed_between_users() {
    use zeroize::Zeroize;
    let recycle = Hooks::new(|| [0_u8; 32], |key: &mut [u8; 32]| key.zeroize());
    let keys = pond().object_pool("keys", 1, recycle).unwrap();
    keys.acquire().unwrap().fill(42);
    assert_eq!(*keys.acquire().unwrap(), [0; 32]);
}

/// Frames of a stream, each in a buffer of the pool: what a handler may keep, send
/// on, or write back without a copy.
struct Frames(BytePool);

/// Two bytes of length, and so many bytes.
const HEAD: usize = 2;

impl tokio_util::codec::Decoder for Frames {
    type Item = PoolBytes;
    type Error = std::io::Error;

    fn decode(&mut self, read: &mut bytes::BytesMut) -> std::io::Result<Option<PoolBytes>> {
        let Some(head) = read.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes(*head));
        let Some(body) = read.get(HEAD..HEAD + len) else {
            read.reserve(HEAD + len - read.len());
            return Ok(None);
        };
        // Running out is an error of the stream: `WouldBlock`, or out of memory.
        let mut frame = self.0.try_acquire(len)?;
        frame.extend_from_slice(body).expect("there is room");
        bytes::Buf::advance(read, HEAD + len);
        Ok(Some(frame.freeze()))
    }
}

impl tokio_util::codec::Encoder<PoolBytes> for Frames {
    type Error = std::io::Error;

    fn encode(&mut self, frame: PoolBytes, written: &mut bytes::BytesMut) -> std::io::Result<()> {
        let len = u16::try_from(frame.len()).map_err(std::io::Error::other)?;
        written.extend_from_slice(&len.to_be_bytes());
        written.extend_from_slice(&frame);
        Ok(())
    }
}

#[test]
fn a_codec_of_tokio_util_gives_frames_in_pooled_buffers() {
    use tokio::io::AsyncWriteExt;
    use tokio_util::codec::{Decoder, Encoder, FramedRead};
    let pool = BytePool::default();
    let mut stream = bytes::BytesMut::new();
    let mut codec = Frames(pool.clone());
    for text in ["one", "", "three"] {
        let mut frame = pool.acquire(8).unwrap();
        frame.extend_from_slice(text.as_bytes()).unwrap();
        codec.encode(frame.freeze(), &mut stream).unwrap();
    }
    let mut part = bytes::BytesMut::from(&stream[..4]);
    assert!(codec.decode(&mut part).unwrap().is_none(), "half a frame");

    let frames = runtime().block_on(async {
        let (here, mut there) = tokio::io::duplex(3); // Never a whole frame at once.
        let sender = tokio::spawn(async move { there.write_all(&stream).await });
        let mut reader = FramedRead::new(here, Frames(pool.clone()));
        let mut frames = Vec::new();
        while let Some(frame) = next(&mut reader).await {
            frames.push(frame.unwrap());
        }
        sender.await.unwrap().unwrap();
        frames
    });
    let texts: Vec<&[u8]> = frames.iter().map(|frame| &frame[..]).collect();
    assert_eq!(texts, [&b"one"[..], b"", b"three"]);
}

/// The next item of a stream.
async fn next<S: futures_core::Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *stream).poll_next(context)).await
}
