//! The signature of a message, ours and theirs (protocol notes, 4).
//!
//! Invariant: the method is the configured one. A message that names another is refused before anything is
//! computed, whatever its signature (attack 30), and a keyed digest is compared in constant time.
//! It knows the signed text and the keys, and no field but `signature`, `signMethod`, `certId`, `signPubKeyCert`.

use super::certificates::{Trust, Untrusted};
use super::wire::{Fields, link};
use crate::shared::rsa::{KeyFault, SigningKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Sha256;
use sm3::{Digest, Sm3};
use subtle::ConstantTimeEq as _;
use tongdao_core::secret::Secret;
use tongdao_core::time::UnixMillis;

/// The digest of the keyed methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyed {
    /// Method 11.
    Sha256,
    /// Method 12.
    Sm3,
}

/// What an account signs and verifies with.
#[derive(Debug)]
pub(crate) enum Keys {
    /// Method 01: our certificate, and UnionPay's certificates below the configured anchors.
    Certificate {
        /// Our private key.
        key: SigningKey,
        /// Our certificate's serial number in decimal.
        cert_id: String,
        /// Our certificate's last moment.
        not_after: Option<UnixMillis>,
        /// Whom we believe.
        trust: Trust,
    },
    /// Methods 11 and 12: one key for both directions.
    Keyed {
        /// Which digest.
        digest: Keyed,
        /// Never blank.
        secure_key: Secret,
    },
}

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forged {
    /// Not signed by the configured method.
    #[error("is signed by another method than the configured one")]
    Method,
    /// No signature, or no certificate with it.
    #[error("is not signed")]
    Unsigned,
    /// The certificate inside is not UnionPay's.
    #[error("carries a certificate that {0}")]
    Certificate(Untrusted),
    /// The signature does not hold.
    #[error("has a signature that does not hold")]
    Signature,
}

impl Keys {
    /// Completes a message with `signMethod`, `certId` and `signature`; empty fields are left out first.
    pub(crate) fn sign(&self, mut fields: Fields) -> Result<Fields, KeyFault> {
        fields.retain(|_, value| !value.is_empty());
        fields.insert("signMethod".to_owned(), self.method().to_owned());
        let signature = match self {
            Self::Certificate { key, cert_id, .. } => {
                fields.insert("certId".to_owned(), cert_id.clone());
                STANDARD.encode(key.sign_sha256(link_digest(&fields).as_bytes())?)
            }
            Self::Keyed { digest, secure_key } => keyed_digest(*digest, &fields, secure_key.bytes()),
        };
        fields.insert("signature".to_owned(), signature);
        Ok(fields)
    }

    /// Whether UnionPay signed this message, by the configured method and at `now`.
    pub(crate) fn verify(&self, fields: &Fields, now: UnixMillis) -> Result<(), Forged> {
        let present = |name: &str| fields.get(name).filter(|value| !value.is_empty()).ok_or(Forged::Unsigned);
        let signature = present("signature")?;
        if present("signMethod")? != self.method() {
            return Err(Forged::Method);
        }
        let holds = match self {
            Self::Certificate { trust, .. } => {
                let key = trust.key_in(present("signPubKeyCert")?, now).map_err(Forged::Certificate)?;
                let signature = STANDARD.decode(signature).map_err(|_| Forged::Signature)?;
                key.verify_sha256(link_digest(fields).as_bytes(), &signature)
            }
            Self::Keyed { digest, secure_key } => {
                let own = keyed_digest(*digest, fields, secure_key.bytes());
                own.as_bytes().ct_eq(signature.as_bytes()).into()
            }
        };
        if holds { Ok(()) } else { Err(Forged::Signature) }
    }

    const fn method(&self) -> &'static str {
        match self {
            Self::Certificate { .. } => "01",
            Self::Keyed { digest: Keyed::Sha256, .. } => "11",
            Self::Keyed { digest: Keyed::Sm3, .. } => "12",
        }
    }
}

/// What method 01 signs: the text of a digest, which the signature digests once more.
fn link_digest(fields: &Fields) -> String {
    hex_digest::<Sha256>(link(fields).as_bytes())
}

/// Methods 11 and 12: the digest of the signed text, `&`, and the key's own digest.
fn keyed_digest(digest: Keyed, fields: &Fields, secure_key: &[u8]) -> String {
    let hex = match digest {
        Keyed::Sha256 => hex_digest::<Sha256>,
        Keyed::Sm3 => hex_digest::<Sm3>,
    };
    hex(format!("{}&{}", link(fields), hex(secure_key)).as_bytes())
}

fn hex_digest<D: Digest>(bytes: &[u8]) -> String {
    D::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
