//! Pools that one writes in ten lines: a queue or a locked vector of boxes.

use crate::contender::{Contender, Kind, Pool, Value};
use crossbeam_queue::ArrayQueue;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// A bag of boxes that threads take from and put back into.
pub trait Bag<T>: Send + Sync + Sized + 'static {
    /// A bag with these boxes.
    fn of(boxes: Vec<Box<T>>) -> Self;
    /// Takes one.
    fn take(&self) -> Option<Box<T>>;
    /// Puts one back; there is always room.
    fn put(&self, item: Box<T>);
}

/// crossbeam's bounded queue.
pub struct Crossbeam;

impl Contender for Crossbeam {
    const NAME: &'static str = "crossbeam ArrayQueue";
    const KIND: Kind = Kind::Bounded;
    type Pool<T: Value> = BagPool<T, ArrayQueue<Box<T>>>;
}

impl<T: Value> Bag<T> for ArrayQueue<Box<T>> {
    fn of(boxes: Vec<Box<T>>) -> Self {
        let queue = ArrayQueue::new(boxes.len());
        boxes.into_iter().for_each(|item| queue.put(item));
        queue
    }

    #[inline(always)]
    fn take(&self) -> Option<Box<T>> {
        self.pop()
    }

    #[inline(always)]
    fn put(&self, item: Box<T>) {
        let _ = self.push(item);
    }
}

/// The standard library's mutex around a vector.
pub struct MutexVec;

impl Contender for MutexVec {
    const NAME: &'static str = "Mutex<Vec<Box>>";
    const KIND: Kind = Kind::Bounded;
    type Pool<T: Value> = BagPool<T, Mutex<Vec<Box<T>>>>;
}

impl<T: Value> Bag<T> for Mutex<Vec<Box<T>>> {
    fn of(boxes: Vec<Box<T>>) -> Self {
        Mutex::new(boxes)
    }

    #[inline(always)]
    fn take(&self) -> Option<Box<T>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    #[inline(always)]
    fn put(&self, item: Box<T>) {
        self.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(item);
    }
}

/// A bag with guards.
pub struct BagPool<T, B> {
    bag: B,
    holds: std::marker::PhantomData<fn(T) -> T>,
}

impl<T: Value, B: Bag<T>> Pool<T> for BagPool<T, B> {
    type Lease<'a> = Taken<'a, T, B>;

    fn with_capacity(capacity: usize) -> Self {
        let bag = B::of((0..capacity).map(|_| Box::default()).collect());
        Self {
            bag,
            holds: std::marker::PhantomData,
        }
    }

    #[inline(always)]
    fn try_acquire(&self, value: T) -> Option<Taken<'_, T, B>> {
        let mut item = self.bag.take()?;
        *item = value;
        Some(Taken {
            item: Some(item),
            bag: &self.bag,
        })
    }
}

/// A box on loan; `item` is `Some` until it is dropped.
pub struct Taken<'a, T: Value, B: Bag<T>> {
    item: Option<Box<T>>,
    bag: &'a B,
}

impl<T: Value, B: Bag<T>> Deref for Taken<'_, T, B> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        self.item.as_ref().expect("held until dropped")
    }
}

impl<T: Value, B: Bag<T>> DerefMut for Taken<'_, T, B> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.item.as_mut().expect("held until dropped")
    }
}

impl<T: Value, B: Bag<T>> Drop for Taken<'_, T, B> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(item) = self.item.take() {
            self.bag.put(item);
        }
    }
}
