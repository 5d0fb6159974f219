//! Claims: items that leave as plain numbers, and are got back once.
//!
//! ```text
//!   holder    write what is needed to have it back ──▶ offer: a ticket, Release
//!                                                         │
//!   anybody                     Acquire: is it out under this ticket? ──▶ take
//! ```
//!
//! A ticket is given once in the life of a process, and not once for each item: so
//! one of an item whose memory went back to the system, and came again to this or to
//! another pool, is nobody's.

use crate::sync::{AtomicU64, Ordering, const_unless_model};
use core::sync::atomic;

/// The next ticket, on lines of its own. Not of the shim that models use: it orders
/// nothing, and a model would only take longer.
#[repr(align(128))]
struct Tickets(atomic::AtomicU64);

static TICKETS: Tickets = Tickets(atomic::AtomicU64::new(1));

/// No ticket: the item is in somebody's hands, or free.
const NONE: u64 = 0;

/// Whether an item is out as plain numbers, and under which ticket.
///
/// Zeroed memory is an item that is not out (outside of models).
///
/// ```
/// use millpond_core::claim::Claim;
///
/// let claim = Claim::new();
/// let ticket = claim.offer();
/// assert!(claim.take(ticket));
/// assert!(!claim.take(ticket), "once");
/// assert_ne!(claim.offer(), ticket);
/// ```
#[derive(Debug)]
#[repr(transparent)]
pub struct Claim {
    ticket: AtomicU64,
}

impl Claim {
    const_unless_model! {
        /// An item that is not out.
        pub fn new() -> Self {
            Self { ticket: AtomicU64::new(NONE) }
        }
    }

    /// Lets go of the item, which is the caller's alone: whoever takes it by the
    /// ticket sees what the caller did. Tickets are never 0.
    ///
    /// Cost: one atomic addition, on a line that all threads share which do this.
    #[inline]
    #[must_use = "without its ticket nobody gets the item back"]
    pub fn offer(&self) -> u64 {
        let ticket = TICKETS.0.fetch_add(1, Ordering::Relaxed);
        debug_assert_eq!(self.ticket.load(Ordering::Relaxed), NONE);
        // Release: see above.
        self.ticket.store(ticket, Ordering::Release);
        ticket
    }

    /// Takes the item, if it is out under this ticket; then it is the caller's alone.
    #[inline]
    #[must_use = "without it the item is not the caller's"]
    pub fn take(&self, ticket: u64) -> bool {
        if ticket == NONE {
            return false;
        }
        // Acquire: see `offer`.
        let order = Ordering::Acquire;
        let taken = self
            .ticket
            .compare_exchange(ticket, NONE, order, Ordering::Relaxed);
        taken.is_ok()
    }
}

#[cfg(not(millpond_loom))]
impl Default for Claim {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(millpond_loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_taken_once_by_its_own_ticket() {
        let (one, other) = (Claim::new(), Claim::new());
        assert!(!one.take(NONE), "it is not out");
        let (first, second) = (one.offer(), other.offer());
        assert_ne!(first, second);
        assert!(!one.take(second) && !one.take(NONE));
        assert!(one.take(first) && !one.take(first));
        let again = one.offer();
        assert!(!one.take(first), "it is out under another");
        assert!(one.take(again) && other.take(second));
    }
}
