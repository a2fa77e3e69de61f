//! How long a failed job waits before its next attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::name;
use crate::time::{WAIT_MAX, check_wait, millis};

/// How long a failed job waits before its next attempt.
///
/// The default is exponential: 1 s, doubled with every failure, at most 15 min, with 10 %
/// jitter.
///
/// ```
/// # use oxcart::Backoff;
/// # use std::time::Duration;
/// Backoff::fixed(Duration::from_secs(30));
/// Backoff::exponential(Duration::from_millis(200))
///     .factor(3.0)
///     .cap(Duration::from_secs(60))
///     .jitter(0.25);
/// // Computed by the worker that registered a function of that name.
/// Backoff::named("rate-limit-aware");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backoff(Strategy);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Strategy {
    Fixed {
        ms: u64,
    },
    Exponential {
        base_ms: u64,
        factor: f64,
        cap_ms: u64,
        jitter: f64,
    },
    Named {
        name: String,
    },
}

impl Backoff {
    /// No wait: retry at once.
    pub const NONE: Self = Self(Strategy::Fixed { ms: 0 });

    /// The same wait after every failure.
    #[must_use]
    pub fn fixed(wait: Duration) -> Self {
        Self(Strategy::Fixed { ms: millis(wait) })
    }

    /// `base` after the first failure, twice as long after each further one, at most 15 min,
    /// with 10 % jitter. Change these with [`factor`](Self::factor), [`cap`](Self::cap) and
    /// [`jitter`](Self::jitter).
    #[must_use]
    pub fn exponential(base: Duration) -> Self {
        Self(Strategy::Exponential {
            base_ms: millis(base),
            factor: 2.0,
            cap_ms: millis(Duration::from_secs(15 * 60)),
            jitter: 0.1,
        })
    }

    /// A strategy that the worker knows by this name
    /// ([`WorkerBuilder::backoff`](crate::WorkerBuilder::backoff)). A worker that does not know
    /// it uses the default and warns.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self(Strategy::Named { name: name.into() })
    }

    /// By how much each wait is longer than the one before: 1.0 to 100.0. Only exponential
    /// backoff has it.
    #[must_use]
    pub fn factor(mut self, by: f64) -> Self {
        if let Strategy::Exponential { factor, .. } = &mut self.0 {
            *factor = by;
        }
        self
    }

    /// The longest wait, before jitter. Only exponential backoff has it.
    #[must_use]
    pub fn cap(mut self, longest: Duration) -> Self {
        if let Strategy::Exponential { cap_ms, .. } = &mut self.0 {
            *cap_ms = millis(longest);
        }
        self
    }

    /// The share by which a wait is randomly longer or shorter: 0.0 (none) to 1.0. Only
    /// exponential backoff has it.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        if let Strategy::Exponential { jitter, .. } = &mut self.0 {
            *jitter = share;
        }
        self
    }

    /// The name, if the strategy is one that workers register.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.0 {
            Strategy::Named { name } => Some(name),
            Strategy::Fixed { .. } | Strategy::Exponential { .. } => None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.0 {
            Strategy::Fixed { ms } => check_wait("the backoff's wait", *ms),
            Strategy::Exponential {
                base_ms,
                factor,
                cap_ms,
                jitter,
            } => {
                check_wait("the backoff's base", *base_ms)?;
                check_wait("the backoff's cap", *cap_ms)?;
                check_range("factor", *factor, 1.0, 100.0)?;
                check_range("jitter", *jitter, 0.0, 1.0)
            }
            Strategy::Named { name } => name::check("backoff name", name),
        }
    }

    /// The wait after the `failures`-th failure (from 1). `random` is in 0.0..1.0. A named strategy,
    /// which only workers know, waits as long as the default.
    pub(crate) fn wait(&self, failures: u32, random: f64) -> Duration {
        match &self.0 {
            Strategy::Fixed { ms } => Duration::from_millis(*ms),
            Strategy::Exponential {
                base_ms,
                factor,
                cap_ms,
                jitter,
            } => {
                let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
                let grown = (*base_ms as f64 * factor.powi(exponent)).min(*cap_ms as f64);
                let jittered = grown * (1.0 + jitter * (2.0 * random - 1.0));
                let longest = WAIT_MAX.as_millis() as f64;
                // `clamp` keeps NaN, which stored nonsense could produce; the cast makes it 0.
                Duration::from_millis(jittered.clamp(0.0, longest) as u64)
            }
            Strategy::Named { .. } => Self::default().wait(failures, random),
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::exponential(Duration::from_secs(1))
    }
}

fn check_range(what: &str, value: f64, low: f64, high: f64) -> Result<(), Error> {
    if !(low..=high).contains(&value) {
        return Err(Error::invalid(format!(
            "the backoff's {what} is {value}; {low} to {high} are allowed"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

    fn seconds(backoff: &Backoff, failures: u32) -> u64 {
        backoff.wait(failures, MIDDLE).as_secs()
    }

    #[test]
    fn exponential_doubles_up_to_the_cap() {
        let backoff = Backoff::default();
        let waits: Vec<u64> = (1..=12).map(|n| seconds(&backoff, n)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(seconds(&backoff, u32::MAX), 900);
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let backoff = Backoff::exponential(Duration::from_secs(100)).jitter(0.1);
        assert_eq!(backoff.wait(1, 0.0), Duration::from_secs(90));
        assert_eq!(backoff.wait(1, 1.0), Duration::from_secs(110));
    }

    #[test]
    fn nonsense_is_refused_when_checked_and_harmless_when_stored() {
        for backoff in [
            Backoff::default().factor(0.5),
            Backoff::default().factor(f64::NAN),
            Backoff::default().jitter(1.5),
            Backoff::fixed(Duration::MAX),
            Backoff::named(""),
            Backoff::named("a b"),
        ] {
            assert!(backoff.check().unwrap_err().is_invalid(), "{backoff:?}");
        }
        let stored = Backoff::default().factor(f64::NAN).jitter(f64::INFINITY);
        assert!(stored.wait(3, 0.7) <= WAIT_MAX);
    }
}
