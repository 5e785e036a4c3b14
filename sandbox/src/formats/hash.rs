//! SHA-256 and bytes as lower-case hexadecimal text, as both protocols write them.
//!
//! Must not know: what is hashed, or why.

use aws_lc_rs::digest;

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
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    /// Whether a base64 signature holds under a public key given in DER, checked by hand.
    pub(crate) fn holds(public_key: &[u8], text: &[u8], signature: &str) -> bool {
        let signature = STANDARD.decode(signature).unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key).verify(text, &signature).is_ok()
    }

    #[test]
    fn a_known_digest_is_reproduced() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), expected);
    }
}
