//! What a sandbox is started with: sockets, accounts, keys directory, clock, the payers' habits and the seed.
//! Guards: plain values without side effects; defaults give one account at each provider and free ports on loopback.
//! Must not know: how servers use them.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::payers::PayerHabits;

/// The firm whose protocol a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderName {
    /// WeChat Pay API v3.
    Wechatpay,
    /// Alipay open API (`gateway.do`).
    Alipay,
    /// UnionPay ACP 5.1.0.
    Unionpay,
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wechatpay => "wechatpay",
            Self::Alipay => "alipay",
            Self::Unionpay => "unionpay",
        })
    }
}

/// Everything `Sandbox::start` needs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where keys and certificates are made once and read again; see `keys`.
    pub keys_dir: PathBuf,
    /// Socket of the WeChat Pay server; port 0 takes a free one.
    pub wechatpay: SocketAddr,
    /// Socket of the Alipay server.
    pub alipay: SocketAddr,
    /// Socket of the UnionPay server.
    pub unionpay: SocketAddr,
    /// Socket of the control server and its page.
    pub control: SocketAddr,
    /// The merchants' accounts at the providers.
    pub accounts: Accounts,
    /// The time all servers live in.
    pub clock: Clock,
    /// How long one second of the providers' schedules (callback retries, refund settling) lasts, in ms of real time.
    pub callback_unit_ms: u64,
    /// Simulated payers; off by default.
    pub payers: PayerHabits,
    /// A day's statement is there at once, today's too, instead of on the next morning. For demos and tests.
    pub statements_ready_at_once: bool,
    /// Seed of everything drawn by chance, together with the clock's time at the start: a restart under a running clock
    /// must not give out the same trade numbers and nonces again.
    pub seed: u64,
}

impl Options {
    /// Default accounts, the system clock, and free ports on loopback.
    pub fn new(keys_dir: impl Into<PathBuf>) -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            keys_dir: keys_dir.into(),
            wechatpay: free,
            alipay: free,
            unionpay: free,
            control: free,
            accounts: Accounts::default(),
            clock: Clock::system(),
            callback_unit_ms: 1000,
            payers: PayerHabits::default(),
            statements_ready_at_once: false,
            seed: 1,
        }
    }
}

/// The accounts known to the three servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accounts {
    /// WeChat Pay merchants, told apart by `mch_id`.
    pub wechatpay: Vec<WechatpayAccount>,
    /// Alipay applications, told apart by `app_id`.
    pub alipay: Vec<AlipayAccount>,
    /// UnionPay merchants, told apart by `mer_id`.
    pub unionpay: Vec<UnionpayAccount>,
}

/// One WeChat Pay merchant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WechatpayAccount {
    /// Merchant number.
    pub mch_id: String,
    /// Application bound to the merchant.
    pub app_id: String,
}

/// One Alipay application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlipayAccount {
    /// Application number.
    pub app_id: String,
    /// The seller's user number (2088…).
    pub seller_id: String,
}

/// One UnionPay merchant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnionpayAccount {
    /// Merchant number.
    pub mer_id: String,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            wechatpay: vec![WechatpayAccount { mch_id: "1900000001".into(), app_id: "wx5a2d0c4e1f8b7a63".into() }],
            alipay: vec![AlipayAccount { app_id: "2021000000000001".into(), seller_id: "2088000000000001".into() }],
            unionpay: vec![UnionpayAccount { mer_id: "777290058110001".into() }],
        }
    }
}
