//! A form as its fields in order, taken apart and put together again.

use super::forging::Letter;

/// The fields of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form(pub Vec<(String, String)>);

impl Form {
    pub fn of(letter: &Letter) -> Self {
        let text = String::from_utf8(letter.body.clone()).unwrap();
        let url = format!("http://form/?{text}");
        let url = reqwest::Url::parse(&url).unwrap();
        Self(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    pub fn body(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    pub fn value(&self, name: &str) -> &str {
        &self.0.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1
    }

    pub fn with(&self, name: &str, value: impl Into<String>) -> Self {
        let mut form = self.without(name);
        form.0.push((name.to_owned(), value.into()));
        form
    }

    pub fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(known, _)| known != name).cloned().collect())
    }

    /// The same field once more.
    pub fn doubled(&self, name: &str, value: &str) -> Self {
        let mut form = self.clone();
        form.0.push((name.to_owned(), value.to_owned()));
        form
    }

    /// The text that is signed: sorted, raw, without some fields.
    pub fn link(&self, without: &[&str]) -> String {
        let mut kept: Vec<_> = self.0.iter().filter(|(name, _)| !without.contains(&name.as_str())).collect();
        kept.sort();
        kept.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    /// Two fields that stand side by side in the signed text, as one: the text stays the same.
    pub fn merged(&self, covered: &[&str], at: usize) -> Option<Self> {
        let mut kept: Vec<_> = self.0.iter().filter(|(name, _)| !covered.contains(&name.as_str())).collect();
        kept.sort();
        let (first, second) = (kept.get(at)?, kept.get(at + 1)?);
        let name = format!("{}={}&{}", first.0, first.1, second.0);
        let form = self.without(&first.0).without(&second.0).with(&name, second.1.clone());
        assert_eq!(form.link(covered), self.link(covered));
        Some(form)
    }

    /// The same, told in the value.
    pub fn swallowed(&self, covered: &[&str], at: usize) -> Option<Self> {
        let mut kept: Vec<_> = self.0.iter().filter(|(name, _)| !covered.contains(&name.as_str())).collect();
        kept.sort();
        let (first, second) = (kept.get(at)?, kept.get(at + 1)?);
        let value = format!("{}&{}={}", first.1, second.0, second.1);
        let form = self.without(&second.0).with(&first.0, value);
        assert_eq!(form.link(covered), self.link(covered));
        Some(form)
    }
}

/// One bit of a text's last character changed, so that it stays a text.
pub fn bent(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    match bytes.last_mut() {
        Some(last) if last.is_ascii() => *last ^= 1,
        Some(_) | None => bytes.push(b'0'),
    }
    String::from_utf8(bytes).unwrap()
}

pub fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
