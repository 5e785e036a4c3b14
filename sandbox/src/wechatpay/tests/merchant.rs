//! A merchant made of the documents alone: it signs with keys read from disk, checks every signature it is given, and
//! receives callbacks on a socket of its own.
//! Nothing here calls the server's own signing or checking.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{Accounts, Clock, Fault, FaultKind, FaultScope, FaultSetting, Operation, Options, ProviderName, Sandbox};

pub(crate) const MCH_ID: &str = "1900000001";
pub(crate) const START_MS: i64 = 1_767_225_600_000;

/// A running sandbox and a merchant of its WeChat Pay.
pub(crate) struct Merchant {
    pub(crate) sandbox: Sandbox,
    pub(crate) shop: Shop,
    now: Arc<AtomicI64>,
    pub(crate) client: reqwest::Client,
}

/// What the server answered, with its signature already checked where there was one.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    /// None: no signature. Otherwise whether it holds.
    pub(crate) signed: Option<bool>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// The body, or null when it is not JSON.
    pub(crate) fn json_or_null(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub(crate) fn code(&self) -> String {
        format!("{} {}", self.status, self.json()["code"].as_str().unwrap_or_default())
    }
}

/// A request that can be bent before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    /// As sent.
    pub(crate) target: String,
    /// As signed; the sent one unless bent.
    pub(crate) signed_target: Option<String>,
    pub(crate) body: String,
    pub(crate) signed_body: Option<String>,
    pub(crate) timestamp_s: Option<i64>,
    pub(crate) mchid: String,
    pub(crate) serial_no: Option<String>,
    pub(crate) wechatpay_serial: Option<String>,
    pub(crate) user_agent: &'static str,
    pub(crate) accept: &'static str,
}

impl Call {
    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self {
            method: "GET",
            target: target.into(),
            signed_target: None,
            body: String::new(),
            signed_body: None,
            timestamp_s: None,
            mchid: MCH_ID.into(),
            serial_no: None,
            wechatpay_serial: None,
            user_agent: "merchant/1",
            accept: "application/json",
        }
    }

    pub(crate) fn post(target: impl Into<String>, body: &Value) -> Self {
        Self { method: "POST", body: body.to_string(), ..Self::get(target) }
    }
}

impl Merchant {
    /// One WeChat Pay account, a clock the test owns, and schedules 100 times as fast.
    pub(crate) async fn start() -> Self {
        let now = Arc::new(AtomicI64::new(START_MS));
        let read = now.clone();
        let accounts = Accounts { alipay: vec![], unionpay: vec![], ..Accounts::default() };
        let clock = Clock::new(move || read.load(Ordering::Relaxed));
        let options = Options { accounts, clock, callback_unit_ms: 10, ..Options::new(crate::inbox::keys_dir()) };
        let sandbox = Sandbox::start(options).await.unwrap();
        Self { sandbox, shop: Shop::open().await, now, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) fn advance(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        crate::inbox::key_file(&format!("wechatpay/{MCH_ID}/{name}"))
    }

    /// A native order of 100 fen that calls back to the shop.
    pub(crate) fn order(&self, out_trade_no: &str) -> Value {
        json!({
            "appid": "wx5a2d0c4e1f8b7a63", "mchid": MCH_ID, "description": "充值卡", "out_trade_no": out_trade_no,
            "notify_url": self.shop.url, "amount": {"total": 100, "currency": "CNY"}, "attach": "自定义数据",
        })
    }

    pub(crate) async fn create(&self, product: &str, body: &Value) -> Answer {
        self.send(&Call::post(format!("/v3/pay/transactions/{product}"), body)).await
    }

    /// Makes a native order and answers its code.
    pub(crate) async fn native(&self, out_trade_no: &str) -> String {
        let answer = self.create("native", &self.order(out_trade_no)).await;
        assert_eq!((answer.status, answer.signed), (200, Some(true)), "{}", answer.text);
        answer.json()["code_url"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn query(&self, out_trade_no: &str) -> Answer {
        self.send(&Call::get(format!("/v3/pay/transactions/out-trade-no/{out_trade_no}?mchid={MCH_ID}"))).await
    }

    pub(crate) async fn trade_state(&self, out_trade_no: &str) -> String {
        let answer = self.query(out_trade_no).await;
        assert_eq!((answer.status, answer.signed), (200, Some(true)), "{}", answer.text);
        answer.json()["trade_state"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn close(&self, out_trade_no: &str) -> Answer {
        self.send(&Call::post(
            format!("/v3/pay/transactions/out-trade-no/{out_trade_no}/close"),
            &json!({"mchid": MCH_ID}),
        ))
        .await
    }

    pub(crate) async fn refund(&self, body: &Value) -> Answer {
        self.send(&Call::post("/v3/refund/domestic/refunds", body)).await
    }

    pub(crate) fn fault(&self, operation: Operation, fault: Fault) {
        let scope = FaultScope { provider: ProviderName::Wechatpay, account: None, operation: Some(operation) };
        self.sandbox.set_fault(FaultSetting { scope, fault });
    }

    pub(crate) fn fails(&self, operation: Operation, kind: FaultKind) {
        self.fault(operation, Fault { hang_ms: 1_500, ..Fault::kind(kind) });
    }

    pub(crate) async fn send(&self, call: &Call) -> Answer {
        self.try_send(call).await.unwrap()
    }

    /// The body as bytes, for files.
    pub(crate) async fn bytes(&self, call: &Call) -> (u16, Vec<u8>) {
        let response = self.request(call).send().await.unwrap();
        (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
    }

    fn request(&self, call: &Call) -> reqwest::RequestBuilder {
        let url = format!("http://{}{}", self.sandbox.addresses().wechatpay, call.target);
        let method = reqwest::Method::from_bytes(call.method.as_bytes()).unwrap();
        let mut request = self
            .client
            .request(method, url)
            .timeout(Duration::from_millis(600))
            .header("authorization", self.authorize(call));
        for (name, value) in [("user-agent", call.user_agent), ("accept", call.accept)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        if let Some(serial) = &call.wechatpay_serial {
            request = request.header("wechatpay-serial", serial);
        }
        if !call.body.is_empty() {
            request = request.header("content-type", "application/json").body(call.body.clone());
        }
        request
    }

    pub(crate) async fn try_send(&self, call: &Call) -> Result<Answer, reqwest::Error> {
        let response = self.request(call).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let signed =
            headers.contains_key("wechatpay-signature").then(|| self.holds(&header_of(&headers), text.as_bytes()));
        Ok(Answer { status, headers, text, signed })
    }

    fn authorize(&self, call: &Call) -> String {
        let timestamp = call.timestamp_s.unwrap_or(self.now() / 1000);
        let target = call.signed_target.as_ref().unwrap_or(&call.target);
        let body = call.signed_body.as_ref().unwrap_or(&call.body);
        let message = format!("{}\n{target}\n{timestamp}\n593BEC0C930BF1AFEB40B4A08C8FB242\n{body}\n", call.method);
        let serial = call.serial_no.clone().unwrap_or_else(|| self.file("merchant_serial"));
        format!(
            r#"WECHATPAY2-SHA256-RSA2048 mchid="{}",nonce_str="593BEC0C930BF1AFEB40B4A08C8FB242",signature="{}",timestamp="{timestamp}",serial_no="{serial}""#,
            call.mchid,
            sign(&self.file("merchant_key.pem"), message.as_bytes())
        )
    }

    /// Whether a signature over a body holds under the key its serial names.
    pub(crate) fn holds(&self, header: &dyn Fn(&str) -> String, body: &[u8]) -> bool {
        let serial = header("wechatpay-serial");
        let public = if serial.starts_with("PUB_KEY_ID_") {
            assert_eq!(serial, self.file("public_key_id"));
            der(&self.file("public_key.pem"), "PUBLIC KEY")
        } else {
            let certificate = der(&self.file("platform_cert.pem"), "CERTIFICATE");
            let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).unwrap();
            let hex = certificate.raw_serial_as_string().replace(':', "").to_uppercase();
            if hex != serial {
                return false;
            }
            certificate.public_key().raw.to_vec()
        };
        let mut message = format!("{}\n{}\n", header("wechatpay-timestamp"), header("wechatpay-nonce")).into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        let Ok(signature) = STANDARD.decode(header("wechatpay-signature")) else {
            return false;
        };
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(&message, &signature).is_ok()
    }

    /// Opens a resource or certificate with the APIv3 key.
    pub(crate) fn decrypt(&self, resource: &Value) -> String {
        let mut sealed = STANDARD.decode(resource["ciphertext"].as_str().unwrap()).unwrap();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, self.file("api_v3_key").as_bytes()).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(resource["nonce"].as_str().unwrap().as_bytes()).unwrap();
        let associated = Aad::from(resource["associated_data"].as_str().unwrap().as_bytes());
        let plain = key.open_in_place(nonce, associated, &mut sealed).unwrap();
        String::from_utf8(plain.to_vec()).unwrap()
    }

    /// The next callback, checked and decrypted.
    pub(crate) async fn next_callback(&self) -> Value {
        let posted = self.shop.next().await;
        assert!(self.holds(&header_of(&posted.headers), &posted.body), "a callback must be signed");
        let envelope: Value = serde_json::from_slice(&posted.body).unwrap();
        let plain: Value = serde_json::from_str(&self.decrypt(&envelope["resource"])).unwrap();
        json!({"event_type": envelope["event_type"], "id": envelope["id"], "plain": plain})
    }
}

/// Reads headers by name.
pub(crate) fn header_of(headers: &HeaderMap) -> impl Fn(&str) -> String + '_ {
    |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn sign(pem: &str, message: &[u8]) -> String {
    let pair = KeyPair::from_pkcs8(&der(pem, "PRIVATE KEY")).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
    STANDARD.encode(signature)
}

fn der(pem: &str, label: &str) -> Vec<u8> {
    let body: String = pem
        .lines()
        .skip_while(|line| !line.contains(label))
        .skip(1)
        .take_while(|line| !line.starts_with('-'))
        .collect();
    STANDARD.decode(body).unwrap()
}

/// A callback as it arrived.
pub(crate) struct Posted {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Where callbacks arrive.
pub(crate) struct Shop {
    pub(crate) url: String,
    /// What the next callbacks are answered.
    pub(crate) status: Arc<AtomicU16>,
    posted: tokio::sync::Mutex<mpsc::Receiver<Posted>>,
    _tasks: crate::tasks::Tasks,
}

impl Shop {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/callback", listener.local_addr().unwrap());
        let (sender, posted) = mpsc::channel(64);
        let status = Arc::new(AtomicU16::new(204));
        let router =
            axum::Router::new().route("/callback", axum::routing::post(receive)).with_state((sender, status.clone()));
        let tasks = crate::tasks::Tasks::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, status, posted: tokio::sync::Mutex::new(posted), _tasks: tasks }
    }

    pub(crate) async fn next(&self) -> Posted {
        self.within(2_000).await.expect("a callback within 2 s")
    }

    /// The next callback, if one comes within this time.
    pub(crate) async fn within(&self, ms: u64) -> Option<Posted> {
        let mut posted = self.posted.lock().await;
        tokio::time::timeout(Duration::from_millis(ms), posted.recv()).await.ok().flatten()
    }
}

type Receiving = (mpsc::Sender<Posted>, Arc<AtomicU16>);

async fn receive(State((sender, status)): State<Receiving>, headers: HeaderMap, body: Bytes) -> StatusCode {
    sender.send(Posted { headers, body }).await.unwrap();
    StatusCode::from_u16(status.load(Ordering::Relaxed)).unwrap()
}
