//! Loads secrets from where the configuration says they are, and makes those of the built-in demo.
//!
//! Invariant: an error names the source and never the content; a blank secret is refused, because HMAC with an empty
//! key lets anybody forge a payment. Text inside the file is a secret only where the file says it may be.

use super::Env;
use super::fields::Fields;
use super::model::Credential;
use super::tree::{Node, Value};
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::cell::RefCell;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use tongdao_core::provider::Secrets;
use tongdao_core::secret::{Secret, SecretEnv, SecretFile, SecretSource};

/// The prefix of a Standard Webhooks secret.
const WEBHOOK_PREFIX: &str = "whsec_";
/// The least bytes behind it.
const WEBHOOK_BYTES_MIN: usize = 24;
/// The largest file taken for a secret.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Base64 with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads secrets; remembers inline ones so that nothing prints them.
pub(super) struct SecretReader<'e> {
    env: &'e Env,
    allow_inline: bool,
    inline: RefCell<Vec<Secret>>,
}

impl<'e> SecretReader<'e> {
    pub(super) const fn new(env: &'e Env, allow_inline: bool) -> Self {
        Self { env, allow_inline, inline: RefCell::new(Vec::new()) }
    }

    /// Whether a text was loaded as an inline secret.
    pub(super) fn is_inline_secret(&self, text: &str) -> bool {
        self.inline.borrow().iter().any(|secret| secret.bytes() == text.as_bytes())
    }

    /// The secret under a key of a table, without a newline at its end.
    pub(super) fn text(&self, fields: &mut Fields<'_>, key: &'static str) -> Option<Credential> {
        let node = fields.take(key)?;
        self.read(fields, &fields.path_of(key), node, |secret| Ok(without_newline(&secret)))
    }

    /// A bearer token: it travels in a header, so it is visible ASCII only.
    pub(super) fn token(&self, fields: &mut Fields<'_>, key: &'static str) -> Option<Credential> {
        let node = fields.take(key)?;
        self.read(fields, &fields.path_of(key), node, |secret| {
            let token = without_newline(&secret);
            let fits = token.bytes().iter().all(u8::is_ascii_graphic);
            if fits { Ok(token) } else { Err("must be visible ASCII without spaces".into()) }
        })
    }

    /// The webhook secrets under a key: one, or a list of at most two while rotating.
    pub(super) fn webhook(&self, fields: &mut Fields<'_>, key: &'static str) -> Vec<Credential> {
        let Some(node) = fields.take(key) else { return Vec::new() };
        let path = fields.path_of(key);
        let origin = node.origin.clone();
        let items = match node.value {
            Value::List(items) => items,
            value @ (Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Moment(_)
            | Value::Table(_)) => vec![Node { value, origin: origin.clone() }],
        };
        if items.is_empty() || items.len() > 2 {
            fields.report.fault(&path, &origin, "takes one secret, or two while rotating");
        }
        items.into_iter().filter_map(|item| self.read(fields, &path, item, |secret| decode_webhook(&secret))).collect()
    }

    fn read(
        &self,
        fields: &Fields<'_>,
        path: &str,
        node: Node,
        shape: impl FnOnce(Secret) -> Result<Secret, String>,
    ) -> Option<Credential> {
        let origin = node.origin.clone();
        let loaded = source_of(node).and_then(|source| {
            let secret = self.load(&source).and_then(shape)?;
            Ok(Credential { secret, source: show_source(&source) })
        });
        loaded.map_err(|message| fields.report.fault(path, &origin, message)).ok()
    }

    fn load_inline(&self, text: &str) -> Result<Secret, String> {
        if !self.allow_inline {
            return Err("a secret does not stand in the file: write { file = \"…\" } or { env = \"…\" } \
                        (inline text needs [server] allow_inline_secrets = true)"
                .into());
        }
        let secret = Secret::new(text.as_bytes().to_vec());
        self.inline.borrow_mut().push(secret.clone());
        if secret.is_blank() { Err("the inline secret is empty".into()) } else { Ok(secret) }
    }
}

impl Secrets for SecretReader<'_> {
    fn load(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::File(file) => load_file(&file.file),
            SecretSource::Env(variable) => match self.env.get(&variable.env) {
                None => Err(format!("the environment variable {} is not set", variable.env)),
                Some(text) if text.trim().is_empty() => {
                    Err(format!("the environment variable {} is empty", variable.env))
                }
                Some(text) => Ok(Secret::new(text.as_bytes().to_vec())),
            },
            SecretSource::Inline(text) => self.load_inline(text),
        }
    }
}

/// Makes the demo merchant's and the admin's secrets under `dir` where they are missing; each is readable by its
/// owner only, and existing ones stay.
///
/// # Errors
/// A directory or file that cannot be made.
pub fn ensure_demo_secrets(dir: &Path, rng: &dyn crate::ports::Rng) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let draw = || [rng.draw().to_be_bytes(), rng.draw().to_be_bytes()].concat();
    let key_text = || base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(draw());
    ensure_file(&dir.join("admin-token"), &key_text())?;
    ensure_file(&dir.join("m_demo.key"), &key_text())?;
    ensure_file(&dir.join("m_demo.whsec"), &format!("{WEBHOOK_PREFIX}{}", BASE64.encode(draw())))
}

fn ensure_file(path: &Path, content: &str) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    // Written whole under another name first: a crash must not leave an empty secret behind.
    let draft = path.with_extension("draft");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(content.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

fn load_file(path: &str) -> Result<Secret, String> {
    let said = |error: std::io::Error| format!("cannot read {path}: {}", why(&error));
    let length = std::fs::metadata(path).map_err(said)?.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("{path} is too large for a secret"));
    }
    let secret = Secret::new(std::fs::read(path).map_err(said)?);
    if secret.is_blank() { Err(format!("the secret in {path} is empty")) } else { Ok(secret) }
}

/// Why a file could not be read, in words of a file system.
pub(super) fn why(error: &std::io::Error) -> String {
    let kind = error.kind();
    if kind == std::io::ErrorKind::NotFound { "there is no such file".to_owned() } else { kind.to_string() }
}

fn source_of(node: Node) -> Result<SecretSource, String> {
    const WANTED: &str = "expected { file = \"…\" } or { env = \"…\" }";
    let table = match node.value {
        Value::Text(text) => return Ok(SecretSource::Inline(text)),
        Value::Table(table) => table,
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Moment(_) | Value::List(_) => {
            return Err(WANTED.into());
        }
    };
    let mut entries = table.into_iter();
    match (entries.next(), entries.next()) {
        (Some((key, Node { value: Value::Text(text), .. })), None) if key == "file" => {
            Ok(SecretSource::File(SecretFile { file: text, password: None }))
        }
        (Some((key, Node { value: Value::Text(text), .. })), None) if key == "env" => {
            Ok(SecretSource::Env(SecretEnv { env: text }))
        }
        _ => Err(WANTED.into()),
    }
}

/// How a source is printed: a path or a variable's name is no secret.
fn show_source(source: &SecretSource) -> String {
    match source {
        SecretSource::File(file) => format!("{{ file = {} }}", quoted(&file.file)),
        SecretSource::Env(variable) => format!("{{ env = {} }}", quoted(&variable.env)),
        SecretSource::Inline(_) => "\"***\"".into(),
    }
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn without_newline(secret: &Secret) -> Secret {
    let bytes = secret.bytes();
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    Secret::new(bytes.strip_suffix(b"\r").unwrap_or(bytes).to_vec())
}

fn decode_webhook(secret: &Secret) -> Result<Secret, String> {
    let text = secret.text().unwrap_or_default().trim();
    let Some(encoded) = text.strip_prefix(WEBHOOK_PREFIX) else {
        return Err("a webhook secret is base64 behind the prefix whsec_".into());
    };
    match BASE64.decode(encoded) {
        Ok(bytes) if bytes.len() >= WEBHOOK_BYTES_MIN => Ok(Secret::new(bytes)),
        Ok(_) => Err(format!("a webhook secret has at least {WEBHOOK_BYTES_MIN} bytes behind its prefix")),
        Err(_) => Err("what follows whsec_ is not base64".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(env: &Env) -> SecretReader<'_> {
        SecretReader::new(env, false)
    }

    #[test]
    fn a_blank_secret_is_refused_from_every_source() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blank");
        std::fs::write(&path, " \n\t").unwrap();
        let env = Env::from([("BLANK".to_owned(), "  ".to_owned())]);
        let file = SecretSource::File(SecretFile { file: path.display().to_string(), password: None });
        assert!(reader(&env).load(&file).unwrap_err().contains("is empty"));
        assert!(reader(&env).load(&SecretSource::Env(SecretEnv { env: "BLANK".into() })).is_err());
        assert!(reader(&env).load(&SecretSource::Env(SecretEnv { env: "ABSENT".into() })).is_err());
        assert!(SecretReader::new(&env, true).load(&SecretSource::Inline("\n".into())).is_err());
    }

    #[test]
    fn inline_text_is_refused_unless_allowed_and_never_repeated() {
        let env = Env::new();
        let inline = SecretSource::Inline("canary-7f3a".into());
        assert!(!reader(&env).load(&inline).unwrap_err().contains("canary"));
        let allowing = SecretReader::new(&env, true);
        assert_eq!(allowing.load(&inline).unwrap().bytes(), b"canary-7f3a");
        assert!(allowing.is_inline_secret("canary-7f3a"));
    }

    #[test]
    fn a_key_loses_one_newline_and_nothing_else() {
        for (raw, key) in [("abc\n", "abc"), ("abc\r\n", "abc"), ("abc", "abc"), (" abc \n\n", " abc \n")] {
            assert_eq!(without_newline(&Secret::new(raw.as_bytes().to_vec())).bytes(), key.as_bytes());
        }
    }

    #[test]
    fn a_webhook_secret_is_base64_of_24_bytes_behind_its_prefix() {
        let decode = |text: &str| decode_webhook(&Secret::new(text.as_bytes().to_vec())).map(|s| s.bytes().len());
        assert_eq!(decode("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), Ok(24));
        assert_eq!(decode(&format!("whsec_{}", BASE64.encode([7; 25]))), Ok(25));
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AAAA", "whsec_!!!!"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn demo_secrets_are_made_once_and_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        struct Counting(std::sync::atomic::AtomicU64);
        impl crate::ports::Rng for Counting {
            fn draw(&self) -> u128 {
                u128::from(self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("secrets");
        let rng = Counting(Default::default());
        ensure_demo_secrets(&dir, &rng).unwrap();
        let first = std::fs::read(dir.join("m_demo.key")).unwrap();
        ensure_demo_secrets(&dir, &rng).unwrap();
        assert_eq!(std::fs::read(dir.join("m_demo.key")).unwrap(), first);
        assert_ne!(std::fs::read(dir.join("admin-token")).unwrap(), first);
        let mode = std::fs::metadata(dir.join("admin-token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let whsec = Secret::new(std::fs::read(dir.join("m_demo.whsec")).unwrap());
        assert_eq!(decode_webhook(&whsec).unwrap().bytes().len(), 32);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 3);
    }
}
