//! The command line against a real daemon: what it finds, what it says, and the codes that it ends with.

use crate::world::World;
use serde_json::Value;
use std::path::Path;
use std::process::Output;
use tokio::process::Command;

/// Runs the binary; nothing of this machine's environment reaches it.
async fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tongdao"));
    command.args(arguments).current_dir(directory).env_clear().env("NO_COLOR", "1");
    command.output().await.unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

struct Shell<'w> {
    world: &'w World,
    directory: tempfile::TempDir,
}

impl<'w> Shell<'w> {
    fn of(world: &'w World) -> Self {
        Self { world, directory: tempfile::tempdir().unwrap() }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let daemon = self.world.daemon.as_ref().unwrap();
        let socket = daemon.flow.config().server.admin_socket.display().to_string();
        run(self.directory.path(), &[&["--admin-socket", &socket], arguments].concat()).await
    }

    /// What it prints where all is well.
    async fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert_eq!(code(&output), 0, "{arguments:?}: {output:?}");
        text(&output)
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.said(&[&["--json"], arguments].concat()).await).unwrap()
    }
}

#[tokio::test]
async fn any_number_of_a_paid_charge_finds_it_and_its_story() {
    let world = World::start().await;
    let shell = Shell::of(&world);
    let charge = world.open(serde_json::json!({})).await;
    world.pay(&charge);
    let id = charge["id"].as_str().unwrap();
    let paid = world.until(id, "delivered", |charge| charge["delivery"]["status"] == "delivered").await;
    let numbers = [
        id,
        paid["merchant_order_no"].as_str().unwrap(),
        paid["attempt"]["provider_order_no"].as_str().unwrap(),
        paid["attempt"]["provider_trade_no"].as_str().unwrap(),
    ];
    for number in numbers {
        assert_eq!(shell.json(&["charge", "show", number]).await["id"], charge["id"], "{number}");
    }
    let story = shell.said(&["charge", "trace", id]).await;
    let mut rest = story.as_str();
    for step in ["charge_created", "because: ", "gave a code", "known by callback", "charge.paid: ", "delivered"] {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step} is missing or out of order in\n{story}"));
        rest = &rest[at..];
    }
    let synced = shell.said(&["charge", "sync", id]).await;
    assert!(synced.starts_with("nothing new: paid, completed"), "{synced}");
}

#[tokio::test]
async fn on_call_sees_channels_a_route_and_that_all_is_well() {
    let world = World::start().await;
    let shell = Shell::of(&world);
    assert!(shell.said(&["status"]).await.starts_with("√ all is well"));
    let channels = shell.json(&["channels"]).await;
    assert!(channels["data"].as_array().unwrap().iter().all(|channel| channel["state"] == "open"), "{channels}");
    let route = shell.json(&["route", "explain", "--amount", "18.80", "--method", "alipay"]).await;
    let chosen = channels["data"].as_array().unwrap().iter().find(|channel| channel["id"] == route["channel"]);
    assert_eq!(chosen.unwrap()["provider"], "alipay", "{route}");
    let metrics = shell.said(&["metrics"]).await;
    assert!(metrics.contains("tongdao_oldest_undelivered_paid_charge_timestamp_seconds"), "{metrics}");
}

#[tokio::test]
async fn a_safety_rule_and_an_unknown_number_have_codes_of_their_own() {
    let world = World::start().await;
    let shell = Shell::of(&world);
    let charge = world.open(serde_json::json!({})).await;
    let refused = shell.run(&["charge", "redeliver", charge["id"].as_str().unwrap()]).await;
    assert_eq!(code(&refused), 4, "nothing is paid: {refused:?}");
    let unknown = shell.run(&["charge", "show", "no-such-number"]).await;
    assert_eq!(code(&unknown), 1, "{unknown:?}");
    let store = world.directory().join("store").display().to_string();
    let live = shell.run(&["store", "rebuild", "--dir", &store]).await;
    assert_eq!(code(&live), 4, "a daemon has it: {live:?}");
    assert!(shell.said(&["journal", "verify", "--dir", &store]).await.contains("all intact"));
}

#[tokio::test]
async fn what_is_wrong_before_a_daemon_runs_has_its_code_too() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    assert_eq!(code(&run(at, &["status", "--admin-socket", "absent.sock"]).await), 3, "no daemon");
    assert_eq!(code(&run(at, &["nonsense"]).await), 2, "no such command");
    for command in [["journal", "verify"], ["store", "rebuild"]] {
        let none = run(at, &[&command[..], &["--dir", "."]].concat()).await;
        assert_eq!(code(&none), 2, "no store there: {none:?}");
    }
    std::fs::write(at.join("bad.toml"), "nonsense = 1\n[server]\nalso = 2\n").unwrap();
    let bad = run(at, &["config", "check", "bad.toml"]).await;
    let faults = String::from_utf8(bad.stderr.clone()).unwrap();
    assert_eq!((code(&bad), faults.matches("unknown key").count()), (64, 2), "all faults at once: {faults}");
    assert_eq!(code(&run(at, &["check", "--config", "bad.toml", "--admin-socket", "absent.sock"]).await), 64);
    assert_eq!(std::fs::read_dir(at).unwrap().count(), 1, "looking leaves nothing behind");
}
