//! The texts that are signed (sections 3 to 5) and whose key may have signed them.
//!
//! Invariant: the algorithm is SHA256withRSA because the channel is configured so; no message chooses it. A text is
//! made of decoded values as they were received. An empty or undecodable signature is a bad one.
//! It knows neither operations nor what a field means beyond `sign` and `sign_type`.

use super::certificates::PlatformCertificates;
use crate::shared::rsa::{KeyFault, SigningKey, VerifyingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

/// Which fields of a message its signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Our requests: all but `sign`; blank values are dropped (section 3).
    Request,
    /// Trade notices and return pages, "V1": all but `sign` and `sign_type` (section 5).
    Trade,
    /// Trade notices as one page of the documents wants them: the same without empty values.
    TradeWithoutEmpties,
    /// Messages of the app gateway, "V2": all but `sign` (section 5).
    AppGateway,
}

/// The text to sign: covered fields sorted by key in byte order, raw, `key=value` joined with `&`.
pub(super) fn text(rule: Rule, fields: &BTreeMap<String, String>) -> String {
    let covered = fields.iter().filter(|(key, value)| covers(rule, key, value));
    covered.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}

/// The `sign` of a request.
pub(super) fn sign(key: &SigningKey, fields: &BTreeMap<String, String>) -> Result<String, KeyFault> {
    key.sign_sha256(text(Rule::Request, fields).as_bytes()).map(|signature| STANDARD.encode(signature))
}

/// What a signature turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verified {
    /// It is Alipay's.
    Holds,
    /// It is not.
    Fails,
    /// It names a certificate that is not known here yet.
    UnknownCertificate,
}

/// Whose signatures are Alipay's for this account.
#[derive(Debug)]
pub(super) enum Trust {
    /// The public-key mode: one configured key.
    Key(Box<VerifyingKey>),
    /// The certificate mode: the configured certificate and those fetched since.
    Certificates(Box<PlatformCertificates>),
}

impl Trust {
    /// Checks a message that does not name its certificate.
    pub(super) fn verify(&self, text: &str, signature: &str) -> Verified {
        self.verify_named(text, signature, None)
    }

    /// Checks an answer, which in certificate mode names its certificate.
    pub(super) fn verify_named(&self, text: &str, signature: &str, certificate_no: Option<&str>) -> Verified {
        let Ok(signature) = STANDARD.decode(signature) else { return Verified::Fails };
        if signature.is_empty() {
            return Verified::Fails;
        }
        let holds = match self {
            Self::Key(key) => key.verify_sha256(text.as_bytes(), &signature),
            Self::Certificates(certificates) => {
                let Some(keys) = certificates.keys(certificate_no) else { return Verified::UnknownCertificate };
                keys.iter().any(|key| key.verify_sha256(text.as_bytes(), &signature))
            }
        };
        if holds { Verified::Holds } else { Verified::Fails }
    }
}

fn covers(rule: Rule, key: &str, value: &str) -> bool {
    if key == "sign" {
        return false;
    }
    match rule {
        Rule::Request => !value.trim().is_empty(),
        Rule::Trade => key != "sign_type",
        Rule::TradeWithoutEmpties => key != "sign_type" && !value.is_empty(),
        Rule::AppGateway => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_rule_covers_its_own_fields() {
        let message =
            fields(&[("b", "0"), ("a", " x+y "), ("c", ""), ("d", " "), ("sign", "s"), ("sign_type", "RSA2")]);
        for (rule, wanted) in [
            (Rule::Request, "a= x+y &b=0&sign_type=RSA2"),
            (Rule::Trade, "a= x+y &b=0&c=&d= "),
            (Rule::TradeWithoutEmpties, "a= x+y &b=0&d= "),
            (Rule::AppGateway, "a= x+y &b=0&c=&d= &sign_type=RSA2"),
        ] {
            assert_eq!(text(rule, &message), wanted, "{rule:?}");
        }
    }

    #[test]
    fn keys_sort_by_bytes() {
        assert_eq!(
            text(Rule::Trade, &fields(&[("b", "1"), ("B", "2"), ("a_b", "3"), ("ab", "4")])),
            "B=2&a_b=3&ab=4&b=1"
        );
    }
}
