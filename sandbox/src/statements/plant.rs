//! Works faults into the lines of a day, and tells which lines they are.
//!
//! Guards: exactly as many lines are hit as were asked for (fewer only where the day holds fewer), none twice, and the same
//! day with the same seed is hit in the same places. Must not know: how a line is written.

use serde::Serialize;

use super::line::{Line, Span};
use crate::dice::Dice;
use crate::faults::StatementTwist;
use crate::formats::beijing;
use crate::ledger::{Order, OrderKey};
use crate::options::ProviderName;
use crate::world::World;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlantedKind {
    /// It is missing.
    Lost,
    /// Nobody asked for this payment.
    Extra,
    /// It stands twice.
    Doubled,
    /// One fen too high.
    WrongAmount,
    /// The fee is one fen too high.
    WrongFee,
    /// Its status is another.
    ChangedStatus,
    /// It is another merchant's.
    OtherMerchant,
}

/// A difference between the ledger and a statement as it was served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planted {
    /// The provider.
    pub provider: ProviderName,
    /// `mchid`, `app_id` or `merId`.
    pub account: String,
    /// The statement's day, `yyyy-MM-dd`.
    pub day: String,
    /// What is wrong.
    pub kind: PlantedKind,
    /// The merchant side's number of the order.
    pub order_no: String,
    /// The provider's number of the payment.
    pub trade_no: String,
    /// The merchant side's number of the refund, where the line is a refund's.
    pub refund_no: Option<String>,
    /// Fen, as the ledger has it.
    pub amount: i64,
}

/// Fen of a payment that nobody asked for.
const STRANGE_AMOUNT: i64 = 100;

/// Payments that nobody asked for, and those of another merchant: as many as the twist wants, at the day's end.
pub(super) fn strangers(world: &World, span: &Span<'_>, twist: StatementTwist) -> Vec<Order> {
    let wire = world.wire(span.provider);
    let count = extras(twist).saturating_add(twist.fault.other_merchant);
    let day = beijing::compact_day(span.ends_at.saturating_sub(1));
    (1..=count)
        .map(|number| {
            let order_no = format!("unknown{day}x{number:05}");
            let account = span.account.to_owned();
            let at = span.ends_at.saturating_sub(1);
            let mut order = Order::new(OrderKey { provider: span.provider, account, order_no }, STRANGE_AMOUNT, at);
            order.subject = "unknown".to_owned();
            order.payment = Some(wire.filled(world, &mut order, at));
            order
        })
        .collect()
}

/// The lines as the file shows them, and what is wrong with them.
pub(super) fn plant<'a>(
    lines: Vec<Line<'a>>,
    strangers: &'a [Order],
    span: &Span<'_>,
    twist: StatementTwist,
) -> (Vec<Line<'a>>, Vec<Planted>) {
    let dice = Dice::new(twist.fault.seed);
    let marks = marks(&lines, twist, &dice);
    let mut shown = Vec::with_capacity(lines.len() + strangers.len());
    let mut planted = Vec::new();
    for (mut line, mark) in lines.into_iter().zip(marks) {
        planted.extend(mark.map(|kind| told(span, kind, &line)));
        match mark {
            Some(PlantedKind::Lost) => continue,
            Some(PlantedKind::Doubled) => shown.push(line),
            Some(PlantedKind::WrongAmount) => line.amount = line.amount.saturating_add(1),
            Some(PlantedKind::WrongFee) => line.fee = line.fee.saturating_add(1),
            Some(PlantedKind::ChangedStatus) => line.changed_status = true,
            Some(PlantedKind::Extra | PlantedKind::OtherMerchant) | None => {}
        }
        shown.push(line);
    }
    // Alipay's lines name no merchant: another one's head stands over the file instead.
    let nameless = span.provider == ProviderName::Alipay;
    for (index, line) in strangers.iter().filter_map(Line::paid).enumerate() {
        let foreign = index >= extras(twist);
        let kind = if foreign { PlantedKind::OtherMerchant } else { PlantedKind::Extra };
        planted.push(told(span, kind, &line));
        if !(foreign && nameless) {
            shown.push(Line { foreign, ..line });
        }
    }
    if twist.fault.reordered {
        shuffle(&mut shown, &dice);
    }
    (shown, planted)
}

fn extras(twist: StatementTwist) -> usize {
    twist.fault.extra.saturating_add(usize::from(twist.extra_line))
}

/// What is wrong with each line.
fn marks(lines: &[Line<'_>], twist: StatementTwist, dice: &Dice) -> Vec<Option<PlantedKind>> {
    let mut marks: Vec<Option<PlantedKind>> = vec![None; lines.len()];
    let mut set = |index: usize, kind: PlantedKind| {
        if let Some(mark) = marks.get_mut(index) {
            *mark = Some(kind);
        }
    };
    let mut payments = (0..lines.len()).filter(|index| lines.get(*index).is_some_and(|line| line.refund.is_none()));
    for (asked, kind) in [(twist.lost_line, PlantedKind::Lost), (twist.wrong_line, PlantedKind::WrongAmount)] {
        if let Some(index) = asked.then(|| payments.next()).flatten() {
            set(index, kind);
        }
    }
    if let Some(index) = twist.fault.wrong_amount_line.and_then(|number| number.checked_sub(1)) {
        set(index, PlantedKind::WrongAmount);
    }
    let mut free: Vec<usize> = (0..marks.len()).filter(|index| marks.get(*index) == Some(&None)).collect();
    shuffle(&mut free, dice);
    let wanted = [
        (twist.fault.lost, PlantedKind::Lost),
        (twist.fault.doubled, PlantedKind::Doubled),
        (twist.fault.wrong_amount, PlantedKind::WrongAmount),
        (twist.fault.wrong_fee, PlantedKind::WrongFee),
        (twist.fault.changed_status, PlantedKind::ChangedStatus),
    ];
    for (count, kind) in wanted {
        for index in free.drain(..count.min(free.len())) {
            if let Some(mark) = marks.get_mut(index) {
                *mark = Some(kind);
            }
        }
    }
    marks
}

fn told(span: &Span<'_>, kind: PlantedKind, line: &Line<'_>) -> Planted {
    let refund_no = line.refund.map(|refund| match span.provider {
        ProviderName::Alipay => crate::alipay::request_no(refund).to_owned(),
        ProviderName::Wechatpay | ProviderName::Unionpay => refund.key.refund_no.clone(),
    });
    Planted {
        provider: span.provider,
        account: span.account.to_owned(),
        day: beijing::dashed_day(span.ends_at.saturating_sub(1)),
        kind,
        order_no: line.order.key.order_no.clone(),
        trade_no: line.payment.trade_no.clone(),
        refund_no,
        amount: line.amount,
    }
}

fn shuffle<T>(items: &mut [T], dice: &Dice) {
    for last in (1..items.len()).rev() {
        let bound = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
        items.swap(last, usize::try_from(dice.below(bound)).unwrap_or(0));
    }
}
