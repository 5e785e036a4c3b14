//! HTTP to the daemon's admin side: over its Unix socket first, then over TCP with the token.
//!
//! Invariant: a call either ends in the daemon's own answer or in a sentence that says what was tried and how to mend
//! it; nothing is sent twice, because the second way is taken only when the first was never connected.

use super::exit::{Problem, Stop};
use super::reach::Reach;
use crate::config::Env;
use serde_json::Value;
use std::time::Duration;

/// A way to the admin side.
pub(crate) struct AdminClient {
    reach: Reach,
    env: Env,
    timeout: Duration,
}

/// One request.
#[derive(Debug, Clone, Copy)]
struct Ask<'a> {
    method: &'a str,
    path: &'a str,
    body: Option<&'a Value>,
}

/// The daemon's answer.
struct Answer {
    status: u16,
    body: String,
}

/// Why a way led nowhere.
enum Failed {
    NotConnected(String),
    Broken(String),
}

impl AdminClient {
    pub(crate) const fn new(reach: Reach, env: Env, timeout: Duration) -> Self {
        Self { reach, env, timeout }
    }

    /// A document.
    pub(crate) async fn load(&self, path: &str) -> Result<Value, Stop> {
        read_document(&self.ask(Ask { method: "GET", path, body: None }).await?)
    }

    /// A text.
    pub(crate) async fn text(&self, path: &str) -> Result<String, Stop> {
        let answer = self.ask(Ask { method: "GET", path, body: None }).await?;
        if answer.status < 400 { Ok(answer.body) } else { Err(Stop::Problem(read_problem(&answer))) }
    }

    /// The document that came of a change.
    pub(crate) async fn send(&self, path: &str, body: &Value) -> Result<Value, Stop> {
        read_document(&self.ask(Ask { method: "POST", path, body: Some(body) }).await?)
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<Answer, Stop> {
        let mut tried = Vec::new();
        if let Some(socket) = &self.reach.socket {
            let client = reqwest::Client::builder().unix_socket(socket.clone());
            match self.exchange(client, "http://localhost", None, ask).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Broken(why)) => return Err(Stop::Unreachable(why)),
                Err(Failed::NotConnected(why)) => tried.push(format!("{}: {why}", socket.display())),
            }
        }
        if let Some(url) = &self.reach.url {
            let token = self.reach.token.load(&self.env);
            match self.exchange(reqwest::Client::builder(), url, token.as_ref().ok().cloned().flatten(), ask).await {
                Ok(Answer { status: 401, .. }) => return Err(self.not_let_in(token.err())),
                Ok(answer) => return Ok(answer),
                Err(Failed::Broken(why)) => return Err(Stop::Unreachable(why)),
                Err(Failed::NotConnected(why)) => tried.push(format!("{url}: {why}")),
            }
        }
        let mend = "is it running (`tongdao serve`), and is this its configuration (`--config FILE`) and directory?";
        Err(Stop::Unreachable(format!("\n  {}\n  {mend}", tried.join("\n  "))))
    }

    async fn exchange(
        &self,
        client: reqwest::ClientBuilder,
        base: &str,
        token: Option<String>,
        ask: Ask<'_>,
    ) -> Result<Answer, Failed> {
        let client = client.no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(self.timeout);
        let client = client.build().map_err(|error| Failed::NotConnected(causes(&error)))?;
        let method = if ask.method == "GET" { reqwest::Method::GET } else { reqwest::Method::POST };
        let mut request = client.request(method, format!("{base}{}", ask.path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = ask.body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let failed = |error: reqwest::Error| {
            if error.is_connect() || error.is_builder() {
                Failed::NotConnected(causes(&error))
            } else if error.is_timeout() {
                Failed::Broken(format!("no answer within {} ms (`--timeout`)", self.timeout.as_millis()))
            } else {
                Failed::Broken(causes(&error))
            }
        };
        let reply = request.send().await.map_err(failed)?;
        let status = reply.status().as_u16();
        let body = reply.text().await.map_err(failed)?;
        Ok(Answer { status, body })
    }

    fn not_let_in(&self, why: Option<String>) -> Stop {
        let detail = why.unwrap_or_else(|| "the admin token is wrong or absent".to_owned());
        let advice = "set TONGDAO_ADMIN_TOKEN or --admin-token-file, or use the socket on the daemon's machine";
        Stop::Problem(Problem {
            status: 401,
            code: "unauthenticated".to_owned(),
            detail: Some(detail),
            advice: Some(advice.to_owned()),
            ..Problem::default()
        })
    }
}

/// An error with all that caused it, without the URL that it repeats.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        words.push(cause.to_string());
        next = cause.source();
    }
    words.last().cloned().unwrap_or_else(|| error.to_string())
}

fn read_document(answer: &Answer) -> Result<Value, Stop> {
    if answer.status >= 400 {
        return Err(Stop::Problem(read_problem(answer)));
    }
    serde_json::from_str(&answer.body).map_err(|error| Stop::Unreachable(format!("its answer is no JSON: {error}")))
}

fn read_problem(answer: &Answer) -> Problem {
    let mut problem: Problem = serde_json::from_str(&answer.body).unwrap_or_default();
    problem.status = answer.status;
    if problem.code.is_empty() {
        problem.code = "http".to_owned();
        problem.detail = Some(answer.body.chars().take(300).collect());
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::reach::TokenSource;

    #[test]
    fn what_is_no_problem_document_is_shown_as_it_came() {
        let problem = read_problem(&Answer { status: 502, body: "<html>proxy</html>".to_owned() });
        assert_eq!(problem.to_string(), "502 http: <html>proxy</html>");
    }

    #[tokio::test]
    async fn a_daemon_that_is_not_there_is_named_with_every_way_that_was_tried() {
        let dir = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let reach = Reach {
            socket: Some(dir.path().join("absent.sock")),
            url: Some(format!("http://{free}")),
            token: TokenSource::None,
        };
        let client = AdminClient::new(reach, Env::new(), Duration::from_secs(1));
        let stop = client.load("/readyz").await.unwrap_err();
        assert_eq!(stop.exit().number(), 3);
        let said = stop.to_string();
        assert!(said.contains("absent.sock") && said.contains(&free.to_string()), "{said}");
    }
}
