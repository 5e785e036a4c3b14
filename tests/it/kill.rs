//! The real binary under load, killed with SIGKILL again and again: nothing acknowledged is lost, and in the end the
//! providers' book, the daemon's and the merchant's agree to the fen.

use crate::merchant::Merchant;
use crate::world::{KEY, WEBHOOK_SECRET, Wishes, client_at, config_text, free_port, start_sandbox};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use tongdao::client::MerchantClient;
use tongdao::clock::SystemClock;
use tongdao_sandbox::{PayerHabits, Sandbox};

const ROUNDS: u64 = 50;
const ROUNDS_MAX: u64 = 300;
const ACKNOWLEDGED_MIN: usize = 100;
const AT_ONCE: u64 = 6;

struct Daemon(Child);

impl Daemon {
    fn start(config: &std::path::Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tongdao"));
        command.args(["serve", "--config"]).arg(config).env("TONGDAO_LOG", "error").stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_under_load_lose_nothing_and_the_books_agree() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::new();
    let sandbox = start_sandbox(&clock).await;
    sandbox.set_payers(PayerHabits { pay_ratio: 0.9, abandon_ratio: 0.1, delay_min_ms: 1, delay_max_ms: 150 });
    let merchant = Merchant::start(WEBHOOK_SECRET.to_vec()).await;
    let port = free_port();
    let config = dir.path().join("tongdao.toml");
    std::fs::write(&config, config_text(&dir, &sandbox, &merchant, port, &Wishes::default())).unwrap();
    let client = client_at(&format!("http://127.0.0.1:{port}"), "key_test", KEY, &clock);
    let acknowledged = Mutex::new(BTreeMap::new());
    // On a slow machine few charges are made in a round: it goes on until there is enough to lose.
    for round in 0..ROUNDS_MAX {
        if round >= ROUNDS && acknowledged.lock().unwrap().len() > ACKNOWLEDGED_MIN {
            break;
        }
        let daemon = Daemon::start(&config);
        ready(&client).await;
        let load = futures_util::future::join_all((0..AT_ONCE).map(|n| load(&client, round, n, &acknowledged)));
        // A different moment each round, so that kills fall everywhere in a charge's life.
        let until_kill = Duration::from_millis(15 + (round * 37) % 220);
        drop(tokio::time::timeout(until_kill, load).await);
        daemon.kill();
    }
    let daemon = Daemon::start(&config);
    ready(&client).await;
    sandbox.set_payers(PayerHabits::default());
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > ACKNOWLEDGED_MIN, "only {} charges were acknowledged", acknowledged.len());
    for (no, id) in &acknowledged {
        let (status, charge) = client.get(&format!("/v1/charges/{id}")).await.unwrap();
        assert_eq!(
            (status, charge["merchant_order_no"].as_str()),
            (200, Some(no.as_str())),
            "an acknowledged charge is lost"
        );
    }
    settle(&client, &sandbox, &merchant).await;
    daemon.kill();
}

async fn load(client: &MerchantClient, round: u64, n: u64, acknowledged: &Mutex<BTreeMap<String, String>>) {
    for k in 0.. {
        let no = format!("K{round}-{n}-{k}");
        let channel = ["wechat-main", "alipay-main", "unionpay-main"][usize::try_from((n + k) % 3).unwrap()];
        let ask = json!({ "merchant_order_no": no, "amount": 100 + k, "subject": "点卡", "channel": channel });
        if let Ok((201, charge)) = client.post("/v1/charges", &ask).await {
            acknowledged.lock().unwrap().insert(no, charge["id"].as_str().unwrap().to_owned());
        }
    }
}

async fn ready(client: &MerchantClient) {
    for _ in 0..2400 {
        if client.get("/v1/charges?limit=1").await.is_ok_and(|(status, _)| status == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the daemon did not come up");
}

/// Waits until the three books agree, asking the daemon to look where they do not yet.
async fn settle(client: &MerchantClient, sandbox: &Sandbox, merchant: &Merchant) {
    let mut difference = String::new();
    for _ in 0..120 {
        let charges = all_charges(client).await;
        difference = compare(&charges, sandbox, merchant);
        if difference.is_empty() {
            return;
        }
        let unsettled = charges.iter().filter(|charge| !is_settled(charge));
        let asks = unsettled.map(|charge| {
            let path = format!("/v1/charges/{}/sync", charge["id"].as_str().unwrap());
            async move { client.post(&path, &json!({})).await }
        });
        drop(futures_util::future::join_all(asks).await);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("the books do not agree: {difference}");
}

fn is_settled(charge: &Value) -> bool {
    let pending = |attempt: &Value| matches!(attempt["status"].as_str(), Some("creating" | "pending" | "unknown"));
    charge["stage"] == "completed" && !charge["attempts"].as_array().unwrap().iter().any(pending)
}

async fn all_charges(client: &MerchantClient) -> Vec<Value> {
    let (mut charges, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = client.get(&format!("/v1/charges?limit=200{cursor}")).await.unwrap();
        assert_eq!(status, 200, "{page}");
        charges.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return charges,
        }
    }
}

/// What the providers hold per order, what the daemon says is paid, what the merchant was told to ship.
fn compare(charges: &[Value], sandbox: &Sandbox, merchant: &Merchant) -> String {
    let ledger = sandbox.ledger();
    let taken: i64 = ledger.payments.iter().map(|payment| payment.amount - payment.refunded).sum();
    let paid = charges.iter().filter(|charge| charge["status"] == "paid");
    let says: i64 = paid.map(|charge| charge["amount"].as_i64().unwrap()).sum();
    let mut shipped = BTreeMap::new();
    let mut events = BTreeSet::new();
    for told in merchant.of("charge.paid") {
        let id = told.body["data"]["id"].as_str().unwrap().to_owned();
        shipped.insert(id.clone(), told.body["data"]["amount"].as_i64().unwrap());
        events.insert((id, told.id));
    }
    let ships: i64 = shipped.values().sum();
    let delivered = charges.iter().filter(|charge| charge["delivery"]["status"] == "delivered").count();
    if taken == says && says == ships && delivered == shipped.len() && events.len() == shipped.len() {
        return String::new();
    }
    format!(
        "providers hold {taken}, the daemon says {says}, the merchant ships {ships}; {delivered} delivered, {} shipped",
        shipped.len()
    )
}
