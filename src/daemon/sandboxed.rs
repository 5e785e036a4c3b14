//! Provider servers of our own beside the daemon, where the configuration has a `[sandbox]` section.
//!
//! They start before the configuration is checked, because they make the keys that its channels name. Nothing of
//! them is used otherwise: the daemon calls them over HTTP like any provider.

use crate::config::{BUILT_IN, Env, SandboxServers, read_sandbox_servers};
use std::path::Path;
use tongdao_sandbox::{Accounts, AlipayAccount, Options, Sandbox, StartError, UnionpayAccount, WechatpayAccount};

/// Starts the provider servers that a configuration asks for. `None` when it asks for none, or cannot be read (the
/// loader says why).
///
/// # Errors
/// A socket that is taken, keys that cannot be made.
pub async fn start_sandbox(path: Option<&Path>, env: &Env) -> Result<Option<Sandbox>, StartError> {
    let Some(servers) = read_sandbox_servers(path, env) else { return Ok(None) };
    let text = path.map_or_else(|| Ok(BUILT_IN.to_owned()), std::fs::read_to_string).unwrap_or_default();
    let file: toml::Table = toml::from_str(&text).unwrap_or_default();
    Ok(Some(Sandbox::start(options_of(&servers, &file)).await?))
}

fn options_of(servers: &SandboxServers, file: &toml::Table) -> Options {
    let mut options = Options::new(&servers.keys_dir);
    options.control = servers.control;
    for (provider, slot) in
        [("wechatpay", &mut options.wechatpay), ("alipay", &mut options.alipay), ("unionpay", &mut options.unionpay)]
    {
        if let Some(address) = servers.listen.get(provider) {
            *slot = *address;
        }
    }
    options.accounts = accounts_of(file);
    options
}

/// The accounts that the channels name are the accounts that the servers know.
fn accounts_of(file: &toml::Table) -> Accounts {
    let channels = file.get("channels").and_then(|v| v.as_array()).map(Vec::as_slice).unwrap_or_default();
    let of = |provider: &'static str| channels.iter().filter_map(move |c| c.get(provider));
    let text = |table: &toml::Value, key: &str| table.get(key).and_then(|v| v.as_str()).map(str::to_owned);
    Accounts {
        wechatpay: of("wechatpay")
            .filter_map(|t| Some(WechatpayAccount { mch_id: text(t, "mch_id")?, app_id: text(t, "app_id")? }))
            .collect(),
        alipay: of("alipay")
            .filter_map(|t| Some(AlipayAccount { app_id: text(t, "app_id")?, seller_id: text(t, "seller_id")? }))
            .collect(),
        unionpay: of("unionpay").filter_map(|t| Some(UnionpayAccount { mer_id: text(t, "mer_id")? })).collect(),
    }
}
