//! The configuration: one TOML file (or the built-in one), environment overrides on top, secrets from beside it.
//!
//! Invariant: a `Config` exists only when nothing at all is wrong; otherwise every fault is listed at once with its
//! line. Secrets and whatever prints are kept apart: no `Debug`, no fault and no printed configuration carries one.
//! It knows the providers by the registry that it is handed and nothing of their options.

mod channel;
mod fault;
mod fields;
mod merchant;
mod model;
mod print;
mod quantity;
mod reload;
mod secret;
mod section;
mod tree;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

pub use fault::{Fault, Faults, Origin};
pub use model::{
    AmountRange, Capacity, Channel, Credential, DailyLimit, LatePayment, Merchant, MerchantKey, RateLimit,
    Reconciliation, Routing, SandboxServers, Server, Store, StoreUrl, UnprovableEnd,
};
pub use quantity::{read_duration, read_size, show_duration, show_size};
pub use reload::{Changes, check_reload};
pub use secret::ensure_demo_secrets;

use channel::ChannelReader;
use fault::Report;
use fields::Fields;
use merchant::MerchantReader;
use secret::SecretReader;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tongdao_core::ids::{ChannelId, MerchantId};
use tongdao_core::provider::{Environment, Registration};

/// The environment variables that a configuration is read with.
pub type Env = BTreeMap<String, String>;

/// The configuration that runs when no file is named; every key is explained in it.
pub const BUILT_IN: &str = include_str!("../config/default.toml");

/// What the built-in configuration is called in faults.
const BUILT_IN_NAME: &str = "the built-in configuration";

/// A whole, checked configuration.
pub struct Config {
    /// The file's name, or what the built-in one is called.
    pub name: String,
    /// `[server]`
    pub server: Server,
    /// `[store]`
    pub store: Store,
    /// `[routing]`
    pub routing: Routing,
    /// `[reconciliation]`
    pub reconciliation: Reconciliation,
    /// `[sandbox]`, where the daemon starts provider servers of its own.
    pub sandbox: Option<SandboxServers>,
    /// The merchants, as written.
    pub merchants: Vec<Merchant>,
    /// The channels, as written: the first is preferred where nothing is known yet.
    pub channels: Vec<Channel>,
    /// What is allowed and unwise, a sentence each.
    pub warnings: Vec<String>,
    keys: BTreeMap<String, (usize, usize)>,
}

/// The variables of this process; those that are not UTF-8 are left out.
#[must_use]
pub fn inherited_env() -> Env {
    let pairs = std::env::vars_os();
    pairs.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// The names of the providers that are built in, whether they are configured or not.
#[must_use]
pub fn built_in_providers() -> Vec<&'static str> {
    tongdao_providers::REGISTRY.iter().map(|provider| provider.id).collect()
}

impl Config {
    /// Reads a file, or the built-in configuration, for the providers that are built in.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load(path: Option<&Path>, env: &Env) -> Result<Self, Faults> {
        Self::load_with(path, env, tongdao_providers::REGISTRY)
    }

    /// Reads a file, or the built-in configuration, for these providers.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load_with(path: Option<&Path>, env: &Env, registry: &[Registration]) -> Result<Self, Faults> {
        let (name, text) = read_file(path)?;
        Self::read(&name, &text, env, registry)
    }

    /// Reads a configuration's text.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(name: &str, text: &str, env: &Env, registry: &[Registration]) -> Result<Self, Faults> {
        let report = Report::default();
        let mut root = tree::read(text, &report);
        // What cannot be parsed would only drag faults behind it that are none.
        let report = report.clean(name)?;
        tree::overlay(&mut root, env, &report);
        tree::read_text_files(&mut root, "", &report);
        let secrets = SecretReader::new(env, section::read_allow_inline(&root));
        let mut config = read_root(Fields::of(&report, "", root), &secrets, registry);
        config.name = name.to_owned();
        config.warnings = report.close(name)?;
        Ok(config)
    }
}

impl Config {
    /// The file that it was read from; `None` for the built-in configuration.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        (self.name != BUILT_IN_NAME).then(|| PathBuf::from(&self.name))
    }

    /// The merchant of that id.
    #[must_use]
    pub fn merchant(&self, id: &MerchantId) -> Option<&Merchant> {
        self.merchants.iter().find(|merchant| merchant.id == *id)
    }

    /// The channel of that id.
    #[must_use]
    pub fn channel(&self, id: &ChannelId) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.id == *id)
    }

    /// The API key of that id and its merchant.
    #[must_use]
    pub fn merchant_key(&self, key_id: &str) -> Option<(&Merchant, &MerchantKey)> {
        let (merchant, key) = self.keys.get(key_id)?;
        let merchant = self.merchants.get(*merchant)?;
        merchant.keys.get(*key).map(|key| (merchant, key))
    }

    /// The configuration in force as TOML, defaults filled in and secrets hidden.
    #[must_use]
    pub fn redacted_print(&self) -> String {
        print::redacted(self)
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Config({}, {} merchants, {} channels)", self.name, self.merchants.len(), self.channels.len())
    }
}

/// The `[sandbox]` section alone: its servers make the key files that the whole configuration wants, so they start
/// first. `None` where there is none or it cannot be read; `load` says then what is wrong.
#[must_use]
pub fn read_sandbox_servers(path: Option<&Path>, env: &Env) -> Option<SandboxServers> {
    let (_, text) = read_file(path).ok()?;
    let report = Report::default();
    let mut root = tree::read(&text, &report);
    tree::overlay(&mut root, env, &report);
    let sandbox = Fields::of(&report, "", root).table("sandbox")?;
    let servers = section::read_sandbox(sandbox, Environment::Sandbox);
    report.is_clean().then_some(servers)
}

fn read_file(path: Option<&Path>) -> Result<(String, String), Faults> {
    let Some(path) = path else { return Ok((BUILT_IN_NAME.to_owned(), BUILT_IN.to_owned())) };
    let name = path.display().to_string();
    let read = std::fs::read_to_string(path);
    read.map(|text| (name.clone(), text)).map_err(|error| {
        let message = format!("cannot be read: {}", secret::why(&error));
        Faults { name, list: vec![Fault { origin: Origin::Nowhere, path: String::new(), message }] }
    })
}

fn read_root(mut root: Fields<'_>, secrets: &SecretReader<'_>, registry: &[Registration]) -> Config {
    let report = root.report;
    let server = section::read_server(root.section("server"), secrets);
    let store = section::read_store(root.section("store"));
    let routing = section::read_routing(root.section("routing"));
    let reconciliation = section::read_reconciliation(root.section("reconciliation"));
    let sandbox = root.table("sandbox").map(|fields| section::read_sandbox(fields, server.environment));
    let merchants = root.list("merchants").unwrap_or_default();
    let merchants = MerchantReader { report, server: &server, secrets }.read_all(merchants);
    let channels = root.list("channels").unwrap_or_default();
    let channels = ChannelReader { report, server: &server, secrets, registry }.read_all(channels);
    if channels.is_empty() {
        report.warn("channels", "there is none: no charge can be paid");
    }
    root.finish();
    let keys = index_keys(&merchants);
    Config {
        name: String::new(),
        server,
        store,
        routing,
        reconciliation,
        sandbox,
        merchants,
        channels,
        warnings: Vec::new(),
        keys,
    }
}

fn index_keys(merchants: &[Merchant]) -> BTreeMap<String, (usize, usize)> {
    let mut keys = BTreeMap::new();
    for (at, merchant) in merchants.iter().enumerate() {
        keys.extend(merchant.keys.iter().enumerate().map(|(key_at, key)| (key.id.clone(), (at, key_at))));
    }
    keys
}
