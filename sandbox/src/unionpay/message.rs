//! Messages of version 5.1.0: the checks every request passes before an operation looks at it, and
//! the unencoded `k=v&k=v` of a synchronous answer.
//!
//! Invariants: an answer is never url-encoded and always signed in the request's own method; an empty
//! field, a foreign certificate number or a changed byte is refused (protocol notes 2 to 4).
//! Must not know: orders, ledgers, HTTP.

use super::{
    codes::{self, Code},
    sign::{self, Fields, SignMethod},
};
use crate::{
    formats::form,
    keys::{RsaKey, UnionpayKeys, UnionpayPlatform},
};

/// The keys that a message needs: the merchant's registry entry and UnionPay's own.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) merchant: &'a UnionpayKeys,
    pub(crate) platform: &'a UnionpayPlatform,
}

/// Reads a form body into fields; refuses what is not a form, a repeated and an empty field.
pub(crate) fn read(body: &str) -> Result<Fields, Code> {
    let mut fields = Fields::new();
    for (key, value) in form::decode(body).ok_or(codes::BAD_FORMAT)? {
        if value.is_empty() || fields.insert(key, value).is_some() {
            return Err(codes::BAD_FORMAT);
        }
    }
    Ok(fields)
}

/// Checks version, encoding, method, certificate number and signature of a request.
pub(crate) fn check(fields: &Fields, keys: Keys<'_>) -> Result<SignMethod, Code> {
    if need(fields, "version")? != "5.1.0" || !need(fields, "encoding")?.eq_ignore_ascii_case("utf-8") {
        return Err(codes::BAD_FORMAT);
    }
    let method = SignMethod::read(need(fields, "signMethod")?).ok_or(codes::BAD_FORMAT)?;
    let signature = need(fields, "signature")?;
    let holds = match method {
        SignMethod::Rsa => {
            need(fields, "certId")? == keys.merchant.cert_id && sign::holds_rsa(fields, &keys.merchant.merchant)
        }
        SignMethod::Keyed => sign::sign_keyed(fields, &keys.merchant.secure_key) == signature,
    };
    if !holds {
        return Err(codes::BAD_SIGNATURE);
    }
    Ok(method)
}

/// A field that must be there.
pub(crate) fn need<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, Code> {
    fields.get(name).map(String::as_str).ok_or(codes::MISSING)
}

/// A field that must be there and have one of the given values.
pub(crate) fn one_of(fields: &Fields, name: &str, allowed: &[&str]) -> Result<(), Code> {
    if allowed.contains(&need(fields, name)?) {
        return Ok(());
    }
    Err(codes::BAD_FORMAT)
}

/// `orderId`: 8 to 40 letters and digits.
pub(crate) fn order_id(fields: &Fields) -> Result<&str, Code> {
    let text = need(fields, "orderId")?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain && (8..=40).contains(&text.len()) {
        return Ok(text);
    }
    Err(codes::BAD_FORMAT)
}

/// `txnAmt`: 1 to 12 digits of fen, above zero.
pub(crate) fn amount(fields: &Fields) -> Result<i64, Code> {
    let text = need(fields, "txnAmt")?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 12 && !text.starts_with('0');
    match text.parse() {
        Ok(amount) if plain && amount > 0 => Ok(amount),
        Ok(_) | Err(_) => Err(codes::BAD_FORMAT),
    }
}

/// Completes a message of UnionPay's own with certificate and signature.
pub(crate) fn seal(fields: Fields, method: SignMethod, keys: Keys<'_>) -> Fields {
    seal_with(fields, method, keys, &keys.platform.leaf)
}

/// The same with another private key: what a merchant must refuse when it is not UnionPay's.
pub(crate) fn seal_with(mut fields: Fields, method: SignMethod, keys: Keys<'_>, leaf: &RsaKey) -> Fields {
    match method {
        SignMethod::Rsa => seal_rsa(fields, keys.platform, leaf),
        SignMethod::Keyed => {
            fields.insert("signMethod".to_owned(), "11".to_owned());
            let signature = sign::sign_keyed(&fields, &keys.merchant.secure_key);
            fields.insert("signature".to_owned(), signature);
            fields
        }
    }
}

/// Method 01 whoever the merchant is: UnionPay's certificate with CRLF, then the signature.
pub(crate) fn seal_rsa(mut fields: Fields, platform: &UnionpayPlatform, leaf: &RsaKey) -> Fields {
    let lines: Vec<&str> = platform.leaf_cert_pem.lines().collect();
    fields.insert("signMethod".to_owned(), "01".to_owned());
    fields.insert("signPubKeyCert".to_owned(), lines.join("\r\n"));
    let signature = sign::sign_rsa(&fields, leaf);
    fields.insert("signature".to_owned(), signature);
    fields
}

/// The body of a synchronous answer: `k=v&k=v`, not url-encoded.
pub(crate) fn body(fields: &Fields) -> String {
    let parts: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
    parts.join("&")
}

/// The fields of a request that its answer and its notify repeat, and the outcome.
pub(crate) fn echo(asked: &Fields, names: &[&str], code: Code) -> Fields {
    let mut fields: Fields =
        names.iter().filter_map(|name| Some(((*name).to_owned(), asked.get(*name)?.clone()))).collect();
    fields.insert("respCode".to_owned(), code.code.to_owned());
    fields.insert("respMsg".to_owned(), code.message());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Held(UnionpayKeys, UnionpayPlatform, RsaKey);

    impl Held {
        fn new() -> Self {
            let merchant = RsaKey::generate().unwrap();
            let keys = UnionpayKeys {
                merchant: merchant.public(),
                cert_id: "68759663125".to_owned(),
                secure_key: "secret".to_owned(),
            };
            let platform = UnionpayPlatform {
                leaf: RsaKey::generate().unwrap(),
                leaf_cert_pem: "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n".to_owned(),
            };
            Self(keys, platform, merchant)
        }

        fn keys(&self) -> Keys<'_> {
            Keys { merchant: &self.0, platform: &self.1 }
        }
    }

    fn request(method: &str) -> Fields {
        [
            ("version", "5.1.0"),
            ("encoding", "UTF-8"),
            ("signMethod", method),
            ("merId", "777290058110001"),
            ("txnAmt", "1000"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
    }

    fn set(fields: &mut Fields, name: &str, value: &str) {
        fields.insert(name.to_owned(), value.to_owned());
    }

    #[test]
    fn a_signed_request_passes_and_a_changed_one_is_refused() {
        let held = Held::new();
        let (keys, merchant) = (held.keys(), &held.2);
        let mut fields = request("01");
        set(&mut fields, "certId", &keys.merchant.cert_id);
        let signature = sign::sign_rsa(&fields, merchant);
        set(&mut fields, "signature", &signature);
        assert_eq!(check(&fields, keys), Ok(SignMethod::Rsa));
        set(&mut fields, "txnAmt", "1");
        assert_eq!(check(&fields, keys), Err(codes::BAD_SIGNATURE));
    }

    #[test]
    fn a_foreign_certificate_number_is_refused_though_the_signature_holds() {
        let held = Held::new();
        let (keys, merchant) = (held.keys(), &held.2);
        let mut fields = request("01");
        set(&mut fields, "certId", "1");
        let signature = sign::sign_rsa(&fields, merchant);
        set(&mut fields, "signature", &signature);
        assert_eq!(check(&fields, keys), Err(codes::BAD_SIGNATURE));
        fields.remove("certId");
        assert_eq!(check(&fields, keys), Err(codes::MISSING));
    }

    #[test]
    fn the_keyed_method_needs_no_certificate() {
        let held = Held::new();
        let keys = held.keys();
        let mut fields = request("11");
        let signature = sign::sign_keyed(&fields, "secret");
        set(&mut fields, "signature", &signature);
        assert_eq!(check(&fields, keys), Ok(SignMethod::Keyed));
        let signature = sign::sign_keyed(&fields, "other");
        set(&mut fields, "signature", &signature);
        assert_eq!(check(&fields, keys), Err(codes::BAD_SIGNATURE));
    }

    #[test]
    fn an_empty_or_repeated_field_is_refused() {
        assert_eq!(read("a=1&b="), Err(codes::BAD_FORMAT));
        assert_eq!(read("a=1&a=1"), Err(codes::BAD_FORMAT));
        assert_eq!(read("a=%2B1").unwrap()["a"], "+1");
    }

    #[test]
    fn an_answer_is_not_urlencoded_and_carries_the_certificate() {
        let held = Held::new();
        let keys = held.keys();
        let sealed = seal(echo(&request("01"), &["merId", "txnAmt", "absent"], codes::SUCCESS), SignMethod::Rsa, keys);
        let body = body(&sealed);
        assert!(body.contains("merId=777290058110001&respCode=00&respMsg=成功[0000000]"), "{body}");
        assert!(body.contains("signPubKeyCert=-----BEGIN CERTIFICATE-----\r\n"), "{body}");
        assert!(!body.contains('%'));
        let keyed = seal(echo(&request("11"), &["merId"], codes::SUCCESS), SignMethod::Keyed, keys);
        assert_eq!(keyed["signature"], sign::sign_keyed(&keyed, "secret"));
        assert!(!keyed.contains_key("signPubKeyCert"));
    }

    #[test]
    fn order_numbers_and_amounts_outside_the_rules_are_refused() {
        for text in ["1234567", "a-b-c-d-e", "a_b_c_d_e", "一二三四五六七八"] {
            let mut fields = Fields::new();
            set(&mut fields, "orderId", text);
            assert_eq!(order_id(&fields), Err(codes::BAD_FORMAT), "{text}");
        }
        for text in ["0", "01", "1.00", "-1", "1234567890123"] {
            let mut fields = Fields::new();
            set(&mut fields, "txnAmt", text);
            assert_eq!(amount(&fields), Err(codes::BAD_FORMAT), "{text}");
        }
        assert_eq!(amount(&request("01")), Ok(1000));
    }
}
