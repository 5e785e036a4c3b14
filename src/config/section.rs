//! Reads `[server]`, `[store]`, `[routing]` and `[sandbox]`: one table each, every key with its default.
//!
//! Invariant: the defaults here and the comments of `config/default.toml` say the same; whoever changes one changes
//! the other. What stands in lists (merchants, channels) has its own readers.

use super::fields::Fields;
use super::model::{Reconciliation, Routing, SandboxServers, Server, Store, StoreUrl};
use super::secret::SecretReader;
use super::tree::{Node, Value};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tongdao_core::provider::Environment;

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What must be known before any secret is read.
pub(super) fn read_allow_inline(root: &Node) -> bool {
    let written = root.child("server").and_then(|server| server.child("allow_inline_secrets"));
    match written.map(|node| &node.value) {
        Some(Value::Boolean(allowed)) => *allowed,
        Some(Value::Text(raw)) => raw == "true",
        Some(Value::Integer(_) | Value::Float(_) | Value::Moment(_) | Value::List(_) | Value::Table(_)) | None => false,
    }
}

pub(super) fn read_server(mut fields: Fields<'_>, secrets: &SecretReader<'_>) -> Server {
    let admin_token = secrets.token(&mut fields, "admin_token");
    if admin_token.is_none() {
        fields.report.warn("server.admin_token", "is not set: the admin API answers on its Unix socket only");
    }
    let environment = fields.parsed("environment", read_environment).unwrap_or(Environment::Production);
    let server = Server {
        public_listen: fields.parsed("public_listen", read_address).unwrap_or(loopback(8080)),
        admin_listen: fields.parsed("admin_listen", read_address).unwrap_or(loopback(8081)),
        admin_socket: fields.parsed("admin_socket", read_path).unwrap_or_else(|| "data/admin.sock".into()),
        public_url: fields.parsed("public_url", read_public_url).unwrap_or_else(|| "http://127.0.0.1:8080".to_owned()),
        admin_token,
        allow_private_webhook_targets: fields.boolean("allow_private_webhook_targets", false),
        allow_inline_secrets: fields.boolean("allow_inline_secrets", false),
        environment,
        shutdown_deadline: fields.duration("shutdown_deadline", Duration::ZERO..=seconds(300), seconds(10)),
    };
    if environment == Environment::Production && !server.public_url.starts_with("https://") {
        fields.report.warn("server.public_url", "is not https: providers and payers would be given a plain address");
    }
    fields.finish();
    server
}

pub(super) fn read_store(mut fields: Fields<'_>) -> Store {
    let url = fields.parsed("url", read_store_url);
    let cache_capacity = fields.size("cache_capacity", 1 << 20..=64 << 30, 64 << 20);
    fields.finish();
    Store { url: url.unwrap_or_else(|| StoreUrl::Embedded("data/store".into())), cache_capacity }
}

pub(super) fn read_routing(mut fields: Fields<'_>) -> Routing {
    let max_channels = fields.integer("max_channels", 1..=8).and_then(|count| usize::try_from(count).ok());
    let budget = fields.duration("budget", Duration::from_millis(100)..=seconds(30), seconds(4));
    let margin_bps = fields.integer("margin_bps", 1..=10_000).and_then(|bps| u32::try_from(bps).ok());
    let explore = fields.boolean("explore", true);
    fields.finish();
    Routing { max_channels: max_channels.unwrap_or(3), budget, margin_bps: margin_bps.unwrap_or(1000), explore }
}

pub(super) fn read_reconciliation(mut fields: Fields<'_>) -> Reconciliation {
    let confirm_above = fields.integer("confirm_above", 0..=i64::MAX);
    let reconciliation = Reconciliation {
        confirm_above,
        automatic: fields.boolean("automatic", true),
        spool: fields.parsed("spool", read_path).unwrap_or_else(|| "data/spool".into()),
        file_max: fields.size("file_max", 1 << 10..=64 << 30, 1 << 30),
        download_deadline: fields.duration("download_deadline", seconds(1)..=seconds(7200), seconds(900)),
    };
    fields.finish();
    reconciliation
}

pub(super) fn read_sandbox(mut fields: Fields<'_>, environment: Environment) -> SandboxServers {
    if environment == Environment::Production {
        fields.report.fault(&fields.path, &fields.origin, "needs [server] environment = \"sandbox\"");
    }
    let keys_dir = fields.parsed("keys_dir", read_path).unwrap_or_else(|| "data/sandbox".into());
    let control = fields.parsed("control", read_address).unwrap_or(loopback(9100));
    let mut listen = BTreeMap::new();
    if let Some(mut table) = fields.table("listen") {
        for (provider, node) in table.entries() {
            let address = match &node.value {
                Value::Text(text) => read_address(text),
                Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Moment(_)
                | Value::List(_)
                | Value::Table(_) => Err(format!("expected an address in quotes, found {}", node.kind())),
            };
            match address {
                Ok(address) => drop(listen.insert(provider, address)),
                Err(message) => table.report.fault(&table.path_of(&provider), &node.origin, message),
            }
        }
    } else {
        fields.missing("listen");
    }
    fields.finish();
    SandboxServers { keys_dir, control, listen }
}

/// Absolute URL of ours without a slash at its end; a path in front of a reverse proxy may stand in it.
fn read_public_url(text: &str) -> Result<String, String> {
    check_web_url(text)?;
    if text.contains(['?', '#']) {
        return Err("must have no query and no fragment".into());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// An http or https URL of a page.
pub(super) fn check_web_url(text: &str) -> Result<(), String> {
    let url = reqwest::Url::parse(text).map_err(|_| "is not an absolute URL".to_owned())?;
    let plain = matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty();
    if plain && !text.contains(char::is_whitespace) { Ok(()) } else { Err("is not an http or https URL".into()) }
}

fn read_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address with its port, such as \"127.0.0.1:8080\"".into())
}

fn read_path(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() { Err("the path is empty".into()) } else { Ok(text.into()) }
}

fn read_environment(text: &str) -> Result<Environment, String> {
    match text {
        "production" => Ok(Environment::Production),
        "sandbox" => Ok(Environment::Sandbox),
        _ => Err("expected \"production\" or \"sandbox\"".into()),
    }
}

fn read_store_url(text: &str) -> Result<StoreUrl, String> {
    match text.split_once(':') {
        Some(("embedded", path)) if !path.trim().is_empty() => Ok(StoreUrl::Embedded(path.into())),
        Some(("memory", "")) => Ok(StoreUrl::Memory),
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(StoreUrl::Postgres(text.to_owned())),
        _ => Err("expected \"embedded:DIRECTORY\", \"memory:\" or \"postgres://user@host/database\"".into()),
    }
}

/// The store's URL without a password.
pub(super) fn show_store_url(url: &StoreUrl) -> String {
    match url {
        StoreUrl::Embedded(path) => format!("embedded:{}", path.display()),
        StoreUrl::Memory => "memory:".to_owned(),
        StoreUrl::Postgres(url) => reqwest::Url::parse(url)
            .map(|mut url| {
                let hidden = url.password().is_none() || url.set_password(Some("***")).is_ok();
                if hidden { url.to_string() } else { "postgres://***".to_owned() }
            })
            .unwrap_or_else(|_| "postgres://***".to_owned()),
    }
}
