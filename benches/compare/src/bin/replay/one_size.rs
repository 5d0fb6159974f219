//! Pools of one type: they take part where every acquire has the same size.

use crate::contender::{Contender, Kind, Pool};
use crate::contenders::{Visitor, visit_all};
use crate::timed;
use millpond_bench::replay::Steps;
use millpond_bench::runner::Contest;
use std::mem::MaybeUninit;

/// An item of as many words, and one more, which an acquire writes.
#[derive(Clone, Copy)]
struct Block<const WORDS: usize> {
    _word: u64,
    _rest: [MaybeUninit<u64>; WORDS],
}

impl<const WORDS: usize> Default for Block<WORDS> {
    #[inline(always)]
    fn default() -> Self {
        Self {
            _word: 1,
            _rest: [MaybeUninit::uninit(); WORDS],
        }
    }
}

/// Bytes of the largest items that are tried.
const LARGEST: usize = 64 * 1024;

/// Enters everything that pools values of one type, and boxes of each allocator, with
/// items of the smallest power of two that holds the one size of the steps. Answers
/// the bytes of an item, or `None` if sizes differ or are too large.
pub fn enter<'s>(contest: &mut Contest<'s>, steps: &'s Steps) -> Option<usize> {
    let size = steps.one_size()?.next_power_of_two().max(16);
    macro_rules! items {
        ($($bytes:literal)*) => {
            match size {
                $($bytes => enter_items::<{ $bytes / 8 - 1 }>(contest, steps),)*
                _ => return None,
            }
        };
    }
    const { assert!(LARGEST == 65536) };
    items!(16 32 64 128 256 512 1024 2048 4096 8192 16384 32768 65536);
    Some(size)
}

fn enter_items<'s, const WORDS: usize>(contest: &mut Contest<'s>, steps: &'s Steps) {
    struct Entering<'c, 's, const WORDS: usize> {
        contest: &'c mut Contest<'s>,
        steps: &'s Steps,
    }
    impl<const WORDS: usize> Visitor for Entering<'_, '_, WORDS> {
        fn visit<C: Contender>(&mut self) {
            let steps = self.steps;
            let pool = C::Pool::<Block<WORDS>>::with_capacity(steps.most_out());
            let of_one_type = match C::KIND {
                Kind::Allocator => "",
                Kind::Growing | Kind::Bounded => ", filled before",
            };
            let name = format!("{}{of_one_type}", C::NAME);
            self.contest.add(&name, move |times| {
                timed(steps, times, |_| pool.try_acquire(Block::default()))
            });
        }
    }
    visit_all(&mut Entering::<WORDS> { contest, steps });
}
