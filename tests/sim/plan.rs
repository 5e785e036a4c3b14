//! What a world holds ready: how many charges, and how often each kind of fault strikes.

use crate::dice::Dice;

/// Shares are of a thousand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) charges: i64,
    /// Nothing but lost callbacks: waits are held to their limits.
    pub(crate) calm: bool,
    pub(crate) network: i64,
    pub(crate) provider: i64,
    pub(crate) merchant: i64,
    pub(crate) crash: i64,
    pub(crate) overload: i64,
    pub(crate) clock: bool,
    pub(crate) operator: bool,
    /// The merchant is down for days.
    pub(crate) long: bool,
    pub(crate) heal_ms: i64,
    pub(crate) end_ms: i64,
}

const HOUR_MS: i64 = 3_600_000;

impl Plan {
    pub(crate) fn draw(seed: u64, charges: i64) -> Self {
        let mut dice = Dice::new(seed ^ 0x9_1A4);
        let calm = dice.per_mille(120);
        let long = !calm && dice.per_mille(60);
        let mut share = |most: i64| if calm { 0 } else { dice.below(most + 1) };
        let (network, provider, merchant) = (share(120), share(120), share(250));
        let (crash, overload) = (share(24) * share(2), share(20));
        let (clock, operator) = (!calm && dice.per_mille(250), !calm && dice.per_mille(500));
        let heal_ms = if long { 80 * HOUR_MS } else { 2 * HOUR_MS };
        let end_ms = heal_ms + 30 * HOUR_MS;
        Self { charges, calm, network, provider, merchant, crash, overload, clock, operator, long, heal_ms, end_ms }
    }
}
