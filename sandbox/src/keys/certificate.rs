//! X.509 certificates for the keys: roots, intermediates and leaves, RSA with SHA-256.
//! Guards: serials have the form each provider prints (40 or 32 hex digits, or a short decimal).
//! Must not know: files.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, SerialNumber,
};

use super::rsa::der_of;
use super::{KeysError, RsaKey};

/// A certificate serial number.
pub(crate) struct Serial(Vec<u8>);

impl Serial {
    /// 40 hex digits (WeChat Pay).
    pub(crate) fn hex40() -> Self {
        Self(random(20))
    }

    /// 32 hex digits (Alipay).
    pub(crate) fn hex32() -> Self {
        Self(random(16))
    }

    /// A decimal of 10 to 12 digits (UnionPay).
    pub(crate) fn short() -> Self {
        Self(random(5))
    }
}

/// Someone who issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    cert_pem: String,
}

impl Authority {
    /// A self-signed root over an existing key.
    pub(crate) fn root(key: &RsaKey, name: &str, organization: &str) -> Result<Self, KeysError> {
        let params = authority_params(name, organization)?;
        let pair = pair(key)?;
        let cert_pem = params.self_signed(&pair)?.pem();
        Ok(Self { issuer: Issuer::new(params, pair), cert_pem })
    }

    /// An intermediate under this authority.
    pub(crate) fn under(&self, key: &RsaKey, name: &str, organization: &str) -> Result<Self, KeysError> {
        let params = authority_params(name, organization)?;
        let pair = pair(key)?;
        let cert_pem = params.signed_by(&pair, &self.issuer)?.pem();
        Ok(Self { issuer: Issuer::new(params, pair), cert_pem })
    }

    /// A leaf certificate in PEM.
    pub(crate) fn issue(
        &self,
        key: &RsaKey,
        name: &str,
        organization: &str,
        serial: &Serial,
    ) -> Result<String, KeysError> {
        let mut params = params(name, organization, serial)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
        Ok(params.signed_by(&pair(key)?, &self.issuer)?.pem())
    }

    pub(crate) fn cert_pem(&self) -> &str {
        &self.cert_pem
    }
}

/// The serial of the first certificate in a PEM text, hex upper without separators.
pub(super) fn serial_hex(pem: &str) -> Option<String> {
    serial_bytes(pem).map(|bytes| bytes.iter().map(|byte| format!("{byte:02X}")).collect())
}

/// The same in decimal; serials made here fit 64 bits.
pub(super) fn serial_decimal(pem: &str) -> Option<String> {
    let bytes = serial_bytes(pem)?;
    let number =
        bytes.iter().try_fold(0_u128, |number, byte| number.checked_mul(256)?.checked_add(u128::from(*byte)))?;
    Some(number.to_string())
}

/// From when to when a certificate is valid, Unix seconds.
pub(crate) fn life_s(pem: &str) -> Option<(i64, i64)> {
    let der = der_of(pem, "CERTIFICATE")?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    let life = certificate.validity();
    Some((life.not_before.timestamp(), life.not_after.timestamp()))
}

fn serial_bytes(pem: &str) -> Option<Vec<u8>> {
    let der = der_of(pem, "CERTIFICATE")?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    let raw = certificate.raw_serial();
    Some(raw.strip_prefix(&[0]).unwrap_or(raw).to_vec())
}

fn authority_params(name: &str, organization: &str) -> Result<CertificateParams, KeysError> {
    let mut params = params(name, organization, &Serial::hex32())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn params(name: &str, organization: &str, serial: &Serial) -> Result<CertificateParams, KeysError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "CN");
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(&serial.0));
    // A wide life: the sandbox's clock may stand anywhere.
    params.not_before = rcgen::date_time_ymd(2015, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    Ok(params)
}

fn pair(key: &RsaKey) -> Result<KeyPair, KeysError> {
    Ok(KeyPair::from_pkcs8_pem_and_sign_algo(&key.private_pem(), &PKCS_RSA_SHA256)?)
}

/// Random bytes that print as exactly twice as many hex digits and stay positive.
fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0_u8; length];
    assert!(aws_lc_rs::rand::fill(&mut bytes).is_ok(), "the system gives randomness");
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x3F) | 0x10;
    }
    bytes
}
