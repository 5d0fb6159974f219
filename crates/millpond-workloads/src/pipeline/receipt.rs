//! Receipts: what a hook found in a run, two cache lines each.

use super::memory::Exhausted;
use super::run::LANES;

/// What one hook found in one run.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The hook's number in its pipeline.
    pub hook: u32,
    /// The hook's answer.
    pub answer: u32,
    /// The run's digest.
    pub run: u64,
    /// Runs that the pipeline had seen before this one.
    pub tick: u64,
    /// A bit for each lane that matched.
    pub lanes: u8,
    /// The subjects in the lanes of the run, matched or not.
    pub subjects: [u64; LANES],
}

const _: () = assert!(size_of::<Receipt>() == 128);

/// The receipts of one run, handed out in order.
#[derive(Debug)]
pub struct Page {
    receipts: Vec<Receipt>,
    limit: usize,
}

impl Page {
    /// An empty page that allocates once, now, and has `limit` receipts at most.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            receipts: Vec::with_capacity(limit),
            limit,
        }
    }

    /// Writes the next receipt.
    ///
    /// # Errors
    ///
    /// If the page is full.
    #[inline]
    pub fn write(&mut self, receipt: Receipt) -> Result<(), Exhausted> {
        if self.receipts.len() == self.limit {
            return Err(Exhausted::Receipts { total: self.limit });
        }
        self.receipts.push(receipt);
        Ok(())
    }

    /// What was written.
    #[inline]
    #[must_use]
    pub fn written(&self) -> &[Receipt] {
        &self.receipts
    }

    /// Takes all receipts back at once.
    #[inline]
    pub fn clear(&mut self) {
        self.receipts.clear();
    }

    /// How many receipts it may have.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }
}
