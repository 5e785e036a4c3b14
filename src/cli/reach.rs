//! Where the daemon's admin side is, and the token for it.
//!
//! Invariant: this works with a configuration that is wrong elsewhere, since the commands that need it (`status`,
//! `charge show`) are those that on-call reaches for when something is wrong. It reads three keys and no more.

use crate::config::Env;
use std::path::{Path, PathBuf};
use toml::Value;

/// Ways to the admin side, in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The Unix socket.
    pub(crate) socket: Option<PathBuf>,
    /// The base URL of the TCP listener, without a slash at its end.
    pub(crate) url: Option<String>,
    /// Where the token comes from.
    pub(crate) token: TokenSource,
}

/// Where the token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// Nowhere.
    None,
}

/// What the caller named on the command line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Named<'a> {
    /// `--config`
    pub(crate) config: Option<&'a Path>,
    /// `--admin-socket`
    pub(crate) socket: Option<&'a Path>,
    /// `--admin-url`
    pub(crate) url: Option<&'a str>,
    /// `--admin-token-file`
    pub(crate) token_file: Option<&'a Path>,
}

const TOKEN_VARIABLE: &str = "TONGDAO_ADMIN_TOKEN";

impl Reach {
    /// What was named wins; the rest comes from the configuration.
    pub(crate) fn find(named: Named<'_>, env: &Env) -> Self {
        let written = ServerKeys::read(named.config, env);
        let only_url = named.url.is_some() && named.socket.is_none();
        let only_socket = named.socket.is_some() && named.url.is_none();
        let socket = named.socket.map(Path::to_path_buf).or_else(|| (!only_url).then_some(written.socket));
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        let url = named.url.map(base).or_else(|| (!only_socket).then(|| format!("http://{}", written.listen)));
        let token = match (env.contains_key(TOKEN_VARIABLE), named.token_file) {
            (_, Some(file)) => TokenSource::File(file.to_path_buf()),
            (true, None) => TokenSource::Env(TOKEN_VARIABLE.to_owned()),
            (false, None) => written.token,
        };
        Self { socket, url, token }
    }
}

impl TokenSource {
    /// The token, or why there is none.
    pub(crate) fn load(&self, env: &Env) -> Result<Option<String>, String> {
        match self {
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(Some(text.trim().to_owned())),
                Err(error) => Err(format!("cannot read the token in {}: {}", path.display(), error.kind())),
            },
            Self::Env(name) => Ok(env.get(name).map(|text| text.trim().to_owned())),
            Self::None => Ok(None),
        }
    }
}

/// The three keys, with the defaults of the built-in configuration.
struct ServerKeys {
    socket: PathBuf,
    listen: String,
    token: TokenSource,
}

impl ServerKeys {
    fn read(config: Option<&Path>, env: &Env) -> Self {
        let text = match config {
            Some(path) => std::fs::read_to_string(path).unwrap_or_default(),
            None => crate::config::BUILT_IN.to_owned(),
        };
        let root: toml::Table = text.parse().unwrap_or_default();
        let server = root.get("server").and_then(Value::as_table).cloned().unwrap_or_default();
        let text_of = |key: &str| {
            let variable = format!("TONGDAO__SERVER__{}", key.to_ascii_uppercase());
            let written = || server.get(key).and_then(Value::as_str).map(str::to_owned);
            env.get(&variable).cloned().or_else(written)
        };
        Self {
            socket: text_of("admin_socket").map_or_else(|| PathBuf::from("data/admin.sock"), PathBuf::from),
            listen: text_of("admin_listen").unwrap_or_else(|| "127.0.0.1:8081".to_owned()),
            token: server.get("admin_token").map_or(TokenSource::None, token_source),
        }
    }
}

fn token_source(written: &Value) -> TokenSource {
    let text = |key: &str| written.get(key).and_then(Value::as_str);
    match (text("file"), text("env")) {
        (Some(file), _) => TokenSource::File(file.into()),
        (None, Some(name)) => TokenSource::Env(name.to_owned()),
        (None, None) => TokenSource::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_the_built_in_configuration_says_where() {
        let reach = Reach::find(Named::default(), &Env::new());
        assert_eq!(reach.socket, Some("data/admin.sock".into()));
        assert_eq!(reach.url.as_deref(), Some("http://127.0.0.1:8081"));
        assert_eq!(reach.token, TokenSource::File("data/secrets/admin-token".into()));
    }

    #[test]
    fn a_configuration_that_is_wrong_elsewhere_still_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.toml");
        let text = "nonsense = 1\n[server]\nadmin_socket = \"/run/t.sock\"\nadmin_listen = \"127.0.0.1:9\"\n\
                    admin_token = { env = \"T\" }\n";
        std::fs::write(&path, text).unwrap();
        let reach = Reach::find(Named { config: Some(&path), ..Named::default() }, &Env::new());
        assert_eq!(reach.socket, Some("/run/t.sock".into()));
        assert_eq!(reach.url.as_deref(), Some("http://127.0.0.1:9"));
        assert_eq!(reach.token, TokenSource::Env("T".into()));
    }

    #[test]
    fn a_named_way_is_the_only_way() {
        let url = Named { url: Some("http://h:1/"), ..Named::default() };
        let reach = Reach::find(url, &Env::new());
        assert_eq!((reach.socket, reach.url.as_deref()), (None, Some("http://h:1")));
        let socket = Named { socket: Some(Path::new("/s")), ..Named::default() };
        let reach = Reach::find(socket, &Env::new());
        assert_eq!((reach.socket, reach.url), (Some("/s".into()), None));
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let env = Env::from([
            ("TONGDAO__SERVER__ADMIN_SOCKET".to_owned(), "/other.sock".to_owned()),
            (TOKEN_VARIABLE.to_owned(), " token \n".to_owned()),
        ]);
        let reach = Reach::find(Named::default(), &env);
        assert_eq!(reach.socket, Some("/other.sock".into()));
        assert_eq!(reach.token.load(&env), Ok(Some("token".to_owned())));
    }
}
