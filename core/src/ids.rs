//! Names of things: prefixed ULIDs for what Tongdao makes, checked text for what the configuration names.
//!
//! Invariant: an id of one kind can never stand where another is meant, and no id is built from unchecked text.
//! Ids are made from a moment and randomness that the caller passes in.

use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// Text that is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct NotAnId(pub &'static str);

macro_rules! ulid_id {
    ($name:ident, $prefix:literal, $what:literal) => {
        #[doc = concat!("The id of ", $what, ": `", $prefix, "` and a ULID.")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(ulid::Ulid);

        impl $name {
            /// An id made at `now` with 80 of the given random bits.
            #[must_use]
            pub fn new(now: UnixMillis, random: u128) -> Self {
                Self(ulid::Ulid::from_parts(u64::try_from(now.0).unwrap_or(0), random))
            }

            /// The 26 letters and digits behind the prefix.
            #[must_use]
            pub fn bare(&self) -> String {
                self.0.to_string()
            }

            /// The 128 bits, which sort by time.
            #[must_use]
            pub fn to_bytes(&self) -> [u8; 16] {
                self.0.to_bytes()
            }

            /// The id with these 128 bits.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(ulid::Ulid::from_bytes(bytes))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let bare = text.strip_prefix($prefix).filter(|bare| bare.len() == 26);
                bare.and_then(|bare| ulid::Ulid::from_string(bare).ok()).map(Self).ok_or(NotAnId($what))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(text: String) -> Result<Self, NotAnId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

ulid_id!(ChargeId, "ch_", "charge");
ulid_id!(AttemptId, "at_", "attempt");
ulid_id!(RefundId, "rf_", "refund");
ulid_id!(EventId, "evt_", "event");
ulid_id!(BreakId, "brk_", "break");
ulid_id!(OverrideId, "ovr_", "override");
ulid_id!(ReconciliationId, "rec_", "reconciliation");

macro_rules! name_id {
    ($name:ident, $what:literal) => {
        #[doc = concat!("The configured name of a ", $what, ": 1 to 64 of `[A-Za-z0-9._-]`.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(NotAnId($what)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(text: String) -> Result<Self, NotAnId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.to_string()
            }
        }
    };
}

name_id!(MerchantId, "merchant");
name_id!(ChannelId, "channel");
name_id!(ProviderId, "provider");

/// Whether text is 1 to 64 of `[A-Za-z0-9._-]`: the grammar of configured names and of `merchant_order_no`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_and_refuses_another_kind() {
        let id = ChargeId::new(UnixMillis(1_766_000_000_000), 42);
        assert_eq!(id.to_string().parse::<ChargeId>(), Ok(id));
        assert!(id.to_string().parse::<AttemptId>().is_err());
        assert!("ch_".parse::<ChargeId>().is_err());
        assert!("ch_0000000000000000000000000!".parse::<ChargeId>().is_err());
        assert_eq!(ChargeId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn a_name_has_a_narrow_grammar() {
        assert!("wechat-main".parse::<ChannelId>().is_ok());
        for bad in ["", "a b", "a/b", "ü", &"x".repeat(65)] {
            assert!(bad.parse::<ChannelId>().is_err(), "{bad}");
        }
    }
}
