//! RSA keys as the payment firms hand them out, and the one signature they all use: PKCS#1 v1.5 with SHA-256.
//!
//! Invariant: a key under 2048 bits is refused when it is read, a private key never reaches `Debug` or an error,
//! and a verification answers only true or false: an undecodable signature is a bad signature, never a panic.
//! It knows files' forms (PEM, bare base64, DER) and nothing of who signs what.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, PublicEncryptingKey};
use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

/// Why bytes are not a key that may be used here. Never carries the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyFault {
    /// Neither PEM nor bare base64 of DER.
    #[error("is neither PEM nor base64 of DER")]
    Encoding,
    /// A PEM block of another kind, encrypted keys among them.
    #[error("is a PEM block of another kind than the one wanted (an encrypted key must be decrypted first)")]
    Label,
    /// The bytes hold no RSA key.
    #[error("holds no RSA key of 2048 to 8192 bits")]
    NotRsa,
    /// An RSA key under 2048 bits.
    #[error("is an RSA key under 2048 bits")]
    TooShort,
    /// Not an X.509 certificate.
    #[error("is not an X.509 certificate")]
    NotCertificate,
    /// The library could not sign.
    #[error("could not sign")]
    Signing,
}

/// An RSA private key that signs.
pub(crate) struct SigningKey(KeyPair);

impl SigningKey {
    /// Reads PEM PKCS#8, PEM PKCS#1, or bare base64 of the DER of either; white space in base64 is ignored.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, KeyFault> {
        let der = Zeroizing::new(der_of(bytes, &["PRIVATE KEY", "RSA PRIVATE KEY"])?);
        Self::from_der(&der)
    }

    /// Reads the DER of PKCS#8 or PKCS#1.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, KeyFault> {
        let pair = match KeyPair::from_pkcs8(der) {
            Ok(pair) => pair,
            Err(first) => KeyPair::from_der(der).map_err(|second| short_or_not_rsa([first, second]))?,
        };
        if pair.public_modulus_len() < MODULUS_BYTES_MIN { Err(KeyFault::TooShort) } else { Ok(Self(pair)) }
    }

    /// The PKCS#1 v1.5 signature over the SHA-256 of `message`.
    pub(crate) fn sign_sha256(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed = self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map(|()| signature).map_err(|_| KeyFault::Signing)
    }

    /// The public half.
    pub(crate) fn verifying_key(&self) -> Result<VerifyingKey, KeyFault> {
        VerifyingKey::from_public_der(self.0.public_key().as_ref())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// An RSA public key that verifies.
#[derive(Clone)]
pub(crate) struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    /// Reads a `SubjectPublicKeyInfo`: PEM `PUBLIC KEY` or bare base64 of its DER.
    pub(crate) fn read_spki(bytes: &[u8]) -> Result<Self, KeyFault> {
        Self::from_public_der(&der_of(bytes, &["PUBLIC KEY"])?)
    }

    /// Takes the key out of a DER certificate. Who issued it and when it ends is the caller's to check.
    pub(crate) fn from_certificate_der(der: &[u8]) -> Result<Self, KeyFault> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| KeyFault::NotCertificate)?;
        if !rest.is_empty() {
            return Err(KeyFault::NotCertificate);
        }
        Self::from_public_der(certificate.public_key().raw)
    }

    /// Whether `signature` is the PKCS#1 v1.5 SHA-256 signature of `message` by this key.
    #[must_use]
    pub(crate) fn verify_sha256(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }

    fn from_public_der(der: &[u8]) -> Result<Self, KeyFault> {
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).map_err(|_| KeyFault::NotRsa)?;
        let info: PublicKeyX509Der<'_> = key.as_der().map_err(|_| KeyFault::NotRsa)?;
        // The encrypting key's reader is the one that looks at the size when it reads, not at each use.
        PublicEncryptingKey::from_der(info.as_ref()).map_err(|_| KeyFault::TooShort)?;
        Ok(Self(key))
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerifyingKey")
    }
}

/// One block of a PEM file: its label (`CERTIFICATE`) and its DER.
pub(crate) struct PemBlock {
    /// What stands behind `BEGIN`.
    pub(crate) label: String,
    /// The decoded bytes.
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// The blocks of a PEM file in order; text outside of blocks (as `openssl` writes it) is skipped.
///
/// `Encoding` when there is none, or one that does not end or decode.
pub(crate) fn pem_blocks(bytes: &[u8]) -> Result<Vec<PemBlock>, KeyFault> {
    let mut rest = std::str::from_utf8(bytes).map_err(|_| KeyFault::Encoding)?;
    let mut blocks = Vec::new();
    while let Some((_, opened)) = rest.split_once("-----BEGIN ") {
        let (label, body) = opened.split_once("-----").ok_or(KeyFault::Encoding)?;
        let (body, after) = body.split_once(&format!("-----END {label}-----")).ok_or(KeyFault::Encoding)?;
        blocks.push(PemBlock { label: label.to_owned(), der: Zeroizing::new(base64_der(body)?) });
        rest = after;
    }
    if blocks.is_empty() { Err(KeyFault::Encoding) } else { Ok(blocks) }
}

/// 2048 bits.
const MODULUS_BYTES_MIN: usize = 256;

/// The DER of the one block wanted, or of bare base64.
fn der_of(bytes: &[u8], labels: &[&str]) -> Result<Vec<u8>, KeyFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| KeyFault::Encoding)?;
    if !text.contains("-----BEGIN ") {
        return base64_der(text);
    }
    let blocks = pem_blocks(bytes)?;
    let wanted = blocks.into_iter().find(|block| labels.contains(&block.label.as_str())).ok_or(KeyFault::Label)?;
    Ok(wanted.der.to_vec())
}

fn base64_der(text: &str) -> Result<Vec<u8>, KeyFault> {
    let compact: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let der = STANDARD.decode(compact.as_bytes()).map_err(|_| KeyFault::Encoding)?;
    if der.is_empty() { Err(KeyFault::Encoding) } else { Ok(der) }
}

fn short_or_not_rsa(causes: [aws_lc_rs::error::KeyRejected; 2]) -> KeyFault {
    if causes.iter().any(|cause| cause.to_string() == "TooSmall") { KeyFault::TooShort } else { KeyFault::NotRsa }
}

/// Whether what the private key signs, the public key believes.
pub(crate) fn signs_for(private: &SigningKey, public: &VerifyingKey) -> bool {
    const PROBE: &[u8] = b"tongdao key check";
    private.sign_sha256(PROBE).is_ok_and(|signature| public.verify_sha256(PROBE, &signature))
}

#[cfg(test)]
mod tests;
