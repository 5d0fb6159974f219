//! The heap mode: `Vec`, `String` and `Box`.

use super::memory::{Full, Hold, List, Memory, Purpose, Rows, Scope, Text};

/// Plain allocation by the global allocator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

impl Scope for Heap {
    type List<'s, T: 's> = Vec<T>;
    type Text<'s> = String;

    fn list<T>(&self, capacity: usize) -> Result<Vec<T>, Full> {
        Ok(Vec::with_capacity(capacity))
    }

    fn text(&self, capacity: usize) -> Result<String, Full> {
        Ok(String::with_capacity(capacity))
    }
}

impl<T> List<T> for Vec<T> {
    #[inline]
    fn push(&mut self, value: T) -> Result<(), Full> {
        Vec::push(self, value);
        Ok(())
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        Vec::pop(self)
    }

    fn truncate(&mut self, len: usize) {
        Vec::truncate(self, len);
    }

    fn fill(&mut self, count: usize, value: T) -> Result<(), Full>
    where
        T: Copy,
    {
        self.resize(self.len() + count, value);
        Ok(())
    }

    fn extend(&mut self, values: &[T]) -> Result<(), Full>
    where
        T: Copy,
    {
        self.extend_from_slice(values);
        Ok(())
    }
}

impl Text for String {
    #[inline]
    fn push_str(&mut self, text: &str) -> Result<(), Full> {
        String::push_str(self, text);
        Ok(())
    }
}

impl<T: Send + Sync> Hold<T> for Heap {
    type Held = Box<T>;

    fn hold(&self, value: T) -> Box<T> {
        Box::new(value)
    }
}

/// One allocation for each row.
#[derive(Debug, Default)]
pub struct BoxedRows {
    rows: Vec<Option<Box<[f32]>>>,
    vacant: Vec<u32>,
}

impl Rows for BoxedRows {
    type Id = u32;

    fn put(&mut self, row: &[f32]) -> u32 {
        let row = Some(Box::from(row));
        if let Some(id) = self.vacant.pop() {
            self.rows[id as usize] = row;
            return id;
        }
        self.rows.push(row);
        u32::try_from(self.rows.len() - 1).expect("fewer than 2³² rows")
    }

    #[inline]
    fn get(&self, id: u32) -> &[f32] {
        self.rows[id as usize].as_deref().expect("a stored row")
    }

    fn take(&mut self, id: u32) {
        self.rows[id as usize] = None;
        self.vacant.push(id);
    }
}

impl Memory for Heap {
    const NAME: &'static str = "heap";

    type Scope = Heap;
    type Pool<T: Send + Sync + 'static> = Heap;
    type Rows = BoxedRows;
    type Buffer = Vec<u8>;

    fn scope(&self, _purpose: Purpose) -> Option<Heap> {
        Some(Heap)
    }

    fn pool<T: Send + Sync + 'static>(&self, _name: &'static str, _capacity: usize) -> Heap {
        Heap
    }

    fn rows(&self, _dimension: usize) -> BoxedRows {
        BoxedRows::default()
    }

    fn buffer(&self, capacity: usize) -> Vec<u8> {
        Vec::with_capacity(capacity)
    }

    fn fell_back(&self) {}

    fn report(&self, _: &BoxedRows) -> serde_json::Value {
        serde_json::json!({ "memory": Self::NAME })
    }
}
