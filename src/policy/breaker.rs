//! Breakers: when calls of a dependency are let through, and what is to be known for that.
//!
//! Scripts decide (`lua/lib/breaker.lua`), by the clock of Redis; what they are told with each call is made here.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::error::Error;
use crate::time::millis;

/// The calls and failures of ten parts of this are counted.
const WINDOW_MIN: Duration = Duration::from_millis(100);
const WINDOW_MAX: Duration = Duration::from_secs(60 * 60);
const OPEN_MIN: Duration = Duration::from_millis(100);
const OPEN_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const PROBE_MIN: Duration = Duration::from_millis(100);
const RISE_MAX: Duration = Duration::from_secs(60 * 60);
const FAILURES_MAX: u32 = 1_000_000;
const PROBES_MAX: u32 = 100;
const RATE_MAX: u32 = 100_000;

/// When a [`Breaker`](crate::Breaker) opens, for how long, and how calls flow again after that.
///
/// All processes that use one breaker should set the same: a change of its state follows the settings of the process in which it happens. Those who only look or force need not know them.
/// What is out of range is refused by [`Breaker::settings`](crate::Breaker::settings).
///
/// ```
/// use oxcart::BreakerSettings;
/// use std::time::Duration;
///
/// let second = Duration::from_secs(1);
/// let settings = BreakerSettings::new()
///     .trips_at(20, 30 * second)      // 20 failures in half a minute ..
///     .ratio(0.5, 40)                 // .. and only if half of at least 40 calls fail
///     .open_for(10 * second)
///     .probes(2)
///     .rising(50, 20 * second)
///     .time_limit(5 * second);
/// # assert_ne!(settings, BreakerSettings::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerSettings {
    failures: u32,
    window: Duration,
    ratio: f64,
    calls: u32,
    open_for: Duration,
    probes: u32,
    probe_for: Duration,
    rate: u32,
    rise_for: Duration,
    time_limit: Option<Duration>,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 10,
            window: Duration::from_secs(30),
            ratio: 0.0,
            calls: 0,
            open_for: Duration::from_secs(5),
            probes: 1,
            probe_for: Duration::from_secs(60),
            rate: 10,
            rise_for: Duration::from_secs(10),
            time_limit: None,
        }
    }
}

impl BreakerSettings {
    /// The defaults: see each setting.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// It opens when so many calls have failed within this time, in all processes together. Default: 10 within 30 s. 1 to 1,000,000 failures; 100 ms to 1 hour,
    /// kept to a tenth of it.
    #[must_use]
    pub fn trips_at(mut self, failures: u32, within: Duration) -> Self {
        (self.failures, self.window) = (failures, within);
        self
    }

    /// It opens only if at least this part of the calls of that time has failed as well, of at least so many calls. Default: no part is asked for. 0.0 to 1.0, kept
    /// to a thousandth; up to 1,000,000 calls.
    ///
    /// Failures are counted at once, and calls that went well up to a second later: let the number of calls be that of several seconds.
    #[must_use]
    pub fn ratio(mut self, failed: f64, calls: u32) -> Self {
        (self.ratio, self.calls) = (failed, calls);
        self
    }

    /// For how long it stays open before probes may go. Default: 5 s. 100 ms to 1 day.
    #[must_use]
    pub fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }

    /// So many calls are let through, in all processes together, when that time is over. If all of them go well, it closes; as soon as one fails, it is open
    /// again, for the same time. A probe that says nothing (its handler was dropped, or panicked) makes room for another one after that time. So there are never more than this number of probes in one [`open_for`](Self::open_for), but for those whose process died. Default: 1. 1 to 100.
    #[must_use]
    pub fn probes(mut self, calls: u32) -> Self {
        self.probes = calls;
        self
    }

    /// A probe that has not told for this long how it ended, because its process died, is forgotten, and another one may go. Default: 1 minute. At least 100 ms, and 1 day at most. Let it be longer than a call takes.
    #[must_use]
    pub fn probe_for(mut self, time: Duration) -> Self {
        self.probe_for = time;
        self
    }

    /// How calls flow again when it closes: so many a second at first, in all processes together, and each second as many more, for this time. After that there is no limit. The jobs that were
    /// refused come back at the same rate. Default: 10 a second, for 10 s; then it is 110 a second. 1 to 100,000; up to 1 hour. Without time, calls flow
    /// freely at once, and only the refused jobs come back at this rate.
    #[must_use]
    pub fn rising(mut self, per_second: u32, time: Duration) -> Self {
        (self.rate, self.rise_for) = (per_second, time);
        self
    }

    /// A call that takes longer is dropped, and has failed. Default: no limit; then a call that is dropped with its handler, by the time limit of the job or because the worker stops, counts as neither.
    #[must_use]
    pub fn time_limit(mut self, time: Duration) -> Self {
        self.time_limit = Some(time);
        self
    }

    pub(crate) fn limit(&self) -> Option<Duration> {
        self.time_limit
    }

    /// What scripts are told.
    pub(crate) fn rules(&self) -> Result<Rules, Error> {
        let within = |what: &str, value: Duration, least: Duration, most: Duration| {
            if (least..=most).contains(&value) {
                return Ok(millis(value));
            }
            Err(Error::invalid(format!(
                "{what} of a breaker is {value:?}; {least:?} to {most:?} are allowed"
            )))
        };
        let number = |what: &str, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) {
                return Ok(value);
            }
            Err(Error::invalid(format!(
                "the number of {what} of a breaker is {value}; {least} to {most} are allowed"
            )))
        };
        if !(0.0..=1.0).contains(&self.ratio) {
            return Err(Error::invalid(format!(
                "the ratio of failures of a breaker is {}; 0.0 to 1.0 are allowed",
                self.ratio
            )));
        }
        if self.time_limit.is_some_and(|limit| limit.is_zero()) {
            return Err(Error::invalid(
                "the time limit of the calls of a breaker is zero; leave it out for none",
            ));
        }
        Ok(Rules {
            failures: number("failures", self.failures, 1, FAILURES_MAX)?,
            window_ms: within("the window", self.window, WINDOW_MIN, WINDOW_MAX)?,
            permille: (self.ratio * 1_000.0).round() as u32,
            calls: number("calls", self.calls, 0, FAILURES_MAX)?,
            open_ms: within("the time open", self.open_for, OPEN_MIN, OPEN_MAX)?,
            probes: number("probes", self.probes, 1, PROBES_MAX)?,
            probe_ms: within("the time of a probe", self.probe_for, PROBE_MIN, OPEN_MAX)?,
            rate: number("calls a second", self.rate, 1, RATE_MAX)?,
            rise_ms: within("the time it rises", self.rise_for, Duration::ZERO, RISE_MAX)?,
        })
    }
}

/// The settings as scripts are told them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Rules {
    pub(crate) failures: u32,
    pub(crate) window_ms: u64,
    pub(crate) permille: u32,
    pub(crate) calls: u32,
    pub(crate) open_ms: u64,
    pub(crate) probes: u32,
    pub(crate) probe_ms: u64,
    pub(crate) rate: u32,
    pub(crate) rise_ms: u64,
}

/// The state of a [`Breaker`](crate::Breaker), the same for all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls go.
    Closed,
    /// It was open, and calls go again, at a rate that rises.
    Rising,
    /// A few calls go, as probes. How they end decides.
    HalfOpen,
    /// No call goes.
    Open,
}

impl BreakerState {
    /// Its name, as it is stored, and as metrics have it: `closed`, `rising`, `half-open`, `open`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Rising => "rising",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }

    /// The state of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all = [Self::Closed, Self::Rising, Self::HalfOpen, Self::Open];
        all.into_iter().find(|state| state.name() == name)
    }
}

/// As its [`name`](Self::name).
impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_cannot_be_is_refused_and_the_error_says_what() {
        let default = BreakerSettings::default;
        assert!(default().rules().is_ok());
        let day = 24 * 60 * 60 * SECOND;
        for (settings, word) in [
            (default().trips_at(0, SECOND), "failures"),
            (default().trips_at(1_000_001, SECOND), "failures"),
            (default().trips_at(1, Duration::ZERO), "window"),
            (default().trips_at(1, 2 * day), "window"),
            (default().ratio(-0.1, 1), "ratio"),
            (default().ratio(1.1, 1), "ratio"),
            (default().ratio(f64::NAN, 1), "ratio"),
            (default().ratio(0.5, 1_000_001), "calls"),
            (default().open_for(Duration::ZERO), "time open"),
            (default().open_for(2 * day), "time open"),
            (default().probes(0), "probes"),
            (default().probes(101), "probes"),
            (default().probe_for(Duration::ZERO), "time of a probe"),
            (default().rising(0, SECOND), "a second"),
            (default().rising(100_001, SECOND), "a second"),
            (default().rising(1, day), "rises"),
            (default().time_limit(Duration::ZERO), "time limit"),
        ] {
            let error = settings.rules().unwrap_err();
            assert!(error.is_invalid());
            assert!(error.to_string().contains(word), "{error}");
        }
        let least = default()
            .trips_at(1, WINDOW_MIN)
            .ratio(1.0, 0)
            .rising(1, Duration::ZERO);
        assert_eq!(least.rules().unwrap().permille, 1_000);
    }

    #[test]
    fn states_have_names() {
        for state in [
            BreakerState::Closed,
            BreakerState::Rising,
            BreakerState::HalfOpen,
            BreakerState::Open,
        ] {
            assert_eq!(BreakerState::parse(state.name()), Some(state));
        }
        assert_eq!(BreakerState::parse("ajar"), None);
    }
}
