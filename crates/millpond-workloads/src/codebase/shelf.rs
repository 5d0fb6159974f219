//! Objects found by ids that know when their object is gone.
//!
//! ```text
//!   id  ┌────────────┬───────┐      places   ┌────────────┬──────┐
//!       │ generation │ index ├──────────────▶│ generation │ held ┼──▶ Box, or a slot
//!       └────────────┴───────┘               └────────────┴──────┘    of a fixed pool
//! ```
//!
//! Links between objects are ids. A link to an object that was removed answers
//! `None`, so nobody has to find all links to it first.

use super::memory::Hold;
use millpond_core::id::{Generation, RawId};

/// The name of an object on a [`Shelf`].
pub type Id = RawId;

/// Objects of one type, on the heap or in a pool.
#[derive(Debug)]
pub struct Shelf<T, P: Hold<T>> {
    pool: P,
    places: Vec<Place<P::Held>>,
    vacant: Vec<u32>,
    _objects: std::marker::PhantomData<T>,
}

#[derive(Debug)]
struct Place<H> {
    generation: Generation,
    held: Option<H>,
}

impl<T, P: Hold<T>> Shelf<T, P> {
    /// An empty shelf over `pool`.
    pub fn new(pool: P) -> Self {
        Self {
            pool,
            places: Vec::new(),
            vacant: Vec::new(),
            _objects: std::marker::PhantomData,
        }
    }

    /// Adds an object.
    pub fn put(&mut self, value: T) -> Id {
        let held = Some(self.pool.hold(value));
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: Generation::NEW,
                held: None,
            });
            u32::try_from(self.places.len() - 1).expect("fewer than 2³² places")
        });
        let place = &mut self.places[index as usize];
        place.held = held;
        let live = place
            .generation
            .open()
            .expect("vacant places can be opened");
        RawId::new(index, live).expect("just opened")
    }

    /// The object, unless it is gone.
    #[inline]
    pub fn get(&self, id: Id) -> Option<&T> {
        let place = self.places.get(id.index() as usize)?;
        if !place.generation.is_named_by(id) {
            return None;
        }
        place.held.as_deref()
    }

    /// The object, unless it is gone.
    #[inline]
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let place = self.places.get_mut(id.index() as usize)?;
        if !place.generation.is_named_by(id) {
            return None;
        }
        place.held.as_deref_mut()
    }

    /// Removes the object; its place may be used again, its id never.
    pub fn remove(&mut self, id: Id) -> bool {
        let Some(place) = self.places.get_mut(id.index() as usize) else {
            return false;
        };
        if !place.generation.is_named_by(id) || !place.generation.close() {
            return false;
        }
        place.held = None;
        if !place.generation.is_retired() {
            self.vacant.push(id.index());
        }
        true
    }

    /// Places that were ever used: every id's index is below.
    pub fn reach(&self) -> usize {
        self.places.len()
    }

    /// Objects on the shelf.
    pub fn count(&self) -> usize {
        self.places
            .iter()
            .filter(|place| place.held.is_some())
            .count()
    }

    /// The ids of all objects.
    pub fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        (0_u32..)
            .zip(&self.places)
            .filter(|(_, place)| place.held.is_some())
            .filter_map(|(index, place)| RawId::new(index, place.generation))
    }
}
