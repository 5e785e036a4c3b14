//! Traces that nobody tuned for: other shops, other channels, and several troubles of any kind at any time.
//!
//! Invariant: the same number gives the same trace. A trace of `length` 1 is as long as the published ones.

use serde_json::{Value, json};

/// Luck for the making of a trace.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((x ^ (x >> 31)) >> 32).unwrap()) / 4_294_967_296.0
    }

    fn within(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// Between the two, small numbers as likely as large ones.
    fn scaled(&mut self, from: f64, to: f64) -> f64 {
        from * (to / from).powf(self.unit())
    }

    fn below(&mut self, count: usize) -> usize {
        let mut place = 0;
        let drawn = self.unit();
        for step in 1..count {
            let step_share = f64::from(u32::try_from(step).unwrap()) / f64::from(u32::try_from(count).unwrap());
            place += usize::from(drawn >= step_share);
        }
        place
    }
}

const METHODS: [&str; 4] = ["wechat", "alipay", "unionpay", "card"];

pub(super) fn unseen(number: u64, length: f64, rps_max: f64) -> Value {
    let mut dice = Dice(number.wrapping_mul(0xA076_1D64_78BD_642F));
    let (warmup_ms, scored_ms) = (240_000.0 * length, 600_000.0 * length);
    let duration_ms = warmup_ms + scored_ms;
    let rps = dice.scaled(rps_max / 15.0, rps_max);
    let count = 2 + dice.below(5);
    let direct_share = dice.within(0.0, 0.5);
    let mut channels: Vec<Value> = (0..count).map(|place| channel(&mut dice, place, rps, count)).collect();
    let mut events = Vec::new();
    for _ in 0..1 + dice.below(4) {
        trouble(&mut dice, (warmup_ms, scored_ms), &mut channels, &mut events);
    }
    let traffic = if dice.unit() < 0.3 {
        let (from, to) = (warmup_ms + 0.3 * scored_ms, warmup_ms + 0.5 * scored_ms);
        let peak = rps * dice.within(1.5, 4.0);
        json!([{"from_ms": 0, "to_ms": from, "rps": rps}, {"from_ms": from, "to_ms": to, "rps": peak},
               {"from_ms": to, "to_ms": duration_ms, "rps": rps}])
    } else {
        json!([{"from_ms": 0, "to_ms": duration_ms, "rps": rps}])
    };
    let factor = |dice: &mut Dice| dice.within(0.92, 1.0);
    let all =
        json!({"wechat": 1.0, "alipay": factor(&mut dice), "unionpay": factor(&mut dice), "card": factor(&mut dice)});
    json!({
        "schema": "payroute-scenario/1", "id": format!("unseen-{number}"), "seed": 10_000 + number,
        "duration_ms": duration_ms, "warmup_ms": warmup_ms, "traffic": traffic,
        "amount": {"median_cents": dice.scaled(1_000.0, 20_000.0).round(), "sigma": 1.0, "min_cents": 100, "max_cents": 500_000},
        "margin": dice.scaled(0.03, 0.12), "payer": {"free_wait_ms": 500, "abandon_per_s": 0.08},
        "direct_share": direct_share,
        "api": {"timeout_ms": 3000, "query_ms": 800, "timeout_accept": 0.5, "ratelimit_ms": 30, "max_attempts": 2,
                "deadline_ms": 6000},
        "classes": [{"id": "any", "weight": 0.7, "methods": all},
                    {"id": "first", "weight": dice.within(0.05, 0.3), "methods": {"wechat": 1.0}},
                    {"id": "second", "weight": dice.within(0.05, 0.3), "methods": {"alipay": 1.0}}],
        "channels": channels, "events": events
    })
}

fn channel(dice: &mut Dice, place: usize, rps: f64, count: usize) -> Value {
    let method = if place < 2 { METHODS[place] } else { METHODS[dice.below(4)] };
    let cap = rps * if place < 2 { dice.within(1.5, 4.0) } else { dice.within(0.6, 3.0) } + 2.0;
    let conv = dice.within(0.82, 0.95);
    json!({
        "id": format!("c{place}"), "method": method, "priority": (place * 7 + 3) % count + 1,
        "fee_bps": dice.within(20.0, 60.0).round(), "fee_fixed_cents": if dice.unit() < 0.2 { 5 } else { 0 },
        "contract_rps": (cap * if dice.unit() < 0.2 { 1.3 } else { 1.0 }).round(),
        "base": {
            "cap_rps": cap.round(), "burst": (cap / 4.0).round().max(3.0), "knee": (cap / 2.5).max(4.0), "gamma": 1.5,
            "lat_ms": dice.scaled(100.0, 300.0), "lat_sigma": dice.within(0.25, 0.5), "err_ms": 80,
            "api_err": dice.scaled(0.001, 0.01), "api_hang": dice.scaled(0.0005, 0.004), "conv": conv,
            "pay_delay_ms": dice.scaled(4_000.0, 20_000.0), "pay_delay_sigma": dice.within(0.5, 0.9),
            "notify_lag_ms": dice.scaled(200.0, 3_000.0), "notify_lag_sigma": 0.5,
            "fail_delay_ms": dice.scaled(60_000.0, 300_000.0), "fail_delay_sigma": 0.15, "max_inflight": 100_000
        },
        "segments": []
    })
}

/// One trouble of one channel, or of two with one upstream.
fn trouble(dice: &mut Dice, (warmup_ms, scored_ms): (f64, f64), channels: &mut [Value], events: &mut Vec<Value>) {
    let from = warmup_ms + scored_ms * dice.within(0.05, 0.6);
    let to = from + scored_ms * dice.within(0.1, 0.35);
    let kind = dice.below(10);
    // The channels that matter are met by trouble more often than the others.
    let place = if dice.unit() < 0.6 { dice.below(2) } else { dice.below(channels.len()) };
    let conv = channels[place]["base"]["conv"].as_f64().unwrap();
    let cap = channels[place]["base"]["cap_rps"].as_f64().unwrap();
    let lat = channels[place]["base"]["lat_ms"].as_f64().unwrap();
    let worse = conv * dice.within(0.4, 0.85);
    let (word, set) = match kind {
        0 => ("dead", json!({"api_err": 0.98})),
        1 => ("dead", json!({"api_hang": 0.97})),
        2 => ("dead", json!({"conv": 0.0})),
        3 => ("degraded", json!({"conv": worse})),
        4 => ("degraded", json!({"conv": [conv, worse]})),
        5 => ("degraded", json!({"lat_ms": lat * dice.within(3.0, 9.0), "lat_sigma": 0.8})),
        6 => ("degraded", json!({"api_err": dice.within(0.05, 0.4), "api_hang": dice.within(0.0, 0.15)})),
        7 => ("burst", json!({"cap_rps": cap * dice.within(0.15, 0.5), "burst": 3})),
        8 => ("burst", json!({"notify_lag_ms": dice.within(60_000.0, 150_000.0), "notify_lag_sigma": 0.1})),
        _ => ("burst", json!({"conv": (conv + 0.9 * (0.98 - conv))})),
    };
    let flaps = kind < 3 && dice.unit() < 0.25;
    let twin = (dice.unit() < 0.15).then(|| (place + 1) % channels.len()).filter(|_| kind < 2);
    let period = dice.within(10_000.0, 50_000.0);
    for place in std::iter::once(place).chain(twin) {
        let mut at = from;
        while at < to {
            let end = if flaps { (at + period).min(to) } else { to };
            channels[place]["segments"].as_array_mut().unwrap().push(json!({"from_ms": at, "to_ms": end, "set": set}));
            if word != "burst" {
                events.push(json!({"from_ms": at, "to_ms": end, "kind": word, "channel": channels[place]["id"]}));
            }
            at = if flaps { end + period } else { to };
        }
    }
}
