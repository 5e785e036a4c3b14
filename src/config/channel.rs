//! Reads `[[channels]]` and builds each one's account through the registry.
//!
//! Invariant: two channels never share an account, and a channel offers only what its provider can do. A provider's
//! section is the provider's business: this file hands it over as JSON and puts its faults in their lines.

use super::fault::Report;
use super::fields::Fields;
use super::model::{AmountRange, Capacity, Channel, DailyLimit, Server};
use super::secret::SecretReader;
use super::tree::{Node, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::{BuildInput, Provider, Registration, Scene};
use tongdao_core::routing::router::CHANNELS_MAX;

/// The largest sum of a charge, in fen.
const AMOUNT_MAX: i64 = 10_000_000_000;

/// What all channels are read with.
pub(super) struct ChannelReader<'r> {
    pub(super) report: &'r Report,
    pub(super) server: &'r Server,
    pub(super) secrets: &'r SecretReader<'r>,
    pub(super) registry: &'r [Registration],
}

/// A provider's account and its section, secrets masked.
type Account = (Arc<dyn Provider>, serde_json::Value);

impl<'r> ChannelReader<'r> {
    pub(super) fn read_all(&self, items: Vec<(String, Node)>) -> Vec<Channel> {
        let mut ids = BTreeSet::new();
        let mut accounts = BTreeMap::new();
        let mut channels = Vec::new();
        for (path, node) in items {
            let origin = node.origin.clone();
            let Some(channel) = self.read(Fields::of(self.report, path.as_str(), node)) else { continue };
            if !ids.insert(channel.id.clone()) {
                let message = format!("another channel is called {}", channel.id);
                self.report.fault(&format!("{path}.id"), &origin, message);
            }
            let account = (channel.provider_id.clone(), channel.provider.account().to_owned());
            if let Some(other) = accounts.insert(account, channel.id.clone()) {
                let message = format!("has the same account as {other}: an account belongs to one channel");
                self.report.fault(&path, &origin, message);
            }
            if channels.len() == CHANNELS_MAX {
                let message = format!("at most {CHANNELS_MAX} channels are routed between");
                self.report.fault(&path, &origin, message);
            }
            channels.push(channel);
        }
        channels
    }

    fn read(&self, mut fields: Fields<'r>) -> Option<Channel> {
        let name = |text: &str| text.parse::<ChannelId>().map_err(|_| NAME.to_owned());
        let id = fields.required("id", name);
        let registration = fields.required("provider", |text| self.registration(text));
        let enabled = fields.boolean("enabled", true);
        let scenes = self.read_scenes(&mut fields);
        let fee_bps = fields.integer("fee_bps", 0..=10_000).and_then(|bps| u32::try_from(bps).ok());
        let amount = read_amount(&mut fields);
        let daily_limit = read_daily_limit(&mut fields);
        let capacity = read_capacity(&mut fields);
        let longest = Duration::from_secs(60);
        let timeout = fields.duration("timeout", Duration::from_millis(50)..=longest, Duration::from_secs(3));
        let account = registration.as_ref().and_then(|known| self.build(known, &mut fields));
        let (provider, section) = fields.close_with(account)?;
        let offered = provider.capabilities().scenes;
        self.check_scenes(&scenes, offered);
        Some(Channel {
            id: id?,
            provider_id: provider.id().clone(),
            enabled,
            scenes: scenes.map_or_else(|| offered.to_vec(), |(_, list)| list.into_iter().map(|(_, s)| s).collect()),
            fee_bps: fee_bps.unwrap_or(60),
            amount,
            daily_limit,
            capacity,
            timeout,
            provider,
            section,
        })
    }

    fn registration(&self, text: &str) -> Result<Registration, String> {
        self.registry.iter().find(|known| known.id == text).copied().ok_or_else(|| {
            let known: Vec<&str> = self.registry.iter().map(|known| known.id).collect();
            format!("no such provider; known: {}", known.join(", "))
        })
    }

    fn build(&self, registration: &Registration, fields: &mut Fields<'r>) -> Option<Account> {
        let path = fields.path_of(registration.id);
        let Some(node) = fields.take_named(registration.id) else {
            self.report.fault(&path, &fields.origin, "the provider's own section is required");
            return None;
        };
        if !matches!(node.value, Value::Table(_)) {
            self.report.fault(&path, &node.origin, format!("expected a table, found {}", node.kind()));
            return None;
        }
        let mut section = node.to_json();
        let input = BuildInput { section: &section, environment: self.server.environment, secrets: self.secrets };
        match (registration.build)(input) {
            Ok(provider) => {
                mask(&mut section, "", self.secrets);
                Some((Arc::from(provider), section))
            }
            Err(faults) => {
                if faults.is_empty() {
                    self.report.fault(&path, &node.origin, "the account cannot be built");
                }
                for fault in faults {
                    let origin = &node.nearest(&fault.path).origin;
                    let path = if fault.path.is_empty() { path.clone() } else { format!("{path}.{}", fault.path) };
                    self.report.fault(&path, origin, fault.message);
                }
                None
            }
        }
    }
}

type Scenes = Option<(String, Vec<(Node, Scene)>)>;

impl<'r> ChannelReader<'r> {
    fn read_scenes(&self, fields: &mut Fields<'r>) -> Scenes {
        let items = fields.list("scenes")?;
        let path = fields.path_of("scenes");
        if items.is_empty() {
            self.report.fault(&path, &fields.origin, "is empty: leave it out for all that the provider can do");
        }
        let mut scenes: Vec<(Node, Scene)> = Vec::new();
        for (path, node) in items {
            let scene = match &node.value {
                Value::Text(text) => Scene::ALL.into_iter().find(|scene| scene.as_str() == text),
                Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Moment(_)
                | Value::List(_)
                | Value::Table(_) => None,
            };
            match scene {
                Some(scene) if scenes.iter().any(|(_, seen)| *seen == scene) => {
                    self.report.fault(&path, &node.origin, format!("{} is listed twice", scene.as_str()));
                }
                Some(scene) => scenes.push((node, scene)),
                None => {
                    let known = Scene::ALL.map(Scene::as_str).join(", ");
                    self.report.fault(&path, &node.origin, format!("no such scene; known: {known}"));
                }
            }
        }
        Some((path, scenes))
    }

    fn check_scenes(&self, scenes: &Scenes, offered: &[Scene]) {
        let Some((path, list)) = scenes else { return };
        for (node, scene) in list.iter().filter(|(_, scene)| !offered.contains(scene)) {
            let offered: Vec<&str> = offered.iter().map(|scene| scene.as_str()).collect();
            let message = format!("the provider cannot do {}; it can: {}", scene.as_str(), offered.join(", "));
            self.report.fault(path, &node.origin, message);
        }
    }
}

const NAME: &str = "must be 1 to 64 of A-Z a-z 0-9 . _ -";

fn read_amount(fields: &mut Fields<'_>) -> AmountRange {
    let mut table = fields.section("amount");
    let min = table.integer("min", 1..=AMOUNT_MAX).unwrap_or(1);
    let max = table.integer("max", 1..=AMOUNT_MAX).unwrap_or(AMOUNT_MAX);
    if min > max {
        table.report.fault(&table.path, &table.origin, format!("min {min} is more than max {max}"));
    }
    table.finish();
    AmountRange { min, max }
}

fn read_daily_limit(fields: &mut Fields<'_>) -> DailyLimit {
    let mut table = fields.section("daily_limit");
    let limit =
        DailyLimit { amount: table.integer("amount", 1..=i64::MAX), count: table.integer("count", 1..=i64::MAX) };
    table.finish();
    limit
}

fn read_capacity(fields: &mut Fields<'_>) -> Capacity {
    let mut table = fields.section("capacity");
    let mut count = |key, default| {
        let written = table.integer(key, 1..=100_000);
        written.and_then(|count| u32::try_from(count).ok()).unwrap_or(default)
    };
    let capacity = Capacity { max_in_flight: count("max_in_flight", 64), per_second: count("per_second", 300) };
    table.finish();
    capacity
}

/// Hides inline secrets: text that was loaded as one, and any text under a key that sounds like one.
fn mask(section: &mut serde_json::Value, key: &str, secrets: &SecretReader<'_>) {
    match section {
        serde_json::Value::String(text) => {
            if secrets.is_inline_secret(text) || sounds_secret(key) {
                "***".clone_into(text);
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| mask(item, key, secrets)),
        serde_json::Value::Object(table) => table.iter_mut().for_each(|(key, value)| mask(value, key, secrets)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

fn sounds_secret(key: &str) -> bool {
    let telling = ["key", "secret", "password", "token", "cert"];
    telling.iter().any(|word| key.contains(word)) && !key.ends_with("_id")
}
