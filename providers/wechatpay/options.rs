//! The section `[channels.wechatpay]`: its keys, their grammar, and every fault of it at once.
//!
//! Invariant: nothing is built from a section with a fault. Unknown keys are refused, blank secrets too, keys are
//! tried out before they are taken, and an address on this machine or without TLS is taken in the sandbox only.
//! No message ever carries a secret. It does not know where secrets come from.

use super::keys::{self, Certificate, Keys};
use crate::shared::address::url_fault;
use crate::shared::rsa::{SigningKey, VerifyingKey, signs_for};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tongdao_core::provider::{BuildInput, Environment, OptionFault, Secrets};
use tongdao_core::secret::{Secret, SecretSource};

/// Every key that the section may have.
const KEYS: [&str; 10] = [
    "base_url",
    "backup_base_url",
    "app_id",
    "mch_id",
    "merchant_serial",
    "merchant_private_key",
    "api_v3_key",
    "public_key_id",
    "public_key",
    "platform_certificates",
];

/// A section without faults.
pub(super) struct Options {
    pub(super) base_url: String,
    pub(super) backup_base_url: Option<String>,
    pub(super) app_id: String,
    pub(super) mch_id: String,
    pub(super) merchant_serial: String,
    pub(super) merchant_key: SigningKey,
    pub(super) api_v3_key: Secret,
    pub(super) environment: Environment,
}

/// Reads the section, or lists everything that is wrong with it.
pub(super) fn read(input: BuildInput<'_>) -> Result<(Options, Keys), Vec<OptionFault>> {
    let empty = Map::new();
    let mut reader = Reader {
        section: input.section.as_object().unwrap_or(&empty),
        environment: input.environment,
        secrets: input.secrets,
        faults: Vec::new(),
    };
    if !input.section.is_object() {
        reader.fault("", "must be a table");
    }
    reader.refuse_unknown();
    let base_url = reader.base_url("base_url");
    let backup_base_url = reader.has("backup_base_url").then(|| reader.base_url("backup_base_url"));
    let app_id = reader.word("app_id", "the app id (wx…), letters and digits", |b| b.is_ascii_alphanumeric());
    let mch_id = reader.word("mch_id", "the merchant number, digits only", |b| b.is_ascii_digit());
    let serial =
        reader.word("merchant_serial", "the serial number of the merchant certificate, hex", |b| b.is_ascii_hexdigit());
    let merchant_key = reader.merchant_key();
    let api_v3_key = reader.api_v3_key();
    let public = reader.public_key(merchant_key.as_ref());
    let certificates = reader.certificates();
    reader.check_modes();
    reader.check_backup(base_url.as_deref(), backup_base_url.as_ref());
    let built = (|| {
        Some(Options {
            base_url: base_url?,
            backup_base_url: backup_base_url.flatten(),
            app_id: app_id?,
            mch_id: mch_id?,
            merchant_serial: serial?.to_ascii_uppercase(),
            merchant_key: merchant_key?,
            api_v3_key: api_v3_key?,
            environment: input.environment,
        })
    })();
    match built {
        Some(options) if reader.faults.is_empty() => Ok((options, Keys::new(input.environment, public, certificates))),
        Some(_) | None => Err(reader.faults),
    }
}

struct Reader<'a> {
    section: &'a Map<String, Value>,
    environment: Environment,
    secrets: &'a dyn Secrets,
    faults: Vec<OptionFault>,
}

impl Reader<'_> {
    fn fault(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.faults.push(OptionFault { path: path.into(), message: message.into() });
    }

    fn has(&self, key: &str) -> bool {
        self.section.contains_key(key)
    }

    fn refuse_unknown(&mut self) {
        let unknown: Vec<String> = self.section.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
        for key in unknown {
            self.fault(key, format!("is not a key of this section; known are {}", KEYS.join(", ")));
        }
    }

    fn value<T: DeserializeOwned>(&mut self, key: &str, wanted: &str) -> Option<T> {
        let Some(value) = self.section.get(key) else {
            self.fault(key, format!("is missing: {wanted}"));
            return None;
        };
        let read = serde_json::from_value(value.clone()).ok();
        if read.is_none() {
            self.fault(key, format!("must be {wanted}"));
        }
        read
    }

    fn word(&mut self, key: &str, wanted: &str, letter: impl Fn(u8) -> bool) -> Option<String> {
        let text: String = self.value(key, wanted)?;
        if !(1..=40).contains(&text.len()) || !text.bytes().all(letter) {
            self.fault(key, format!("must be {wanted}, 1 to 40 characters"));
            return None;
        }
        Some(text)
    }

    fn base_url(&mut self, key: &str) -> Option<String> {
        let text: String = self.value(key, "an https address")?;
        let found = url_fault(&text, self.environment, &[]);
        if let Some(message) = found {
            self.fault(key, message);
            return None;
        }
        Some(text.trim_end_matches('/').to_owned())
    }

    fn secret(&mut self, path: &str, value: &Value) -> Option<Secret> {
        let Ok(source) = serde_json::from_value::<SecretSource>(value.clone()) else {
            self.fault(path, "must be { file = \"…\" } or { env = \"…\" }");
            return None;
        };
        match self.secrets.load(&source) {
            Ok(secret) if secret.is_blank() => {
                self.fault(path, "is blank");
                None
            }
            Ok(secret) => Some(secret),
            Err(message) => {
                self.fault(path, message);
                None
            }
        }
    }

    fn secret_at(&mut self, key: &str, wanted: &str) -> Option<Secret> {
        let value: Value = self.value(key, wanted)?;
        self.secret(key, &value)
    }

    fn merchant_key(&mut self) -> Option<SigningKey> {
        let key = "merchant_private_key";
        let secret = self.secret_at(key, "the merchant's private key, PEM")?;
        let tried = SigningKey::read(secret.bytes()).and_then(|private| {
            let holds = signs_for(&private, &private.verifying_key()?);
            Ok((private, holds))
        });
        match tried {
            Ok((private, true)) => Some(private),
            Ok((_, false)) => {
                self.fault(key, "does not verify what it signs: the key is damaged");
                None
            }
            Err(fault) => {
                self.fault(key, fault.to_string());
                None
            }
        }
    }

    fn api_v3_key(&mut self) -> Option<Secret> {
        let key = "api_v3_key";
        let secret = self.secret_at(key, "the APIv3 key, 32 bytes")?;
        let bytes = secret.bytes();
        let bare = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        if bare.len() != 32 {
            self.fault(key, format!("must be exactly 32 bytes and is {} (the APIv2 key is another one)", bare.len()));
            return None;
        }
        Some(Secret::new(bare.to_vec()))
    }

    fn public_key(&mut self, merchant: Option<&SigningKey>) -> Option<(String, VerifyingKey)> {
        if !self.has("public_key_id") && !self.has("public_key") {
            return None;
        }
        let id: Option<String> = self.value("public_key_id", "the id (PUB_KEY_ID_…) that public_key goes by");
        let id = id.filter(|id| {
            let digits = id.strip_prefix("PUB_KEY_ID_").unwrap_or_default();
            let holds = (1..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_alphanumeric());
            if !holds {
                self.fault("public_key_id", "must be PUB_KEY_ID_ and digits, as the merchant platform shows it");
            }
            holds
        });
        let secret = self.secret_at("public_key", "WeChat Pay's public key, PEM")?;
        match VerifyingKey::read_spki(secret.bytes()) {
            Ok(key) if merchant.is_some_and(|private| signs_for(private, &key)) => {
                self.fault("public_key", "is the merchant's own public key; WeChat Pay's is wanted");
                None
            }
            Ok(key) => Some((id?, key)),
            Err(fault) => {
                self.fault("public_key", fault.to_string());
                None
            }
        }
    }

    fn certificates(&mut self) -> Option<Vec<Certificate>> {
        if !self.has("platform_certificates") {
            return None;
        }
        let list: Vec<Value> = self.value("platform_certificates", "a list of certificates")?;
        let mut certificates = Vec::new();
        for (place, value) in list.iter().enumerate() {
            let path = format!("platform_certificates[{place}]");
            let Some(secret) = self.secret(&path, value) else { continue };
            let read = keys::certificates_of(secret.bytes()).map_err(Into::into).and_then(|found| {
                found.iter().map(|der| Certificate::read(der, self.environment)).collect::<Result<Vec<_>, _>>()
            });
            match read {
                Ok(found) => certificates.extend(found),
                Err(fault) => self.fault(path, fault.to_string()),
            }
        }
        Some(certificates)
    }

    /// An empty list of certificates is a choice (they are downloaded); nothing at all is an omission.
    fn check_modes(&mut self) {
        if !self.has("public_key_id") && !self.has("public_key") && !self.has("platform_certificates") {
            self.fault(
                "public_key",
                "is missing: give public_key_id and public_key, or platform_certificates, or both modes",
            );
        }
    }

    /// The path is signed and the host is not: both hosts must have the same path.
    fn check_backup(&mut self, base: Option<&str>, backup: Option<&Option<String>>) {
        let (Some(base), Some(Some(backup))) = (base, backup) else { return };
        if super::sign::target_of(base) != super::sign::target_of(backup) {
            self.fault("backup_base_url", "must have the same path as base_url, because the path is signed");
        }
    }
}

#[cfg(test)]
mod tests;
