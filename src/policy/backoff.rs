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
/// const SECOND: Duration = Duration::from_secs(1);
/// Backoff::fixed(30 * SECOND);
/// // After the first failure 1 s, then 5 s, then 30 s, and from then on 5 min.
/// Backoff::steps([SECOND, 5 * SECOND, 30 * SECOND, 300 * SECOND]).jitter(0.1);
/// Backoff::exponential(Duration::from_millis(200))
///     .factor(3.0)
///     .cap(60 * SECOND)
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
        #[serde(default, skip_serializing_if = "is_none")]
        jitter: f64,
    },
    Steps {
        ms: Vec<u64>,
        #[serde(default, skip_serializing_if = "is_none")]
        jitter: f64,
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

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
fn is_none(jitter: &f64) -> bool {
    *jitter == 0.0
}

/// Every job carries its steps.
const STEPS_MAX: usize = 64;

impl Backoff {
    /// No wait: retry at once.
    pub const NONE: Self = Self(Strategy::Fixed { ms: 0, jitter: 0.0 });

    /// The same wait after every failure.
    #[must_use]
    pub fn fixed(wait: Duration) -> Self {
        Self(Strategy::Fixed {
            ms: millis(wait),
            jitter: 0.0,
        })
    }

    /// The first wait after the first failure, the second after the second, and so on; the last one is repeated. 1 to
    /// 64 waits, which are stored with each job. No jitter unless [`jitter`](Self::jitter) sets one.
    #[must_use]
    pub fn steps(waits: impl IntoIterator<Item = Duration>) -> Self {
        Self(Strategy::Steps {
            ms: waits.into_iter().map(millis).collect(),
            jitter: 0.0,
        })
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
    /// backoff has it; of any other, this changes nothing.
    #[must_use]
    pub fn factor(mut self, by: f64) -> Self {
        if let Strategy::Exponential { factor, .. } = &mut self.0 {
            *factor = by;
        }
        self
    }

    /// The longest wait, before jitter. Only exponential backoff has it; of any other, this changes nothing.
    #[must_use]
    pub fn cap(mut self, longest: Duration) -> Self {
        if let Strategy::Exponential { cap_ms, .. } = &mut self.0 {
            *cap_ms = millis(longest);
        }
        self
    }

    /// The share by which a wait is randomly longer or shorter: 0.0 (none) to 1.0. A named strategy has none.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        match &mut self.0 {
            Strategy::Fixed { jitter, .. }
            | Strategy::Steps { jitter, .. }
            | Strategy::Exponential { jitter, .. } => *jitter = share,
            Strategy::Named { .. } => {}
        }
        self
    }

    /// The name, if the strategy is one that workers register.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.0 {
            Strategy::Named { name } => Some(name),
            Strategy::Fixed { .. } | Strategy::Steps { .. } | Strategy::Exponential { .. } => None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.0 {
            Strategy::Fixed { ms, jitter } => {
                check_wait("the backoff's wait", *ms)?;
                check_range("jitter", *jitter, 0.0, 1.0)
            }
            Strategy::Steps { ms, jitter } => {
                if ms.is_empty() || ms.len() > STEPS_MAX {
                    return Err(Error::invalid(format!(
                        "the backoff has {} steps; 1 to {STEPS_MAX} are allowed",
                        ms.len()
                    )));
                }
                for step in ms {
                    check_wait("a step of the backoff", *step)?;
                }
                check_range("jitter", *jitter, 0.0, 1.0)
            }
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
        let before = failures.saturating_sub(1);
        match &self.0 {
            Strategy::Fixed { ms, jitter } => jittered(*ms as f64, *jitter, random),
            Strategy::Steps { ms, jitter } => {
                let step = usize::try_from(before).unwrap_or(usize::MAX);
                let step = ms.get(step).or(ms.last()).copied().unwrap_or(0);
                jittered(step as f64, *jitter, random)
            }
            Strategy::Exponential {
                base_ms,
                factor,
                cap_ms,
                jitter,
            } => {
                let exponent = i32::try_from(before).unwrap_or(i32::MAX);
                let grown = (*base_ms as f64 * factor.powi(exponent)).min(*cap_ms as f64);
                jittered(grown, *jitter, random)
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

fn jittered(ms: f64, jitter: f64, random: f64) -> Duration {
    let wait = ms * (1.0 + jitter * (2.0 * random - 1.0));
    let longest = WAIT_MAX.as_millis() as f64;
    // `clamp` keeps NaN, which stored nonsense could produce; the cast makes it 0.
    Duration::from_millis(wait.clamp(0.0, longest) as u64)
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
    fn steps_are_taken_one_by_one_and_the_last_is_repeated() {
        let backoff = Backoff::steps([1, 5, 30, 300].map(Duration::from_secs));
        let waits: Vec<u64> = (0..=6).map(|n| seconds(&backoff, n)).collect();
        assert_eq!(waits, [1, 1, 5, 30, 300, 300, 300]);
        assert_eq!(seconds(&backoff, u32::MAX), 300);
        assert_eq!(backoff.wait(2, 0.0), Duration::from_secs(5));
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let wait = Duration::from_secs(100);
        for backoff in [
            Backoff::exponential(wait),
            Backoff::fixed(wait),
            Backoff::steps([wait]),
        ] {
            let backoff = backoff.jitter(0.1);
            assert_eq!(backoff.wait(1, 0.0), Duration::from_secs(90));
            assert_eq!(backoff.wait(1, 1.0), Duration::from_secs(110));
        }
    }

    #[test]
    fn golden_bytes_of_what_is_stored() {
        let bytes = |backoff: &Backoff| rmp_serde::to_vec_named(backoff).unwrap();
        let fixed = Backoff::fixed(Duration::from_millis(7));
        assert_eq!(bytes(&fixed), b"\x81\xa5fixed\x81\xa2ms\x07");
        let steps = Backoff::steps([1, 2].map(Duration::from_millis));
        assert_eq!(bytes(&steps), b"\x81\xa5steps\x81\xa2ms\x92\x01\x02");
        for backoff in [fixed.jitter(0.5), steps.jitter(0.5), Backoff::default()] {
            let read: Backoff = rmp_serde::from_slice(&bytes(&backoff)).unwrap();
            assert_eq!(read, backoff);
        }
    }

    #[test]
    fn nonsense_is_refused_when_checked_and_harmless_when_stored() {
        for backoff in [
            Backoff::default().factor(0.5),
            Backoff::default().factor(f64::NAN),
            Backoff::default().jitter(1.5),
            Backoff::fixed(Duration::MAX),
            Backoff::NONE.jitter(-0.5),
            Backoff::steps([]),
            Backoff::steps([Duration::ZERO, Duration::MAX]),
            Backoff::steps([Duration::ZERO; STEPS_MAX + 1]),
            Backoff::steps([Duration::ZERO]).jitter(f64::NAN),
            Backoff::named(""),
            Backoff::named("a b"),
        ] {
            assert!(backoff.check().unwrap_err().is_invalid(), "{backoff:?}");
        }
        let stored = Backoff::default().factor(f64::NAN).jitter(f64::INFINITY);
        assert!(stored.wait(3, 0.7) <= WAIT_MAX);
    }
}
