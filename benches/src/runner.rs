//! The interleaved runner: contenders in turn, round after round.
//!
//! ```text
//! round 1:  A B C D      a round times a slice of each contender;
//! round 2:  B C D A      the start rotates, so that nobody always
//! round 3:  C D A B      follows the one that thrashes the cache
//! ```
//!
//! A frequency change, a neighbour, an interrupt storm: whatever slows the
//! machine for a while slows the contenders of that round alike, and the ratio
//! of two of them within a round hardly moves. Ratios are therefore taken round
//! by round, and rounds come from several fresh processes, because where code
//! and data happen to land is decided once per process.
//!
//! A neighbour on the core's other hyperthread comes and goes faster than a slice
//! lasts, so slices are made of pieces, and [`millpond_quiet`] watches over each.

use crate::pin;
use std::time::Duration;

/// The yardstick's name in rows that divide by a loop without memory.
pub const ARITHMETIC: &str = "arithmetic loop";

/// Shorter than most pauses of a neighbour, and long beside the probes around it.
const PIECE: Duration = Duration::from_millis(2);

/// Longer, because threads are started for each, and their caches are cold at first.
const PIECE_OF_THREADS: Duration = Duration::from_millis(5);

/// One contender in a contest: times `iterations` of its loop.
///
/// The closure is called once a slice, so its dynamic call costs nothing; the
/// loop inside is a monomorphic, never-inlined function.
type Loop<'a> = Box<dyn FnMut(u64) -> Duration + 'a>;

/// Contenders that will be measured against each other.
#[derive(Default)]
pub struct Contest<'a> {
    entrants: Vec<Entrant<'a>>,
    on_all_cores: bool,
}

struct Entrant<'a> {
    name: String,
    run: Loop<'a>,
    /// Iterations of a piece.
    iterations: u64,
    nanos: Vec<f64>,
}

/// What one contender took, in nanoseconds per iteration, round by round.
#[derive(Clone, Debug)]
pub struct Timed {
    /// The contender's name.
    pub name: String,
    /// Nanoseconds per iteration; index = round.
    pub nanos: Vec<f64>,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Rounds in this process.
    pub rounds: u32,
    /// Time that one contender gets in one round.
    pub slice: Duration,
}

impl<'a> Contest<'a> {
    /// A contest without contenders.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for loops with threads of their own, pinned or not: each core that the
    /// process may use must be quiet, not only the calling thread's.
    #[must_use]
    pub fn on_all_cores(self) -> Self {
        Self {
            on_all_cores: true,
            ..self
        }
    }

    /// Adds a contender whose loop times the number of iterations it is given.
    pub fn add(&mut self, name: impl Into<String>, run: impl FnMut(u64) -> Duration + 'a) {
        self.entrants.push(Entrant {
            name: name.into(),
            run: Box::new(run),
            iterations: 1,
            nanos: Vec::new(),
        });
    }

    /// Warms every contender up, then measures all of them in turn.
    #[must_use]
    pub fn run(mut self, schedule: Schedule) -> Vec<Timed> {
        let (piece, shared): (Duration, fn() -> bool) = if self.on_all_cores {
            (PIECE_OF_THREADS, pin::any_core_is_shared)
        } else {
            (PIECE, millpond_quiet::is_shared)
        };
        let pieces = pieces_of(schedule.slice, piece);
        for entrant in &mut self.entrants {
            entrant.calibrate(schedule.slice / pieces);
        }
        let count = self.entrants.len();
        for round in 0..schedule.rounds as usize {
            for turn in 0..count {
                self.entrants[(round + turn) % count].measure(schedule.slice, pieces, shared);
            }
        }
        let timed = |entrant: Entrant<'_>| Timed {
            name: entrant.name,
            nanos: entrant.nanos,
        };
        self.entrants.into_iter().map(timed).collect()
    }
}

impl Entrant<'_> {
    /// Finds how many iterations fill a piece, and warms the contender up by it.
    ///
    /// The shorter of two runs counts: a thread that was descheduled in the first
    /// would pass for a slow contender and be measured cold, a few iterations at
    /// a time.
    fn calibrate(&mut self, piece: Duration) {
        loop {
            let elapsed = (self.run)(self.iterations).min((self.run)(self.iterations));
            if elapsed * 4 >= piece || self.iterations >= 1 << 40 {
                let scale = piece.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
                self.iterations = scaled(self.iterations, scale.min(16.0));
                return;
            }
            self.iterations *= 4;
        }
    }

    /// At most `pieces`: one iteration may fill more than its own.
    fn measure(&mut self, slice: Duration, pieces: u32, shared: fn() -> bool) {
        let (mut elapsed, mut iterations) = (Duration::ZERO, 0);
        for _ in 0..pieces {
            elapsed += millpond_quiet::alone(shared, || (self.run)(self.iterations));
            iterations += self.iterations;
            if elapsed >= slice {
                break;
            }
        }
        self.nanos
            .push(elapsed.as_secs_f64() * 1e9 / iterations as f64);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float-to-integer cast saturates"
)]
fn scaled(iterations: u64, scale: f64) -> u64 {
    ((iterations as f64 * scale) as u64).max(1)
}

/// Pieces of at most so long, at least one.
#[expect(
    clippy::cast_possible_truncation,
    reason = "nobody measures a contender for half a year at once"
)]
fn pieces_of(slice: Duration, piece: Duration) -> u32 {
    slice.as_micros().div_ceil(piece.as_micros()).max(1) as u32
}

impl std::fmt::Debug for Contest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.entrants.iter().map(|entrant| entrant.name.as_str());
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn contenders_take_turns_and_the_start_rotates() {
        let order = RefCell::new(Vec::new());
        let mut contest = Contest::new();
        for name in ["a", "b", "c"] {
            let order = &order;
            contest.add(name, move |iterations| {
                order.borrow_mut().push(name);
                Duration::from_nanos(iterations * 10)
            });
        }
        let timed = contest.run(Schedule {
            rounds: 3,
            slice: Duration::from_nanos(40),
        });
        let measured = order.borrow().clone();
        let turns = &measured[measured.len() - 9..];
        assert_eq!(turns, ["a", "b", "c", "b", "c", "a", "c", "a", "b"]);
        assert!(timed.iter().all(|t| t.nanos == [10.0; 3]));
    }

    #[test]
    fn a_contender_descheduled_while_it_is_calibrated_does_not_pass_for_a_slow_one() {
        let mut calls = 0;
        let mut last = 0;
        let mut contest = Contest::new();
        contest.add("descheduled at first", |iterations| {
            calls += 1;
            last = iterations;
            let lost = if calls == 1 {
                Duration::from_millis(4)
            } else {
                Duration::ZERO
            };
            Duration::from_nanos(iterations * 10) + lost
        });
        let _ = contest.run(Schedule {
            rounds: 1,
            slice: Duration::from_micros(100),
        });
        assert_eq!(last, 10_000);
    }

    #[test]
    fn a_slice_is_filled_by_pieces() {
        for (slice, pieces) in [(100_u64, 1), (2_000, 1), (2_500, 2), (10_000, 5)] {
            let mut calls = Vec::new();
            let mut contest = Contest::new();
            contest.add("ten nanoseconds each", |iterations| {
                calls.push(iterations);
                Duration::from_nanos(iterations * 10)
            });
            let slice = Duration::from_micros(slice);
            let timed = contest.run(Schedule { rounds: 1, slice });
            assert_eq!(timed[0].nanos, [10.0]);
            let measured = &calls[calls.len() - pieces..];
            let spent = measured.iter().sum::<u64>() * 10;
            assert_eq!(u128::from(spent), slice.as_nanos());
            assert!(measured.iter().all(|&piece| piece == measured[0]));
        }
    }

    #[test]
    fn an_iteration_that_fills_the_slice_is_measured_once_a_round() {
        let mut calls = 0;
        let mut contest = Contest::new();
        contest.add("ten milliseconds each", |iterations| {
            calls += 1;
            assert_eq!(iterations, 1);
            Duration::from_millis(10)
        });
        let timed = contest.run(Schedule {
            rounds: 3,
            slice: Duration::from_millis(10),
        });
        assert_eq!(timed[0].nanos, [1e7; 3]);
        assert_eq!(calls, 2 + 3, "two while it was calibrated");
    }
}
