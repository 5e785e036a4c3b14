//! What only a look outside can tell: a daemon that runs, ports that are taken, merchants that can be reached.
//!
//! Invariant: nothing is sent to a merchant or provider; a connection is made and closed.

use super::Findings;
use crate::cli::Context;
use crate::cli::documents::StatusDoc;
use crate::cli::exit::Stop;
use crate::config::Config;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

const CONNECT_MAX: Duration = Duration::from_secs(2);

/// Whether a daemon answers.
pub(super) async fn daemon(context: &Context, findings: &mut Findings) -> bool {
    match context.admin().load("/admin/v1/status").await {
        Ok(status) => {
            let status: StatusDoc = serde_json::from_value(status).unwrap_or_default();
            if status.ready {
                findings.fine("daemon", format!("tongdao {} runs and is ready", status.version));
            } else {
                let why = status.not_ready.join(", ");
                findings.bad(
                    "daemon",
                    format!("tongdao {} runs and is not ready: {why}", status.version),
                    "see its log",
                );
            }
            true
        }
        Err(Stop::Problem(problem)) => {
            findings.warn("daemon", format!("a daemon runs and says: {problem}"), "set TONGDAO_ADMIN_TOKEN");
            true
        }
        Err(Stop::Unreachable(_) | Stop::BadConfig(_) | Stop::NotMade | Stop::Usage(_)) => {
            findings.fine("daemon", "none runs here (start it: tongdao serve)");
            false
        }
    }
}

/// Before a start the ports must be free.
pub(super) fn listeners(config: &Config, alive: bool, findings: &mut Findings) {
    let ports = [("public_listen", config.server.public_listen), ("admin_listen", config.server.admin_listen)];
    for (key, address) in ports {
        if alive {
            findings.fine("listeners", format!("{key} {address} is the daemon's"));
            continue;
        }
        match std::net::TcpListener::bind(address) {
            Ok(_) => findings.fine("listeners", format!("{key} {address} is free")),
            Err(error) => findings.bad(
                "listeners",
                format!("{key} {address} cannot be taken: {}", error.kind()),
                format!("stop whatever listens there (ss -ltnp) or change server.{key}"),
            ),
        }
    }
}

/// TLS roots, and the merchants' hosts where asked for.
pub(super) async fn network(config: &Config, reach_out: bool, findings: &mut Findings) {
    match crate::client::check_tls() {
        Ok(()) => findings.fine("network", "the machine's CA roots can be read"),
        Err(error) => {
            let said = format!("TLS cannot be set up: {error}");
            findings.bad("network", said, "install the CA certificates (apt install ca-certificates)");
        }
    }
    if !reach_out {
        return;
    }
    let urls: BTreeSet<&str> = config.merchants.iter().filter_map(|merchant| merchant.notify_url.as_deref()).collect();
    for url in urls {
        match reach(url).await {
            Ok(()) => findings.fine("network", format!("{url} can be reached")),
            Err(why) => findings.warn(
                "network",
                format!("{url} cannot be reached: {why}"),
                "webhooks are tried again for 72 h; is the shop up, and may this machine call it?",
            ),
        }
    }
}

async fn reach(url: &str) -> Result<(), String> {
    let url = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err("it names no host".to_owned());
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let connect = async {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
        tokio::net::TcpStream::connect(found.as_slice()).await
    };
    match tokio::time::timeout(CONNECT_MAX, connect).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in 2 s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shop_that_listens_is_reached_and_one_that_does_not_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/notify", listener.local_addr().unwrap());
        assert_eq!(reach(&url).await, Ok(()));
        drop(listener);
        assert!(reach(&url).await.is_err());
    }
}
