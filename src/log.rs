//! The log: set up once, text for people and JSON for machines, every message counted by its level.
//!
//! Invariant: secrets never reach it (their types print as stars), payer data only below info and masked. Other
//! crates stay at `warn` unless a filter names them, since some of them print what they send at lower levels.
//! Messages go to standard error: standard output belongs to commands.

use crate::config::Env;
use crate::metrics::{LogLevel, LogMessages};
use std::fmt;
use std::io::IsTerminal as _;
use std::sync::Arc;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

/// The crates of this workspace, which a bare level in `TONGDAO_LOG` is for.
const OURS: [&str; 4] = ["tongdao", "tongdao_core", "tongdao_providers", "tongdao_sandbox"];

/// How the log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// Which messages: directives as in `warn,tongdao=info`.
    pub filter: String,
    /// Their form.
    pub format: LogFormat,
    /// Whether text is coloured.
    pub color: bool,
}

/// The form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// The log cannot be set up as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `TONGDAO_LOG` is neither a level nor a list of directives.
    #[error("TONGDAO_LOG is neither a level nor a list of directives: {0}")]
    Filter(#[from] ParseError),
    /// `TONGDAO_LOG_FORMAT` is neither `text` nor `json`.
    #[error("TONGDAO_LOG_FORMAT must be text or json")]
    Format,
    /// A log was set up before.
    #[error("the log was set up before")]
    Twice,
}

impl LogOptions {
    /// Reads `TONGDAO_LOG` (a level for our crates, or directives; default `info`), `TONGDAO_LOG_FORMAT` (`text` or
    /// `json`; default text on a terminal) and `NO_COLOR`.
    ///
    /// # Errors
    /// A format that does not exist.
    pub fn read(env: &Env, on_terminal: bool) -> Result<Self, LogError> {
        let asked = |name: &str| env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let format = match asked("TONGDAO_LOG_FORMAT") {
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(_) => return Err(LogError::Format),
            None if on_terminal => LogFormat::Text,
            None => LogFormat::Json,
        };
        let filter = asked("TONGDAO_LOG").unwrap_or("info");
        let bare = filter.eq_ignore_ascii_case("off") || filter.parse::<Level>().is_ok();
        let ours = OURS.map(|target| format!("{target}={filter}")).join(",");
        let filter = if bare { format!("warn,{ours}") } else { filter.to_owned() };
        Ok(Self { filter, format, color: on_terminal && asked("NO_COLOR").is_none() })
    }
}

/// Sets up the log of this process, on standard error.
///
/// # Errors
/// When the environment asks for what does not exist, or a log was set up before.
pub fn init(env: &Env, messages: Arc<LogMessages>) -> Result<(), LogError> {
    let options = LogOptions::read(env, std::io::stderr().is_terminal())?;
    subscriber(&options, messages, std::io::stderr)?.try_init().map_err(|_| LogError::Twice)
}

fn subscriber<W>(
    options: &LogOptions,
    messages: Arc<LogMessages>,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + 'static, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&options.filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match options.format {
        LogFormat::Text => lines.with_ansi(options.color).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    Ok(Registry::default().with(lines).with(CountMessages(messages)).with(filter))
}

/// Counts every message that is written.
struct CountMessages(Arc<LogMessages>);

impl<S: Subscriber> Layer<S> for CountMessages {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.written(match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        });
    }
}

/// A value whose presence may be logged and whose content may not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Redacted<T>(pub T);

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Payer data (an openid, an address), shown by its ends only: enough to tell two payers apart in one log, too little
/// to know who they are.
#[derive(Clone, Copy)]
pub struct Masked<'a>(pub &'a str);

impl fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.chars().count();
        if count < 8 {
            return f.write_str("***");
        }
        let head: String = self.0.chars().take(2).collect();
        let tail: String = self.0.chars().skip(count.saturating_sub(2)).collect();
        write!(f, "{head}***{tail}")
    }
}

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL as far as it may be logged: its query can carry tokens, its user part a password.
#[must_use]
pub fn bare_url(url: &str) -> String {
    let target = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = target.split_once("://") else { return target.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use std::io::Write;
    use std::sync::Mutex;
    use tongdao_core::secret::Secret;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn options(env: &[(&str, &str)], on_terminal: bool) -> Result<LogOptions, LogError> {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        LogOptions::read(&env, on_terminal)
    }

    /// What is written when `say` runs, and the metrics that count it.
    fn written(options: &LogOptions, say: impl FnOnce()) -> (String, Metrics) {
        let metrics = Metrics::new(&[]).unwrap();
        let lines = Lines::default();
        let into = lines.clone();
        let subscriber = subscriber(options, metrics.log_messages(), move || into.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, say);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        (text, metrics)
    }

    #[test]
    fn people_get_text_and_machines_json() {
        assert_eq!(options(&[], true).unwrap().format, LogFormat::Text);
        assert_eq!(options(&[], false).unwrap().format, LogFormat::Json);
        assert_eq!(options(&[("TONGDAO_LOG_FORMAT", "text")], false).unwrap().format, LogFormat::Text);
        assert!(matches!(options(&[("TONGDAO_LOG_FORMAT", "xml")], false), Err(LogError::Format)));
        assert!(options(&[], true).unwrap().color);
        assert!(!options(&[("NO_COLOR", "1")], true).unwrap().color);
    }

    #[test]
    fn a_bare_level_is_for_our_crates_and_directives_are_taken_as_they_are() {
        assert!(options(&[("TONGDAO_LOG", "debug")], true).unwrap().filter.starts_with("warn,tongdao=debug,"));
        assert_eq!(options(&[("TONGDAO_LOG", "hyper=trace")], true).unwrap().filter, "hyper=trace");
        assert!(options(&[], true).unwrap().filter.contains("tongdao=info"));
        let nonsense = options(&[("TONGDAO_LOG", "tongdao=loud")], true).unwrap();
        let messages = Metrics::new(&[]).unwrap().log_messages();
        assert!(matches!(subscriber(&nonsense, messages, std::io::stderr).map(drop), Err(LogError::Filter(_))));
    }

    #[test]
    fn messages_are_counted_when_they_are_written() {
        let (text, metrics) = written(&options(&[], false).unwrap(), || {
            tracing::warn!(channel = "a", "slow");
            tracing::info!(target: "hyper", "chatter of others");
            tracing::debug!("too quiet");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((line["level"].as_str(), line["channel"].as_str()), (Some("WARN"), Some("a")));
        assert_eq!(line["message"], "slow");
        let counts = metrics.render();
        for line in [r#"level="warn"} 1"#, r#"level="info"} 0"#, r#"level="debug"} 0"#] {
            assert!(counts.contains(&format!("tongdao_log_messages_total{{{line}")), "{line}");
        }
    }

    #[test]
    fn neither_secrets_nor_payers_are_written() {
        let secret = Secret::new(b"canary-secret".to_vec());
        for format in ["text", "json"] {
            let asked = options(&[("TONGDAO_LOG", "trace"), ("TONGDAO_LOG_FORMAT", format)], false).unwrap();
            let (text, _) = written(&asked, || {
                tracing::debug!(key = ?secret, openid = %Masked("oUpF8canary"), body = %Redacted("canary"), "look");
                tracing::info!(url = %bare_url("https://u:canary@shop.example/n?token=canary"), "sent");
            });
            assert!(text.contains("ou***ry") || text.contains("oU***ry"), "{text}");
            assert!(text.contains("https://shop.example/n") && !text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn a_mask_shows_the_ends_of_long_text_only() {
        for (text, shown) in
            [("", "***"), ("1234567", "***"), ("203.0.113.77", "20***77"), ("你好你好你好你好", "你好***你好")]
        {
            assert_eq!(Masked(text).to_string(), shown);
        }
        assert_eq!(bare_url("/pay/x?y=1"), "/pay/x");
        assert_eq!(bare_url("https://shop.example?y=1"), "https://shop.example");
        assert_eq!(bare_url("https://shop.example/@a?y"), "https://shop.example/@a");
    }
}
