//! How far a refund's calls may have come, which decides whether its number may be dated anew.
//!
//! Invariant: it only rises under one number. It knows no provider.

use serde::{Deserialize, Serialize};

/// How far calls under the present number may have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Certainly nowhere: no call was made, or none left this machine.
    Nowhere,
    /// The first one is out. Found after a crash, it may have arrived.
    InCall,
    /// One may have arrived.
    #[default]
    Arrived,
}
