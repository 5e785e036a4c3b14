//! Certificate mode (section 6): serial numbers, and which of Alipay's certificates are believed.
//!
//! Invariant: a fetched certificate is adopted only when it is valid now, chains by SHA-2 RSA signatures to a
//! certificate of the configured root file, carries the number that was asked for and names the same holder as the
//! configured one: the same root also signs merchants' certificates. A number in a message is only looked up.
//! It knows nothing of forms, operations or money.

use crate::shared::rsa::{VerifyingKey, pem_blocks};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use tongdao_core::provider::CertificateEnd;
use tongdao_core::time::UnixMillis;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

/// Why bytes are not a certificate that may be used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CertificateFault {
    /// No certificate in PEM.
    #[error("holds no certificate in PEM form")]
    Unreadable,
    /// Its key is not RSA of at least 2048 bits.
    #[error("holds no RSA key of 2048 bits or more")]
    Key,
    /// A name in it that cannot be written.
    #[error("has an issuer name that cannot be written")]
    Name,
    /// A root file without a certificate signed by RSA.
    #[error("holds no certificate that is signed with RSA")]
    NoRsaRoot,
    /// Not the certificate that was asked for.
    #[error("is not the certificate that was asked for")]
    NotAsked,
    /// Issued to someone else than the configured certificate.
    #[error("names another holder than alipay_cert")]
    Holder,
    /// Does not lead to the configured root at this moment.
    #[error("does not chain to alipay_root_cert")]
    Chain,
}

/// MD5 names a certificate here and proves nothing: what it is worth is decided by its chain.
fn name_of(text: &str) -> String {
    use md5::Digest as _;
    md5::Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One certificate in DER form.
#[derive(Clone)]
pub(super) struct Certificate(Vec<u8>);

impl Certificate {
    /// Reads all certificates of a PEM file, the holder's first.
    pub(super) fn read_all(pem: &[u8]) -> Result<Vec<Self>, CertificateFault> {
        let blocks = pem_blocks(pem).map_err(|_| CertificateFault::Unreadable)?;
        let certificates = blocks.into_iter().filter(|block| block.label.ends_with("CERTIFICATE"));
        let certificates: Vec<Self> = certificates.map(|block| Self(block.der.to_vec())).collect();
        if certificates.is_empty() || certificates.iter().any(|certificate| certificate.parsed().is_err()) {
            return Err(CertificateFault::Unreadable);
        }
        Ok(certificates)
    }

    /// The serial number of Alipay's certificate mode: lower hex MD5 of the issuer's name and the decimal serial.
    pub(super) fn number(&self) -> Result<String, CertificateFault> {
        let parsed = self.parsed()?;
        let issuer = name_text(parsed.issuer())?;
        Ok(name_of(&format!("{issuer}{}", parsed.tbs_certificate.serial)))
    }

    /// The key in it.
    pub(super) fn key(&self) -> Result<VerifyingKey, CertificateFault> {
        VerifyingKey::from_certificate_der(&self.0).map_err(|_| CertificateFault::Key)
    }

    /// Its last moment.
    pub(super) fn not_after(&self) -> UnixMillis {
        self.parsed()
            .map_or_else(|_| UnixMillis(0), |parsed| UnixMillis(0).plus_s(parsed.validity().not_after.timestamp()))
    }

    fn holder(&self) -> Option<String> {
        let parsed = self.parsed().ok()?;
        let name = parsed.subject().iter_common_name().next()?;
        name.as_str().ok().map(str::to_owned)
    }

    fn is_signed_with_rsa(&self) -> bool {
        self.parsed()
            .is_ok_and(|parsed| parsed.signature_algorithm.algorithm.to_id_string().starts_with("1.2.840.113549.1.1."))
    }

    fn parsed(&self) -> Result<X509Certificate<'_>, CertificateFault> {
        match X509Certificate::from_der(&self.0) {
            Ok(([], certificate)) => Ok(certificate),
            Ok(_) | Err(_) => Err(CertificateFault::Unreadable),
        }
    }
}

/// `alipay_root_cert_sn`: the numbers of the root file's RSA-signed certificates in file order, joined with `_`.
pub(super) fn root_number(roots: &[Certificate]) -> Result<String, CertificateFault> {
    let numbers = roots.iter().filter(|root| root.is_signed_with_rsa()).map(Certificate::number);
    let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    if numbers.is_empty() { Err(CertificateFault::NoRsaRoot) } else { Ok(numbers.join("_")) }
}

/// Alipay's certificates for one account: the configured one and those fetched since.
pub(super) struct PlatformCertificates {
    holder: Option<String>,
    intermediates: Vec<Certificate>,
    roots: Vec<Certificate>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    in_use: BTreeMap<String, InUse>,
    wanted: Option<String>,
    asked_at: Option<UnixMillis>,
}

struct InUse {
    key: VerifyingKey,
    not_after: UnixMillis,
}

impl PlatformCertificates {
    /// The configured certificates; the first of `file` is the one that signs, the others may lead to the root.
    pub(super) fn new(file: Vec<Certificate>, roots: Vec<Certificate>) -> Result<Self, CertificateFault> {
        let leaf = file.first().ok_or(CertificateFault::Unreadable)?;
        let in_use = InUse { key: leaf.key()?, not_after: leaf.not_after() };
        let state = State { in_use: BTreeMap::from([(leaf.number()?, in_use)]), ..State::default() };
        Ok(Self { holder: leaf.holder(), intermediates: file, roots, state: RwLock::new(state) })
    }

    /// The keys to try: the named certificate's, or all where none is named. `None`: unknown, to be fetched.
    pub(super) fn keys(&self, certificate_no: Option<&str>) -> Option<Vec<VerifyingKey>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(number) = certificate_no else {
            return Some(state.in_use.values().map(|used| used.key.clone()).collect());
        };
        if let Some(used) = state.in_use.get(number) {
            return Some(vec![used.key.clone()]);
        }
        drop(state);
        self.want(number);
        None
    }

    /// The number to fetch, when an answer named an unknown one: at most one fetch a minute.
    pub(super) fn due(&self, now: UnixMillis) -> Option<String> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let wanted = state.wanted.clone()?;
        if state.asked_at.is_some_and(|asked_at| (0..FETCH_PAUSE_MS).contains(&now.since_ms(asked_at))) {
            return None;
        }
        state.asked_at = Some(now);
        Some(wanted)
    }

    /// Adopts a fetched PEM file for the number that was wanted; answers how many certificates are in use.
    pub(super) fn adopt(&self, pem: &[u8], now: UnixMillis) -> Result<usize, CertificateFault> {
        let chain = Certificate::read_all(pem)?;
        let leaf = chain.first().ok_or(CertificateFault::Unreadable)?;
        let number = leaf.number()?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.wanted.as_ref() != Some(&number) {
            return Err(CertificateFault::NotAsked);
        }
        if self.holder.is_none() || leaf.holder() != self.holder {
            return Err(CertificateFault::Holder);
        }
        if !self.chains(leaf, &chain, now) {
            return Err(CertificateFault::Chain);
        }
        let adopted = InUse { key: leaf.key()?, not_after: leaf.not_after() };
        state.wanted = None;
        state.in_use.insert(number, adopted);
        if state.in_use.len() > IN_USE_MAX {
            let ends = state.in_use.iter().map(|(number, used)| (used.not_after, number.clone()));
            if let Some((_, first_to_end)) = ends.min() {
                state.in_use.remove(&first_to_end);
            }
        }
        Ok(state.in_use.len())
    }

    /// How many certificates are in use.
    pub(super) fn count(&self) -> usize {
        self.state.read().unwrap_or_else(PoisonError::into_inner).in_use.len()
    }

    /// The ends of what is in use and of the roots.
    pub(super) fn ends(&self) -> Vec<CertificateEnd> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let platform = state.in_use.values().map(|used| ("platform", used.not_after));
        let roots = self.roots.iter().filter(|root| root.is_signed_with_rsa()).map(|root| ("root", root.not_after()));
        platform.chain(roots).map(|(used_for, not_after)| CertificateEnd { used_for, not_after }).collect()
    }

    fn want(&self, number: &str) {
        if number.len() == 32 && number.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.wanted = Some(number.to_ascii_lowercase());
        }
    }

    /// Walks from `leaf` upwards, through the fetched and the configured certificates, to a configured root.
    fn chains(&self, leaf: &Certificate, fetched: &[Certificate], now: UnixMillis) -> bool {
        let mut current = leaf;
        for _ in 0..CHAIN_MAX {
            if self.roots.iter().any(|root| issued(root, current, now)) {
                return true;
            }
            let above = fetched.iter().chain(&self.intermediates);
            let Some(next) = above.into_iter().find(|above| is_authority(above) && issued(above, current, now)) else {
                return false;
            };
            current = next;
        }
        false
    }
}

impl std::fmt::Debug for PlatformCertificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlatformCertificates({})", self.count())
    }
}

const FETCH_PAUSE_MS: i64 = 60_000;
const IN_USE_MAX: usize = 8;
const CHAIN_MAX: usize = 4;
/// sha256, sha384 and sha512WithRSAEncryption: the older ones prove nothing any more.
const SHA2_WITH_RSA: [&str; 3] = ["1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13"];

/// Whether `issuer` signed `certificate`, both valid now.
fn issued(issuer: &Certificate, certificate: &Certificate, now: UnixMillis) -> bool {
    let (Ok(issuer), Ok(certificate), Ok(now)) =
        (issuer.parsed(), certificate.parsed(), ASN1Time::from_timestamp(now.as_secs()))
    else {
        return false;
    };
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    issuer.subject().as_raw() == certificate.issuer().as_raw()
        && issuer.validity().is_valid_at(now)
        && certificate.validity().is_valid_at(now)
        && SHA2_WITH_RSA.contains(&algorithm.as_str())
        && certificate.verify_signature(Some(issuer.public_key())).is_ok()
}

fn is_authority(certificate: &Certificate) -> bool {
    certificate.parsed().is_ok_and(|parsed| parsed.is_ca())
}

/// The name as Alipay writes it: from the last part to the first, `CN=…,OU=…,O=…,C=…`, escaped by RFC 2253.
fn name_text(name: &X509Name<'_>) -> Result<String, CertificateFault> {
    let mut parts = Vec::new();
    for part in name.iter_rdn() {
        let attributes = part.iter().map(|attribute| {
            let value = attribute.as_str().map_err(|_| CertificateFault::Name)?;
            Ok(format!("{}={}", key_of(&attribute.attr_type().to_id_string()), escaped(value)))
        });
        parts.push(attributes.collect::<Result<Vec<_>, _>>()?.join("+"));
    }
    parts.reverse();
    Ok(parts.join(","))
}

fn key_of(oid: &str) -> &str {
    match oid {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        other => other,
    }
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        if ",+\"\\<>;".contains(character) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests;
