//! The configuration that the simulated process runs with, in its versions.

use crate::provider::REGISTRY;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use tongdao::config::{Config, Env};

/// Secrets that a merchant goes through.
pub(crate) const SECRETS: usize = 3;

/// A merchant's webhook secret in base64.
pub(crate) fn secret_of(shop: usize, version: usize) -> String {
    STANDARD.encode(format!("shop {shop} secret {version}, of enough bytes"))
}

/// The configuration with the merchants' secrets of that version; at odd ones the third channel is dearer.
pub(crate) fn config(version: usize) -> Arc<Config> {
    let mut text = "[server]\nallow_inline_secrets = true\nadmin_token = \"admin-token-of-the-simulation\"\npublic_url = \"https://pay.example\"\n".to_owned();
    for shop in 0..2 {
        let name = crate::order::SHOPS[shop];
        let secret = secret_of(shop, version % SECRETS);
        text.push_str(&format!(
            "[[merchants]]\nid = \"{name}\"\nnotify_url = \"https://{name}.example/n\"\nwebhook_secret = \"whsec_{secret}\"\n\
             [[merchants.keys]]\nid = \"k{shop}\"\nsecret = \"a merchant's key of enough bytes {shop}\"\n"
        ));
    }
    for (index, provider) in REGISTRY.iter().enumerate() {
        let (id, fee) = (provider.id, 38 + 10 * index + 30 * (version % 2));
        text.push_str(&format!(
            "[[channels]]\nid = \"c{index}\"\nprovider = \"{id}\"\nfee_bps = {fee}\n[channels.{id}]\naccount = \"acct{index}\"\n"
        ));
    }
    Arc::new(Config::read("simulation", &text, &Env::new(), REGISTRY).unwrap_or_else(|faults| panic!("{faults}")))
}
