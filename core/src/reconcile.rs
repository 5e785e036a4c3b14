//! Reconciliation: the words and rules by which a day's statement, our attempts and refunds, and the deliveries are
//! compared.
//!
//! Invariant (L6): every statement line ends in exactly one place, and the totals re-add. A line is found by number,
//! on whatever day we booked it; what we booked and no file names is carried to the neighbouring day, then a break.
//! Nothing here moves money: a verdict says whom to ask, and the verified answer moves it.

mod books;
mod entry;
mod judge;
mod line;

pub use books::{Books, DoNotAdd, Sides, signed};
pub use entry::{Entry, EntryStatus, entries_of};
pub use judge::{Facts, FeeRule, Known, Repair, Verdict, judge, judge_unlined, theirs};
pub use line::{BookedLine, LineKey, Place};
