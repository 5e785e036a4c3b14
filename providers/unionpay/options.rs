//! The section `[channels.unionpay]`: its keys, their grammar, and every fault of it at once.
//!
//! Invariant: nothing is built from a section with a fault. Unknown keys are refused, blank secrets too, the key
//! and its certificate are tried out together, test certificates never stand in production (they also sign in
//! UnionPay's production name), and an address on this machine or without TLS is taken in the sandbox only.
//! No message carries a secret. It does not know where secrets come from.

use super::certificates::{Trust, decimal_serial, end_of, is_of_test_hierarchy, single_certificate};
use super::sign::{Keyed, Keys};
use crate::shared::address::url_fault;
use crate::shared::rsa::{SigningKey, VerifyingKey, pem_blocks, signs_for};
use p12_keystore::KeyStore;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tongdao_core::provider::{BuildInput, Environment, OptionFault, Secrets};
use tongdao_core::secret::{Secret, SecretSource};

/// Every key that the section may have.
const KEYS: [&str; 13] = [
    "front_url",
    "app_url",
    "back_url",
    "query_url",
    "file_url",
    "mer_id",
    "sign_method",
    "sign_cert",
    "secure_key",
    "root_cert",
    "middle_cert",
    "pay_timeout_minutes",
    "refund_biz_type",
];

/// A section without faults.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) front_url: String,
    pub(crate) app_url: String,
    pub(crate) back_url: String,
    pub(crate) query_url: String,
    /// Where statements are; without it this account has none.
    pub(crate) file_url: Option<String>,
    pub(crate) mer_id: String,
    pub(crate) keys: Keys,
    pub(crate) pay_timeout_minutes: i64,
    pub(crate) refund_biz_type: String,
}

/// Reads the section, or lists everything that is wrong with it.
pub(crate) fn read(input: BuildInput<'_>) -> Result<Options, Vec<OptionFault>> {
    let empty = Map::new();
    let mut reader = Reader {
        section: input.section.as_object().unwrap_or(&empty),
        environment: input.environment,
        secrets: input.secrets,
        faults: Vec::new(),
    };
    if !input.section.is_object() {
        reader.fault::<()>("", "must be a table");
    }
    reader.refuse_unknown();
    let [front_url, app_url, back_url, query_url] =
        ["front_url", "app_url", "back_url", "query_url"].map(|key| reader.url(key));
    let file_url = reader.has("file_url").then(|| reader.url("file_url"));
    let mer_id = reader.mer_id();
    let keys = reader.keys();
    let pay_timeout_minutes = reader.pay_timeout_minutes();
    let refund_biz_type = reader.refund_biz_type();
    let built = (|| {
        Some(Options {
            front_url: front_url?,
            app_url: app_url?,
            back_url: back_url?,
            query_url: query_url?,
            file_url: file_url.flatten(),
            mer_id: mer_id?,
            keys: keys?,
            pay_timeout_minutes: pay_timeout_minutes?,
            refund_biz_type: refund_biz_type?,
        })
    })();
    match built {
        Some(options) if reader.faults.is_empty() => Ok(options),
        Some(_) | None => Err(reader.faults),
    }
}

struct Reader<'a> {
    section: &'a Map<String, Value>,
    environment: Environment,
    secrets: &'a dyn Secrets,
    faults: Vec<OptionFault>,
}

/// A private key with its own certificate (DER).
struct Pair {
    key: SigningKey,
    certificate: Vec<u8>,
}

impl Reader<'_> {
    fn fault<T>(&mut self, path: impl Into<String>, message: impl Into<String>) -> Option<T> {
        self.faults.push(OptionFault { path: path.into(), message: message.into() });
        None
    }

    fn has(&self, key: &str) -> bool {
        self.section.contains_key(key)
    }

    fn refuse_unknown(&mut self) {
        let unknown: Vec<String> = self.section.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
        for key in unknown {
            self.fault::<()>(key, format!("is not a key of this section; known are {}", KEYS.join(", ")));
        }
    }

    fn value<T: DeserializeOwned>(&mut self, key: &str, wanted: &str) -> Option<T> {
        let Some(value) = self.section.get(key) else {
            return self.fault(key, format!("is missing: {wanted}"));
        };
        match serde_json::from_value(value.clone()) {
            Ok(read) => Some(read),
            Err(_) => self.fault(key, format!("must be {wanted}")),
        }
    }

    fn url(&mut self, key: &str) -> Option<String> {
        let text: String = self.value(key, "an https address")?;
        match url_fault(&text, self.environment, &[".test.95516.com"]) {
            Some(message) => self.fault(key, message),
            None => Some(text),
        }
    }

    fn mer_id(&mut self) -> Option<String> {
        let wanted = "the merchant number, up to 15 letters and digits";
        let text: String = self.value("mer_id", wanted)?;
        if !(1..=15).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return self.fault("mer_id", format!("must be {wanted}"));
        }
        Some(text)
    }

    fn pay_timeout_minutes(&mut self) -> Option<i64> {
        let key = "pay_timeout_minutes";
        if !self.has(key) {
            return Some(PAY_TIMEOUT_MINUTES);
        }
        let minutes: i64 = self.value(key, "whole minutes")?;
        if !(1..=PAY_TIMEOUT_MINUTES_MAX).contains(&minutes) {
            return self.fault(key, format!("must be 1 to {PAY_TIMEOUT_MINUTES_MAX}"));
        }
        Some(minutes)
    }

    fn refund_biz_type(&mut self) -> Option<String> {
        let key = "refund_biz_type";
        if !self.has(key) {
            return Some("000000".to_owned());
        }
        let text: String = self.value(key, "six digits")?;
        if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return self.fault(key, "must be six digits: 000000 for QR trades, 000201 for gateway and app trades");
        }
        Some(text)
    }

    fn keys(&mut self) -> Option<Keys> {
        let method = if self.has("sign_method") {
            self.value("sign_method", "\"01\", \"11\" or \"12\"")?
        } else {
            "01".to_owned()
        };
        match method.as_str() {
            "01" => self.certificate_keys(),
            "11" => self.keyed(Keyed::Sha256),
            "12" => self.keyed(Keyed::Sm3),
            _ => self
                .fault("sign_method", "must be \"01\" (certificate), \"11\" (SHA-256 with secure_key) or \"12\" (SM3)"),
        }
    }

    fn certificate_keys(&mut self) -> Option<Keys> {
        if self.has("secure_key") {
            self.fault::<()>("secure_key", "belongs to sign_method \"11\" or \"12\" and is not used with \"01\"");
        }
        let pair = self.sign_cert();
        let root = self.anchor("root_cert");
        let middle = self.anchor("middle_cert");
        let trust = match Trust::new(root?, middle?, self.environment) {
            Ok(trust) => trust,
            Err(_) => return self.fault("middle_cert", "was not issued by root_cert, or one of them is no issuer"),
        };
        let Pair { key, certificate } = pair?;
        let Ok(cert_id) = decimal_serial(&certificate) else {
            return self.fault("sign_cert", "holds a certificate without a serial number");
        };
        Some(Keys::Certificate { key, cert_id, not_after: end_of(&certificate), trust })
    }

    fn keyed(&mut self, digest: Keyed) -> Option<Keys> {
        if self.has("sign_cert") {
            self.fault::<()>("sign_cert", "belongs to sign_method \"01\" and is not used with a secure_key");
        }
        let secret = self.secret("secure_key", "the secure key of this merchant")?;
        Some(Keys::Keyed { digest, secure_key: Secret::new(one_line(secret.bytes()).to_vec()) })
    }

    fn anchor(&mut self, key: &str) -> Option<Vec<u8>> {
        let secret = self.secret(key, "a certificate file of the UnionPay platform")?;
        match single_certificate(secret.bytes()) {
            Ok(der) if self.environment == Environment::Production && is_of_test_hierarchy(&der) => {
                self.fault(key, "is of CFCA's test hierarchy, which is taken in the sandbox environment only")
            }
            Ok(der) => Some(der),
            Err(fault) => self.fault(key, fault.to_string()),
        }
    }

    fn sign_cert(&mut self) -> Option<Pair> {
        let key = "sign_cert";
        let source: SecretSource = self.source(key, "a pfx, or a pem with the key and its certificate")?;
        let secret = self.load(key, &source)?;
        let password = match &source {
            SecretSource::File(file) => match &file.password {
                Some(password) => Some(self.load("sign_cert.password", password)?),
                None => None,
            },
            SecretSource::Env(_) | SecretSource::Inline(_) => None,
        };
        match read_pair(secret.bytes(), password.as_ref()) {
            Ok(pair) => Some(pair),
            Err(message) => self.fault(key, message),
        }
    }

    fn secret(&mut self, key: &str, wanted: &str) -> Option<Secret> {
        let source = self.source(key, wanted)?;
        self.load(key, &source)
    }

    fn source(&mut self, key: &str, wanted: &str) -> Option<SecretSource> {
        let wanted = format!("{{ file = \"…\" }} or {{ env = \"…\" }} with {wanted}");
        self.value(key, &wanted)
    }

    fn load(&mut self, path: &str, source: &SecretSource) -> Option<Secret> {
        match self.secrets.load(source) {
            Ok(secret) if secret.is_blank() => self.fault(path, "is blank"),
            Ok(secret) => Some(secret),
            Err(message) => self.fault(path, message),
        }
    }
}

const PAY_TIMEOUT_MINUTES: i64 = 5;
const PAY_TIMEOUT_MINUTES_MAX: i64 = 120;
const DER_SEQUENCE: u8 = 0x30;

/// A PFX opens with its password; a PEM holds the key and one or more certificates. Of several certificates the
/// one whose key is ours is the leaf.
fn read_pair(bytes: &[u8], password: Option<&Secret>) -> Result<Pair, String> {
    let (key, certificates) =
        if bytes.first() == Some(&DER_SEQUENCE) { open_pfx(bytes, password)? } else { read_pem(bytes)? };
    let own = certificates.into_iter().find(|certificate| {
        VerifyingKey::from_certificate_der(certificate).is_ok_and(|public| signs_for(&key, &public))
    });
    own.map(|certificate| Pair { key, certificate }).ok_or_else(|| "holds no certificate of its private key".to_owned())
}

fn open_pfx(bytes: &[u8], password: Option<&Secret>) -> Result<(SigningKey, Vec<Vec<u8>>), String> {
    let password = match password {
        Some(secret) => std::str::from_utf8(one_line(secret.bytes())).map_err(|_| "has a password that is not text")?,
        None => "",
    };
    let store = KeyStore::from_pkcs12(bytes, password)
        .map_err(|_| "is a pfx that does not open: wrong password, or an encryption that is not known here")?;
    let (_, chain) = store.private_key_chain().ok_or("is a pfx without a private key and its certificate")?;
    let key = SigningKey::from_der(chain.key()).map_err(|fault| fault.to_string())?;
    Ok((key, chain.chain().iter().map(|certificate| certificate.as_der().to_vec()).collect()))
}

fn read_pem(bytes: &[u8]) -> Result<(SigningKey, Vec<Vec<u8>>), String> {
    let key = SigningKey::read(bytes).map_err(|fault| fault.to_string())?;
    let blocks = pem_blocks(bytes).map_err(|fault| fault.to_string())?.into_iter();
    Ok((key, blocks.filter(|block| block.label == "CERTIFICATE").map(|block| block.der.to_vec()).collect()))
}

/// The text of a secret without its line end.
fn one_line(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

#[cfg(test)]
mod tests;
