//! The JSON of APIv3, field by field, as it crosses the wire; nothing here is judged.
//!
//! Invariant: what is read is read once and whole: a key that stands twice in one object, at any depth, makes the
//! document unreadable, so two readers can never see two amounts. Unknown new keys are ignored, as the documents
//! ask; amounts are integers of fen and nothing else. It knows no signature, no account and no meaning.

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// `POST /v3/pay/transactions/{native|h5|jsapi|app}` (README 1).
#[derive(Serialize)]
pub(super) struct Prepay<'a> {
    pub(super) appid: &'a str,
    pub(super) mchid: &'a str,
    pub(super) description: String,
    pub(super) out_trade_no: &'a str,
    pub(super) time_expire: String,
    pub(super) notify_url: &'a str,
    pub(super) amount: PrepayAmount,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payer: Option<PrepayPayer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scene_info: Option<SceneInfo<'a>>,
}

#[derive(Serialize)]
pub(super) struct PrepayAmount {
    pub(super) total: i64,
    pub(super) currency: &'static str,
}

#[derive(Serialize)]
pub(super) struct PrepayPayer<'a> {
    pub(super) openid: &'a str,
}

#[derive(Serialize)]
pub(super) struct SceneInfo<'a> {
    pub(super) payer_client_ip: &'a str,
    pub(super) h5_info: H5Info,
}

#[derive(Serialize)]
pub(super) struct H5Info {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}

/// The three bodies of an accepted prepay in one: each product fills its own field.
#[derive(Deserialize)]
pub(super) struct Prepaid {
    pub(super) code_url: Option<String>,
    pub(super) h5_url: Option<String>,
    pub(super) prepay_id: Option<String>,
}

/// Where a statement's file is, and what shows that it is whole (README 7).
#[derive(Deserialize)]
pub(super) struct StatementAddress {
    pub(super) hash_type: String,
    pub(super) hash_value: String,
    pub(super) download_url: String,
}

/// The body of a close (README 1).
#[derive(Serialize)]
pub(super) struct Close<'a> {
    pub(super) mchid: &'a str,
}

/// `POST /v3/refund/domestic/refunds` (README 1).
#[derive(Serialize)]
pub(super) struct Refund<'a> {
    pub(super) out_trade_no: &'a str,
    pub(super) out_refund_no: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) reason: String,
    pub(super) notify_url: &'a str,
    pub(super) amount: RefundAmount,
}

#[derive(Serialize)]
pub(super) struct RefundAmount {
    pub(super) refund: i64,
    pub(super) total: i64,
    pub(super) currency: &'static str,
}

/// A transaction, as a query answers it and a payment callback carries it (README 4, 6).
#[derive(Deserialize)]
pub(super) struct Transaction {
    pub(super) appid: String,
    pub(super) mchid: String,
    pub(super) out_trade_no: String,
    pub(super) transaction_id: Option<String>,
    pub(super) trade_state: String,
    pub(super) success_time: Option<String>,
    pub(super) amount: Option<TransactionAmount>,
}

#[derive(Deserialize)]
pub(super) struct TransactionAmount {
    /// Absent before payment in some answers.
    pub(super) total: Option<i64>,
    pub(super) currency: Option<String>,
}

/// A refund, as its create and its query answer it (README 1).
#[derive(Deserialize)]
pub(super) struct Refunded {
    pub(super) out_refund_no: String,
    pub(super) out_trade_no: String,
    pub(super) transaction_id: Option<String>,
    pub(super) status: String,
    pub(super) amount: Option<RefundedAmount>,
}

#[derive(Deserialize)]
pub(super) struct RefundedAmount {
    pub(super) refund: i64,
    pub(super) currency: Option<String>,
}

/// What a refund callback carries (README 6): its word stands in `refund_status`.
#[derive(Deserialize)]
pub(super) struct RefundResource {
    pub(super) mchid: String,
    pub(super) appid: Option<String>,
    pub(super) out_trade_no: String,
    pub(super) out_refund_no: String,
    pub(super) refund_status: String,
    pub(super) amount: Option<RefundedAmount>,
}

/// The envelope of every callback (README 6).
#[derive(Deserialize)]
pub(super) struct Envelope {
    pub(super) event_type: String,
    pub(super) resource: Resource,
}

/// An encrypted object, in callbacks and in the certificate list.
#[derive(Deserialize)]
pub(super) struct Resource {
    pub(super) algorithm: String,
    pub(super) ciphertext: String,
    pub(super) nonce: String,
    pub(super) associated_data: Option<String>,
    pub(super) original_type: Option<String>,
}

/// `GET /v3/certificates` (README 3).
#[derive(Deserialize)]
pub(super) struct CertificateList {
    pub(super) data: Vec<CertificateItem>,
}

#[derive(Deserialize)]
pub(super) struct CertificateItem {
    pub(super) serial_no: String,
    pub(super) encrypt_certificate: Resource,
}

/// The body of an error answer, which is never signed (README 5).
#[derive(Deserialize)]
pub(super) struct ErrorBody {
    pub(super) code: String,
    pub(super) detail: Option<ErrorDetail>,
}

#[derive(Deserialize)]
pub(super) struct ErrorDetail {
    pub(super) field: Option<String>,
}

/// Reads a document without double keys; `None` for anything else.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let Strict(value) = serde_json::from_slice(bytes).ok()?;
    serde_json::from_value(value).ok()
}

/// A JSON value in which no object has a key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON without double keys")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_makes_the_document_unreadable_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"[{"a":[{"b":1,"\u0062":2}]}]"#,
            r#"{"a":1}x"#,
            "",
            "\u{feff}{}",
        ] {
            assert!(read::<Value>(text.as_bytes()).is_none(), "{text}");
        }
        let text = r#"{"a":[1,-2,1.5,null,true,"x"],"b":{"a":1}}"#;
        assert_eq!(read::<Value>(text.as_bytes()), serde_json::from_str(text).ok());
    }

    #[test]
    fn an_amount_is_an_integer_of_fen_and_nothing_else() {
        for total in ["1.0", "1e2", "\"1\"", "9223372036854775808", "true", "[1]"] {
            let text = format!(r#"{{"total":{total}}}"#);
            assert!(read::<TransactionAmount>(text.as_bytes()).is_none(), "{total}");
        }
        assert_eq!(read::<TransactionAmount>(br#"{"total":100,"new":1}"#).unwrap().total, Some(100));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(10_000);
        assert!(read::<Value>(deep.as_bytes()).is_none());
    }
}
