//! What a person may decide about a break, and which decision fits which kind.
//!
//! Invariant: the table is total; a new kind of break does not compile until somebody has said what may be done about
//! it. Whether a decision fits the charge at hand (is there anything left to give back?) is the charge's own rule.
//! Nothing here moves money.

use crate::effect::BreakKind;
use serde::{Deserialize, Serialize};

/// A person's decision about a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The payment counts: the merchant is told to hand over the goods.
    Deliver,
    /// The money goes back.
    Refund,
    /// Everything is right as it is; nothing moves.
    Accept,
    /// The difference is borne; nothing moves.
    WriteOff,
}

impl Resolution {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Deliver, Self::Refund, Self::Accept, Self::WriteOff];

    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Refund => "refund",
            Self::Accept => "accept",
            Self::WriteOff => "write_off",
        }
    }

    /// Whether it only closes the break.
    #[must_use]
    pub const fn moves_nothing(self) -> bool {
        match self {
            Self::Deliver | Self::Refund => false,
            Self::Accept | Self::WriteOff => true,
        }
    }
}

/// The decisions that fit a kind of break.
#[must_use]
pub const fn fitting(kind: BreakKind) -> &'static [Resolution] {
    use Resolution::{Accept, Deliver, Refund, WriteOff};
    match kind {
        BreakKind::AmountDiffers | BreakKind::Undelivered | BreakKind::Undeliverable | BreakKind::RefundDiffers => {
            &[Deliver, Refund, Accept, WriteOff]
        }
        // No charge of ours holds this money, or it counts already, or it is gone: there is nothing to move.
        BreakKind::MissingHere
        | BreakKind::Duplicate
        | BreakKind::DeliveredAfterRefund
        | BreakKind::MissingThere
        | BreakKind::StatusDiffers
        | BreakKind::FeeDiffers => &[Accept, WriteOff],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_closed_and_only_money_of_a_charge_can_be_moved() {
        let mut table = String::new();
        for kind in BreakKind::ALL {
            let words: Vec<&str> = fitting(kind).iter().map(|resolution| resolution.as_str()).collect();
            assert!(words.contains(&"accept") && words.contains(&"write_off"), "{}", kind.as_str());
            table.push_str(&format!("{:<22} {}\n", kind.as_str(), words.join(" ")));
        }
        insta::assert_snapshot!(table, @r"
        amount_differs         deliver refund accept write_off
        missing_here           accept write_off
        duplicate              accept write_off
        undelivered            deliver refund accept write_off
        undeliverable          deliver refund accept write_off
        refund_differs         deliver refund accept write_off
        delivered_after_refund accept write_off
        missing_there          accept write_off
        status_differs         accept write_off
        fee_differs            accept write_off
        ");
    }

    #[test]
    fn a_word_is_read_back_as_it_is_written() {
        for resolution in Resolution::ALL {
            let text = serde_json::to_string(&resolution).unwrap();
            assert_eq!(text, format!("\"{}\"", resolution.as_str()));
        }
    }
}
