//! Receipts: what is charged to a budget until something else went well too.

#[cfg(feature = "std")]
use crate::budget::{Budget, Charge};
#[cfg(feature = "std")]
use crate::error::Limit;

/// Stands for bytes that are charged to a budget, if there is one, and that are
/// refunded unless the receipt is kept: when there is no memory for them after all, or
/// when foreign code that was asked for it panics.
#[derive(Debug)]
#[must_use = "dropping it refunds the bytes"]
pub struct Receipt(#[cfg(feature = "std")] Option<Charge>);

impl Receipt {
    /// Charges `bytes`, without asking anybody to give memory back.
    ///
    /// # Errors
    ///
    /// As [`Budget::charge_now`].
    #[cfg(feature = "std")]
    pub fn charge_now(budget: Option<&Budget>, bytes: usize) -> Result<Self, Limit> {
        let charge = budget.map(|budget| budget.try_charge_now(bytes));
        charge.transpose().map(Self).map_err(Limit::Budget)
    }

    /// That of nothing, where there are no budgets.
    #[cfg(not(feature = "std"))]
    pub const fn of_nothing() -> Self {
        Self()
    }

    /// Leaves the bytes charged: whoever gives the memory back refunds them.
    pub fn keep(self) {
        #[cfg(feature = "std")]
        let _bytes = self.0.map(Charge::into_bytes);
    }
}
