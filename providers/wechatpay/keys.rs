//! The keys that WeChat Pay signs with: the merchant's fixed public key, and platform certificates that rotate.
//!
//! Invariant: a key is found by the exact text of `Wechatpay-Serial` and by nothing else, and a certificate is used
//! inside its validity only. Downloaded certificates are adopted after AES-GCM under the APIv3 key has
//! authenticated them and the answer's own signature held; known ones are kept until they end. Both modes work at
//! once, because a migrating merchant sees both for days (README 3). It reads no clock and sends nothing.

use super::codes;
use super::sign::{self, OpenFault, Seal};
use super::wire::{self, CertificateItem, CertificateList};
use crate::shared::rsa::{self, KeyFault, VerifyingKey};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tongdao_core::provider::{CertificateEnd, Environment, HttpReply};
use tongdao_core::time::UnixMillis;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};

/// Downloads come more often than the 12 h that the documents allow.
const REFRESH_MS: i64 = 10 * 3_600_000;
/// A failed or wished-for download is written again after this.
const RETRY_MS: i64 = 60_000;
/// More certificates than any rotation has.
const CERTIFICATES_MAX: usize = 16;

/// Why bytes are not a platform certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CertificateFault {
    /// Not a readable certificate with an RSA key of 2048 bits or more.
    #[error("{0}")]
    Key(#[from] KeyFault),
    /// Not issued by Tenpay, which production insists on.
    #[error("was not issued by Tenpay.com")]
    Issuer,
}

/// Why a download was not adopted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DownloadFault {
    /// Not a 200.
    #[error("the certificate list was answered with HTTP {0}")]
    Status(u16),
    /// Not the documented body.
    #[error("the certificate list is unreadable")]
    Unreadable,
    /// An entry that the APIv3 key does not open.
    #[error("a certificate {0}")]
    Sealed(#[from] OpenFault),
    /// An entry that is no platform certificate.
    #[error("a downloaded certificate {0}")]
    Certificate(#[from] CertificateFault),
    /// An entry whose serial number is not its certificate's.
    #[error("a certificate's serial number is not the one it is listed under")]
    Serial,
    /// The answer's own signature does not hold.
    #[error("the certificate list is not signed by a known or enclosed certificate, or not now")]
    Signature,
}

/// One platform certificate.
#[derive(Clone)]
pub(super) struct Certificate {
    serial: String,
    key: Arc<VerifyingKey>,
    not_before: UnixMillis,
    not_after: UnixMillis,
}

impl Certificate {
    /// Reads DER. Production takes only what Tenpay issued; validity is looked at whenever it is used.
    pub(super) fn read(der: &[u8], environment: Environment) -> Result<Self, CertificateFault> {
        let key = Arc::new(VerifyingKey::from_certificate_der(der)?);
        let (_, parsed) = X509Certificate::from_der(der).map_err(|_| KeyFault::NotCertificate)?;
        if environment == Environment::Production && !is_tenpay(parsed.issuer()) {
            return Err(CertificateFault::Issuer);
        }
        let moment = |time: x509_parser::time::ASN1Time| UnixMillis(0).plus_s(time.timestamp());
        Ok(Self {
            serial: serial_of(&parsed),
            key,
            not_before: moment(parsed.validity().not_before),
            not_after: moment(parsed.validity().not_after),
        })
    }

    fn holds_at(&self, now: UnixMillis) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// All verification keys of one account.
pub(super) struct Keys {
    environment: Environment,
    public: Option<(String, Arc<VerifyingKey>)>,
    /// Whether certificates are configured, so that they are kept fresh without being asked for.
    rotates: bool,
    ring: RwLock<Ring>,
    /// An unknown serial was seen: the next download is due at once.
    wanted: AtomicBool,
}

#[derive(Default)]
struct Ring {
    certificates: BTreeMap<String, Certificate>,
    fetched_at: Option<UnixMillis>,
    tried_at: Option<UnixMillis>,
}

impl Keys {
    /// The configured keys; `certificates` is `None` where only the public key is configured.
    pub(super) fn new(
        environment: Environment,
        public: Option<(String, VerifyingKey)>,
        certificates: Option<Vec<Certificate>>,
    ) -> Self {
        let rotates = certificates.is_some();
        let certificates =
            certificates.into_iter().flatten().map(|certificate| (certificate.serial.clone(), certificate)).collect();
        Self {
            environment,
            public: public.map(|(id, key)| (id, Arc::new(key))),
            rotates,
            ring: RwLock::new(Ring { certificates, ..Ring::default() }),
            wanted: AtomicBool::new(false),
        }
    }

    /// The key of that exact name, if it may be used at `now`. A miss makes a download due.
    pub(super) fn find(&self, serial: &str, now: UnixMillis) -> Option<Arc<VerifyingKey>> {
        let found = self.known(serial, now);
        if found.is_none() {
            self.wanted.store(true, Ordering::Relaxed);
        }
        found
    }

    /// The name to ask answers to be signed with: the public key, else the certificate in force that ends last.
    pub(super) fn preferred(&self, now: UnixMillis) -> Option<String> {
        if let Some((id, _)) = &self.public {
            return Some(id.clone());
        }
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let in_force = ring.certificates.values().filter(|certificate| certificate.holds_at(now));
        in_force.max_by_key(|certificate| certificate.not_after).map(|certificate| certificate.serial.clone())
    }

    /// Whether a download is to be written now, and if so notes that it was.
    pub(super) fn starts_download(&self, now: UnixMillis, asked: bool) -> bool {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let older = |moment: Option<UnixMillis>, ms| moment.is_none_or(|moment| now.since_ms(moment) >= ms);
        let stale = (self.rotates || !ring.certificates.is_empty()) && older(ring.fetched_at, REFRESH_MS);
        let wished = stale || self.wanted.load(Ordering::Relaxed);
        let starts = asked || (wished && older(ring.tried_at, RETRY_MS));
        if starts {
            ring.tried_at = Some(now);
            self.wanted.store(false, Ordering::Relaxed);
        }
        starts
    }

    /// Reads a download and adopts its certificates; answers how many keys are in use.
    pub(super) fn adopt(&self, reply: &HttpReply, now: UnixMillis, api_v3_key: &[u8]) -> Result<usize, DownloadFault> {
        let fresh = if self.public.is_some() && codes::has_no_certificates(reply) {
            Vec::new() // a merchant of the public-key mode has none: nothing to ask for again soon
        } else {
            self.read_download(reply, now, api_v3_key)?
        };
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        ring.fetched_at = Some(now);
        ring.certificates.retain(|_, certificate| certificate.not_after >= now);
        for certificate in fresh {
            ring.certificates.insert(certificate.serial.clone(), certificate);
        }
        Ok(ring.certificates.len().saturating_add(self.public.iter().count()))
    }

    /// The ends of the platform certificates; the public key has none.
    pub(super) fn ends(&self) -> Vec<CertificateEnd> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let ends = ring.certificates.values().map(|certificate| certificate.not_after);
        ends.map(|not_after| CertificateEnd { used_for: "platform", not_after }).collect()
    }

    fn known(&self, serial: &str, now: UnixMillis) -> Option<Arc<VerifyingKey>> {
        if let Some((id, key)) = &self.public
            && id == serial
        {
            return Some(Arc::clone(key));
        }
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let certificate = ring.certificates.get(serial).filter(|certificate| certificate.holds_at(now));
        certificate.map(|certificate| Arc::clone(&certificate.key))
    }

    /// Decrypts first, then verifies: the very first answer is signed by a certificate inside it (README 3).
    fn read_download(
        &self,
        reply: &HttpReply,
        now: UnixMillis,
        api_v3_key: &[u8],
    ) -> Result<Vec<Certificate>, DownloadFault> {
        if reply.status != 200 {
            return Err(DownloadFault::Status(reply.status));
        }
        let list: CertificateList = wire::read(&reply.body).ok_or(DownloadFault::Unreadable)?;
        if list.data.len() > CERTIFICATES_MAX {
            return Err(DownloadFault::Unreadable);
        }
        let opened = list.data.iter().map(|item| self.open_item(item, api_v3_key));
        let fresh: Vec<Certificate> = opened.collect::<Result<_, _>>()?;
        let seal = Seal::read(|name| reply.header(name)).ok_or(DownloadFault::Signature)?;
        let enclosed = || {
            let named = fresh.iter().find(|certificate| certificate.serial == seal.serial);
            named.filter(|certificate| certificate.holds_at(now)).map(|certificate| Arc::clone(&certificate.key))
        };
        let key = self.known(seal.serial, now).or_else(enclosed).ok_or(DownloadFault::Signature)?;
        if !seal.holds(&key, &reply.body) || !seal.is_fresh(now) {
            return Err(DownloadFault::Signature);
        }
        Ok(fresh)
    }

    fn open_item(&self, item: &CertificateItem, api_v3_key: &[u8]) -> Result<Certificate, DownloadFault> {
        let pem = sign::open(api_v3_key, &item.encrypt_certificate)?;
        let block = certificates_of(&pem).map_err(CertificateFault::Key)?.into_iter().next();
        let der = block.ok_or(DownloadFault::Unreadable)?;
        let certificate = Certificate::read(&der, self.environment)?;
        if certificate.serial == item.serial_no { Ok(certificate) } else { Err(DownloadFault::Serial) }
    }
}

/// The DER of every certificate in a PEM file.
pub(super) fn certificates_of(pem: &[u8]) -> Result<Vec<Vec<u8>>, KeyFault> {
    let blocks = rsa::pem_blocks(pem)?.into_iter().filter(|block| block.label == "CERTIFICATE");
    let found: Vec<Vec<u8>> = blocks.map(|block| block.der.to_vec()).collect();
    if found.is_empty() { Err(KeyFault::Label) } else { Ok(found) }
}

fn is_tenpay(issuer: &X509Name<'_>) -> bool {
    let organisation = issuer.iter_organization().filter_map(|part| part.as_str().ok()).any(|o| o == "Tenpay.com");
    let names = issuer.iter_common_name().filter_map(|part| part.as_str().ok());
    organisation && names.into_iter().any(|name| name.starts_with("Tenpay.com"))
}

/// The serial number as `openssl x509 -serial` prints it: upper-case hex, without the sign byte of its DER.
fn serial_of(certificate: &X509Certificate<'_>) -> String {
    let raw = certificate.raw_serial();
    let bare = match raw {
        [0, rest @ ..] if !rest.is_empty() => rest,
        [..] => raw,
    };
    bare.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests;
