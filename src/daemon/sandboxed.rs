//! Provider servers of our own beside the daemon, where the configuration has a `[sandbox]` section.
//!
//! They start before the configuration is checked, because they make the keys that its channels name. Nothing of
//! them is used otherwise: the daemon calls them over HTTP like any provider.

use crate::config::BUILT_IN;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tongdao_sandbox::{Accounts, AlipayAccount, Options, Sandbox, UnionpayAccount, WechatpayAccount};

/// Why the provider servers did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(String, std::io::Error),
    /// A server did not start.
    #[error("the sandbox providers did not start: {0}")]
    Start(#[from] tongdao_sandbox::StartError),
}

#[derive(Deserialize)]
struct File {
    sandbox: Option<Section>,
    #[serde(default)]
    channels: Vec<toml::Table>,
}

#[derive(Deserialize)]
struct Section {
    keys_dir: PathBuf,
    control: SocketAddr,
    listen: BTreeMap<String, SocketAddr>,
}

/// Starts the provider servers that a configuration asks for. `None` when it asks for none, or cannot be parsed (the
/// loader says why).
///
/// # Errors
/// A file that cannot be read, a socket that is taken.
pub async fn start_sandbox(path: Option<&Path>) -> Result<Option<Sandbox>, SandboxError> {
    let text = match path {
        None => BUILT_IN.to_owned(),
        Some(path) => std::fs::read_to_string(path).map_err(|e| SandboxError::Read(path.display().to_string(), e))?,
    };
    let Ok(File { sandbox: Some(section), channels }) = toml::from_str::<File>(&text) else { return Ok(None) };
    Ok(Some(Sandbox::start(options_of(section, &channels)).await?))
}

fn options_of(section: Section, channels: &[toml::Table]) -> Options {
    let mut options = Options::new(section.keys_dir);
    options.control = section.control;
    for (provider, address) in section.listen {
        match provider.as_str() {
            "wechatpay" => options.wechatpay = address,
            "alipay" => options.alipay = address,
            "unionpay" => options.unionpay = address,
            _ => {}
        }
    }
    options.accounts = accounts_of(channels);
    options
}

/// The accounts that the channels name are the accounts that the servers know.
fn accounts_of(channels: &[toml::Table]) -> Accounts {
    let text = |table: &toml::Table, key: &str| table.get(key).and_then(|v| v.as_str()).map(str::to_owned);
    let of = |provider: &'static str| channels.iter().filter_map(move |c| c.get(provider).and_then(|t| t.as_table()));
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
