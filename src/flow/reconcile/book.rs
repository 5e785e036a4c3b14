//! Feeds a checked file to the matching pass and gathers what its verdicts want asked.
//!
//! Invariant: nothing is asked before the whole file is booked and the books add up; a file that ends in a fault on
//! its second reading leaves the run without books.

use super::read::Checked;
use super::run::Early;
use super::{Mending, Turn};
use crate::config::Channel;
use crate::flow::Flow;
use crate::flow::book::{BookError, BookOrder, Booked, Booking};
use crate::metrics::ReconciliationResult;
use std::collections::BTreeSet;
use tongdao_core::day::Day;
use tongdao_core::provider::StatementTerms;
use tongdao_core::reconcile::{Books, FeeRule};

impl Flow {
    /// Books all lines of a day, then what no line names; `None` is a day without a file.
    pub(super) async fn book_day(
        &self,
        order: BookOrder,
        checked: Option<Checked>,
        turn: &Turn,
    ) -> Result<(Books, Mending), Early> {
        let mut repairs = BTreeSet::new();
        let mut booking = Booking::begin(self.store.clone(), order.clone()).await?;
        let mut chunks = checked.map(Checked::chunks);
        while let Some(chunk) = next(chunks.as_mut()).await {
            let lines = chunk.map_err(super::run::refused)?;
            let count = lines.len();
            repairs.extend(booking.book(lines, self.clock.now()).await?);
            turn.progress.add(count);
        }
        let Booked { books, repairs: unlined, touched } = booking.finish(self.clock.now()).await?;
        repairs.extend(unlined);
        let others = touched.into_iter().map(|day| BookOrder { day, ..order.clone() });
        let orders = std::iter::once(order.clone()).chain(others).collect();
        Ok((books, Mending { repairs, orders }))
    }
}

impl From<BookError> for Early {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Store(error) => Self::Store(error),
            BookError::DoNotAdd(why) => Self::Failed { why: why.to_string(), result: ReconciliationResult::Failed },
        }
    }
}

async fn next(
    chunks: Option<&mut super::read::Chunks>,
) -> Option<Result<Vec<tongdao_core::provider::StatementLine>, tongdao_core::provider::StatementFault>> {
    match chunks {
        Some(chunks) => chunks.recv().await,
        None => None,
    }
}

/// The order to book a channel's day.
pub(super) fn order_of(channel: &Channel, terms: StatementTerms, day: Day, run: u32) -> BookOrder {
    BookOrder {
        channel: channel.id.clone(),
        provider: channel.provider_id.clone(),
        account: channel.provider.account().to_owned(),
        day,
        run,
        strays_days: terms.strays_days,
        fee: FeeRule { fee_bps: channel.fee_bps, fixed: 0 },
    }
}
