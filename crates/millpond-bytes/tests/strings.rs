//! What strings and sub-pools promise.

use millpond_bytes::{BytePool, Clearing, Config, PoolString, StringPool, StringSize};
use millpond_core::budget::Budget;
use std::fmt::Write;

#[test]
fn strings_grow_through_the_classes_and_stay_text() {
    let strings = StringPool::new().expect("memory");
    let mut text = strings.acquire(StringSize::Small).expect("memory");
    assert_eq!(text.capacity(), 256);
    let mut expected = String::new();
    for number in 0..if cfg!(miri) { 60 } else { 4000 } {
        write!(text, "{number} äöü ").expect("it grows");
        write!(expected, "{number} äöü ").expect("a string");
    }
    assert_eq!(text, expected);
    text.truncate(2);
    assert_eq!(text, *"0 ");
    assert!(strings.pool().stats().oversize > 0 || cfg!(miri));
}

#[test]
#[should_panic(expected = "3 is in the middle of a character")]
fn strings_are_not_cut_inside_a_character() {
    let strings = StringPool::new().expect("memory");
    let mut text = strings.acquire(StringSize::Medium).expect("memory");
    text.push_str("0 ä").expect("it fits");
    text.truncate(3);
}

#[test]
fn buffers_become_strings_only_if_they_are_text() {
    let pool = BytePool::default();
    let mut bytes = pool.acquire(10).expect("memory");
    bytes.extend_from_slice(&[b'a', 0xFF]).expect("it fits");
    let (mut bytes, error) = PoolString::from_utf8(bytes).expect_err("no text");
    assert_eq!(error.valid_up_to(), 1);
    bytes.truncate(1);
    let text = PoolString::from_utf8(bytes).expect("text");
    assert_eq!(text, *"a");
    assert_eq!(text.freeze(), *b"a");
}

#[test]
fn a_string_whose_pool_is_exhausted_says_so_and_stays() {
    let config = Config::new().with_buffers_per_class(1);
    let strings = StringPool::with_sizes(config, [8, 16, 32]).expect("valid");
    let _medium = strings.acquire(StringSize::Medium).expect("the only one");
    let mut text = strings.acquire(StringSize::Small).expect("the only one");
    text.push_str("12345678").expect("it fits");
    assert!(text.push('9').is_err());
    assert!(write!(text, "9").is_err());
    assert_eq!(text, "12345678");
}

#[test]
fn sub_pools_clear_as_their_rule_says_and_stop_at_their_limit() {
    let budget = Budget::new("tool", 1 << 20);
    let pool = BytePool::new(Config::new().with_budget(&budget)).expect("valid");
    let tar = pool
        .sub_pool("tar", 512, 2, Clearing::OnAcquire)
        .expect("new");
    let io = pool
        .sub_pool("io", 1024, 1, Clearing::OnRelease)
        .expect("new");
    let mut block = tar.acquire().expect("one");
    assert_eq!(block, [0; 512]);
    block.fill(7);
    drop(block);
    assert_eq!(tar.acquire().expect("the same"), [0; 512]);
    let held = (tar.acquire().expect("one"), tar.acquire().expect("two"));
    let error = tar.acquire().expect_err("both are out");
    assert!(error.to_string().starts_with("pool `tar`"), "{error}");
    drop(held);
    assert!(io.pool().acquire_stale(1).is_err(), "it wipes");
    assert!(budget.held() > 0);
    assert_eq!(pool.sub_pools()[0].stats().acquires, 4);
    drop((tar, io, pool));
    assert_eq!(budget.held(), 0);
}
