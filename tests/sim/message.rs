//! The simulated wire: fields in lines with a keyed hash instead of a signature.

use std::collections::BTreeMap;

/// A message's fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Message(pub(crate) BTreeMap<String, String>);

/// What makes a signature hold.
fn hash(key: &str, text: &str) -> u64 {
    let bytes = key.bytes().chain([0xff]).chain(text.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Message {
    pub(crate) fn of(fields: &[(&str, &str)]) -> Self {
        Self(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or_default()
    }

    /// As it travels, signed with one of an account's keys.
    pub(crate) fn signed(&self, account: &str, key: u32) -> String {
        let mut text: String = self.0.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        text.push_str(&format!("key={key}\n"));
        let sign = hash(&format!("{account}/{key}"), &text);
        format!("{text}sign={sign:016x}\n")
    }

    /// The key that it names and its content, if the signature holds.
    pub(crate) fn read(text: &str, account: &str) -> Option<(u32, Self)> {
        let (signed, sign) = text.rsplit_once("sign=")?;
        let (_, key) = signed.rsplit_once("key=")?;
        let key: u32 = key.trim().parse().ok()?;
        let wanted = format!("{:016x}\n", hash(&format!("{account}/{key}"), signed));
        if sign != wanted {
            return None;
        }
        let fields = signed.lines().filter_map(|line| line.split_once('='));
        Some((key, Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())))
    }
}
