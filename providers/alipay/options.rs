//! `[channels.alipay]`: the account's numbers, its keys and the mode they are used in.
//!
//! Invariant: a section is taken whole or refused with all its faults at once; no message of a fault carries a
//! secret; plain HTTP and loopback gateways exist in the sandbox environment only; the keys are tried before the
//! first payer meets them. It knows nothing of messages.

use super::certificates::{Certificate, CertificateFault, PlatformCertificates, root_number};
use super::sign::Trust;
use crate::shared::address::url_fault;
use crate::shared::rsa::{SigningKey, VerifyingKey, signs_for};
use serde_json::{Map, Value};
use tongdao_core::provider::{BuildInput, CertificateEnd, Environment, OptionFault};
use tongdao_core::secret::{Secret, SecretSource};

/// One configured account, checked.
pub(super) struct Options {
    /// The gateway's absolute URL, without a query.
    pub(super) gateway_url: String,
    /// Whether this is the sandbox environment.
    pub(super) is_sandbox: bool,
    /// Our app's number.
    pub(super) app_id: String,
    /// The payee's number (PID).
    pub(super) seller_id: String,
    /// How long a QR code lives, in whole minutes.
    pub(super) qr_minutes: i64,
    /// The app's private key.
    pub(super) app_key: SigningKey,
    /// Whose signatures are Alipay's.
    pub(super) trust: Trust,
    /// The numbers that requests carry in certificate mode.
    pub(super) certificate_numbers: Option<CertificateNumbers>,
    /// The end of the app's certificate.
    pub(super) app_certificate_end: Option<CertificateEnd>,
}

/// `app_cert_sn` and `alipay_root_cert_sn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CertificateNumbers {
    /// The number of the app's certificate.
    pub(super) app: String,
    /// The numbers of the roots, joined.
    pub(super) root: String,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Options(app_id {}, {:?})", self.app_id, self.trust)
    }
}

/// Reads a section.
///
/// # Errors
/// Every fault of it.
pub(super) fn read(input: BuildInput<'_>) -> Result<Options, Vec<OptionFault>> {
    let Some(keys) = input.section.as_object() else {
        return Err(vec![OptionFault { path: String::new(), message: "must be a table".into() }]);
    };
    let is_sandbox = input.environment == Environment::Sandbox;
    let mut section = Section { keys, input, faults: Vec::new() };
    section.refuse_unknown_keys();
    let gateway_url = section.gateway_url();
    let app_id = section.number("app_id", "", "the app's number, as the console shows it");
    let seller_id = section.number("seller_id", "2088", "the payee's number (PID), 2088 and 12 more digits");
    let qr_minutes = section.qr_minutes();
    let app_key = section.app_key();
    let mode = section.mode(app_key.as_ref());
    match (gateway_url, app_id, seller_id, qr_minutes, app_key.zip(mode)) {
        (Some(gateway_url), Some(app_id), Some(seller_id), Some(qr_minutes), Some((app_key, mode)))
            if section.faults.is_empty() =>
        {
            let Mode { trust, certificate_numbers, app_certificate_end } = mode;
            Ok(Options {
                gateway_url,
                is_sandbox,
                app_id,
                seller_id,
                qr_minutes,
                app_key,
                trust,
                certificate_numbers,
                app_certificate_end,
            })
        }
        _ => Err(section.faults),
    }
}

const KEYS: [&str; 9] = [
    "gateway_url",
    "app_id",
    "seller_id",
    "app_private_key",
    "alipay_public_key",
    "app_cert",
    "alipay_cert",
    "alipay_root_cert",
    "qr_minutes",
];
const CERTIFICATE_KEYS: [&str; 3] = ["app_cert", "alipay_cert", "alipay_root_cert"];
const QR_MINUTES: i64 = 5;
/// A code dies 2 h after it was made, whatever is asked for.
const QR_MINUTES_MAX: i64 = 120;

struct Mode {
    trust: Trust,
    certificate_numbers: Option<CertificateNumbers>,
    app_certificate_end: Option<CertificateEnd>,
}

struct Section<'a> {
    keys: &'a Map<String, Value>,
    input: BuildInput<'a>,
    faults: Vec<OptionFault>,
}

impl Section<'_> {
    fn fault<T>(&mut self, path: &str, message: impl Into<String>) -> Option<T> {
        self.faults.push(OptionFault { path: path.to_owned(), message: message.into() });
        None
    }

    fn refuse_unknown_keys(&mut self) {
        for key in self.keys.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            self.faults.push(OptionFault {
                path: key.clone(),
                message: format!("unknown key; known are {}", KEYS.join(", ")),
            });
        }
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.keys.get(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
            Some(_) => self.fault(key, "must be text that is not blank"),
            None => self.fault(key, "is missing"),
        }
    }

    fn number(&mut self, key: &str, prefix: &str, what: &str) -> Option<String> {
        let text = self.text(key)?;
        let is_number = (8..=28).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && text.starts_with(prefix) { Some(text) } else { self.fault(key, format!("must be {what}")) }
    }

    fn gateway_url(&mut self) -> Option<String> {
        let url = self.text("gateway_url")?;
        match url_fault(&url, self.input.environment, &[]) {
            Some(message) => self.fault("gateway_url", message),
            None => Some(url),
        }
    }

    fn qr_minutes(&mut self) -> Option<i64> {
        let Some(value) = self.keys.get("qr_minutes") else { return Some(QR_MINUTES) };
        match value.as_i64() {
            Some(minutes @ 1..=QR_MINUTES_MAX) => Some(minutes),
            Some(_) | None => self.fault("qr_minutes", "must be a whole number of minutes from 1 to 120"),
        }
    }

    fn secret(&mut self, key: &str) -> Option<Secret> {
        let Some(value) = self.keys.get(key) else { return self.fault(key, "is missing") };
        let Ok(source) = serde_json::from_value::<SecretSource>(value.clone()) else {
            return self.fault(key, "must be { file = \"…\" }, { env = \"…\" } or, where allowed, the text itself");
        };
        match self.input.secrets.load(&source) {
            Ok(secret) if secret.is_blank() => self.fault(key, "is blank"),
            Ok(secret) => Some(secret),
            Err(message) => self.fault(key, message),
        }
    }

    fn app_key(&mut self) -> Option<SigningKey> {
        let secret = self.secret("app_private_key")?;
        match SigningKey::read(secret.bytes()) {
            Ok(key) => Some(key),
            Err(fault) => self.fault("app_private_key", fault.to_string()),
        }
    }

    fn mode(&mut self, app_key: Option<&SigningKey>) -> Option<Mode> {
        let certificate_mode = CERTIFICATE_KEYS.iter().any(|key| self.keys.contains_key(*key));
        match (self.keys.contains_key("alipay_public_key"), certificate_mode) {
            (true, true) => self.fault(
                "alipay_public_key",
                "stands beside certificates: keep it alone, or app_cert, alipay_cert and alipay_root_cert without it",
            ),
            (_, false) => self.key_mode(app_key),
            (false, true) => self.certificate_mode(app_key),
        }
    }

    fn key_mode(&mut self, app_key: Option<&SigningKey>) -> Option<Mode> {
        if !self.keys.contains_key("alipay_public_key") {
            return self.fault(
                "alipay_public_key",
                "is missing (or app_cert, alipay_cert and alipay_root_cert for certificate mode)",
            );
        }
        let secret = self.secret("alipay_public_key")?;
        let key = match VerifyingKey::read_spki(secret.bytes()) {
            Ok(key) => key,
            Err(fault) => return self.fault("alipay_public_key", fault.to_string()),
        };
        if app_key.is_some_and(|app_key| signs_for(app_key, &key)) {
            return self.fault(
                "alipay_public_key",
                "is the public half of app_private_key; what belongs here is Alipay's own public key from the console",
            );
        }
        Some(Mode { trust: Trust::Key(Box::new(key)), certificate_numbers: None, app_certificate_end: None })
    }

    fn certificate_mode(&mut self, app_key: Option<&SigningKey>) -> Option<Mode> {
        let [app, alipay, roots] = CERTIFICATE_KEYS.map(|key| self.certificates(key));
        let (app, alipay, roots) = (app?, alipay?, roots?);
        let root = root_number(&roots).map_err(|fault| self.note("alipay_root_cert", fault)).ok()?;
        let leaf = app.first()?;
        let number = leaf.number().map_err(|fault| self.note("app_cert", fault)).ok()?;
        let key = leaf.key().map_err(|fault| self.note("app_cert", fault)).ok()?;
        if app_key.is_some_and(|app_key| !signs_for(app_key, &key)) {
            return self.fault("app_cert", "is not the certificate of app_private_key");
        }
        let app_certificate_end = Some(CertificateEnd { used_for: "merchant", not_after: leaf.not_after() });
        let platform =
            PlatformCertificates::new(alipay, roots).map_err(|fault| self.note("alipay_cert", fault)).ok()?;
        Some(Mode {
            trust: Trust::Certificates(Box::new(platform)),
            certificate_numbers: Some(CertificateNumbers { app: number, root }),
            app_certificate_end,
        })
    }

    fn certificates(&mut self, key: &str) -> Option<Vec<Certificate>> {
        let secret = self.secret(key)?;
        match Certificate::read_all(secret.bytes()) {
            Ok(certificates) => Some(certificates),
            Err(fault) => self.fault(key, fault.to_string()),
        }
    }

    fn note(&mut self, path: &str, fault: CertificateFault) {
        self.faults.push(OptionFault { path: path.to_owned(), message: fault.to_string() });
    }
}

#[cfg(test)]
mod tests;
