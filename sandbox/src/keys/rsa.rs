//! RSA-2048 keys: PKCS#1 v1.5 over SHA-256, PEM in and out.
//! Guards: a private key never appears in `Debug`.
//! Must not know: whose key it is.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::KeysError;

/// A key that signs.
pub(crate) struct RsaKey(KeyPair);

/// A key that verifies, as SPKI DER.
#[derive(Clone)]
pub(crate) struct PublicKey(Vec<u8>);

impl RsaKey {
    pub(crate) fn generate() -> Result<Self, KeysError> {
        KeyPair::generate(KeySize::Rsa2048).map(Self).map_err(|_| KeysError::Generate)
    }

    /// Reads the first PKCS#8 `PRIVATE KEY` block of a PEM text.
    pub(crate) fn from_pem(text: &str) -> Option<Self> {
        KeyPair::from_pkcs8(&der_of(text, "PRIVATE KEY")?).ok().map(Self)
    }

    /// SHA256withRSA over the message.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed = self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        assert!(signed.is_ok(), "a key that was accepted signs");
        signature
    }

    /// SHA256withRSA over the message, standard base64.
    pub(crate) fn sign_base64(&self, message: &[u8]) -> String {
        STANDARD.encode(self.sign(message))
    }

    pub(crate) fn public(&self) -> PublicKey {
        let der: Result<PublicKeyX509Der<'_>, _> = self.0.public_key().as_der();
        PublicKey(der.map(|der| der.as_ref().to_vec()).unwrap_or_default())
    }

    /// PKCS#8 PEM.
    pub(crate) fn private_pem(&self) -> String {
        let der: Result<Pkcs8V1Der<'_>, _> = self.0.as_der();
        der.map(|der| pem_of(der.as_ref(), "PRIVATE KEY")).unwrap_or_default()
    }

    /// SPKI PEM.
    pub(crate) fn public_pem(&self) -> String {
        pem_of(&self.public().0, "PUBLIC KEY")
    }
}

impl PublicKey {
    /// Whether this is the key's SHA256withRSA signature of the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0).verify(message, signature).is_ok()
    }

    /// The same with the signature in standard base64; undecodable text is false.
    pub(crate) fn verifies_base64(&self, message: &[u8], signature: &str) -> bool {
        STANDARD.decode(signature).is_ok_and(|signature| self.verifies(message, &signature))
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaKey(private)")
    }
}

/// The DER of the first block with this label.
pub(super) fn der_of(pem: &str, label: &str) -> Option<Vec<u8>> {
    let (_, after) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = after.split_once(&format!("-----END {label}-----"))?;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

fn pem_of(der: &[u8], label: &str) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
