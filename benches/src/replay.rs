//! Replaying a recorded trace: the acquires and releases of a program's own
//! traffic, in the order in which they happened, against anything that gives
//! memory.
//!
//! One thread does what the threads of the program did, so that each contender
//! does exactly the same. What threads do to each other is not replayed.

use millpond_analytics::Trace;
use std::collections::HashMap;

/// What a trace did, with a place for each item that was out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    steps: Vec<Step>,
    places: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    place: usize,
    /// The size of an acquire; `None` for a release.
    bytes: Option<usize>,
}

impl Steps {
    /// The steps of a trace, of all its pools or of those of one name. Releases
    /// of items that were out when the recording began are left out; what was
    /// still out at its end is released at the end of a replay.
    #[must_use]
    pub fn of(trace: &Trace, pool: Option<&str>) -> Self {
        let mut this = Self::default();
        let mut free: Vec<usize> = Vec::new();
        let mut out: HashMap<(usize, u64), usize> = HashMap::new();
        let wanted = |index: usize| pool.is_none_or(|pool| trace.pools[index] == pool);
        for event in trace.events.iter().filter(|event| wanted(event.pool)) {
            let key = (event.pool, event.item);
            let place = if event.bytes.is_some() {
                let place = free.pop().unwrap_or(this.places);
                this.places = this.places.max(place + 1);
                // An item that is acquired twice lost its release: it ends here.
                if let Some(lost) = out.insert(key, place) {
                    this.push(lost, None);
                    free.push(lost);
                }
                Some(place)
            } else {
                out.remove(&key).inspect(|&place| free.push(place))
            };
            if let Some(place) = place {
                this.push(place, event.bytes);
            }
        }
        this
    }

    fn push(&mut self, place: usize, bytes: Option<usize>) {
        self.steps.push(Step { place, bytes });
    }

    /// How many acquires and releases a replay makes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.steps.len()
    }

    /// Most items out at a time.
    #[must_use]
    pub const fn most_out(&self) -> usize {
        self.places
    }

    /// The size of every acquire, if it is the same one.
    #[must_use]
    pub fn one_size(&self) -> Option<usize> {
        let mut sizes = self.steps.iter().filter_map(|step| step.bytes);
        let first = sizes.next()?;
        sizes.all(|size| size == first).then_some(first)
    }

    /// Does all of it once. Answers how many acquires were refused.
    #[inline(never)]
    pub fn run<T>(&self, mut acquire: impl FnMut(usize) -> Option<T>) -> u64 {
        let mut held: Vec<Option<T>> = Vec::new();
        held.resize_with(self.places, || None);
        let mut refused = 0;
        for step in &self.steps {
            let place = &mut held[step.place];
            match step.bytes {
                Some(bytes) => {
                    *place = acquire(bytes);
                    refused += u64::from(place.is_none());
                }
                None => *place = None,
            }
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A trace of `a`cquires and `r`eleases: item, size, and the pool's number.
    fn trace(events: &[(char, u64, usize, usize)]) -> Trace {
        let mut bytes = b"MILLPOND\x01\x01\x00\x01a\x01\x01\x01b".to_vec();
        for (order, &(kind, item, size, pool)) in events.iter().enumerate() {
            // A chunk for each event, all numbers small.
            let small = |number: usize| u8::try_from(number).unwrap();
            let head = 6 + u8::from(kind == 'r');
            let item = small(usize::try_from(item).unwrap() * 2);
            bytes.extend([2, 0, small(order), 0, 1, 5, head, small(order), item]);
            bytes.extend([small(pool), small(size)]);
        }
        Trace::parse(&bytes).unwrap()
    }

    #[test]
    fn a_replay_holds_what_the_program_held() {
        let trace = trace(&[
            ('r', 9, 0, 0), // Was out before.
            ('a', 1, 10, 0),
            ('a', 2, 20, 0),
            ('r', 1, 0, 0),
            ('a', 1, 30, 1), // The same number in another pool.
            ('a', 3, 40, 0),
            ('r', 2, 0, 0),
            ('a', 3, 50, 0), // Lost its release.
        ]);
        let steps = Steps::of(&trace, None);
        assert_eq!((steps.count(), steps.most_out()), (8, 3));

        struct Item<'c>(&'c Cell<i64>, usize);
        impl Drop for Item<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - i64::try_from(self.1).unwrap());
            }
        }
        let (out, most) = (Cell::new(0), Cell::new(0));
        let refused = steps.run(|bytes| {
            out.set(out.get() + i64::try_from(bytes).unwrap());
            most.set(most.get().max(out.get()));
            Some(Item(&out, bytes))
        });
        assert_eq!((refused, out.get()), (0, 0), "all came back");
        assert_eq!(most.get(), 20 + 30 + 40);
        let other = Steps::of(&trace, Some("b"));
        assert_eq!((other.count(), other.one_size()), (1, Some(30)));
        assert_eq!(steps.one_size(), None);
        assert_eq!(Steps::default().one_size(), None);
        assert_eq!(steps.run(|_| None::<()>), 5);
    }
}
