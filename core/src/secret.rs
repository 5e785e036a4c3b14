//! A secret that cannot be printed: keys, passwords and tokens travel in this type only.
//!
//! Invariant: its bytes never reach `Debug`, a log, a metric or an error, and are wiped when it is dropped.
//! Where a secret comes from (file, environment) is the configuration's business; see `SecretSource`.

use serde::Deserialize;
use zeroize::Zeroizing;

/// Secret bytes. `Debug` prints `***`; equality is not offered, so that nobody compares secrets in variable time.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The raw bytes, for the one call that needs them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as text; `None` when it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// True when nothing but white space (of any script), control characters or a byte order mark is in it: such a
    /// secret must refuse to start.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        let unseen = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
        std::str::from_utf8(&self.0).is_ok_and(|text| text.chars().all(unseen))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Where the configuration says a secret is found: `{ file = "…" }`, `{ env = "…" }` or inline text.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum SecretSource {
    /// `{ file = "path" }`, optionally with the password that opens it (a PFX).
    File(SecretFile),
    /// `{ env = "NAME" }`.
    Env(SecretEnv),
    /// The text itself; taken only where `[server] allow_inline_secrets = true`.
    Inline(String),
}

/// A secret kept in a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    /// Path, relative to the working directory.
    pub file: String,
    /// The password of a PFX file.
    #[serde(default)]
    pub password: Option<Box<SecretSource>>,
}

/// A secret kept in the environment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretEnv {
    /// The variable's name.
    pub env: String,
}

impl std::fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => write!(f, "file {}", file.file),
            Self::Env(env) => write!(f, "env {}", env.env),
            Self::Inline(_) => f.write_str("***"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = Secret::new(b"canary".to_vec());
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(format!("{:?}", SecretSource::Inline("canary".into())), "***");
    }

    #[test]
    fn white_space_alone_is_blank() {
        assert!(Secret::new(b" \n".to_vec()).is_blank());
        assert!(Secret::new(Vec::new()).is_blank());
        for unseen in ["\u{3000}\r\n", "\u{b}", "\u{a0}\u{2003}", "\u{feff}", "\0\0"] {
            assert!(Secret::new(unseen.as_bytes().to_vec()).is_blank(), "{unseen:?}");
        }
        assert!(!Secret::new(vec![0xff]).is_blank());
        assert!(!Secret::new(b"x".to_vec()).is_blank());
    }
}
