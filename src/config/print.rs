//! Writes the configuration in force as TOML, defaults filled in, for `tongdao config print`.
//!
//! Invariant: a secret is shown as where it comes from (`{ file = … }`) or as stars, never as itself; the output of
//! a configuration whose secrets are in files reads back as the same configuration.

use super::Config;
use super::model::{Channel, LatePayment, Merchant, SandboxServers, UnprovableEnd};
use super::quantity::{show_duration, show_size};
use super::secret::quoted;
use super::section::show_store_url;
use tongdao_core::provider::Environment;

type Lines = Vec<(String, String)>;

pub(super) fn redacted(config: &Config) -> String {
    let mut out = String::new();
    section(&mut out, "[server]", server(config));
    let store = vec![
        ("url".into(), quoted(&show_store_url(&config.store.url))),
        ("cache_capacity".into(), quoted(&show_size(config.store.cache_capacity))),
    ];
    section(&mut out, "[store]", store);
    section(&mut out, "[routing]", routing(config));
    section(&mut out, "[reconciliation]", reconciliation(config));
    if let Some(sandbox) = &config.sandbox {
        section(&mut out, "[sandbox]", sandbox_lines(sandbox));
    }
    for merchant in &config.merchants {
        section(&mut out, "[[merchants]]", merchant_lines(merchant));
        for key in &merchant.keys {
            let lines = vec![("id".into(), quoted(&key.id)), ("secret".into(), key.secret.source.clone())];
            section(&mut out, "[[merchants.keys]]", lines);
        }
    }
    for channel in &config.channels {
        section(&mut out, "[[channels]]", channel_lines(channel));
        section(&mut out, &format!("[channels.{}]", channel.provider_id), provider_lines(&channel.section));
    }
    out
}

fn section(out: &mut String, head: &str, lines: Lines) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(head);
    out.push('\n');
    for (key, value) in lines {
        out.push_str(&key);
        out.push_str(" = ");
        out.push_str(&value);
        out.push('\n');
    }
}

fn reconciliation(config: &Config) -> Lines {
    let of = &config.reconciliation;
    let mut lines: Lines = vec![
        ("automatic".into(), of.automatic.to_string()),
        ("spool".into(), quoted(&of.spool.display().to_string())),
        ("file_max".into(), quoted(&show_size(of.file_max))),
        ("download_deadline".into(), quoted(&show_duration(of.download_deadline))),
    ];
    lines.extend(of.confirm_above.map(|most| ("confirm_above".to_owned(), most.to_string())));
    lines
}

fn server(config: &Config) -> Lines {
    let server = &config.server;
    let environment = match server.environment {
        Environment::Production => "production",
        Environment::Sandbox => "sandbox",
    };
    let mut lines = vec![
        ("public_listen".into(), quoted(&server.public_listen.to_string())),
        ("admin_listen".into(), quoted(&server.admin_listen.to_string())),
        ("admin_socket".into(), quoted(&server.admin_socket.display().to_string())),
        ("public_url".into(), quoted(&server.public_url)),
        ("environment".into(), quoted(environment)),
        ("allow_private_webhook_targets".into(), server.allow_private_webhook_targets.to_string()),
        ("allow_inline_secrets".into(), server.allow_inline_secrets.to_string()),
        ("shutdown_deadline".into(), quoted(&show_duration(server.shutdown_deadline))),
    ];
    if let Some(token) = &server.admin_token {
        lines.push(("admin_token".into(), token.source.clone()));
    }
    lines
}

fn routing(config: &Config) -> Lines {
    let routing = &config.routing;
    vec![
        ("max_channels".into(), routing.max_channels.to_string()),
        ("budget".into(), quoted(&show_duration(routing.budget))),
        ("margin_bps".into(), routing.margin_bps.to_string()),
        ("explore".into(), routing.explore.to_string()),
    ]
}

fn sandbox_lines(sandbox: &SandboxServers) -> Lines {
    let listen = sandbox.listen.iter().map(|(id, address)| format!("{id} = {}", quoted(&address.to_string())));
    vec![
        ("keys_dir".into(), quoted(&sandbox.keys_dir.display().to_string())),
        ("control".into(), quoted(&sandbox.control.to_string())),
        ("listen".into(), format!("{{ {} }}", listen.collect::<Vec<_>>().join(", "))),
    ]
}

fn merchant_lines(merchant: &Merchant) -> Lines {
    let late_payment = match merchant.late_payment {
        LatePayment::Deliver => "deliver",
        LatePayment::Refund => "refund",
    };
    let unprovable_end = match merchant.unprovable_end {
        UnprovableEnd::Overlap => "overlap",
        UnprovableEnd::Wait => "wait",
    };
    let limit = merchant.rate_limit;
    let mut lines = vec![("id".into(), quoted(merchant.id.as_str())), ("name".into(), quoted(&merchant.name))];
    let urls = [("notify_url", &merchant.notify_url), ("return_url", &merchant.return_url)];
    lines.extend(urls.iter().filter_map(|(key, url)| Some(((*key).to_owned(), quoted(url.as_deref()?)))));
    let secrets: Vec<&str> = merchant.webhook_secrets.iter().map(|secret| secret.source.as_str()).collect();
    lines.push(("webhook_secret".into(), format!("[{}]", secrets.join(", "))));
    lines.push(("late_payment".into(), quoted(late_payment)));
    lines.push(("unprovable_end".into(), quoted(unprovable_end)));
    let text = format!("{{ per_second = {}, burst = {} }}", limit.per_second, limit.burst);
    lines.push(("rate_limit".into(), text));
    lines
}

fn channel_lines(channel: &Channel) -> Lines {
    let scenes: Vec<String> = channel.scenes.iter().map(|scene| quoted(scene.as_str())).collect();
    let limits = [("amount", channel.daily_limit.amount), ("count", channel.daily_limit.count)];
    let limits = limits.iter().filter_map(|(key, limit)| limit.map(|limit| format!("{key} = {limit}")));
    let capacity = channel.capacity;
    let capacity = format!("{{ max_in_flight = {}, per_second = {} }}", capacity.max_in_flight, capacity.per_second);
    vec![
        ("id".into(), quoted(channel.id.as_str())),
        ("provider".into(), quoted(channel.provider_id.as_str())),
        ("enabled".into(), channel.enabled.to_string()),
        ("scenes".into(), format!("[{}]", scenes.join(", "))),
        ("fee_bps".into(), channel.fee_bps.to_string()),
        ("amount".into(), format!("{{ min = {}, max = {} }}", channel.amount.min, channel.amount.max)),
        ("daily_limit".into(), format!("{{ {} }}", limits.collect::<Vec<_>>().join(", "))),
        ("capacity".into(), capacity),
        ("timeout".into(), quoted(&show_duration(channel.timeout))),
    ]
}

fn provider_lines(section: &serde_json::Value) -> Lines {
    let table = section.as_object();
    table.into_iter().flatten().map(|(key, value)| (word(key), inline(value))).collect()
}

fn inline(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        serde_json::Value::Object(table) => {
            let entries = table.iter().map(|(key, value)| format!("{} = {}", word(key), inline(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => value.to_string(),
    }
}

fn word(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { key.to_owned() } else { quoted(key) }
}
