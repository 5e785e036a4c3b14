//! The daemon's admin side as commands use it: documents, or a sentence that says what was tried and how to mend it.
//!
//! Invariant: nothing is sent twice: the second way is taken only when the first was never connected.

use super::exit::{Problem, Stop};
use super::reach::Reach;
use crate::client::{Answer, Ask, Unanswered, Verb, Way, ask, ask_long};
use crate::config::Env;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::time::Duration;

/// For what is as long as it is.
const LONG: Duration = Duration::from_secs(3600);

/// A way to the admin side.
pub(crate) struct AdminClient {
    reach: Reach,
    env: Env,
    timeout: Duration,
}

impl AdminClient {
    pub(crate) const fn new(reach: Reach, env: Env, timeout: Duration) -> Self {
        Self { reach, env, timeout }
    }

    /// A document.
    pub(crate) async fn load(&self, path: &str) -> Result<Value, Stop> {
        read_document(&self.ask(path, Verb::Get).await?)
    }

    /// A text.
    pub(crate) async fn text(&self, path: &str) -> Result<String, Stop> {
        let answer = self.ask(path, Verb::Get).await?;
        if answer.status < 400 { Ok(answer.body) } else { Err(Stop::problem(read_problem(&answer))) }
    }

    /// The document that came of a change.
    pub(crate) async fn send(&self, path: &str, body: &Value) -> Result<Value, Stop> {
        read_document(&self.ask(path, Verb::Post(body)).await?)
    }

    /// The document of what was taken away.
    pub(crate) async fn remove(&self, path: &str) -> Result<Value, Stop> {
        read_document(&self.ask(path, Verb::Delete).await?)
    }

    /// The document that came of sending a file.
    pub(crate) async fn upload(&self, path: &str, file: &Path) -> Result<Value, Stop> {
        read_document(&self.ask(path, Verb::Upload(file)).await?)
    }

    /// Something long, handed on as it comes.
    pub(crate) async fn long(
        &self,
        path: &str,
        each: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
    ) -> Result<(), Stop> {
        let token = self.reach.token.load(&self.env).ok().flatten();
        let mut tried = Vec::new();
        for way in self.ways() {
            let token = token.as_deref().filter(|_| matches!(way, Way::Url(_)));
            match ask_long(&way, Ask { path, verb: Verb::Get, token, deadline: LONG }, each).await {
                Ok(None) => return Ok(()),
                Ok(Some(Answer { status: 401, .. })) => return Err(not_let_in(token_fault(&self.reach, &self.env))),
                Ok(Some(answer)) => return Err(Stop::problem(read_problem(&answer))),
                Err(Unanswered::Broken(why)) => return Err(Stop::Unreachable(why)),
                Err(Unanswered::NotConnected(why)) => tried.push(format!("{}: {why}", named(&way))),
            }
        }
        Err(not_there(&tried))
    }

    async fn ask(&self, path: &str, verb: Verb<'_>) -> Result<Answer, Stop> {
        // A file takes as long as it takes.
        let deadline = if matches!(verb, Verb::Upload(_)) { LONG } else { self.timeout };
        let token = self.reach.token.load(&self.env);
        let known = token.as_ref().ok().cloned().flatten();
        let mut tried = Vec::new();
        for way in self.ways() {
            // Whoever may open the socket needs no token, so it is not shown to it either.
            let token = known.as_deref().filter(|_| matches!(way, Way::Url(_)));
            match ask(&way, Ask { path, verb, token, deadline }).await {
                Ok(Answer { status: 401, .. }) => return Err(not_let_in(token_fault(&self.reach, &self.env))),
                Ok(answer) => return Ok(answer),
                Err(Unanswered::Broken(why)) => return Err(Stop::Unreachable(format!("{why} (`--timeout`)"))),
                Err(Unanswered::NotConnected(why)) => tried.push(format!("{}: {why}", named(&way))),
            }
        }
        Err(not_there(&tried))
    }

    fn ways(&self) -> Vec<Way> {
        let socket = self.reach.socket.iter().cloned().map(Way::Socket);
        socket.chain(self.reach.url.iter().cloned().map(Way::Url)).collect()
    }
}

fn not_there(tried: &[String]) -> Stop {
    let mend = "is it running (`tongdao serve`), and is this its configuration (`--config FILE`) and directory?";
    Stop::Unreachable(format!("\n  {}\n  {mend}", tried.join("\n  ")))
}

fn named(way: &Way) -> String {
    match way {
        Way::Socket(path) => path.display().to_string(),
        Way::Url(url) => url.clone(),
    }
}

fn token_fault(reach: &Reach, env: &Env) -> Option<String> {
    reach.token.load(env).err()
}

fn not_let_in(why: Option<String>) -> Stop {
    let advice = "set TONGDAO_ADMIN_TOKEN or --admin-token-file, or use the socket on the daemon's machine";
    Stop::problem(Problem {
        status: 401,
        code: "unauthenticated".to_owned(),
        detail: Some(why.unwrap_or_else(|| "the admin token is wrong or absent".to_owned())),
        advice: Some(advice.to_owned()),
        ..Problem::default()
    })
}

fn read_document(answer: &Answer) -> Result<Value, Stop> {
    if answer.status >= 400 {
        return Err(Stop::problem(read_problem(answer)));
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
