//! The sentences of a text that are most alike: embeddings in a pool of rows,
//! stored, scanned, removed, compacted, with what each step did to memory.
//!
//! ```text
//! cargo run --release -p millpond-vector --example nearest
//! ```

use millpond_vector::{HugePages, Level, RowId, SideArrays, VectorPool, kernel};
use std::error::Error;

/// Elements of an embedding; rows of 100 are padded to 112.
const DIMENSION: usize = 100;

const TEXT: &str = "A pool lends rows of numbers. \
    Rows of numbers are lent by a pool. \
    The tail of a row is zero, so a kernel has whole lanes. \
    A kernel has whole lanes, because the tail of a row is zero. \
    Slabs are huge pages if the system grants them. \
    If the system grants them, slabs are huge pages. \
    An id of a row that is gone answers nothing. \
    Fish swim";

fn main() -> Result<(), Box<dyn Error>> {
    let sentences: Vec<&str> = TEXT.split(". ").collect();
    let mut pool = VectorPool::<f32>::builder(DIMENSION)
        .huge_pages(HugePages::Transparent)
        .side_arrays(SideArrays::ALL)
        .name("sentences")
        .build()?;
    let layout = *pool.layout();
    println!(
        "A row: {} numbers, {} with the tail of zeros, {} bytes, at a multiple of {}.",
        layout.dimension(),
        layout.padded(),
        layout.stride_bytes(),
        layout.alignment().bytes(),
    );

    let mut ids: Vec<RowId<f32>> = Vec::new();
    for (number, sentence) in (0..).zip(&sentences) {
        let mut row = pool.acquire_zeroed()?;
        count_windows(sentence, &mut row);
        let norm = kernel::dot(row.row_padded(), row.row_padded()).sqrt();
        *row.norm_mut().ok_or("norms are kept")? = norm;
        *row.external_id_mut().ok_or("ids are kept")? = number;
        ids.push(row.store().map_err(|_| "inside the capacity")?);
    }
    println!("Granted: {}.", pool.granted());

    for query in [0, 2, 4] {
        let (likeness, nearest) = nearest(&pool, ids[query]).ok_or("there are others")?;
        let found = sentences[usize::try_from(nearest)?];
        println!(
            "{likeness:.2}  {:?} is nearest to {found:?}.",
            sentences[query]
        );
    }

    let removed = ids.iter().step_by(2).filter(|&&id| pool.remove(id)).count();
    let gone = ids.iter().filter(|&&id| pool.row(id).is_none()).count();
    println!("{removed} rows removed: {gone} ids answer nothing now.");
    let runs = pool.runs().count();
    let moved = pool.compact();
    println!(
        "{runs} runs of rows before compacting, {} after; {} ids were replaced.",
        pool.runs().count(),
        moved.len(),
    );

    pool.clear();
    let freed = pool.trim(Level::Full);
    println!(
        "{} bytes given back; {} held.",
        freed.freed_bytes,
        pool.stats().held_bytes
    );
    Ok(())
}

/// Counts windows of three letters in places by hash.
fn count_windows(text: &str, row: &mut [f32]) {
    for window in text.to_lowercase().as_bytes().windows(3) {
        let hash = window.iter().fold(0x811c_9dc5_u32, |hash, &byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        row[hash as usize % DIMENSION] += 1.0;
    }
}

/// The stored row that is most like another one, and how much, by cosine: one
/// pass over runs of rows, with the norms beside them.
fn nearest(pool: &VectorPool<f32>, id: RowId<f32>) -> Option<(f32, u64)> {
    let (query, norm) = (pool.row_padded(id)?, pool.norm(id)?);
    let own = pool.external_id(id)?;
    pool.runs()
        .flat_map(|run| {
            let beside = run.norms().iter().zip(run.external_ids());
            run.rows_padded().zip(beside)
        })
        .filter(|(_, (_, external))| **external != own)
        .map(|(row, (other, external))| (kernel::dot(query, row) / (norm * other), *external))
        .max_by(|a, b| a.0.total_cmp(&b.0))
}
