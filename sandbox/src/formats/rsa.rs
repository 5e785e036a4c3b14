//! RSASSA-PKCS1-v1_5 with SHA-256 and standard base64, and SHA-256 as lower hex: all that the two
//! protocols need of cryptography here.
//!
//! Invariant: a signature that does not parse is a signature that does not hold; nothing here fails.
//! Must not know: what is signed, or whose key it is.

use aws_lc_rs::{
    digest, rand,
    signature::{self, RsaKeyPair, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Signs `text`; base64, 344 characters for a key of 2048 bits.
pub(crate) fn sign(key: &RsaKeyPair, text: &[u8]) -> String {
    let mut out = vec![0; key.public_modulus_len()];
    let signed = key.sign(
        &signature::RSA_PKCS1_SHA256,
        &rand::SystemRandom::new(),
        text,
        &mut out,
    );
    assert!(signed.is_ok(), "the buffer has the length of the modulus");
    STANDARD.encode(out)
}

/// Whether `signature` (base64) over `text` holds under a public key in DER (SPKI or PKCS#1).
pub(crate) fn holds(public_key: &[u8], text: &[u8], signature: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(signature) else {
        return false;
    };
    UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public_key)
        .verify(text, &bytes)
        .is_ok()
}

/// SHA-256 as 64 lower-case hexadecimal characters.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Bytes as lower-case hexadecimal characters.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use aws_lc_rs::{encoding::AsDer as _, rsa::KeySize, signature::KeyPair as _};

    /// A fresh key pair and its public half in DER.
    pub(crate) fn fresh() -> (RsaKeyPair, Vec<u8>) {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = key.public_key().as_der().unwrap().as_ref().to_vec();
        (key, der)
    }

    #[test]
    fn a_signature_holds_only_over_its_own_text_and_key() {
        let (key, public) = fresh();
        let (_, stranger) = fresh();
        let signature = sign(&key, "付款".as_bytes());
        assert_eq!(signature.len(), 344);
        assert!(holds(&public, "付款".as_bytes(), &signature));
        assert!(!holds(&public, b"x", &signature));
        assert!(!holds(&stranger, "付款".as_bytes(), &signature));
        assert!(!holds(&public, "付款".as_bytes(), "not base64!"));
    }
}
