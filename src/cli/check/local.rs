//! What this machine alone can tell: configuration, keys, certificates, clock, disk.
//!
//! Invariant: signing is tried for real, with the channel's own key and an order that is thrown away; the store's
//! directory is written to and left as it was.

use super::Findings;
use crate::cli::show::count;
use crate::clock::{SystemClock, rfc3339};
use crate::config::{Channel, Config, StoreUrl};
use crate::ports::Clock as _;
use crate::store::offline::disk_space;
use std::path::{Path, PathBuf};
use tongdao_core::ids::AttemptId;
use tongdao_core::money::Money;
use tongdao_core::provider::{AttemptOrder, Nonce, Payer, Scene};
use tongdao_core::time::UnixMillis;

const DAY_MS: i64 = 86_400_000;
/// Certificates that end sooner are a warning.
const CERTIFICATE_DAYS_ADVISED: i64 = 14;
/// Less free space is a warning, as the alert has it.
const DISK_BYTES_ADVISED: u64 = 1_000_000_000;
/// Less is a problem: a few segments of the journal would fill it.
const DISK_BYTES_MIN: u64 = 100_000_000;
/// No clock stands before this release.
const RELEASED_AT: UnixMillis = UnixMillis(1_767_225_600_000);

pub(super) fn configuration(config: &Config, findings: &mut Findings) {
    let (merchants, channels) = (count(config.merchants.len(), "merchant"), count(config.channels.len(), "channel"));
    findings.fine("configuration", format!("{}: {merchants}, {channels}", config.name));
    for warning in &config.warnings {
        findings.warn("configuration", warning, "see the key's comment in the built-in configuration");
    }
    if config.server.admin_token.is_none() {
        findings.warn(
            "configuration",
            "server.admin_token: without one nobody gets in over TCP, only over the socket",
            "set admin_token = { file = \"…\" } to 32 random bytes as text",
        );
    }
    for channel in config.channels.iter().filter(|channel| !channel.enabled) {
        findings.warn(
            "configuration",
            format!("{} takes no new charges", channel.id),
            "set enabled = true, if it should",
        );
    }
}

pub(super) fn keys(config: &Config, findings: &mut Findings) {
    let now = SystemClock::new().now();
    for channel in &config.channels {
        match sign_an_order(channel, now) {
            Ok(()) => {
                let account = channel.provider.account();
                findings.fine("keys", format!("{} signs ({} account {account})", channel.id, channel.provider_id));
            }
            Err(why) => findings.bad(
                "keys",
                format!("{} cannot sign: {why}", channel.id),
                "check the channel's keys and scenes",
            ),
        }
        for end in channel.provider.certificates() {
            certificate(channel, end.used_for, end.not_after.since_ms(now).div_euclid(DAY_MS), end.not_after, findings);
        }
    }
}

fn certificate(channel: &Channel, used_for: &str, days: i64, end: UnixMillis, findings: &mut Findings) {
    let what = format!("{}: the {used_for} certificate ends {}", channel.id, rfc3339(end));
    let mend = "get the next one from the provider's merchant platform and put it beside the old one";
    match days {
        ..0 => findings.bad("keys", format!("{what}, which is past"), mend),
        0..CERTIFICATE_DAYS_ADVISED => findings.warn("keys", format!("{what}, in {days} days"), mend),
        CERTIFICATE_DAYS_ADVISED.. => findings.fine("keys", format!("{what}, in {days} days")),
    }
}

/// Writes one create as the daemon would, and throws it away.
fn sign_an_order(channel: &Channel, now: UnixMillis) -> Result<(), String> {
    let scene = channel.scenes.first().copied().unwrap_or(Scene::Qr);
    // Nothing is sent, so the number need not be unique.
    let id = AttemptId::new(now, 0);
    let payer = Payer {
        client_ip: Some("203.0.113.1".to_owned()),
        openid: Some("oCheckCheckCheckCheckCheckCh".to_owned()),
        ..Payer::default()
    };
    let order = AttemptOrder {
        provider_order_no: id.bare(),
        amount: Money::cny(channel.amount.min),
        subject: "tongdao check".to_owned(),
        scene,
        payer,
        created_at: now,
        life: channel.provider.code_life(scene, now, now.plus_s(1800)),
        callback_url: "https://example.invalid/callbacks/check".to_owned(),
        return_url: None,
        provider_trade_no: None,
    };
    let nonce = Nonce("0".repeat(32));
    channel.provider.create(&order, now, nonce).map(drop).map_err(|unsupported| unsupported.to_string())
}

pub(super) fn clock(findings: &mut Findings) {
    let now = SystemClock::new().now();
    let mend = "let NTP keep it: signatures are refused when it is more than 300 s off";
    if now < RELEASED_AT {
        findings.bad("clock", format!("the clock says {}, which is long past", rfc3339(now)), mend);
    } else {
        findings.fine("clock", format!("the clock says {}", rfc3339(now)));
    }
}

pub(super) fn store(config: &Config, findings: &mut Findings) {
    let dir = match &config.store.url {
        StoreUrl::Embedded(dir) => dir,
        StoreUrl::Memory => {
            return findings.warn("store", "memory: nothing survives the process", "set url = \"embedded:DIRECTORY\"");
        }
        StoreUrl::Postgres(_) => {
            return findings.bad("store", "postgres is not in this release", "set url = \"embedded:DIRECTORY\"");
        }
    };
    let place = nearest_existing(dir);
    match try_to_write(&place) {
        Ok(()) => findings.fine("store", format!("{} can be written", dir.display())),
        Err(error) => {
            let mend = format!("give this user the directory: chown {} {}", "$USER", place.display());
            findings.bad("store", format!("{} cannot be written: {}", place.display(), error.kind()), mend);
        }
    }
    match disk_space(&place) {
        Ok(space) => free_space(space.free_bytes, findings),
        Err(error) => findings.warn("store", format!("the disk's free space is not known: {error}"), "look with df"),
    }
}

fn free_space(free_bytes: u64, findings: &mut Findings) {
    let said = format!("{} MB free on its disk", free_bytes.div_euclid(1_000_000));
    let mend = "make room: a store that cannot write takes no charge";
    if free_bytes < DISK_BYTES_MIN {
        findings.bad("store", said, mend);
    } else if free_bytes < DISK_BYTES_ADVISED {
        findings.warn("store", said, mend);
    } else {
        findings.fine("store", said);
    }
}

fn nearest_existing(dir: &Path) -> PathBuf {
    let there = dir.ancestors().find(|ancestor| ancestor.is_dir());
    there.filter(|path| !path.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn try_to_write(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!(".tongdao-check-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::Level;

    #[test]
    fn a_store_that_does_not_exist_yet_is_judged_by_its_parent_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(nearest_existing(&dir.path().join("a/b")), dir.path());
        try_to_write(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(try_to_write(&dir.path().join("absent")).is_err());
    }

    #[test]
    fn a_full_disk_is_a_problem_before_it_is_full() {
        let level = |bytes| {
            let mut findings = Findings::default();
            free_space(bytes, &mut findings);
            findings.0.first().map(|finding| finding.level)
        };
        assert_eq!(level(99_000_000), Some(Level::Bad));
        assert_eq!(level(999_000_000), Some(Level::Warn));
        assert_eq!(level(2_000_000_000), Some(Level::Fine));
    }
}
