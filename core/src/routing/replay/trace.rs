//! The trace format `payroute-scenario/1`: traffic, payers and channels whose parameters change over time.
//!
//! Invariant: a trace that was read is sound: it has channels, no more than eight of them, and every number is there.
//! Times are milliseconds from its start, money is whole cents. It knows the file, not what happens in it.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A trace that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It is not of the format.
    #[error("not a trace of the format payroute-scenario/1: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It has no channel, or more than the draws allow for.
    #[error("a trace needs 1 to 8 channels with all 17 parameters, each segment ending after it begins, and traffic")]
    Unsound,
    /// It says that it is something else.
    #[error("the schema is {0}, not payroute-scenario/1")]
    Schema(String),
}

/// One recorded trouble.
#[derive(Debug, Clone, Deserialize)]
pub struct Trace {
    schema: String,
    /// Its name.
    pub id: String,
    /// The seed of run 0.
    pub seed: u64,
    pub(super) duration_ms: f64,
    pub(super) warmup_ms: f64,
    pub(super) traffic: Vec<Traffic>,
    pub(super) amount: Amounts,
    pub(super) margin: f64,
    pub(super) payer: Patience,
    pub(super) direct_share: f64,
    pub(super) api: Api,
    pub(super) classes: Vec<Class>,
    pub(super) channels: Vec<TraceChannel>,
    #[serde(default)]
    pub(super) events: Vec<Trouble>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Traffic {
    pub(super) from_ms: f64,
    pub(super) to_ms: f64,
    pub(super) rps: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Amounts {
    pub(super) median_cents: f64,
    pub(super) sigma: f64,
    pub(super) min_cents: f64,
    pub(super) max_cents: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Patience {
    pub(super) free_wait_ms: f64,
    pub(super) abandon_per_s: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Api {
    pub(super) timeout_ms: f64,
    pub(super) query_ms: f64,
    pub(super) timeout_accept: f64,
    pub(super) ratelimit_ms: f64,
    pub(super) max_attempts: usize,
    pub(super) deadline_ms: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Class {
    pub(super) weight: f64,
    pub(super) methods: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct TraceChannel {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) priority: i64,
    pub(super) contract_rps: f64,
    pub(super) fee_bps: f64,
    pub(super) fee_fixed_cents: f64,
    base: BTreeMap<Parameter, f64>,
    #[serde(default)]
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, Deserialize)]
struct Segment {
    from_ms: f64,
    to_ms: f64,
    set: BTreeMap<Parameter, Course>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Course {
    Constant(f64),
    Linear([f64; 2]),
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Trouble {
    pub(super) from_ms: f64,
    pub(super) to_ms: f64,
    pub(super) kind: String,
    pub(super) channel: Option<String>,
}

/// The parameters of a channel, in the order of their place in `Parameters`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Parameter {
    CapRps,
    Burst,
    Knee,
    Gamma,
    LatMs,
    LatSigma,
    ErrMs,
    ApiErr,
    ApiHang,
    Conv,
    PayDelayMs,
    PayDelaySigma,
    NotifyLagMs,
    NotifyLagSigma,
    FailDelayMs,
    FailDelaySigma,
    MaxInflight,
}

const PARAMETERS: usize = 17;

/// The parameters of a channel at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters([f64; PARAMETERS]);

impl Parameters {
    #[allow(clippy::as_conversions)] // The place of a parameter is its number.
    pub(super) fn of(&self, parameter: Parameter) -> f64 {
        self.0[parameter as usize]
    }
}

impl TraceChannel {
    /// What holds at a moment: later segments win.
    #[allow(clippy::as_conversions)] // The place of a parameter is its number.
    pub(super) fn at(&self, at_ms: f64) -> Parameters {
        let mut all = [0.0; PARAMETERS];
        for (parameter, value) in &self.base {
            all[*parameter as usize] = *value;
        }
        for segment in self.segments.iter().filter(|s| s.from_ms <= at_ms && at_ms < s.to_ms) {
            let share = (at_ms - segment.from_ms) / (segment.to_ms - segment.from_ms);
            for (parameter, course) in &segment.set {
                all[*parameter as usize] = match course {
                    Course::Constant(value) => *value,
                    Course::Linear([from, to]) => from + (to - from) * share,
                };
            }
        }
        Parameters(all)
    }
}

impl Trace {
    /// Reads a trace.
    ///
    /// # Errors
    /// When it is not of the format, or not sound.
    pub fn read(text: &str) -> Result<Self, TraceError> {
        let trace: Self = serde_json::from_str(text)?;
        if trace.schema != "payroute-scenario/1" {
            return Err(TraceError::Schema(trace.schema));
        }
        let whole =
            trace.channels.iter().all(|c| c.base.len() == PARAMETERS && c.segments.iter().all(|s| s.to_ms > s.from_ms));
        let sound = whole && (1..=8).contains(&trace.channels.len()) && !trace.traffic.is_empty();
        if sound { Ok(trace) } else { Err(TraceError::Unsound) }
    }

    /// What a payer of a class makes of a channel's method: the factor on conversion, 0 when not acceptable.
    pub(super) fn factor(&self, class: usize, channel: usize) -> f64 {
        self.classes[class].methods.get(&self.channels[channel].method).copied().unwrap_or(0.0)
    }

    /// The places of the channels that a payer of a class can use, as bits.
    pub(super) fn eligible(&self, class: usize) -> u64 {
        (0..self.channels.len()).filter(|c| self.factor(class, *c) > 0.0).fold(0, |bits, c| bits | (1 << c))
    }

    /// Whether a channel is dead at a moment, as the trace's own list of events says.
    pub(super) fn is_dead(&self, channel: usize, at_ms: f64) -> bool {
        let id = &self.channels[channel].id;
        self.events
            .iter()
            .any(|e| e.kind == "dead" && e.channel.as_ref() == Some(id) && e.from_ms <= at_ms && at_ms < e.to_ms)
    }
}
