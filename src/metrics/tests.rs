//! Tests of the metrics, by their text form.

use super::*;
use crate::ports::Operation;
use std::collections::BTreeSet;
use std::time::Duration;
use tongdao_core::provider::CertificateEnd;
use tongdao_core::routing::{Because, Decision, Exclusion, Seen};
use tongdao_core::time::UnixMillis;

/// The routes of the API, so that the count of series is the true one.
const ROUTES: &[Route] = &[
    ("POST", "/v1/charges"),
    ("GET", "/v1/charges"),
    ("POST", "/v1/charges/batch"),
    ("GET", "/v1/charges/{id}"),
    ("POST", "/v1/charges/{id}/attempts"),
    ("POST", "/v1/charges/{id}/close"),
    ("POST", "/v1/charges/{id}/sync"),
    ("GET", "/v1/charges/{id}/events"),
    ("POST", "/v1/charges/{id}/delivery"),
    ("POST", "/v1/charges/{id}/notify"),
    ("POST", "/v1/charges/{id}/refunds"),
    ("GET", "/v1/refunds/{id}"),
    ("GET", "/v1/refunds"),
    ("POST", "/callbacks/{channel}"),
    ("GET", "/pay/{token}"),
    ("GET", "/pay/{token}/events"),
    ("POST", "/pay/{token}/attempts"),
    ("POST", "/epay/submit"),
    ("POST", "/epay/api"),
    ("GET", "/openapi.json"),
    ("GET", "/admin/v1/channels"),
    ("GET", "/admin/v1/overrides"),
    ("POST", "/admin/v1/overrides"),
    ("DELETE", "/admin/v1/overrides/{id}"),
    ("POST", "/admin/v1/routes/explain"),
    ("GET", "/admin/v1/breaks"),
    ("POST", "/admin/v1/breaks/{id}/resolve"),
    ("POST", "/admin/v1/reconciliations"),
    ("GET", "/admin/v1/reconciliations"),
    ("GET", "/admin/v1/charges"),
    ("GET", "/admin/v1/charges/{id}"),
    ("POST", "/admin/v1/charges/{id}/sync"),
    ("POST", "/admin/v1/charges/{id}/redeliver"),
    ("GET", "/admin/v1/audit"),
    ("POST", "/admin/v1/config/reload"),
    ("GET", "/metrics"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/"),
];

fn metrics(channels: usize) -> Metrics {
    let metrics = Metrics::new(ROUTES).unwrap();
    let provider = |index: usize| ["wechatpay", "alipay", "unionpay"][index % 3].parse().unwrap();
    metrics.set_channels((0..channels).map(|index| (format!("c{index}").parse().unwrap(), provider(index))));
    metrics
}

fn id(text: &str) -> ChannelId {
    text.parse().unwrap()
}

/// The value of one series.
fn value(metrics: &Metrics, series: &str) -> Option<String> {
    let text = metrics.render();
    text.lines().find_map(|line| Some(line.strip_prefix(series)?.strip_prefix(' ')?.to_owned()))
}

#[test]
fn ten_channels_stay_under_five_thousand_series() {
    let metrics = metrics(10);
    let series = metrics.render().lines().filter(|line| !line.starts_with('#')).count();
    assert!((2000..=5000).contains(&series), "{series}");
    assert_eq!(metrics.describe().iter().map(|described| described.series).sum::<usize>(), series);
}

#[test]
fn every_combination_exists_as_zero_from_the_start() {
    let metrics = metrics(1);
    for series in [
        r#"tongdao_provider_calls_total{channel="c0",operation="refund_query",outcome="bad_signature"}"#,
        r#"tongdao_callbacks_total{channel="c0",verdict="amount_differs"}"#,
        r#"tongdao_channel_transitions_total{cause="limit",channel="c0",to="ejected"}"#,
        r#"tongdao_route_exclusions_total{channel="c0",reason="not_pinned"}"#,
        r#"tongdao_payment_confirmations_total{channel="c0",source="operator"}"#,
        r#"tongdao_http_requests_total{code="503",method="POST",route="/v1/charges"}"#,
        r#"tongdao_http_requests_total{code="other",method="other",route="other"}"#,
        r#"tongdao_override_expires_timestamp_seconds{action="force",channel="c0"}"#,
        r#"tongdao_charges_total{event="paid_late"}"#,
        r#"tongdao_webhooks_total{result="http_3xx"}"#,
        r#"tongdao_log_messages_total{level="error"}"#,
        r#"tongdao_payment_wait_seconds_count{provider="wechatpay"}"#,
        "tongdao_oldest_undelivered_paid_charge_timestamp_seconds",
        "tongdao_store_errors_total",
    ] {
        assert_eq!(value(&metrics, series).as_deref(), Some("0"), "{series}");
    }
}

#[test]
fn names_helps_and_kinds_keep_prometheus_rules() {
    let metrics = metrics(2);
    metrics.certificates(&id("c0"), &[CertificateEnd { used_for: "platform", not_after: UnixMillis(5_000) }]);
    let text = metrics.render();
    let names: BTreeSet<&str> = families::ALL.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), families::ALL.len());
    for family in families::ALL {
        let name = family.name;
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && name.starts_with("tongdao_"), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        assert!(text.contains(&format!("# TYPE {name} {}\n", family.kind.as_str())), "{name}");
        assert!(family.help.ends_with('.'), "{name}");
        assert_eq!(family.buckets.is_empty(), family.kind != Kind::Histogram, "{name}");
        assert!(family.buckets.is_sorted(), "{name}");
    }
    assert!(text.contains("process_resident_memory_bytes"));
    assert_eq!(
        value(&metrics, r#"tongdao_certificate_not_after_timestamp_seconds{channel="c0",use="platform"}"#).unwrap(),
        "5"
    );
}

#[test]
fn what_happened_is_counted_where_it_belongs() {
    let metrics = metrics(2);
    let (c0, c1) = (id("c0"), id("c1"));
    metrics.callback(&c0, CallbackVerdict::Accepted);
    metrics.call_answered(&c1, Operation::Create, CallOutcome::Timeout);
    metrics.call_took(&c1, Operation::Create, Duration::from_millis(800));
    metrics.channel_moved(&c1, ChannelState::Ejected, Cause::Health);
    metrics.request_answered("POST", "/v1/charges", 201, Duration::from_millis(3));
    metrics.request_answered("BREW", "/pot", 418, Duration::from_millis(3));
    metrics.clock_offset(&c0, -1500);
    let guard = metrics.call_started(&c0);
    let seen = |channel: &ChannelId, excluded| Seen {
        channel: channel.clone(),
        score: 0.9,
        health: 0.8,
        converts: Some(0.9),
        latency_ms: 200,
        fee_bps: 60,
        standing: None,
        tokens: None,
        excluded,
    };
    let candidates = vec![seen(&c0, None), seen(&c1, Some(Exclusion::Ejected))];
    let decision = Decision { channel: Some(c0.clone()), chosen_because: Because::OnlyOne, reason: None, candidates };
    metrics.route_decided(&decision, Duration::from_micros(3));
    metrics.log_messages().written(LogLevel::Warn);
    for (series, wanted) in [
        (r#"tongdao_callbacks_total{channel="c0",verdict="accepted"}"#, "1"),
        (r#"tongdao_provider_calls_total{channel="c1",operation="create",outcome="timeout"}"#, "1"),
        (r#"tongdao_provider_call_duration_seconds_bucket{channel="c1",operation="create",le="0.8"}"#, "1"),
        (r#"tongdao_provider_call_duration_seconds_bucket{channel="c1",operation="create",le="0.5"}"#, "0"),
        (r#"tongdao_channel_transitions_total{cause="health",channel="c1",to="ejected"}"#, "1"),
        (r#"tongdao_channel_state{channel="c1",state="ejected"}"#, "1"),
        (r#"tongdao_channel_state{channel="c1",state="open"}"#, "0"),
        (r#"tongdao_http_requests_total{code="201",method="POST",route="/v1/charges"}"#, "1"),
        (r#"tongdao_http_requests_total{code="other",method="other",route="other"}"#, "1"),
        (r#"tongdao_clock_offset_seconds{channel="c0"}"#, "-1.5"),
        (r#"tongdao_channel_in_flight{channel="c0"}"#, "1"),
        (r#"tongdao_route_decisions_total{because="only_one",channel="c0"}"#, "1"),
        (r#"tongdao_route_exclusions_total{channel="c1",reason="ejected"}"#, "1"),
        (r#"tongdao_channel_score{channel="c0"}"#, "0.9"),
        (r#"tongdao_log_messages_total{level="warn"}"#, "1"),
    ] {
        assert_eq!(value(&metrics, series).as_deref(), Some(wanted), "{series}");
    }
    drop(guard);
    assert_eq!(value(&metrics, r#"tongdao_channel_in_flight{channel="c0"}"#).as_deref(), Some("0"));
}

#[test]
fn a_reload_keeps_the_counts_of_channels_that_stay() {
    let metrics = metrics(1);
    metrics.callback(&id("c0"), CallbackVerdict::Accepted);
    metrics.set_channels([(id("c0"), "alipay".parse().unwrap()), (id("new"), "alipay".parse().unwrap())]);
    let series = |channel: &str| format!(r#"tongdao_callbacks_total{{channel="{channel}",verdict="accepted"}}"#);
    assert_eq!(value(&metrics, &series("c0")).as_deref(), Some("1"));
    assert_eq!(value(&metrics, &series("new")).as_deref(), Some("0"));
    metrics.callback(&id("absent"), CallbackVerdict::Accepted);
    assert_eq!(value(&metrics, &series("absent")), None);
}
