//! How a provider account is built from its section of the configuration, all faults at once.
//!
//! The adapter owns the section's keys (unknown ones are refused); the daemon owns where secrets come from.

use super::Provider;
use crate::secret::{Secret, SecretSource};

/// Whether real money moves. Loopback addresses and UnionPay's test certificate name are taken in `Sandbox` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Real money.
    Production,
    /// Test systems.
    Sandbox,
}

/// Reads secrets from where the configuration says they are.
pub trait Secrets {
    /// The secret's bytes; a text secret's trailing newline is kept for the caller to trim.
    ///
    /// # Errors
    /// A sentence that names the source and never the content.
    fn load(&self, source: &SecretSource) -> Result<Secret, String>;
}

/// Everything an account is built from.
#[derive(Clone, Copy)]
pub struct BuildInput<'a> {
    /// The provider's section (`[channels.wechatpay]`) as JSON.
    pub section: &'a serde_json::Value,
    /// Whether real money moves.
    pub environment: Environment,
    /// Where secrets come from.
    pub secrets: &'a dyn Secrets,
}

/// One thing wrong with a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionFault {
    /// The key's path inside the section (`merchant_private_key`).
    pub path: String,
    /// What is wrong and how to mend it; never a secret.
    pub message: String,
}

/// Builds an account from its section, or lists every fault of it.
pub type Build = fn(BuildInput<'_>) -> Result<Box<dyn Provider>, Vec<OptionFault>>;

/// A registry entry: how the provider crate offers one provider.
#[derive(Clone, Copy)]
pub struct Registration {
    /// The provider's name, which is also its section's.
    pub id: &'static str,
    /// The provider's name in Chinese, for people.
    pub name_zh: &'static str,
    /// Builds an account.
    pub build: Build,
}
