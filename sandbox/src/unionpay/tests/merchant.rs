//! A merchant that signs its requests and checks answers and notifies by hand.
//!
//! Must not know: the code under test, but for the spelling of times.

use std::collections::BTreeMap;

use x509_parser::pem::Pem;

use crate::{
    faults::{Fault, FaultScope, FaultSetting, Operation},
    formats::{
        beijing, form,
        hash::{sha256_hex, tests::holds},
    },
    inbox::{Bed, client, key_file},
    keys::RsaKey,
    options::ProviderName,
};

pub(super) const MER_ID: &str = "777290058110001";

pub(super) type Fields = BTreeMap<String, String>;

pub(super) struct Merchant {
    pub(super) bed: Bed,
    key: RsaKey,
    cert_id: String,
    pub(super) secure_key: String,
}

impl Merchant {
    pub(super) async fn new() -> Self {
        let bed = Bed::new().await;
        let signing = key_file(&format!("unionpay/{MER_ID}/sign.pem"));
        let certificate =
            Pem::iter_from_buffer(signing.as_bytes()).flatten().find(|pem| pem.label == "CERTIFICATE").unwrap();
        Self {
            bed,
            key: RsaKey::from_pem(&signing).unwrap(),
            cert_id: certificate.parse_x509().unwrap().serial.to_string(),
            secure_key: key_file(&format!("unionpay/{MER_ID}/secure_key")).trim().to_owned(),
        }
    }

    pub(super) fn time(&self) -> String {
        beijing::compact(self.bed.now())
    }

    /// The fields every request has, with `more` over them.
    pub(super) fn fields(&self, more: &[(&str, &str)]) -> Fields {
        let time = self.time();
        [
            ("version", "5.1.0"),
            ("encoding", "UTF-8"),
            ("signMethod", "01"),
            ("certId", &self.cert_id),
            ("txnType", "01"),
            ("txnSubType", "07"),
            ("bizType", "000000"),
            ("channelType", "08"),
            ("accessType", "0"),
            ("merId", MER_ID),
            ("txnTime", &time),
            ("currencyCode", "156"),
            ("backUrl", &self.bed.inbox.url),
        ]
        .iter()
        .chain(more)
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
    }

    pub(super) fn sign(&self, mut fields: Fields) -> Fields {
        let hashed = sha256_hex(link(&fields).as_bytes());
        fields.insert("signature".to_owned(), self.key.sign_base64(hashed.as_bytes()));
        fields
    }

    pub(super) async fn post(&self, path: &str, fields: &Fields) -> String {
        let url = format!("http://{}/gateway/api/{path}", self.bed.sandbox.addresses().unionpay);
        let pairs: Vec<_> = fields.iter().collect();
        let response = client().post(url).body(form::encode(&pairs)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// Signs, posts, and returns the verified answer.
    pub(super) async fn call(&self, path: &str, more: &[(&str, &str)]) -> Fields {
        let body = self.post(path, &self.sign(self.fields(more))).await;
        let answer = parse(&body);
        verify(&answer);
        answer
    }

    pub(super) async fn apply(&self, order_id: &str, fen: &str, more: &[(&str, &str)]) -> Fields {
        let more: Vec<_> = [("orderId", order_id), ("txnAmt", fen)].iter().chain(more).copied().collect();
        self.call("backTransReq.do", &more).await
    }

    pub(super) async fn query(&self, order_id: &str, txn_time: &str) -> Fields {
        let more = [("txnType", "00"), ("txnSubType", "00"), ("orderId", order_id), ("txnTime", txn_time)];
        self.call("queryTrans.do", &more).await
    }

    pub(super) async fn refund(&self, order_id: &str, query_id: &str, fen: &str) -> Fields {
        let more =
            [("txnType", "04"), ("txnSubType", "00"), ("orderId", order_id), ("origQryId", query_id), ("txnAmt", fen)];
        self.call("backTransReq.do", &more).await
    }

    pub(super) fn front_form(&self, order_id: &str) -> Fields {
        let more = [
            ("txnSubType", "01"),
            ("bizType", "000201"),
            ("channelType", "07"),
            ("orderId", order_id),
            ("txnAmt", "1000"),
            ("frontUrl", "http://shop.example/back"),
        ];
        self.sign(self.fields(&more))
    }

    pub(super) fn fault(&self, operation: Operation, fault: Fault) {
        let scope = FaultScope {
            provider: ProviderName::Unionpay,
            account: Some(MER_ID.to_owned()),
            operation: Some(operation),
        };
        self.bed.sandbox.set_fault(FaultSetting { scope, fault });
    }
}

pub(super) fn link(fields: &Fields) -> String {
    let parts: Vec<String> =
        fields.iter().filter(|(k, _)| *k != "signature").map(|(k, v)| format!("{k}={v}")).collect();
    parts.join("&")
}

/// Reads an unencoded answer: everything after the first `=` is the value.
pub(super) fn parse(body: &str) -> Fields {
    body.split('&').map(|part| part.split_once('=').expect(body)).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Checks the signature with the message's certificate, and that certificate against UnionPay's own file.
pub(super) fn verify(fields: &Fields) {
    let pem = fields.get("signPubKeyCert").expect("a certificate");
    assert!(pem.contains("-----\r\n"), "PEM with CRLF");
    let own = key_file("unionpay/leaf.pem");
    assert_eq!(pem.lines().collect::<Vec<_>>(), own.lines().collect::<Vec<_>>());
    let pem = Pem::iter_from_buffer(pem.as_bytes()).next().unwrap().unwrap();
    let certificate = pem.parse_x509().unwrap();
    let hashed = sha256_hex(link(fields).as_bytes());
    assert!(holds(certificate.public_key().raw, hashed.as_bytes(), &fields["signature"]));
}

pub(super) fn is(fields: &Fields, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(fields.get(*name).map_or("", String::as_str), *value, "{name} in {fields:?}");
    }
}
