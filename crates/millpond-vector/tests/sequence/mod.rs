//! Sequences of operations on a pool of rows, made from bytes, and the model
//! that says what must hold after each of them.
//!
//! The same bytes drive the seeded test and the fuzzer.

use millpond_vector::{Alignment, Element, Level, RowId, RowLease, SideArrays, Spread, VectorPool};
use std::collections::HashMap;

/// Bytes, read as small numbers until they end.
struct Choices<'b>(&'b [u8]);

impl Choices<'_> {
    fn below(&mut self, bound: usize) -> Option<usize> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(first) % bound.max(1))
    }
}

/// An element whose value says who wrote it.
trait Stamp: Element {
    fn stamp(number: usize) -> Self;
}

macro_rules! stamp {
    ($($element:ty: $make:expr),*) => {$(
        impl Stamp for $element {
            fn stamp(number: usize) -> Self {
                let make: fn(u8) -> Self = $make;
                make(u8::try_from(number % 100).expect("below 100") + 1)
            }
        }
    )*};
}

stamp! {
    f64: f64::from,
    f32: f32::from,
    millpond_vector::F16: |byte| millpond_vector::F16::from_bits(byte.into()),
    millpond_vector::Bf16: |byte| millpond_vector::Bf16::from_bits(byte.into()),
    i8: |byte| i8::from_ne_bytes([byte]),
    u8: |byte| byte,
    u64: u64::from
}

/// A stored row, as the model knows it.
#[derive(Clone, Copy)]
struct Known {
    stamp: usize,
    external: u64,
}

struct Model<E: Element> {
    stored: HashMap<RowId<E>, Known>,
    gone: Vec<RowId<E>>,
    stamps: usize,
    dimension: usize,
    align: usize,
}

impl<E: Stamp> Model<E> {
    fn next(&mut self) -> usize {
        self.stamps += 1;
        self.stamps
    }

    fn check_row(&self, row: &[E], padded: &[E], stamp: Option<usize>) {
        assert_eq!(row.len(), self.dimension);
        assert_eq!(row.as_ptr(), padded.as_ptr());
        assert_eq!(row.as_ptr().addr() % self.align, 0, "a row is aligned");
        assert!(
            padded[self.dimension..]
                .iter()
                .all(|&number| number == E::ZERO),
            "the tail is zero"
        );
        if let Some(stamp) = stamp {
            assert!(row.iter().all(|&number| number == E::stamp(stamp)));
        }
    }

    fn check(&self, pool: &VectorPool<E>, leases: &[(RowLease<'_, E>, usize)]) {
        for (&id, known) in &self.stored {
            let (row, padded) = (pool.row(id).unwrap(), pool.row_padded(id).unwrap());
            self.check_row(row, padded, Some(known.stamp));
            assert_eq!(pool.external_id(id), Some(known.external));
        }
        for (lease, stamp) in leases {
            self.check_row(lease, lease.row_padded(), Some(*stamp));
        }
        for &id in &self.gone {
            assert_eq!(pool.row(id), None, "a stale id answers nothing");
        }
        self.check_runs(pool);
        assert_eq!(pool.stats().in_use, self.stored.len() + leases.len());
    }

    fn check_runs(&self, pool: &VectorPool<E>) {
        let mut seen = 0;
        for run in pool.runs() {
            for (at, padded) in run.rows_padded().enumerate() {
                let known = self.stored[&run.id(at).unwrap()];
                self.check_row(run.row(at), padded, Some(known.stamp));
                assert_eq!(run.external_ids()[at], known.external);
            }
            for gap in run.as_slice().chunks(run.stride()) {
                assert!(
                    gap[self.dimension..]
                        .iter()
                        .all(|&number| number == E::ZERO)
                );
            }
            seen += run.len();
        }
        assert_eq!(seen, self.stored.len());
    }
}

/// Runs the sequence that the bytes say.
pub(crate) fn drive(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    match choices.below(7) {
        Some(0) => drive_as::<f64>(choices),
        Some(1) => drive_as::<f32>(choices),
        Some(2) => drive_as::<millpond_vector::F16>(choices),
        Some(3) => drive_as::<millpond_vector::Bf16>(choices),
        Some(4) => drive_as::<i8>(choices),
        Some(5) => drive_as::<u8>(choices),
        Some(_) => drive_as::<u64>(choices),
        None => {}
    }
}

const DIMENSIONS: [usize; 9] = [1, 3, 15, 16, 17, 31, 64, 100, 128];

fn drive_as<E: Stamp>(mut choices: Choices<'_>) {
    let Some((pool, model)) = pool::<E>(&mut choices) else {
        return;
    };
    let _ = steps(pool, model, &mut choices);
}

fn pool<E: Stamp>(choices: &mut Choices<'_>) -> Option<(VectorPool<E>, Model<E>)> {
    let dimension = DIMENSIONS[choices.below(DIMENSIONS.len())?];
    let align = Alignment::ALL[choices.below(4)?];
    let spread = [Spread::Packed, Spread::PrefixScan][choices.below(2)?];
    let pool = VectorPool::<E>::builder(dimension)
        .alignment(align)
        .spread(spread)
        .side_arrays(SideArrays::ALL)
        .slab_bytes(1 << (8 + choices.below(6)?))
        .spare_rows([0, 3, usize::MAX][choices.below(3)?])
        .capacity(1 + choices.below(40)?)
        .build()
        .expect("a small row");
    let model = Model {
        stored: HashMap::new(),
        gone: Vec::new(),
        stamps: 0,
        dimension,
        align: align.bytes(),
    };
    Some((pool, model))
}

/// Rounds of leases, and between them what needs the pool alone.
fn steps<E: Stamp>(
    mut pool: VectorPool<E>,
    mut model: Model<E>,
    choices: &mut Choices<'_>,
) -> Option<()> {
    loop {
        borrowed(&pool, &mut model, choices);
        let ids: Vec<_> = model.stored.keys().copied().collect();
        let id = ids.get(choices.below(ids.len())?).copied();
        match (choices.below(6)?, id) {
            (0, Some(id)) => {
                assert!(pool.remove(id));
                assert!(!pool.remove(id));
                model.stored.remove(&id);
                model.gone.push(id);
            }
            (1, Some(id)) => {
                let stamp = model.next();
                pool.row_mut(id).unwrap().fill(E::stamp(stamp));
                assert!(pool.set_external_id(id, stamp as u64));
                let external = stamp as u64;
                model.stored.insert(id, Known { stamp, external });
            }
            (2, _) => {
                for moved in pool.compact() {
                    let known = model
                        .stored
                        .remove(&moved.from)
                        .expect("a stored row moved");
                    model.stored.insert(moved.to, known);
                    model.gone.push(moved.from);
                }
            }
            (3, _) => {
                pool.clear();
                model.gone.extend(model.stored.drain().map(|(id, _)| id));
            }
            _ => drop(pool.trim(Level::Full)),
        }
        model.check(&pool, &[]);
    }
}

/// What works through `&self`, with leases that are out meanwhile.
fn borrowed<E: Stamp>(
    pool: &VectorPool<E>,
    model: &mut Model<E>,
    choices: &mut Choices<'_>,
) -> Option<()> {
    let mut leases: Vec<(RowLease<'_, E>, usize)> = Vec::new();
    loop {
        match choices.below(10)? {
            0 | 1 => {
                if let Ok(mut lease) = pool.try_acquire() {
                    model.check_row(&lease, lease.row_padded(), None);
                    let stamp = model.next();
                    lease.fill(E::stamp(stamp));
                    leases.push((lease, stamp));
                }
            }
            2 => {
                if let Ok(lease) = pool.acquire_zeroed() {
                    assert!(lease.row_padded().iter().all(|&number| number == E::ZERO));
                }
            }
            3 if !leases.is_empty() => {
                drop(leases.swap_remove(choices.below(leases.len())?));
            }
            4 if !leases.is_empty() => {
                let (mut lease, stamp) = leases.swap_remove(choices.below(leases.len())?);
                let external = stamp as u64 * 3;
                *lease.external_id_mut().unwrap() = external;
                let id = lease.store().expect("inside the capacity");
                model.stored.insert(id, Known { stamp, external });
            }
            5 => {
                let stamp = model.next();
                if let Ok(id) = pool.insert(&vec![E::stamp(stamp); model.dimension]) {
                    let external = pool.external_id(id).unwrap();
                    model.stored.insert(id, Known { stamp, external });
                }
            }
            6 => drop(pool.trim([Level::Light, Level::Moderate, Level::Full][choices.below(3)?])),
            7 => batch(pool, model, choices)?,
            8 => gather(pool, model, choices)?,
            _ => break,
        }
        model.check(pool, &leases);
    }
    Some(())
}

/// Rows side by side, of which each is the batch's own; stored or given back.
fn batch<E: Stamp>(
    pool: &VectorPool<E>,
    model: &mut Model<E>,
    choices: &mut Choices<'_>,
) -> Option<()> {
    let Ok(mut batch) = pool.acquire_batch(choices.below(6)?) else {
        return Some(());
    };
    let stamps: Vec<_> = (0..batch.len()).map(|_| model.next()).collect();
    for (row, &stamp) in batch.rows_mut().zip(&stamps) {
        row.fill(E::stamp(stamp));
    }
    for (padded, &stamp) in batch.as_slice().chunks(batch.stride()).zip(&stamps) {
        let row = &padded[..model.dimension];
        model.check_row(row, padded, Some(stamp));
    }
    if choices.below(2)? == 0 {
        for (id, stamp) in batch.store().into_iter().zip(stamps) {
            let external = pool.external_id(id).unwrap();
            model.stored.insert(id, Known { stamp, external });
        }
    }
    Some(())
}

/// Rows by a list of ids, stale ones among them, in the order of the list.
fn gather<E: Stamp>(
    pool: &VectorPool<E>,
    model: &Model<E>,
    choices: &mut Choices<'_>,
) -> Option<()> {
    let known: Vec<_> = model.stored.keys().chain(&model.gone).copied().collect();
    let mut picked = Vec::new();
    for _ in 0..choices.below(9)? {
        picked.extend(known.get(choices.below(known.len())?));
    }
    let gathered: Vec<_> = pool.gather(&picked).collect();
    assert_eq!(gathered.len(), picked.len());
    for (padded, id) in gathered.into_iter().zip(&picked) {
        let known = model.stored.get(id);
        assert_eq!(padded.is_some(), known.is_some());
        if let (Some(padded), Some(known)) = (padded, known) {
            model.check_row(&padded[..model.dimension], padded, Some(known.stamp));
        }
    }
    Some(())
}
