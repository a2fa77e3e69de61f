//! What an alert is about: a measure of a queue, and where it is too much.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::policy::alert::window::{Growth, Sample, grown};
use crate::time::{WAIT_MAX, check_wait, millis};

/// Over which time it is told how fast jobs come and go.
const DRAIN_WINDOW: Duration = Duration::from_secs(600);
/// Nothing is told of that before so much time is known.
const DRAIN_KNOWN_MS: u64 = 60_000;
/// A failure ratio is told of so many attempts, unless set.
const ATTEMPTS_DEFAULT: u64 = 20;

/// When a rule is broken: a measure of a queue is above a threshold. `T` is what the threshold is given as: a number, a
/// [`Duration`], or a ratio as `f64`.
///
/// ```
/// use oxcart::Condition;
/// use std::time::Duration;
///
/// let deep = Condition::waiting_above(10_000).clears_below(5_000);
/// let failing = Condition::failure_ratio_above(0.2, Duration::from_secs(600)).of_at_least(50);
/// ```
#[must_use = "a condition is a part of a rule"]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition<T> {
    pub(crate) test: Test,
    threshold: PhantomData<fn() -> T>,
}

/// A condition, whatever its threshold is given as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Test {
    measure: Measure,
    above: f64,
    clears_below: Option<f64>,
    window: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Waiting,
    OldestWaiting,
    TimeToDrain,
    FailureRatio { at_least: u64 },
    Dead,
    Died,
    Stalls,
    LateSchedule,
    NoWorker,
}

/// The unit of a value and its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AlertUnit {
    /// A number of jobs.
    Jobs,
    /// A number of stalls.
    Stalls,
    /// Seconds.
    Seconds,
    /// A part of a whole: 0 to 1.
    Ratio,
    /// A unit that a newer version wrote.
    #[serde(other)]
    Other,
}

/// What is read of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Readings {
    /// Jobs in line, and those that something holds back.
    pub(crate) waiting: u64,
    pub(crate) dead: u64,
    /// Totals since the queue was first used.
    pub(crate) arrived: u64,
    pub(crate) departed: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) died: u64,
    pub(crate) stalled: u64,
    pub(crate) oldest: Duration,
    pub(crate) late_schedule: Duration,
    pub(crate) has_worker: bool,
}

/// What has to be read beside the counts of the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) oldest: bool,
    pub(crate) schedules: bool,
    pub(crate) workers: bool,
}

impl<T> Condition<T> {
    fn new(measure: Measure, above: f64) -> Self {
        Self::within(measure, above, Duration::ZERO)
    }

    fn within(measure: Measure, above: f64, window: Duration) -> Self {
        let clears_below = None;
        Self {
            test: Test {
                measure,
                above,
                clears_below,
                window,
            },
            threshold: PhantomData,
        }
    }
}

/// Conditions on numbers.
impl Condition<u64> {
    /// More jobs than this wait: those in line, and those that a limit, a group or an order holds back. Delayed jobs do not count.
    pub fn waiting_above(jobs: u64) -> Self {
        Self::new(Measure::Waiting, jobs as f64)
    }

    /// More dead letters than this are there.
    pub fn dead_letters_above(jobs: u64) -> Self {
        Self::new(Measure::Dead, jobs as f64)
    }

    /// More jobs than this died within the last `window`, which is between a second and a day.
    pub fn died_above(jobs: u64, window: Duration) -> Self {
        Self::within(Measure::Died, jobs as f64, window)
    }

    /// Attempts were lost with their worker more often than this within the last `window`, which is between a second and a day.
    pub fn stalls_above(stalls: u64, window: Duration) -> Self {
        Self::within(Measure::Stalls, stalls as f64, window)
    }

    /// Jobs wait, and no worker serves the queue. A worker that has stopped is gone at once; one that was killed counts for up to two and a
    /// half minutes more.
    pub fn no_worker() -> Self {
        Self::new(Measure::NoWorker, 0.0)
    }

    /// The alert is resolved when the value is below this, instead of when it is not above the threshold any more: so a value
    /// that goes up and down around the threshold fires once.
    pub fn clears_below(mut self, value: u64) -> Self {
        self.test.clears_below = Some(value as f64);
        self
    }
}

/// Conditions on lengths of time.
impl Condition<Duration> {
    /// The oldest job in line has waited for longer than this ([`Queue::oldest_waiting`](crate::Queue::oldest_waiting)).
    pub fn oldest_waiting_above(age: Duration) -> Self {
        Self::new(Measure::OldestWaiting, age.as_secs_f64())
    }

    /// It would take longer than this until no job waits, if jobs came and went as in the last ten minutes; also if the jobs that wait would
    /// not get fewer at all, which is told as ten years. Nothing is told of the first minute.
    pub fn time_to_drain_above(time: Duration) -> Self {
        Self::within(Measure::TimeToDrain, time.as_secs_f64(), DRAIN_WINDOW)
    }

    /// A schedule should have ticked longer ago than this, and has not. Schedules that are paused or have ended do not count.
    pub fn schedule_late_by(time: Duration) -> Self {
        Self::new(Measure::LateSchedule, time.as_secs_f64())
    }

    /// The alert is resolved when the value is below this, instead of when it is not above the threshold any more: so a value
    /// that goes up and down around the threshold fires once.
    pub fn clears_below(mut self, value: Duration) -> Self {
        self.test.clears_below = Some(value.as_secs_f64());
        self
    }
}

/// Conditions on parts of a whole.
impl Condition<f64> {
    /// Of the attempts that ended within the last `window` (between a second and a day) a larger part than this failed: 0.2 is a fifth. Of fewer
    /// than 20 attempts nothing is told, and the ratio counts as 0; see [`of_at_least`](Self::of_at_least).
    pub fn failure_ratio_above(ratio: f64, window: Duration) -> Self {
        let at_least = ATTEMPTS_DEFAULT;
        Self::within(Measure::FailureRatio { at_least }, ratio, window)
    }

    /// Of how many attempts a ratio is told. Default 20.
    pub fn of_at_least(mut self, attempts: u64) -> Self {
        let at_least = attempts.max(1);
        self.test.measure = Measure::FailureRatio { at_least };
        self
    }

    /// The alert is resolved when the value is below this, instead of when it is not above the threshold any more: so a value
    /// that goes up and down around the threshold fires once.
    pub fn clears_below(mut self, value: f64) -> Self {
        self.test.clears_below = Some(value);
        self
    }
}

impl Test {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let above = self.above;
        if !above.is_finite() || above < 0.0 {
            return Err(Error::invalid(format!(
                "the threshold is {above}; it is not negative, and no larger than can be counted"
            )));
        }
        if self.unit() == AlertUnit::Ratio && above >= 1.0 {
            return Err(Error::invalid(format!(
                "the failure ratio is {above}, and no ratio is above 1; 0.2 is a fifth of the attempts"
            )));
        }
        if let Some(below) = self.clears_below
            && !(below > 0.0 && below <= above)
        {
            return Err(Error::invalid(format!(
                "the alert clears below {below}, which is not above 0 and up to the threshold, {above}"
            )));
        }
        if self.unit() == AlertUnit::Seconds {
            check_wait("the threshold", (above * 1_000.0) as u64)?;
        }
        let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
        if self.has_window() && !(second..=day).contains(&self.window) {
            return Err(Error::invalid(format!(
                "the window is {:?}; a second to a day is allowed",
                self.window
            )));
        }
        Ok(())
    }

    fn has_window(&self) -> bool {
        matches!(
            self.measure,
            Measure::TimeToDrain | Measure::FailureRatio { .. } | Measure::Died | Measure::Stalls
        )
    }

    pub(crate) fn above(&self) -> f64 {
        self.above
    }

    pub(crate) fn unit(&self) -> AlertUnit {
        match self.measure {
            Measure::Waiting | Measure::Dead | Measure::Died | Measure::NoWorker => AlertUnit::Jobs,
            Measure::Stalls => AlertUnit::Stalls,
            Measure::OldestWaiting | Measure::TimeToDrain | Measure::LateSchedule => {
                AlertUnit::Seconds
            }
            Measure::FailureRatio { .. } => AlertUnit::Ratio,
        }
    }

    pub(crate) fn needs(&self) -> Needs {
        Needs {
            oldest: self.measure == Measure::OldestWaiting,
            schedules: self.measure == Measure::LateSchedule,
            workers: self.measure == Measure::NoWorker,
        }
    }

    /// The value, if it can be told yet. What has to be remembered for it is in `samples`.
    pub(crate) fn value(
        &self,
        readings: &Readings,
        samples: &mut Vec<Sample>,
        now_ms: u64,
    ) -> Option<f64> {
        let window_ms = millis(self.window);
        let mut grown = |totals| {
            let at_ms = now_ms;
            grown(samples, Sample { at_ms, totals }, window_ms)
        };
        Some(match self.measure {
            Measure::Waiting => readings.waiting as f64,
            Measure::Dead => readings.dead as f64,
            Measure::OldestWaiting => readings.oldest.as_secs_f64(),
            Measure::LateSchedule => readings.late_schedule.as_secs_f64(),
            Measure::NoWorker if readings.has_worker => 0.0,
            Measure::NoWorker => readings.waiting as f64,
            Measure::Died => grown([readings.died, 0]).by[0] as f64,
            Measure::Stalls => grown([readings.stalled, 0]).by[0] as f64,
            Measure::FailureRatio { at_least } => {
                let ended = readings.completed + readings.failed;
                let [failed, ended] = grown([readings.failed, ended]).by;
                match ended >= at_least {
                    true => failed as f64 / ended as f64,
                    false => 0.0,
                }
            }
            Measure::TimeToDrain => {
                let growth = grown([readings.arrived, readings.departed]);
                return time_to_drain(readings.waiting, growth);
            }
        })
    }

    pub(crate) fn is_broken(&self, value: f64) -> bool {
        value > self.above
    }

    pub(crate) fn is_clear(&self, value: f64) -> bool {
        match self.clears_below {
            Some(below) => value < below,
            None => value <= self.above,
        }
    }
}

fn time_to_drain(waiting: u64, growth: Growth) -> Option<f64> {
    if waiting == 0 {
        return Some(0.0);
    }
    if growth.in_ms < DRAIN_KNOWN_MS {
        return None;
    }
    let never = WAIT_MAX.as_secs_f64();
    let [arrived, departed] = growth.by;
    let fewer = departed as f64 - arrived as f64;
    let seconds = waiting as f64 / (fewer / (growth.in_ms as f64 / 1_000.0));
    Some(if fewer > 0.0 {
        seconds.min(never)
    } else {
        never
    })
}

/// In plain words, as people are told.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let above = self.unit().shown(self.above);
        let window = AlertUnit::Seconds.shown(self.window.as_secs_f64());
        match self.measure {
            Measure::Waiting => write!(f, "more than {above} wait"),
            Measure::OldestWaiting => write!(f, "the oldest job waits for more than {above}"),
            Measure::TimeToDrain => write!(f, "more than {above} until no job waits"),
            Measure::FailureRatio { .. } => write!(
                f,
                "more than {above} of the attempts failed in the last {window}"
            ),
            Measure::Dead => write!(f, "more than {above} are dead"),
            Measure::Died => write!(f, "more than {above} died in the last {window}"),
            Measure::Stalls => write!(f, "more than {above} in the last {window}"),
            Measure::LateSchedule => write!(f, "a schedule is late by more than {above}"),
            Measure::NoWorker => write!(f, "jobs wait, and no worker is there"),
        }
    }
}

impl AlertUnit {
    /// A value of this unit for people: `12 jobs`, `5m 3s`, `20 %`.
    #[must_use]
    pub fn shown(self, value: f64) -> String {
        let one = |one: &str, many: &str| match value {
            1.0 => format!("1 {one}"),
            value => format!("{value:.0} {many}"),
        };
        match self {
            Self::Jobs => one("job", "jobs"),
            Self::Stalls => one("stall", "stalls"),
            Self::Seconds => {
                let shown = Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(WAIT_MAX);
                let step = if shown < Duration::from_secs(1) {
                    1
                } else {
                    1_000
                };
                let ms = millis(shown) / step * step;
                humantime::format_duration(Duration::from_millis(ms)).to_string()
            }
            Self::Ratio => format!("{:.1} %", value * 100.0),
            Self::Other => format!("{value}"),
        }
    }
}

#[cfg(test)]
#[path = "condition/tests.rs"]
mod tests;
