//! What one WeChat Pay callback costs: verify its RSA signature, decrypt its resource, read and check it. Printed
//! beside one RSA-2048 verification and one signature of the same run, since machines differ and ratios do not.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tongdao_core::provider::{BuildInput, CallbackRequest, Environment, Provider, Secrets};
use tongdao_core::secret::{Secret, SecretSource};
use tongdao_core::time::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_766_000_000_000);
const API_KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

struct Inline;

impl Secrets for Inline {
    fn load(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::Inline(text) => Ok(Secret::new(text.clone().into_bytes())),
            SecretSource::File(_) | SecretSource::Env(_) => Err("the bench keeps its secrets inline".to_owned()),
        }
    }
}

/// The account of a merchant who signs with a key of his own, never with the provider's.
fn account(provider: &KeyPair) -> Box<dyn Provider> {
    let merchant = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = merchant.as_der().unwrap();
    let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> = provider.public_key().as_der().unwrap();
    let section = serde_json::json!({
        "base_url": "http://127.0.0.1:9", "app_id": "wx5a2d0c4e1f8b7a63", "mch_id": "1900000001",
        "merchant_serial": "0123456789ABCDEF0123456789ABCDEF01234567",
        "merchant_private_key": STANDARD.encode(private.as_ref()),
        "api_v3_key": std::str::from_utf8(API_KEY).unwrap(),
        "public_key_id": "PUB_KEY_ID_0000000000000024101100397200000006",
        "public_key": STANDARD.encode(public.as_ref()),
    });
    let registration = tongdao_providers::REGISTRY.iter().find(|entry| entry.id == "wechatpay").unwrap();
    let input = BuildInput { section: &section, environment: Environment::Sandbox, secrets: &Inline };
    (registration.build)(input).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn signed(key: &KeyPair, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

fn callback_of(key: &KeyPair) -> CallbackRequest {
    let resource = serde_json::json!({
        "transaction_id": "4200000000202512170000000001", "mchid": "1900000001", "appid": "wx5a2d0c4e1f8b7a63",
        "out_trade_no": "01KCQ0000000000000000000000", "trade_state": "SUCCESS", "trade_type": "NATIVE",
        "success_time": "2025-12-17T11:33:20+08:00", "payer": { "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o" },
        "amount": { "total": 1999, "payer_total": 1999, "currency": "CNY", "payer_currency": "CNY" },
    });
    let seal = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, API_KEY).unwrap());
    let mut text = resource.to_string().into_bytes();
    let nonce = Nonce::assume_unique_for_key(*b"abcdefghijkl");
    seal.seal_in_place_append_tag(nonce, Aad::from(b"transaction"), &mut text).unwrap();
    let body = serde_json::json!({
        "id": "EV-1", "create_time": "2025-12-17T11:33:20+08:00", "event_type": "TRANSACTION.SUCCESS",
        "resource_type": "encrypt-resource", "summary": "支付成功",
        "resource": { "algorithm": "AEAD_AES_256_GCM", "ciphertext": STANDARD.encode(text), "nonce": "abcdefghijkl",
            "associated_data": "transaction", "original_type": "transaction" },
    })
    .to_string();
    let at = NOW.as_secs();
    let signature = STANDARD.encode(signed(key, format!("{at}\nnonce\n{body}\n").as_bytes()));
    let headers = [
        ("wechatpay-timestamp", at.to_string()),
        ("wechatpay-nonce", "nonce".to_owned()),
        ("wechatpay-serial", "PUB_KEY_ID_0000000000000024101100397200000006".to_owned()),
        ("wechatpay-signature", signature),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    CallbackRequest { headers, query: String::new(), body: body.into_bytes() }
}

fn callback(criterion: &mut Criterion) {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let (account, request) = (account(&key), callback_of(&key));
    account.read_callback(&request, NOW).unwrap();
    let mut group = criterion.benchmark_group("callback");
    group.bench_function("wechatpay verify, decrypt, read", |bencher| {
        bencher.iter(|| account.read_callback(black_box(&request), NOW).unwrap());
    });
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref().to_vec());
    let signature = signed(&key, &request.body);
    group.bench_function("floor: one RSA-2048 verification", |bencher| {
        bencher.iter(|| public.verify(black_box(&request.body), &signature).unwrap());
    });
    group.bench_function("measure: one RSA-2048 signature", |bencher| {
        bencher.iter(|| signed(&key, black_box(&request.body)));
    });
    group.finish();
}

criterion_group!(benches, callback);
criterion_main!(benches);
