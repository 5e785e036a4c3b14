//! The demo's own directory: keys, configuration, store and log of the daemon; gone at the end unless it is kept.
//!
//! Invariant: nothing outside of it is written, and its files are readable by their owner only, like a real
//! installation's. It knows where things are, not what is done with them.

use crate::clock::SystemClock;
use crate::config::ensure_demo_secrets;
use crate::ports::{Clock as _, Rng as _};
use crate::random::SystemRng;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use tongdao_core::secret::Secret;
use tongdao_sandbox::{Addresses, ProviderName, Sandbox};

/// The API key of the demo's merchant.
pub(crate) const KEY_ID: &str = "key_demo_1";

/// One channel a provider: its id, what a person calls it, and its provider.
pub(crate) const CHANNELS: [Channel; 3] = [
    Channel { id: "wechat-main", name: "微信 WeChat", provider: ProviderName::Wechatpay },
    Channel { id: "alipay-main", name: "支付宝 Alipay", provider: ProviderName::Alipay },
    Channel { id: "unionpay-main", name: "银联 UnionPay", provider: ProviderName::Unionpay },
];

/// A channel of the demo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channel {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) provider: ProviderName,
}

/// Where the daemon and the platform listen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) platform: SocketAddr,
}

impl Ports {
    /// Free ones on loopback. They are let go of before they are used, so another program could take one: the daemon
    /// then says so.
    pub(crate) fn free() -> anyhow::Result<Self> {
        let bind = || std::net::TcpListener::bind("127.0.0.1:0").context("no free port on loopback");
        let (public, admin, platform) = (bind()?, bind()?, bind()?);
        Ok(Self { public: public.local_addr()?, admin: admin.local_addr()?, platform: platform.local_addr()? })
    }
}

/// The directory.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: PathBuf,
    keep: bool,
}

impl Scratch {
    pub(crate) fn new(keep: bool) -> anyhow::Result<Self> {
        Self::new_in(&std::env::temp_dir(), "demo", keep)
    }

    /// One below a directory, named after what it is for.
    pub(crate) fn new_in(parent: &Path, purpose: &str, keep: bool) -> anyhow::Result<Self> {
        let name = format!("tongdao-{purpose}-{}-{:08x}", SystemClock::new().now().as_secs(), SystemRng.draw() >> 96);
        let dir = parent.join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("cannot make {}", dir.display()))?;
        let scratch = Self { dir, keep };
        ensure_demo_secrets(&scratch.path("secrets"), &SystemRng).context("cannot write the demo's secrets")?;
        Ok(scratch)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A secret of the merchant or the admin, without a newline at its end.
    pub(crate) fn secret(&self, name: &str) -> anyhow::Result<Secret> {
        let path = self.path("secrets").join(name);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Secret::new(text.trim_end().as_bytes().to_vec()))
    }

    /// Writes the daemon's configuration, with a further line for every channel; answers its path.
    pub(crate) fn configure(&self, sandbox: &Sandbox, ports: &Ports, line: &str) -> anyhow::Result<PathBuf> {
        let path = self.path("tongdao.toml");
        let text = [self.server(ports), self.channels(sandbox, line)?].concat();
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn server(&self, ports: &Ports) -> String {
        let Ports { public, admin, platform } = ports;
        let (secrets, store) = (self.quoted_base("secrets"), self.path("store"));
        let (socket, spool) = (self.path("admin.sock"), self.path("spool"));
        format!(
            r#"[server]
public_listen = "{public}"
admin_listen = "{admin}"
admin_socket = {socket:?}
public_url = "http://{public}"
admin_token = {{ file = "{secrets}/admin-token" }}
allow_private_webhook_targets = true
environment = "sandbox"

[store]
url = {url:?}

[reconciliation]
automatic = false
spool = {spool:?}

[[merchants]]
id = "m_demo"
name = "演示卡铺"
notify_url = "http://{platform}/notify"
webhook_secret = {{ file = "{secrets}/m_demo.whsec" }}
rate_limit = {{ per_second = 20000, burst = 40000 }}
  [[merchants.keys]]
  id = "{KEY_ID}"
  secret = {{ file = "{secrets}/m_demo.key" }}
"#,
            url = format!("embedded:{}", store.display()),
        )
    }

    fn channels(&self, sandbox: &Sandbox, line: &str) -> anyhow::Result<String> {
        let accounts = sandbox.accounts();
        let wechatpay = accounts.wechatpay.first().context("the sandbox has no WeChat Pay account")?;
        let alipay = accounts.alipay.first().context("the sandbox has no Alipay account")?;
        let unionpay = accounts.unionpay.first().context("the sandbox has no UnionPay account")?;
        let Addresses { wechatpay: wechatpay_at, alipay: alipay_at, unionpay: unionpay_at, .. } = sandbox.addresses();
        let keys = self.quoted_base("keys");
        let sections = [
            wechatpay_section(&format!("{keys}/wechatpay/{}", wechatpay.mch_id), wechatpay_at, wechatpay),
            alipay_section(&format!("{keys}/alipay/{}", alipay.app_id), alipay_at, alipay),
            unionpay_section(&format!("{keys}/unionpay"), unionpay_at, unionpay),
        ];
        // One fee everywhere: the shares that are shown then tell of health alone.
        let head = |channel: &Channel| {
            let Channel { id, provider, .. } = channel;
            format!(
                "\n[[channels]]\nid = \"{id}\"\nprovider = \"{provider}\"\nscenes = [\"qr\"]\nfee_bps = 60\n{line}\n"
            )
        };
        Ok(CHANNELS.iter().zip(sections).map(|(channel, section)| head(channel) + &section).collect())
    }

    /// A directory as it stands inside a quoted text of the file.
    fn quoted_base(&self, name: &str) -> String {
        let quoted = format!("{:?}", self.path(name));
        quoted.trim_matches('"').to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "the demo's directory could not be removed");
        }
    }
}

fn wechatpay_section(keys: &str, at: SocketAddr, account: &tongdao_sandbox::WechatpayAccount) -> String {
    format!(
        r#"  [channels.wechatpay]
  base_url = "http://{at}"
  app_id = "{app_id}"
  mch_id = "{mch_id}"
  merchant_serial = {{ text_file = "{keys}/merchant_serial" }}
  merchant_private_key = {{ file = "{keys}/merchant_key.pem" }}
  api_v3_key = {{ file = "{keys}/api_v3_key" }}
  public_key_id = {{ text_file = "{keys}/public_key_id" }}
  public_key = {{ file = "{keys}/public_key.pem" }}
  platform_certificates = [{{ file = "{keys}/platform_cert.pem" }}]
"#,
        app_id = account.app_id,
        mch_id = account.mch_id,
    )
}

fn alipay_section(keys: &str, at: SocketAddr, account: &tongdao_sandbox::AlipayAccount) -> String {
    format!(
        r#"  [channels.alipay]
  gateway_url = "http://{at}/gateway.do"
  app_id = "{app_id}"
  seller_id = "{seller_id}"
  app_private_key = {{ file = "{keys}/app_key.pem" }}
  alipay_public_key = {{ file = "{keys}/alipay_public_key.pem" }}
"#,
        app_id = account.app_id,
        seller_id = account.seller_id,
    )
}

fn unionpay_section(keys: &str, at: SocketAddr, account: &tongdao_sandbox::UnionpayAccount) -> String {
    format!(
        r#"  [channels.unionpay]
  front_url = "http://{at}/gateway/api/frontTransReq.do"
  app_url = "http://{at}/gateway/api/appTransReq.do"
  back_url = "http://{at}/gateway/api/backTransReq.do"
  query_url = "http://{at}/gateway/api/queryTrans.do"
  file_url = "http://{at}/"
  mer_id = "{mer_id}"
  sign_cert = {{ file = "{keys}/{mer_id}/sign.pem" }}
  root_cert = {{ file = "{keys}/root.cer" }}
  middle_cert = {{ file = "{keys}/middle.cer" }}
"#,
        mer_id = account.mer_id,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongdao_sandbox::Options;

    #[tokio::test]
    async fn the_configuration_it_writes_is_accepted_and_the_directory_is_gone_afterwards() {
        let scratch = Scratch::new(false).unwrap();
        let sandbox = Sandbox::start(Options::new(scratch.path("keys"))).await.unwrap();
        let path = scratch.configure(&sandbox, &Ports::free().unwrap(), "").unwrap();
        let config = crate::config::Config::load(Some(&path), &crate::config::Env::new());
        let config = config.unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(config.channels.len(), 3);
        let dir = scratch.dir().to_owned();
        drop(scratch);
        assert!(!dir.exists());
    }
}
