//! Reads `[[merchants]]`.
//!
//! Invariant: merchant ids and, across all merchants, key ids are unique, because a request is told apart by its key
//! id alone; every webhook target has passed the same guard that the sender asks.

use super::fault::Report;
use super::fields::Fields;
use super::model::{LatePayment, Merchant, MerchantKey, RateLimit, Server, UnprovableEnd};
use super::secret::SecretReader;
use super::section::check_web_url;
use super::tree::Node;
use crate::transport::check_webhook_url;
use std::collections::BTreeSet;
use tongdao_core::ids::{MerchantId, is_name};
use tongdao_core::provider::Environment;

/// A shorter API key is taken, with a warning.
const KEY_BYTES_ADVISED: usize = 16;

/// What all merchants are read with.
pub(super) struct MerchantReader<'r> {
    pub(super) report: &'r Report,
    pub(super) server: &'r Server,
    pub(super) secrets: &'r SecretReader<'r>,
}

impl<'r> MerchantReader<'r> {
    pub(super) fn read_all(&self, items: Vec<(String, Node)>) -> Vec<Merchant> {
        let mut ids = BTreeSet::new();
        let mut key_ids = BTreeSet::new();
        let mut merchants = Vec::new();
        for (path, node) in items {
            let origin = node.origin.clone();
            let Some(merchant) = self.read(Fields::of(self.report, path.as_str(), node)) else { continue };
            if !ids.insert(merchant.id.clone()) {
                let message = format!("another merchant is called {}", merchant.id);
                self.report.fault(&format!("{path}.id"), &origin, message);
            }
            for key in &merchant.keys {
                if !key_ids.insert(key.id.clone()) {
                    let message = format!("another key is called {}", key.id);
                    self.report.fault(&format!("{path}.keys"), &origin, message);
                }
            }
            merchants.push(merchant);
        }
        merchants
    }

    fn read(&self, mut fields: Fields<'r>) -> Option<Merchant> {
        let id = fields.required("id", |text| text.parse::<MerchantId>().map_err(|_| NAME.to_owned()));
        let name = fields.parsed("name", read_display_name);
        self.check_environment(&mut fields);
        fields.require("webhook_secret");
        let webhook_secrets = self.secrets.webhook(&mut fields, "webhook_secret");
        let allow_private = self.server.allow_private_webhook_targets;
        let notify_url = fields.parsed("notify_url", |text| {
            check_webhook_url(text, allow_private).map_err(|fault| fault.to_string())?;
            Ok(text.to_owned())
        });
        let return_url = fields.parsed("return_url", |text| {
            check_web_url(text)?;
            let safe = allow_private || text.starts_with("https://");
            if safe { Ok(text.to_owned()) } else { Err("must be https".into()) }
        });
        let keys = self.read_keys(&mut fields);
        let late_payment = fields.parsed("late_payment", read_late_payment).unwrap_or(LatePayment::Deliver);
        let unprovable_end = fields.parsed("unprovable_end", read_unprovable_end).unwrap_or(UnprovableEnd::Overlap);
        let rate_limit = read_rate_limit(&mut fields);
        fields.finish();
        let id = id?;
        let name = name.unwrap_or_else(|| id.to_string());
        Some(Merchant {
            id,
            name,
            notify_url,
            return_url,
            webhook_secrets,
            keys,
            late_payment,
            unprovable_end,
            rate_limit,
        })
    }

    fn read_keys(&self, fields: &mut Fields<'r>) -> Vec<MerchantKey> {
        let Some(items) = fields.list("keys").filter(|items| !items.is_empty()) else {
            fields.report.fault(&fields.path_of("keys"), &fields.origin, "at least one key is required");
            return Vec::new();
        };
        items.into_iter().filter_map(|(path, node)| self.read_key(Fields::of(self.report, path, node))).collect()
    }

    fn read_key(&self, mut fields: Fields<'r>) -> Option<MerchantKey> {
        let name = |text: &str| if is_name(text) { Ok(text.to_owned()) } else { Err(NAME.to_owned()) };
        let id = fields.required("id", name);
        fields.require("secret");
        let secret = self.secrets.text(&mut fields, "secret");
        if secret.as_ref().is_some_and(|secret| secret.bytes().len() < KEY_BYTES_ADVISED) {
            self.report.warn(&fields.path_of("secret"), "is short: use 32 random bytes");
        }
        fields.finish();
        Some(MerchantKey { id: id?, secret: secret? })
    }

    /// Keys of one environment must not serve the other: a merchant may say which one it belongs to.
    fn check_environment(&self, fields: &mut Fields<'_>) {
        let ours = match self.server.environment {
            Environment::Production => "production",
            Environment::Sandbox => "sandbox",
        };
        let check = |text: &str| {
            if text == ours { Ok(()) } else { Err(format!("this server's environment is {ours}")) }
        };
        fields.parsed("environment", check);
    }
}

const NAME: &str = "must be 1 to 64 of A-Z a-z 0-9 . _ -";

fn read_display_name(text: &str) -> Result<String, String> {
    let fits = (1..=127).contains(&text.len()) && !text.contains(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("must be 1 to 127 bytes without control characters".into()) }
}

fn read_late_payment(text: &str) -> Result<LatePayment, String> {
    match text {
        "deliver" => Ok(LatePayment::Deliver),
        "refund" => Ok(LatePayment::Refund),
        _ => Err("expected \"deliver\" or \"refund\"".into()),
    }
}

fn read_unprovable_end(text: &str) -> Result<UnprovableEnd, String> {
    match text {
        "overlap" => Ok(UnprovableEnd::Overlap),
        "wait" => Ok(UnprovableEnd::Wait),
        _ => Err("expected \"overlap\" or \"wait\"".into()),
    }
}

fn read_rate_limit(fields: &mut Fields<'_>) -> RateLimit {
    let mut table = fields.section("rate_limit");
    let mut count = |key, default| {
        let written = table.integer(key, 1..=1_000_000);
        written.and_then(|count| u32::try_from(count).ok()).unwrap_or(default)
    };
    let per_second = count("per_second", 200);
    let burst = count("burst", per_second.saturating_mul(2));
    table.finish();
    RateLimit { per_second, burst }
}
