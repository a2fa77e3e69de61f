//! Limits of a queue: how many jobs start in a period, and how many run at a time.
//!
//! The rule for the rate stands here, in [`RateWindow`]. `lua/lib/window.lua` is the same in a script.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::time::millis;

/// A shorter period cannot be kept: the way to a worker takes milliseconds.
const PERIOD_MIN: Duration = Duration::from_millis(100);
const PERIOD_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// How many jobs may start in a period.
///
/// By the server's clock, no window of one period has more starts than that, wherever it begins. At least 95 % of
/// it are reached while there is enough work. Jobs may count more than one ([`Enqueue::weight`](crate::Enqueue::weight)).
///
/// ```
/// use oxcart::Rate;
/// use std::time::Duration;
///
/// let minute = Duration::from_secs(60);
/// let at_once = Rate::burst(600, minute);     // 600 at once, and the next 600 a minute later
/// let evenly = Rate::smooth(600, minute);     // one every tenth of a second
/// # assert_ne!(at_once, evenly);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rate {
    /// So many jobs may start in a period.
    pub starts: u32,
    /// The period.
    pub period: Duration,
    /// How they are spread over the period.
    pub spread: Spread,
}

/// How the starts are spread over the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Spread {
    /// All at once, if there are so many jobs.
    Burst,
    /// Evenly.
    Smooth,
}

impl Rate {
    /// So many starts in a period, at once if there are so many jobs. `starts` is 1 or more; the period is 100 ms to
    /// 31 days.
    #[must_use]
    pub fn burst(starts: u32, period: Duration) -> Self {
        let spread = Spread::Burst;
        Self {
            starts,
            period,
            spread,
        }
    }

    /// So many starts in a period, evenly spread. What a worker was late with may be caught up, up to a 32nd of the
    /// period. `starts` is 1 or more; the period is 100 ms to 31 days.
    #[must_use]
    pub fn smooth(starts: u32, period: Duration) -> Self {
        let spread = Spread::Smooth;
        Self {
            spread,
            ..Self::burst(starts, period)
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.starts == 0 {
            return Err(Error::invalid(
                "a rate of 0 would stop the queue; 1 or more are allowed, and `Queue::pause` stops it",
            ));
        }
        if self.period < PERIOD_MIN || self.period > PERIOD_MAX {
            return Err(Error::invalid(format!(
                "the period of a rate is {:?}; 100 ms to 31 days are allowed",
                self.period
            )));
        }
        Ok(())
    }

    /// As it is stored: `<starts>/<period, ms>/<spread>`.
    pub(crate) fn text(&self) -> String {
        let spread = match self.spread {
            Spread::Burst => "burst",
            Spread::Smooth => "smooth",
        };
        format!("{}/{}/{spread}", self.starts, millis(self.period))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let starts = parts.next()?.parse().ok().filter(|starts| *starts > 0)?;
        let period_ms = parts.next()?.parse().ok().filter(|ms| *ms > 0)?;
        let spread = match parts.next()? {
            "burst" => Spread::Burst,
            "smooth" => Spread::Smooth,
            _ => return None,
        };
        Some(Self {
            starts,
            period: Duration::from_millis(period_ms),
            spread,
        })
    }
}

/// For the log: `100 in 1s (burst)`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spread = match self.spread {
            Spread::Burst => "burst",
            Spread::Smooth => "smooth",
        };
        write!(f, "{} in {:?} ({spread})", self.starts, self.period)
    }
}

/// What is stored for a limit that is not there.
pub(crate) const NONE: &str = "none";

/// The names of the settings. `lua/lib/meta.lua` looks for what they have in common.
pub(crate) const RATE: &str = "limit_rate";
pub(crate) const CONCURRENCY: &str = "limit_concurrency";

/// How many jobs may run at a time, as it is stored; `None` for no limit.
pub(crate) fn parse_concurrency(text: &str) -> Option<u32> {
    text.parse().ok().filter(|jobs| *jobs > 0)
}

/// Starts of one moment, or of moments close to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Starts {
    first_ms: u64,
    last_ms: u64,
    units: u64,
}

/// What has started lately, and what may start now.
///
/// It is a log of starts. Starts that lie closer together than the *grain* (a 48th of the period) are one entry, so
/// there are about 50 entries at most, whatever the rate. An entry counts until its last start has left the window.
/// The window is longer than the period by a *margin*, for the way to the workers: jobs that were claimed at its two
/// ends begin closer together than they were claimed if the first of them take longer to arrive.
///
/// So all starts of the last window are counted in full at each start: no window has more than are allowed. Of
/// what is allowed are lost: the margin (2 %), and the grain (2 %) if the starts are spread.
///
/// A smooth rate has, in addition, a moment before which the next unit must not start. Each start moves it on by
/// an equal part of the window and the grain, so that the log never holds back what is on time. If the moment has
/// passed, it counts as passed by a 32nd of the period at most: that is what can be caught up.
#[derive(Debug)]
pub(crate) struct RateWindow {
    rate: Rate,
    now_ms: u64,
    window_ms: u64,
    grain_ms: f64,
    /// Smooth: between two units.
    gap_ms: f64,
    /// Smooth: when the next unit may start, before those of this call.
    next_ms: f64,
    /// Oldest first.
    log: Vec<Starts>,
    /// Units in the log.
    logged: u64,
    /// Units that this call has started.
    started: u64,
    /// Something lay ahead, so the clock was set back; it counts as of now.
    is_set_back: bool,
}

/// Larger numbers are not exact in Lua.
const MAX: f64 = (1u64 << 53) as f64;

#[allow(
    dead_code,
    reason = "only queues in memory start jobs by it, and these are a feature"
)]
impl RateWindow {
    const MARGIN_PART: u64 = 50;
    const MARGIN_MAX_MS: u64 = 100;
    const GRAIN_PART: f64 = 48.0;
    const CATCH_UP_PART: f64 = 32.0;

    /// From the stored text: `<next> <first> <last> <units> ..`.
    pub(crate) fn at(rate: Rate, now_ms: u64, stored: &str) -> Self {
        let period_ms = millis(rate.period);
        let margin_ms = period_ms.div_ceil(Self::MARGIN_PART);
        let window_ms = period_ms + margin_ms.min(Self::MARGIN_MAX_MS);
        let grain_ms = period_ms as f64 / Self::GRAIN_PART;
        let gap_ms = match rate.spread {
            Spread::Burst => 0.0,
            Spread::Smooth => (window_ms as f64 + grain_ms) / f64::from(rate.starts),
        };
        let mut words = stored.split(' ');
        let next_ms = words.next().and_then(|word| word.parse().ok());
        let next_ms = next_ms.filter(|ms| (0.0..MAX).contains(ms)).unwrap_or(0.0);
        // A moment that lies further ahead was stored before the clock was set back.
        let latest = now_ms as f64 + window_ms as f64 + grain_ms;
        let earliest = now_ms as f64 - period_ms as f64 / Self::CATCH_UP_PART;
        let mut window = Self {
            rate,
            now_ms,
            window_ms,
            grain_ms,
            gap_ms,
            next_ms: next_ms.min(latest).max(earliest),
            log: Vec::new(),
            logged: 0,
            started: 0,
            is_set_back: rate.spread == Spread::Smooth && next_ms > latest,
        };
        let mut numbers = words.map_while(|word| word.parse::<u64>().ok());
        let mut numbers = std::iter::from_fn(|| numbers.next().filter(|n| *n < MAX as u64));
        while let (Some(first_ms), Some(last_ms), Some(units)) =
            (numbers.next(), numbers.next(), numbers.next())
        {
            if last_ms + window_ms > now_ms {
                window.is_set_back |= last_ms > now_ms;
                window.note(Starts {
                    first_ms: first_ms.min(now_ms),
                    last_ms: last_ms.min(now_ms),
                    units,
                });
            }
        }
        window
    }

    /// Appends to the log, or to its last entry.
    fn note(&mut self, starts: Starts) {
        self.logged += starts.units;
        match self.log.last_mut() {
            Some(last)
                if (starts.first_ms.saturating_sub(last.first_ms) as f64) < self.grain_ms =>
            {
                last.last_ms = last.last_ms.max(starts.last_ms);
                last.units += starts.units;
            }
            _ => self.log.push(starts),
        }
    }

    fn most(&self) -> u64 {
        u64::from(self.rate.starts)
    }

    fn next_ms(&self) -> f64 {
        self.next_ms + self.started as f64 * self.gap_ms
    }

    /// What a job of this weight takes. One that weighs more than may start in a period takes all of it.
    fn units(&self, weight: u64) -> u64 {
        weight.min(self.most())
    }

    /// How many jobs of weight 1 may start now.
    pub(crate) fn free(&self) -> u64 {
        let left = self.most().saturating_sub(self.logged + self.started);
        if self.rate.spread == Spread::Burst {
            return left;
        }
        let behind_ms = self.now_ms as f64 - self.next_ms();
        if behind_ms < 0.0 {
            return 0;
        }
        left.min((behind_ms / self.gap_ms) as u64 + 1)
    }

    /// Starts a job of this weight, if it may start now.
    pub(crate) fn start(&mut self, weight: u64) -> bool {
        if self.opens_at(weight) > self.now_ms {
            return false;
        }
        self.started += self.units(weight);
        true
    }

    /// A job of this weight did not start after all.
    pub(crate) fn take_back(&mut self, weight: u64) {
        self.started -= self.units(weight);
    }

    /// When a job of this weight may start; now, or earlier, if it may.
    pub(crate) fn opens_at(&self, weight: u64) -> u64 {
        let units = self.units(weight);
        let mut over = (self.logged + self.started + units).saturating_sub(self.most());
        let mut at_ms = match self.rate.spread {
            Spread::Burst => 0,
            Spread::Smooth => self.next_ms().ceil() as u64,
        };
        let now = Starts {
            first_ms: self.now_ms,
            last_ms: self.now_ms,
            units: self.started,
        };
        for entry in self.log.iter().chain([&now]) {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(entry.units);
            at_ms = at_ms.max(entry.last_ms + self.window_ms);
        }
        at_ms
    }

    /// So many units start, for which there is room.
    pub(crate) fn add(&mut self, units: u64) {
        self.started += units;
    }

    /// From when on the window says nothing any more, if it says something now.
    pub(crate) fn over_at(&self) -> Option<u64> {
        let last = self.log.last();
        let log_ms = last.map_or(0, |entry| entry.last_ms + self.window_ms);
        let next_ms = match self.rate.spread {
            Spread::Burst => 0,
            Spread::Smooth => self.next_ms.ceil() as u64,
        };
        Some(log_ms.max(next_ms)).filter(|at_ms| *at_ms > self.now_ms)
    }

    /// Units that were started within the window.
    pub(crate) fn in_window(&self) -> u64 {
        self.logged + self.started
    }

    /// As it is stored; `None` if nothing was started, and what is stored can stay. What counts as of now because the clock
    /// was set back is stored as such: else it would count as of a later moment at each look.
    pub(crate) fn changed(mut self) -> Option<String> {
        if self.started == 0 && !self.is_set_back {
            return None;
        }
        let next_ms = match self.rate.spread {
            Spread::Burst => "0".to_owned(),
            Spread::Smooth => format!("{:.3}", self.next_ms()),
        };
        if self.started > 0 {
            self.note(Starts {
                first_ms: self.now_ms,
                last_ms: self.now_ms,
                units: self.started,
            });
        }
        let words = self
            .log
            .iter()
            .map(|entry| format!(" {} {} {}", entry.first_ms, entry.last_ms, entry.units));
        Some(next_ms + &words.collect::<String>())
    }
}

#[cfg(test)]
mod tests;
