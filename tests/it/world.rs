//! One world a test: sandbox, daemon, merchant and a clock.

use crate::merchant::Merchant;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;
use tongdao::client::{Ask, MerchantClient, Verb, Way, ask};
use tongdao::clock::SystemClock;
use tongdao::config::Config;
use tongdao::daemon::{self, Running};
use tongdao::ports::Clock as _;
use tongdao::reload::{ReloadRefused, Reloaded};
use tongdao_core::secret::Secret;
use tongdao_sandbox::{
    Clock, Fault, FaultKind, FaultScope, FaultSetting, Operation, Options, ProviderName, Sandbox, ScanRequest, Scanned,
    WechatpayAccount,
};

pub const WEBHOOK_SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
pub const KEY: &str = "a merchant key of at least 32 bytes, for tests";

/// Everything that a test plays with.
pub struct World {
    pub daemon: Option<Running>,
    pub sandbox: Sandbox,
    pub merchant: Merchant,
    pub clock: SystemClock,
    pub client: MerchantClient,
    config: PathBuf,
    dir: tempfile::TempDir,
}

/// What a test wants otherwise than usual.
#[derive(Default)]
pub struct Wishes {
    /// Lines for the merchant's section.
    pub merchant: &'static str,
    /// Lines for every channel.
    pub channel: &'static str,
    /// Texts of the configuration and what stands there instead.
    pub instead: Vec<(&'static str, String)>,
    /// What stands behind the usual configuration.
    pub more: &'static str,
    /// Another account that the sandbox's WeChat Pay knows.
    pub second_wechat: bool,
}

impl World {
    pub async fn start() -> Self {
        Self::with(Wishes::default()).await
    }

    pub async fn with(wishes: Wishes) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = SystemClock::new();
        let sandbox = start_sandbox_with(&clock, wishes.second_wechat).await;
        let merchant = Merchant::start(WEBHOOK_SECRET.to_vec()).await;
        let port = free_port();
        let config = dir.path().join("test.toml");
        std::fs::write(&config, config_text(&dir, &sandbox, &merchant, port, &wishes)).unwrap();
        let daemon = start_daemon(&config, &clock).await;
        let client = client(&daemon, "key_test", KEY, &clock);
        Self { daemon: Some(daemon), sandbox, merchant, clock, client, config, dir }
    }

    /// Stops the daemon in order and starts it again on what it left.
    pub async fn restart(&mut self) {
        let daemon = self.daemon.take().unwrap();
        assert!(daemon.stop().await, "the daemon did not stop in time");
        self.daemon = Some(start_daemon(&self.config, &self.clock).await);
    }

    /// Changes the configuration file and lets the daemon read it again.
    pub async fn reload(&self, usual: &str, instead: &str) -> Result<Reloaded, ReloadRefused> {
        let before = std::fs::read_to_string(&self.config).unwrap();
        assert!(before.contains(usual), "nothing to replace: {usual}");
        std::fs::write(&self.config, before.replacen(usual, instead, 1)).unwrap();
        let reloaded = self.daemon.as_ref().unwrap().reloader.reload(false, "test").await;
        if reloaded.is_err() {
            std::fs::write(&self.config, before).unwrap();
        }
        reloaded
    }

    /// The text of a channel in the configuration file, up to the next one.
    pub fn channel_text(&self, id: &str, next: &str) -> String {
        let text = std::fs::read_to_string(&self.config).unwrap();
        let at = |id: &str| text.find(&format!("[[channels]]\nid = \"{id}\"")).unwrap();
        text[at(id)..at(next)].to_owned()
    }

    /// What an admin path answers to a body: 200 or 201.
    pub async fn admin_post(&self, path: &str, body: &Value) -> Value {
        let way = Way::Socket(self.directory().join("admin.sock"));
        let asked = Ask { path, verb: Verb::Post(body), token: None, deadline: Duration::from_secs(10) };
        let answer = ask(&way, asked).await.unwrap();
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// What an admin path answers.
    pub async fn admin(&self, path: &str) -> Value {
        let way = Way::Socket(self.directory().join("admin.sock"));
        let asked = Ask { path, verb: Verb::Get, token: None, deadline: Duration::from_secs(10) };
        let answer = ask(&way, asked).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body))
    }

    /// How a channel stands.
    pub async fn channel(&self, id: &str) -> Value {
        let channels = self.admin("/admin/v1/channels").await;
        channels["data"].as_array().unwrap().iter().find(|channel| channel["id"] == id).unwrap().clone()
    }

    /// Where the daemon keeps its store and its admin socket.
    pub fn directory(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// What the daemon was configured with.
    pub fn config_text(&self) -> String {
        std::fs::read_to_string(&self.config).unwrap()
    }

    pub fn advance_s(&self, s: i64) {
        self.clock.advance_ms(s * 1000);
    }

    /// Opens a charge of 19.99 and answers it; `more` is merged in.
    pub async fn open(&self, more: Value) -> Value {
        let (status, charge) = self.try_open(more).await;
        assert_eq!(status, 201, "{charge}");
        charge
    }

    pub async fn try_open(&self, more: Value) -> (u16, Value) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let n = COUNT.fetch_add(1, Ordering::SeqCst);
        let mut body = json!({ "merchant_order_no": format!("T{n}"), "amount": 1999, "subject": "点卡 100 元" });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.client.post("/v1/charges", &body).await.unwrap()
    }

    pub async fn charge(&self, id: &str) -> Value {
        let (status, charge) = self.client.get(&format!("/v1/charges/{id}")).await.unwrap();
        assert_eq!(status, 200, "{charge}");
        charge
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.client.post(path, &body).await.unwrap()
    }

    /// A payer pays the charge's current code.
    pub fn pay(&self, charge: &Value) -> Scanned {
        self.scan(&code_of(&charge["attempt"])).unwrap()
    }

    pub fn scan(&self, code: &str) -> Result<Scanned, tongdao_sandbox::ScanRefused> {
        self.sandbox.scan(&ScanRequest::code(code))
    }

    /// Waits (in real time, at most 2 s) until the charge looks as wanted.
    pub async fn until(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        // Ends at once when it is so; the bound is for a machine that does other things too.
        for _ in 0..1500 {
            last = self.charge(id).await;
            if wanted(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {what}: {last:#}");
    }

    /// Moves the clock in steps until the charge looks as wanted. A step ends when the daemon has done what was due.
    pub async fn advance_until(&self, id: &str, step_s: i64, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..60 {
            self.advance_s(step_s);
            for poll in 0..100 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                last = self.charge(id).await;
                if wanted(&last) {
                    return last;
                }
                if poll >= 4 && self.is_idle().await {
                    break;
                }
            }
        }
        panic!("never {what}: {last:#}");
    }

    /// Whether no timer of the daemon is due or at work.
    async fn is_idle(&self) -> bool {
        let flow = &self.daemon.as_ref().unwrap().flow;
        flow.store().due(self.clock.now(), 1).await.unwrap().is_empty()
    }

    /// Posts until the answer is no `request_in_progress`: something of the daemon's own may be at work just then.
    pub async fn post_in_turn(&self, path: &str, body: Value) -> (u16, Value) {
        for _ in 0..200 {
            let (status, answer) = self.post(path, body.clone()).await;
            if answer["code"] != "request_in_progress" {
                return (status, answer);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path} is in progress for ever");
    }

    pub fn fault(&self, provider: ProviderName, operation: Operation, fault: Fault) {
        let scope = FaultScope { provider, account: None, operation: Some(operation) };
        self.sandbox.set_fault(FaultSetting { scope, fault });
    }

    pub fn break_create(&self, provider: ProviderName, kind: FaultKind) {
        self.fault(provider, Operation::Create, Fault::kind(kind));
    }

    /// Loses every callback of all providers.
    pub fn lose_callbacks(&self) {
        for provider in [ProviderName::Wechatpay, ProviderName::Alipay, ProviderName::Unionpay] {
            self.fault(provider, Operation::Callback, Fault { lost_ratio: 1.0, ..Fault::default() });
        }
    }

    /// The three books: what the providers hold, what the daemon says is paid less refunded, in fen.
    pub fn provider_net(&self) -> i64 {
        let payments = self.sandbox.ledger().payments;
        payments.iter().map(|payment| payment.amount - payment.refunded).sum()
    }
}

/// The text that a payer scans.
pub fn code_of(attempt: &Value) -> String {
    let pay = &attempt["pay"];
    match pay["type"].as_str() {
        Some("qr_code" | "redirect") => pay["url"].as_str().unwrap().to_owned(),
        Some("app") => {
            let params = pay["params"].as_object().unwrap();
            let text = |key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
            text("tn").or_else(|| text("order_string")).or_else(|| text("prepayId")).unwrap()
        }
        _ => attempt["provider_order_no"].as_str().unwrap().to_owned(),
    }
}

/// A merchant's client of the daemon, on the test's clock.
pub fn client(daemon: &Running, key_id: &str, key: &str, clock: &SystemClock) -> MerchantClient {
    client_at(&format!("http://{}", daemon.public_addr), key_id, key, clock)
}

pub fn client_at(base_url: &str, key_id: &str, key: &str, clock: &SystemClock) -> MerchantClient {
    let client = MerchantClient::new(base_url, key_id, Secret::new(key.as_bytes().to_vec())).unwrap();
    client.with_clock(clock.clone())
}

pub async fn start_sandbox(clock: &SystemClock) -> Sandbox {
    start_sandbox_with(clock, false).await
}

async fn start_sandbox_with(clock: &SystemClock, second_wechat: bool) -> Sandbox {
    static KEYS: OnceCell<()> = OnceCell::const_new();
    let keys_dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("it-keys");
    let options = |clock: &SystemClock| {
        let clock = clock.clone();
        let mut options = Options::new(&keys_dir);
        options.clock = Clock::new(move || clock.now().0);
        options.callback_unit_ms = 20;
        let (mch_id, app_id) = ("1900000002".into(), "wx5a2d0c4e1f8b7a64".into());
        options.accounts.wechatpay.push(WechatpayAccount { mch_id, app_id });
        options
    };
    // Keys are made once for all tests.
    KEYS.get_or_init(|| async { Sandbox::start(options(clock)).await.unwrap().stop().await }).await;
    let mut options = options(clock);
    options.accounts.wechatpay.truncate(if second_wechat { 2 } else { 1 });
    Sandbox::start(options).await.unwrap()
}

async fn start_daemon(config: &Path, clock: &SystemClock) -> Running {
    let config = Config::load_with(Some(config), &Default::default(), tongdao_providers::REGISTRY);
    let config = config.unwrap_or_else(|faults| panic!("{faults}"));
    daemon::start(config, clock.clone()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A free port below those that the kernel gives to anybody who asks for one, so that no other connection takes it
/// before the daemon does; each is handed out once in this process.
pub fn free_port() -> u16 {
    static HANDED_OUT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 9_000).unwrap();
    loop {
        let port = 20_000 + (first + HANDED_OUT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub fn config_text(
    dir: &tempfile::TempDir,
    sandbox: &Sandbox,
    merchant: &Merchant,
    port: u16,
    wishes: &Wishes,
) -> String {
    use base64::Engine as _;
    let at = sandbox.addresses();
    let keys = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("it-keys");
    let filled = [
        ("port", port.to_string()),
        ("dir", dir.path().display().to_string()),
        ("shop", merchant.addr.to_string()),
        ("whsec", base64::engine::general_purpose::STANDARD.encode(WEBHOOK_SECRET)),
        ("key", KEY.to_owned()),
        ("keys", keys.display().to_string()),
        ("wechatpay", at.wechatpay.to_string()),
        ("alipay", at.alipay.to_string()),
        ("unionpay", at.unionpay.to_string()),
        ("of_merchant", wishes.merchant.to_owned()),
        ("of_channel", wishes.channel.to_owned()),
    ];
    let template = wishes.instead.iter().fold(include_str!("world.toml").to_owned(), |text, (usual, other)| {
        assert!(text.contains(usual), "nothing to replace: {usual}");
        text.replace(usual, other)
    });
    let template = format!("{template}{}", wishes.more);
    filled.iter().fold(template, |text, (name, value)| text.replace(&format!("@{name}@"), value))
}
