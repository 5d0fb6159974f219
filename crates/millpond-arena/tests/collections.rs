//! Vectors and strings in arenas behave as those of the standard library.

use millpond_arena::{ArenaManager, ArenaString, ArenaVec, Lease, Scope, ScopeConfig, UnboundVec};
use millpond_testing::Dice;

const SCOPE: Scope = Scope::Json;

fn leased(test: impl Fn(&Lease<'_>)) {
    let mut builder = ArenaManager::builder();
    builder.configure(SCOPE, ScopeConfig::of(16 << 10).with_limit(64 << 20));
    let manager = builder.build().expect("good");
    test(&manager.lease(SCOPE).expect("memory"));
}

#[test]
fn a_vector_is_what_a_vec_is() {
    let steps = if cfg!(miri) { 60 } else { 3000 };
    for seed in 0..if cfg!(miri) { 2 } else { 20 } {
        leased(|lease| {
            let mut dice = Dice::new(seed);
            let (mut ours, mut theirs) = (lease.vec::<u32>(), Vec::new());
            let (mut other, mut other_theirs) = (lease.vec::<u32>(), Vec::new());
            for step in 0..steps {
                match dice.below(10) {
                    0..5 => {
                        ours.push(step).expect("room");
                        theirs.push(step);
                    }
                    5 => {
                        let slice: Vec<u32> = (0..step % 50).collect();
                        ours.extend_from_slice(&slice).expect("room");
                        theirs.extend_from_slice(&slice);
                    }
                    6 => assert_eq!(ours.pop(), theirs.pop()),
                    7 => {
                        let len = dice.below(theirs.len() * 4 + 1);
                        ours.truncate(len);
                        theirs.truncate(len);
                    }
                    8 => {
                        other.extend([step; 7]);
                        other_theirs.extend([step; 7]);
                    }
                    _ => {
                        std::mem::swap(&mut ours, &mut other);
                        std::mem::swap(&mut theirs, &mut other_theirs);
                    }
                }
                assert_eq!(ours, theirs, "step {step} of seed {seed}");
                assert!(ours.capacity() >= ours.len());
            }
            assert_eq!(other, other_theirs);
            assert!(ours.into_iter().eq(theirs));
            assert_eq!(other.into_slice(), other_theirs);
        });
    }
}

#[test]
fn two_vectors_that_grow_in_turns_do_not_use_three_times_their_size() {
    leased(|lease| {
        let (mut one, mut two) = (lease.vec::<u64>(), lease.vec::<u64>());
        for number in 0..128 {
            one.push(number).expect("room");
            two.push(number).expect("room");
        }
        let live = 2 * 128 * 8;
        assert!(
            lease.used_bytes() < live * 2,
            "{} for {live}",
            lease.used_bytes()
        );
        assert!(one.iter().copied().eq(0..128));
        assert!(two.iter().copied().eq(0..128));
    });
}

#[test]
fn a_vector_that_grows_alone_grows_in_place() {
    leased(|lease| {
        let mut vec = lease.vec::<u64>();
        for number in 0..512 {
            vec.push(number).expect("room");
        }
        assert_eq!(lease.used_bytes(), 512 * 8);
    });
}

#[test]
#[cfg_attr(
    miri,
    ignore = "bumpalo aligns beyond 16 by arithmetic, which a symbolic check does not follow"
)]
fn elements_without_size_and_of_large_alignment_are_fine() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(256))]
    struct Wide(u8);
    leased(|lease| {
        let mut units = lease.vec();
        for _ in 0..1000 {
            units.push(()).expect("nothing is needed");
        }
        assert_eq!((units.len(), lease.used_bytes()), (1000, 0));
        let mut wide = lease.vec();
        for n in 0..20 {
            wide.push(Wide(n)).expect("room");
            assert_eq!(wide.as_ptr().addr() % 256, 0);
        }
        assert!(wide.iter().map(|wide| wide.0).eq(0..20));
    });
}

#[test]
fn strings_are_what_strings_are() {
    leased(|lease| {
        let mut ours = ArenaString::with_capacity_in(4, lease).expect("room");
        let mut theirs = String::new();
        for (n, text) in ["", "é", "long enough to grow", "😀"].iter().enumerate() {
            use std::fmt::Write;
            ours.push_str(text).expect("room");
            theirs.push_str(text);
            ours.push('ß').expect("room");
            theirs.push('ß');
            write!(ours, "{n:?}").expect("room");
            write!(theirs, "{n:?}").expect("room");
            assert_eq!(ours, theirs);
        }
        assert_eq!(*lease.alloc_str(&ours).expect("room"), theirs);
        assert_eq!(ours.to_uppercase(), theirs.to_uppercase());
        assert_eq!(*ours.into_str(), theirs);
    });
}

#[test]
fn formatting_under_a_limit_answers_the_limit() {
    let mut builder = ArenaManager::builder();
    builder.configure(SCOPE, ScopeConfig::of(4096).with_limit(8192));
    let manager = builder.build().expect("good");
    let lease = manager.lease(SCOPE).expect("memory");
    let refused = lease.alloc_fmt(format_args!("{:9999}", 1)).map(|_| ());
    assert_eq!(refused.unwrap_err().full(), millpond_arena::Full::Lease);
}

#[test]
fn an_unbound_vector_travels_and_comes_back() {
    let manager = ArenaManager::new();
    let lease = manager.lease(SCOPE).expect("memory");
    let mut vec = lease.vec().unbind();
    for n in 0..10u32 {
        vec.push(&lease, n).expect("room");
    }
    // Elsewhere, within its room, while the lease allocates here.
    std::thread::scope(|threads| {
        let there = &mut vec;
        threads.spawn(move || there.iter_mut().for_each(|n| *n += 1));
        lease.alloc(1).expect("room");
    });
    vec.extend_from_slice(&lease, &[7; 100]).expect("room");
    let mut bound = vec.bind(&lease).expect("the same lease");
    bound.push(8).expect("room");
    assert!(bound[..10].iter().copied().eq(1..11));
    assert_eq!((bound[109], bound[110]), (7, 8));
}

#[test]
fn an_unbound_vector_may_move_to_another_lease_that_lives_as_long() {
    let manager = ArenaManager::new();
    let one = manager.lease(SCOPE).expect("memory");
    let two = manager.lease(SCOPE).expect("memory");
    let mut vec: UnboundVec<'_, u64> = one.vec().unbind();
    for n in 0..100 {
        let lease = if n % 3 == 0 { &one } else { &two };
        vec.push(lease, n).expect("room");
    }
    assert!(vec.iter().copied().eq(0..100));
    let (one, two) = (&one, &two);
    match vec.bind(one) {
        Ok(bound) => assert!(bound.iter().copied().eq(0..100)),
        Err(vec) => assert!(vec.bind(two).is_ok()),
    }
}

#[test]
fn collections_live_inside_of_collections() {
    leased(|lease| {
        let mut rows: ArenaVec<'_, ArenaVec<'_, u8>> = lease.vec();
        for n in 0..50u8 {
            let mut row = lease.vec();
            row.extend_from_slice(&[n; 30]).expect("room");
            rows.push(row).expect("room");
        }
        for (n, row) in rows.iter().enumerate() {
            assert!(row.iter().all(|&byte| usize::from(byte) == n));
        }
    });
}

#[test]
fn an_unbound_string_travels_and_comes_back() {
    let manager = ArenaManager::new();
    let lease = manager.lease(SCOPE).expect("memory");
    let mut text = lease.string().unbind();
    text.push_str(&lease, "mill").expect("room");
    let text = std::thread::scope(|threads| {
        let mut text = text;
        let there = threads.spawn(move || {
            text.make_ascii_uppercase();
            text
        });
        lease.alloc(1).expect("room");
        there.join().expect("no panic")
    });
    let mut text = text;
    text.push(&lease, '\u{df}').expect("room");
    text.push_fmt(&lease, format_args!("{:>40}", "pond"))
        .expect("room");
    assert_eq!(text.trim_end_matches("pond").trim_end(), "MILL\u{df}");
    let other = manager.lease(SCOPE).expect("memory");
    let text = text.bind(&other).expect_err("not its arena");
    let mut bound = text.bind(&lease).expect("the same lease");
    bound.extend(['!', '?']);
    assert!(bound.ends_with("pond!?"));
}

#[test]
fn collections_are_compared_ordered_and_found_by_what_they_hold() {
    use std::collections::{BTreeSet, HashMap};
    leased(|lease| {
        let text = |text: &str| ArenaString::from_iter_in([text], lease).expect("room");
        let mut counts = HashMap::new();
        for word in ["b", "a", "b"] {
            *counts.entry(text(word)).or_insert(0) += 1;
        }
        assert_eq!((counts["a"], counts["b"]), (1, 2));
        let words: BTreeSet<_> = ["b", "a"].map(text).into();
        assert!(words.iter().map(|word| &**word).eq(["a", "b"]));
        let vec = |numbers: &[u8]| ArenaVec::from_iter_in(numbers.iter().copied(), lease);
        let rows: BTreeSet<_> = [&[2, 1][..], &[1, 9]]
            .map(|row| vec(row).expect("room"))
            .into();
        assert!(rows.contains(&[1_u8, 9][..]));
        assert_eq!(*rows.first().expect("two rows"), [1, 9]);
    });
}
