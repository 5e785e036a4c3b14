//! A little curiosity: one first try in seventy goes where nobody looked for a while.
//!
//! Why: a channel that gets no traffic is never known to be well again, or to have become the best. Why so little: on
//! quiet days every such payment goes to a worse channel. It goes only where knowledge is thin or hope is reasonable.
//! Left out: 0.1 of net value, most of it where the worst channel becomes the best.

use super::Channel;

const SHARE: f64 = 0.015;
const SHARE_HOT: f64 = 0.05;
const FEW: f64 = 15.0;

/// The share of first tries that explore.
pub(super) const fn share(any_hot: bool) -> f64 {
    if any_hot { SHARE_HOT } else { SHARE }
}

/// Whether a channel is worth a look beside a leader of this value.
pub(super) fn is_worth_a_look(channel: &Channel, value: f64, leader: f64) -> bool {
    let share = channel.conversion.share();
    let unsure = (share * (1.0 - share) / (channel.conversion.exposure() + 5.0)).sqrt();
    channel.conversion.is_hot() || channel.conversion.in_last_minute() < FEW || value + unsure > leader
}
