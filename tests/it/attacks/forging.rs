//! A genuine callback caught on its way, the post of spoilt copies of it, and what must stay as it was.

use super::{Answer, breaks, counted, metrics, outside};
use crate::world::{Wishes, World, free_port};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tongdao_sandbox::{Fault, FaultKind, Operation, ProviderName};

/// A callback as it would arrive.
#[derive(Clone, Debug)]
pub struct Letter {
    pub channel: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Letter {
    pub fn header(&self, name: &str) -> String {
        self.headers.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1.clone()
    }

    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut letter = self.without_header(name);
        letter.headers.push((name.to_owned(), value.to_owned()));
        letter
    }

    pub fn without_header(&self, name: &str) -> Self {
        let headers = self.headers.iter().filter(|(known, _)| known != name).cloned().collect();
        Self { headers, ..self.clone() }
    }

    pub fn with_body(&self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.clone() }
    }
}

/// One provider, its callbacks caught before they arrive, and its queries unanswered so that nothing else tells.
pub struct Forger {
    pub world: World,
    pub channel: &'static str,
    caught: Caught,
}

type Caught = Arc<Mutex<Vec<Letter>>>;

/// What the daemon says of callbacks that it does not believe.
pub const REFUSALS: [&str; 5] = ["bad_signature", "stale", "unknown_key", "foreign", "malformed"];

impl Forger {
    pub async fn start(channel: &'static str, provider: ProviderName) -> Self {
        let caught = Caught::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(catch).with_state(caught.clone());
        #[allow(clippy::disallowed_methods)] // The runtime of the test ends it.
        tokio::spawn(async move { axum::serve(listener, router).await });
        let instead = vec![
            ("public_url = \"http://127.0.0.1:@port@\"", format!("public_url = \"http://{at}\"")),
            ("public_listen = \"127.0.0.1:@port@\"", format!("public_listen = \"127.0.0.1:{}\"", free_port())),
        ];
        let world = World::with(Wishes { instead, ..Wishes::default() }).await;
        world.fault(provider, Operation::Query, Fault::kind(FaultKind::ServerError));
        Self { world, channel, caught }
    }

    pub async fn open(&self) -> Value {
        self.world.open(json!({ "channel": self.channel })).await
    }

    /// A charge, paid, and the callback that says so.
    pub async fn paid(&self) -> (Value, Letter) {
        let charge = self.open().await;
        self.world.pay(&charge);
        (charge, self.next_letter().await)
    }

    /// The next callback that the provider sends.
    pub async fn next_letter(&self) -> Letter {
        for _ in 0..200 {
            if let Some(letter) = self.caught.lock().unwrap().pop() {
                return letter;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no callback was sent");
    }

    pub async fn post(&self, letter: &Letter) -> Answer {
        let at = self.world.daemon.as_ref().unwrap().public_addr;
        let mut request = outside().post(format!("http://{at}/callbacks/{}", letter.channel));
        for (name, value) in &letter.headers {
            request = request.header(name, value);
        }
        Answer::of(request.body(letter.body.clone()).send().await.unwrap()).await
    }

    pub async fn verdicts(&self, verdict: &str) -> u64 {
        let channel = self.channel;
        let series = format!("tongdao_callbacks_total{{channel=\"{channel}\",verdict=\"{verdict}\"}}");
        super::count(&self.world, &series).await
    }

    async fn all_verdicts(&self) -> (u64, u64) {
        let text = metrics(&self.world).await;
        let of = |verdict: &str| {
            let channel = self.channel;
            counted(&text, &format!("tongdao_callbacks_total{{channel=\"{channel}\",verdict=\"{verdict}\"}}"))
        };
        let all = counted(&text, &format!("tongdao_callbacks_total{{channel=\"{}\"", self.channel));
        let refused: u64 = REFUSALS.into_iter().map(of).sum();
        (refused, all - refused)
    }

    /// Posts forged letters: one answer for all, each counted once (under its reason where one is named), and nothing
    /// of any charge changed.
    pub async fn refuses(&self, forged: &[(String, Option<&str>, Letter)]) {
        let before = self.state().await;
        let first = self.post(&Letter { channel: self.channel.into(), headers: Vec::new(), body: Vec::new() }).await;
        let (mut refused, accepted) = self.all_verdicts().await;
        for (what, reason, letter) in forged {
            assert_eq!(letter.channel, self.channel, "{what}");
            let so_far = match reason {
                Some(reason) => self.verdicts(reason).await,
                None => 0,
            };
            let answer = self.post(letter).await;
            let shape = |answer: &Answer| {
                let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
                names.sort();
                let kind = answer.headers.get("content-type").cloned();
                (answer.status, answer.text.clone(), kind, names)
            };
            assert_eq!(shape(&answer), shape(&first), "{what}: its answer tells it apart");
            refused += 1;
            assert_eq!(self.all_verdicts().await, (refused, accepted), "{what}: it was not counted as refused");
            if let Some(reason) = reason {
                assert_eq!(self.verdicts(reason).await, so_far + 1, "{what}: another reason than {reason}");
            }
        }
        assert_eq!(self.state().await, before, "a forged callback changed something");
    }

    /// The genuine letter is taken, once, however often it comes.
    pub async fn takes(&self, charge: &Value, letter: &Letter) {
        let id = charge["id"].as_str().unwrap();
        let first = self.post(letter).await;
        assert!([200, 204].contains(&first.status), "{} {}", first.status, first.text);
        let told = |charge: &Value| charge["stage"] == "completed";
        self.world.until(id, "completed", told).await;
        let duplicates = self.verdicts("duplicate").await;
        let again = self.post(letter).await;
        assert_eq!((again.status, again.text), (first.status, first.text));
        assert_eq!(self.verdicts("duplicate").await, duplicates + 1);
        let webhooks = self.world.merchant.of("charge.paid");
        assert_eq!(webhooks.iter().filter(|told| told.body["data"]["id"] == id).count(), 1, "delivered twice");
    }

    /// What the money and the goods did, for every charge, and the breaks.
    pub async fn state(&self) -> Value {
        let (status, page) = self.world.client.get("/v1/charges?limit=200").await.unwrap();
        assert_eq!(status, 200);
        let charges = page["data"].as_array().unwrap().iter().map(|charge| {
            let attempts = charge["attempts"].as_array().unwrap().iter();
            let attempts = attempts.map(|one| json!([one["id"], one["status"], one["provider_trade_no"]]));
            json!({
                "id": charge["id"], "status": charge["status"], "stage": charge["stage"], "paid_at": charge["paid_at"],
                "amount_refunded": charge["amount_refunded"], "delivery": charge["delivery"],
                "attempts": attempts.collect::<Value>(),
            })
        });
        json!([charges.collect::<Value>(), breaks(&self.world).await, self.world.merchant.arrived().len()])
    }
}

async fn catch(State(caught): State<Caught>, uri: Uri, headers: HeaderMap, body: Bytes) -> &'static str {
    let text = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        let own = !["host", "content-length", "accept", "connection"].contains(&name.as_str());
        own.then(|| (name.to_string(), value.to_str().unwrap().to_owned()))
    };
    let channel = uri.path().trim_start_matches("/callbacks/").to_owned();
    let headers = headers.iter().filter_map(text).collect();
    caught.lock().unwrap().push(Letter { channel, headers, body: body.to_vec() });
    "success"
}

/// A file of the sandbox's keys.
pub fn key_file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("it-keys").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The base64 body of a PEM block.
pub fn pem_body(pem: &str, label: &str) -> String {
    let (_, after) = pem.split_once(&format!("-----BEGIN {label}-----")).unwrap();
    after.split_once("-----END").unwrap().0.split_whitespace().collect()
}

/// SHA256withRSA under a private key of the sandbox, in base64.
pub fn signed_with(key: &str, message: &[u8]) -> String {
    let der = STANDARD.decode(pem_body(&key_file(key), "PRIVATE KEY")).unwrap();
    let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
    STANDARD.encode(signature)
}
