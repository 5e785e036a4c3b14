//! One folder of keys: read a file, or make it and write it once.
//! Guards: an existing file wins over what would be made; private files have mode 0600.
//! Must not know: which provider.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{KeysError, RsaKey};

const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn open(dir: &Path) -> Result<Self, KeysError> {
        fs::create_dir_all(dir).map_err(|source| KeysError::File { path: dir.to_owned(), source })?;
        Ok(Self(dir.to_owned()))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    pub(super) fn read(&self, name: &str) -> Result<String, KeysError> {
        let path = self.0.join(name);
        fs::read_to_string(&path).map_err(|source| KeysError::File { path, source })
    }

    /// A private RSA key, made if missing.
    pub(super) fn rsa(&self, name: &str) -> Result<RsaKey, KeysError> {
        let text = self.secret_text(name, || Ok(RsaKey::generate()?.private_pem()))?;
        RsaKey::from_pem(&text).ok_or_else(|| self.unusable(name, "key"))
    }

    /// A public text, made if missing.
    pub(super) fn text(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<String, KeysError>,
    ) -> Result<String, KeysError> {
        self.made(name, PUBLIC, make).map(|text| if name.contains('.') { text } else { text.trim().to_owned() })
    }

    /// A private text, made if missing.
    pub(super) fn secret_text(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<String, KeysError>,
    ) -> Result<String, KeysError> {
        self.made(name, PRIVATE, make)
    }

    /// A private word, made if missing; a line end written by a person is dropped.
    pub(super) fn secret(&self, name: &str, make: impl FnOnce() -> String) -> Result<String, KeysError> {
        self.made(name, PRIVATE, || Ok(make())).map(|text| text.trim().to_owned())
    }

    /// Writes a public text over what a half-made folder left.
    pub(super) fn replace(&self, name: &str, text: &str) -> Result<(), KeysError> {
        self.write(name, PUBLIC, text)
    }

    pub(super) fn unusable(&self, name: &str, what: &'static str) -> KeysError {
        KeysError::Unusable { path: self.0.join(name), what }
    }

    fn made(
        &self,
        name: &str,
        mode: u32,
        make: impl FnOnce() -> Result<String, KeysError>,
    ) -> Result<String, KeysError> {
        if self.has(name) {
            return self.read(name);
        }
        let text = make()?;
        self.write(name, mode, &text)?;
        Ok(text)
    }

    fn write(&self, name: &str, mode: u32, text: &str) -> Result<(), KeysError> {
        let path = self.0.join(name);
        let draft = self.0.join(format!(".{name}.new"));
        let written = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&draft);
        let written =
            written.and_then(|mut file| file.write_all(text.as_bytes())).and_then(|()| fs::rename(&draft, &path));
        written.map_err(|source| KeysError::File { path, source })
    }
}

/// Letters and digits from the system's randomness.
pub(super) fn random_alphanumeric(length: usize) -> String {
    random_over(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", length)
}

/// Digits from the system's randomness.
pub(super) fn random_digits(length: usize) -> String {
    random_over(b"0123456789", length)
}

fn random_over(letters: &[u8], length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 64];
        assert!(aws_lc_rs::rand::fill(&mut bytes).is_ok(), "the system gives randomness");
        let fitting = bytes.iter().filter_map(|byte| letters.get(usize::from(*byte & 0x3F)));
        text.extend(fitting.map(|letter| char::from(*letter)).take(length.saturating_sub(text.len())));
    }
    text
}
