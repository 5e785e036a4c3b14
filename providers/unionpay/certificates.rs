//! Whether a certificate that came inside a message is UnionPay's own.
//!
//! Invariant: a key is believed only when its certificate was issued by the one configured middle certificate,
//! that by the one configured root, all three hold now, and the leaf's common name is UnionPay's (protocol notes,
//! 4; attacks 23 to 25). The message chooses nothing: no path, no address, no issuer of its own.
//! It knows certificates and no fields.

use crate::shared::rsa::{VerifyingKey, pem_blocks};
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tongdao_core::provider::{CertificateEnd, Environment};
use tongdao_core::time::UnixMillis;
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Why a certificate is not believed. For the log; whoever sent it is never told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untrusted {
    /// Not one PEM certificate.
    #[error("is not one certificate")]
    NotCertificate,
    /// Not issued by the configured certificates, or by an algorithm that is not taken.
    #[error("was not issued by the configured certificate")]
    Chain,
    /// Not valid at this moment.
    #[error("is not valid now")]
    Dates,
    /// Genuine, and not UnionPay's.
    #[error("is another holder's")]
    Holder,
    /// Its key is not an RSA key of 2048 bits or more.
    #[error("has no RSA key of 2048 bits or more")]
    Key,
}

/// The configured anchors and the certificates that they vouched for.
pub(crate) struct Trust {
    root: Vec<u8>,
    middle: Vec<u8>,
    environment: Environment,
    /// From the first moment of all of root and middle to the last.
    anchors_hold: Span,
    believed: Mutex<VecDeque<Believed>>,
}

impl Trust {
    /// Takes the two anchors (DER). The root must have signed itself and the middle, and both must be issuers.
    pub(crate) fn new(root: Vec<u8>, middle: Vec<u8>, environment: Environment) -> Result<Self, Untrusted> {
        let anchors_hold = {
            let (root, middle) = (parsed(&root)?, parsed(&middle)?);
            if !root.is_ca() || !middle.is_ca() {
                return Err(Untrusted::Chain);
            }
            issued_by(&root, &root)?;
            issued_by(&middle, &root)?;
            Span::of(&root).and(Span::of(&middle))
        };
        Ok(Self { root, middle, environment, anchors_hold, believed: Mutex::new(VecDeque::new()) })
    }

    /// The key of UnionPay's certificate in `pem`, when every check holds at `now`.
    pub(crate) fn key_in(&self, pem: &str, now: UnixMillis) -> Result<VerifyingKey, Untrusted> {
        let der = single_certificate(pem.as_bytes())?;
        let fingerprint: [u8; 32] = Sha256::digest(&der).into();
        if let Some(known) = self.believed().iter().find(|known| known.fingerprint == fingerprint) {
            return known.holds.covers(now).map(|()| known.key.clone());
        }
        let believed = self.check(&der, fingerprint, now)?;
        let key = believed.key.clone();
        self.remember(believed);
        Ok(key)
    }

    /// When the anchors end, and the certificates of UnionPay that were seen.
    pub(crate) fn ends(&self) -> Vec<CertificateEnd> {
        let anchors = [("root", &self.root), ("middle", &self.middle)];
        let mut ends: Vec<CertificateEnd> = anchors
            .into_iter()
            .filter_map(|(used_for, der)| end_of(der).map(|not_after| CertificateEnd { used_for, not_after }))
            .collect();
        let seen = self.believed();
        ends.extend(seen.iter().map(|one| CertificateEnd { used_for: "platform", not_after: one.holds.last }));
        ends
    }

    fn check(&self, der: &[u8], fingerprint: [u8; 32], now: UnixMillis) -> Result<Believed, Untrusted> {
        let leaf = parsed(der)?;
        issued_by(&leaf, &parsed(&self.middle)?)?;
        let holds = self.anchors_hold.and(Span::of(&leaf));
        holds.covers(now)?;
        if !self.is_unionpay(holder_of(&leaf)?) {
            return Err(Untrusted::Holder);
        }
        let key = VerifyingKey::from_certificate_der(der).map_err(|_| Untrusted::Key)?;
        Ok(Believed { fingerprint, key, holds })
    }

    fn is_unionpay(&self, holder: &[u8]) -> bool {
        match self.environment {
            Environment::Production => holder == HOLDER.as_bytes(),
            Environment::Sandbox => holder == HOLDER.as_bytes() || holder == HOLDER_IN_TESTS.as_bytes(),
        }
    }

    /// Only what was verified gets in, so strangers cannot push a known one out.
    fn remember(&self, one: Believed) {
        let mut believed = self.believed();
        if believed.len() >= BELIEVED_MAX {
            believed.pop_front();
        }
        believed.push_back(one);
    }

    fn believed(&self) -> MutexGuard<'_, VecDeque<Believed>> {
        self.believed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trust({:?}, {} believed)", self.environment, self.believed().len())
    }
}

/// The one certificate in PEM text, or a bare DER file.
pub(crate) fn single_certificate(bytes: &[u8]) -> Result<Vec<u8>, Untrusted> {
    if bytes.first() == Some(&DER_SEQUENCE) {
        return parsed(bytes).map(|_| bytes.to_vec());
    }
    let mut blocks = pem_blocks(bytes).map_err(|_| Untrusted::NotCertificate)?.into_iter();
    match (blocks.next(), blocks.next()) {
        (Some(block), None) if block.label == "CERTIFICATE" => parsed(&block.der).map(|_| block.der.to_vec()),
        (Some(_) | None, _) => Err(Untrusted::NotCertificate),
    }
}

/// The serial number in decimal: `certId`. Never hex.
pub(crate) fn decimal_serial(der: &[u8]) -> Result<String, Untrusted> {
    Ok(parsed(der)?.serial.to_string())
}

/// The last moment of a certificate.
pub(crate) fn end_of(der: &[u8]) -> Option<UnixMillis> {
    parsed(der).ok().map(|certificate| Span::of(&certificate).last)
}

/// Whether a certificate is of CFCA's test hierarchy, which also signs in UnionPay's production name.
pub(crate) fn is_of_test_hierarchy(der: &[u8]) -> bool {
    let marked = |certificate: X509Certificate<'_>| {
        let mut names = certificate.subject().iter_attributes();
        names.any(|name| name.as_slice().windows(TEST_HIERARCHY.len()).any(|part| part == TEST_HIERARCHY))
    };
    parsed(der).is_ok_and(marked)
}

const HOLDER: &str = "中国银联股份有限公司";
const HOLDER_IN_TESTS: &str = "00040000:SIGN";
const TEST_HIERARCHY: &[u8] = b"CFCA TEST";
const BELIEVED_MAX: usize = 16;
const DER_SEQUENCE: u8 = 0x30;

struct Believed {
    fingerprint: [u8; 32],
    key: VerifyingKey,
    holds: Span,
}

/// From the first to the last moment, both included.
#[derive(Clone, Copy)]
struct Span {
    first: UnixMillis,
    last: UnixMillis,
}

impl Span {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        let moment = |seconds: i64| UnixMillis(0).plus_s(seconds);
        Self {
            first: moment(validity.not_before.timestamp()),
            last: moment(validity.not_after.timestamp()).plus_ms(999),
        }
    }

    fn and(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), last: self.last.min(other.last) }
    }

    fn covers(self, now: UnixMillis) -> Result<(), Untrusted> {
        if self.first <= now && now <= self.last { Ok(()) } else { Err(Untrusted::Dates) }
    }
}

fn parsed(der: &[u8]) -> Result<X509Certificate<'_>, Untrusted> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok((_, _)) | Err(_) => Err(Untrusted::NotCertificate),
    }
}

/// CFCA still signs with SHA-1, which other verifiers refuse; SHA-256 is taken beside it and nothing else.
fn issued_by(subject: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Result<(), Untrusted> {
    let algorithm = &subject.signature_algorithm.algorithm;
    let taken = [OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA].contains(algorithm)
        && *algorithm == subject.tbs_certificate.signature.algorithm;
    let named = subject.issuer().as_raw() == issuer.subject().as_raw();
    if !taken || !named {
        return Err(Untrusted::Chain);
    }
    subject.verify_signature(Some(issuer.public_key())).map_err(|_| Untrusted::Chain)
}

/// The third part of the only common name, between `@`. Raw bytes: some are T61 strings, which are not read as text.
fn holder_of<'a>(leaf: &'a X509Certificate<'_>) -> Result<&'a [u8], Untrusted> {
    let mut names = leaf.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => name.as_slice().split(|byte| *byte == b'@').nth(2).ok_or(Untrusted::Holder),
        (Some(_) | None, _) => Err(Untrusted::Holder),
    }
}

#[cfg(test)]
mod tests;
