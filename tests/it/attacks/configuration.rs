//! The binary with a wrong configuration: every fault at once and code 64, and nothing ever listens.

use crate::merchant::Merchant;
use crate::world::{WEBHOOK_SECRET, Wishes, config_text, free_port, start_sandbox};
use std::process::Output;
use std::time::Duration;
use tokio::process::Command;
use tongdao::clock::SystemClock;

/// A directory with a configuration that is right.
struct Desk {
    dir: tempfile::TempDir,
    right: String,
    port: u16,
}

impl Desk {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sandbox = start_sandbox(&SystemClock::new()).await;
        let merchant = Merchant::start(WEBHOOK_SECRET.to_vec()).await;
        let port = free_port();
        let right = config_text(&dir, &sandbox, &merchant, port, &Wishes::default());
        Self { dir, right, port }
    }

    /// The configuration with one text replaced.
    fn with(&self, usual: &str, other: &str) -> String {
        assert!(self.right.contains(usual), "nothing to replace: {usual}");
        self.right.replacen(usual, other, 1)
    }

    async fn run(&self, arguments: &[&str], text: &str) -> Output {
        let file = self.dir.path().join("tongdao.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tongdao"));
        command.args(arguments).arg(&file).current_dir(self.dir.path()).env_clear().env("NO_COLOR", "1");
        command.env("EMPTY", "").env("SPACES", " \n\t ").kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(20), command.output()).await;
        output.expect("it started instead of ending").unwrap()
    }

    /// It says these things, ends with 64, and nothing was made or opened.
    async fn refuses(&self, text: &str, wanted: &[&str]) {
        self.refuses_as(&[&["config", "check"], &["serve", "--config"]], text, wanted).await;
    }

    async fn never_starts(&self, text: &str, wanted: &[&str]) {
        self.refuses_as(&[&["serve", "--config"]], text, wanted).await;
    }

    async fn refuses_as(&self, commands: &[&[&str]], text: &str, wanted: &[&str]) {
        for arguments in commands {
            let output = self.run(arguments, text).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(64), "{wanted:?} {arguments:?}: {output:?}");
            for wanted in wanted {
                assert!(said.contains(wanted), "{arguments:?} does not say {wanted}:\n{said}");
            }
            assert!(std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err());
            assert!(!self.dir.path().join("store").exists() && !self.dir.path().join("admin.sock").exists());
        }
    }
}

#[tokio::test]
async fn a_wrong_configuration_lists_all_its_faults_and_ends_with_64() {
    let desk = Desk::new().await;
    let right = desk.run(&["config", "check"], &desk.right).await;
    assert_eq!(right.status.code(), Some(0), "{right:?}");
    let wrong = desk
        .with("fee_bps = 38", "fee_bps = -1\nsurcharge = 1")
        .replace("per_second = 1000", "per_second = 0")
        .replace("environment = \"sandbox\"", "environment = \"test\"")
        .replace("provider = \"unionpay\"", "provider = \"paypal\"")
        .replace("id = \"m_other\"", "id = \"m_test\"")
        .replace("seller_id = \"2088000000000001\"\n", "")
        .replace("[store]", "[stores]\nx = 1\n[store]")
        .replace("app_id = \"wx5a2d0c4e1f8b7a63\"", "app_id = 7");
    let wanted = [
        "surcharge",
        "fee_bps",
        "rate_limit",
        "environment",
        "no such provider",
        "m_test",
        "seller_id",
        "stores",
        "app_id",
        ".toml:",
    ];
    desk.refuses(&wrong, &wanted).await;
    desk.refuses("this is no toml", &["tongdao.toml"]).await;
}

#[tokio::test]
async fn an_empty_secret_never_starts() {
    let desk = Desk::new().await;
    let blank = desk.dir.path().join("blank");
    std::fs::write(&blank, " \r\n\u{3000}\n").unwrap();
    let file = format!("{{ file = \"{}\" }}", blank.display());
    let inline = format!("\"{}\"", crate::world::KEY);
    let whsec =
        desk.right.lines().find(|line| line.contains("whsec_")).unwrap().split(" = ").nth(1).unwrap().to_owned();
    let api_v3_key = desk.right.lines().find(|line| line.contains("api_v3_key")).unwrap();
    let api_v3_key = api_v3_key.split_once(" = ").unwrap().1.to_owned();
    let private = desk.right.lines().find(|line| line.contains("app_private_key")).unwrap();
    let private = private.split_once(" = ").unwrap().1.to_owned();
    let secrets = [
        ("secret", inline.as_str()),
        ("webhook_secret", whsec.as_str()),
        ("admin_token", "\"test-admin-token\""),
        ("api_v3_key", api_v3_key.as_str()),
        ("app_private_key", private.as_str()),
    ];
    for (name, usual) in secrets {
        for other in [
            "\"\"",
            "\"  \"",
            "{ env = \"EMPTY\" }",
            "{ env = \"SPACES\" }",
            "{ env = \"ABSENT\" }",
            &file,
            "{ file = \"absent\" }",
        ] {
            desk.never_starts(&desk.with(usual, other), &[name]).await;
        }
    }
    desk.never_starts(&desk.with(&whsec, "\"whsec_\""), &["webhook_secret"]).await;
    desk.never_starts(&desk.with(&whsec, "\"whsec_%%%\""), &["webhook_secret"]).await;
}

#[tokio::test]
async fn a_target_inside_or_a_key_in_the_file_is_refused_where_it_is_not_allowed() {
    let desk = Desk::new().await;
    let strict = desk.with("allow_private_webhook_targets = true", "allow_private_webhook_targets = false");
    desk.refuses(&strict, &["notify_url"]).await;
    let strict = desk.with("allow_inline_secrets = true", "allow_inline_secrets = false");
    desk.refuses(&strict, &["secret", "webhook_secret", "admin_token"]).await;
    let output = desk.run(&["config", "check"], &strict).await;
    let said = format!("{output:?}");
    assert!(!said.contains(crate::world::KEY) && !said.contains("test-admin-token"), "{said}");
    let production = desk.with("environment = \"sandbox\"", "environment = \"production\"");
    desk.refuses(&production, &["base_url", "gateway_url", "front_url"]).await;
}
