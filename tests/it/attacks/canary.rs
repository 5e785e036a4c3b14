//! Secrets of the configuration appear nowhere: the real binary, at its most talkative, through a whole charge with
//! failures.

use super::forging::{key_file, pem_body};
use super::outside;
use crate::merchant::Merchant;
use crate::world::{KEY, WEBHOOK_SECRET, Wishes, client_at, code_of, config_text, free_port, start_sandbox};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tongdao::client::MerchantClient;
use tongdao::clock::SystemClock;
use tongdao_sandbox::{Fault, FaultKind, FaultScope, FaultSetting, Operation, ProviderName, Sandbox, ScanRequest};

const TOKEN: &str = "test-admin-token";

/// Everything that must not be seen, in the ways in which it could be written.
fn canaries() -> Vec<(String, String)> {
    let api_v3_key = key_file("wechatpay/1900000001/api_v3_key");
    let texts = [
        ("the merchant's key", KEY),
        ("another merchant's key", super::OTHER_KEY),
        ("the admin token", TOKEN),
        ("the webhook secret", std::str::from_utf8(WEBHOOK_SECRET).unwrap()),
        ("the APIv3 key", api_v3_key.trim()),
    ];
    let mut canaries = Vec::new();
    for (what, text) in texts {
        let hex = text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let list = text.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
        for way in [text.to_owned(), STANDARD.encode(text), URL_SAFE_NO_PAD.encode(text), hex, list] {
            canaries.push((what.to_owned(), way));
        }
    }
    let keys = [
        "wechatpay/1900000001/merchant_key.pem",
        "alipay/2021000000000001/app_key.pem",
        "unionpay/777290058110001/sign.pem",
    ];
    for key in keys {
        let body = pem_body(&key_file(key), "PRIVATE KEY");
        // Any quarter of it is a leak.
        for part in body.as_bytes().chunks(body.len() / 4).take(4) {
            canaries.push((key.to_owned(), String::from_utf8(part[..40].to_vec()).unwrap()));
        }
    }
    canaries
}

fn clean(what: &str, text: &str) {
    for (secret, canary) in canaries() {
        assert!(!text.contains(&canary), "{secret} appears in {what}: {canary:.12}…");
    }
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(config: &Path, log: &Path) -> Daemon {
    let file = std::fs::File::create(log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tongdao"));
    command.args(["serve", "--config"]).arg(config).env_clear().env("TONGDAO_LOG", "trace");
    command.stdout(Stdio::from(file.try_clone().unwrap())).stderr(Stdio::from(file));
    Daemon(command.spawn().unwrap())
}

/// The merchant's side of the test; every answer is looked through.
struct Caller {
    client: MerchantClient,
    admin: String,
    public: String,
}

impl Caller {
    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, answer) = self.client.post(path, &body).await.unwrap();
        clean(path, &answer.to_string());
        (status, answer)
    }

    async fn until(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..150 {
            if let Ok((200, answer)) = self.client.get(path).await {
                clean(path, &answer.to_string());
                if wanted(&answer) {
                    return answer;
                }
                last = answer;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("never {what}: {last:#}");
    }

    async fn look(&self, path: &str, token: &str) -> u16 {
        let reply = outside().get(format!("{}{path}", self.admin)).bearer_auth(token).send().await.unwrap();
        let (status, headers) = (reply.status().as_u16(), format!("{:?}", reply.headers()));
        clean(path, &(headers + &reply.text().await.unwrap()));
        status
    }

    async fn forge(&self, channel: &str, body: &str) {
        let request = outside().post(format!("{}/callbacks/{channel}", self.public)).body(body.to_owned());
        let reply = request.header("wechatpay-serial", "0").send().await.unwrap();
        clean(channel, &reply.text().await.unwrap());
    }
}

fn fault(sandbox: &Sandbox, provider: ProviderName, operation: Operation, fault: Fault) {
    let scope = FaultScope { provider, account: None, operation: Some(operation) };
    sandbox.set_fault(FaultSetting { scope, fault });
}

/// One charge on each channel, with a failing create before it and a failing webhook behind it.
async fn whole_charges(caller: &Caller, sandbox: &Sandbox, merchant: &Merchant) {
    let channels = [
        ("wechat-main", ProviderName::Wechatpay),
        ("alipay-main", ProviderName::Alipay),
        ("unionpay-main", ProviderName::Unionpay),
    ];
    for (n, (channel, provider)) in channels.into_iter().enumerate() {
        let failing = Fault { count: Some(1), ..Fault::kind(FaultKind::ServerError) };
        fault(sandbox, provider, Operation::Create, failing);
        let ask =
            json!({ "merchant_order_no": format!("C{n}"), "amount": 1999, "subject": "点卡", "channel": channel });
        let (mut status, mut charge) = caller.post("/v1/charges", ask.clone()).await;
        for _ in 0..3 {
            if (200..300).contains(&status) {
                break;
            }
            (status, charge) = caller.post("/v1/charges", ask.clone()).await;
        }
        assert!((200..300).contains(&status), "{channel}: {charge}");
        let path = format!("/v1/charges/{}", charge["id"].as_str().unwrap());
        merchant.answer_next(500, "no");
        caller.forge(channel, "out_trade_no=1&sign=AAAA").await;
        fault(sandbox, provider, Operation::Callback, Fault { bad_signature: true, ..Fault::default() });
        sandbox.scan(&ScanRequest::code(code_of(&charge["attempt"]))).unwrap();
        caller.until(&path, "completed", |charge| charge["stage"] == "completed").await;
        let refund = json!({ "refund_no": format!("R{n}"), "amount": 1999 });
        let (status, refund) = caller.post(&format!("{path}/refunds"), refund).await;
        assert_eq!(status, 201, "{refund}");
        caller.until(&format!("{path}/events"), "told", |events| !events["data"].as_array().unwrap().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_appears_in_answers_metrics_prints_or_logs() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::new();
    let sandbox = start_sandbox(&clock).await;
    let merchant = Merchant::start(WEBHOOK_SECRET.to_vec()).await;
    let (port, admin_port) = (free_port(), free_port());
    let instead = vec![("admin_listen = \"127.0.0.1:0\"", format!("admin_listen = \"127.0.0.1:{admin_port}\""))];
    let text = config_text(&dir, &sandbox, &merchant, port, &Wishes { instead, ..Wishes::default() });
    let (config, log) = (dir.path().join("tongdao.toml"), dir.path().join("log"));
    std::fs::write(&config, &text).unwrap();
    assert!(canaries().iter().any(|(_, canary)| text.contains(canary)), "the canaries are in the configuration");
    let daemon = start(&config, &log);
    let public = format!("http://127.0.0.1:{port}");
    let client = client_at(&public, "key_test", KEY, &clock);
    let caller = Caller { client, admin: format!("http://127.0.0.1:{admin_port}"), public };
    caller.until("/v1/charges?limit=1", "up", |_| true).await;
    whole_charges(&caller, &sandbox, &merchant).await;
    let stranger = client_at(&caller.public, "key_other", "a guess", &clock);
    assert_eq!(stranger.get("/v1/charges").await.unwrap().0, 401);
    let paths = [
        "/",
        "/metrics",
        "/healthz",
        "/readyz",
        "/admin/v1/status",
        "/admin/v1/channels",
        "/admin/v1/charges?find=C0",
        "/admin/v1/breaks",
    ];
    for path in paths {
        assert_eq!(caller.look(path, TOKEN).await, 200, "{path}");
    }
    assert_eq!(caller.look("/admin/v1/status", "a guess").await, 401);
    for arguments in [&["config", "print"][..], &["--json", "config", "print"][..]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tongdao"));
        let output = command.args(arguments).arg(&config).env_clear().output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains("m_test"), "{printed}");
        clean("config print", &printed);
    }
    drop(daemon);
    let written = std::fs::read_to_string(&log).unwrap();
    for said in ["a callback was refused", "a request was not let in", "answered"] {
        assert!(written.contains(said), "the log does not even say: {said}");
    }
    clean("the log", &written);
}
