//! What happened in a queue in the last minutes and hours.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::Error;
use crate::policy::histogram::Histogram;
use crate::policy::minute::{MINUTE_MS, MINUTES, Minute, QUIET_MINUTES, Sums};
use crate::policy::tally::Tally;
use crate::queue::Queue;
use crate::queue::info::Counts;
use crate::store::history::History as Verb;
use crate::time::Timestamp;

/// Minutes read in one call, of 20 KB each at most.
const MINUTES_PER_CALL: u64 = 32;

/// What happened in a queue lately ([`Queue::history`]).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct History {
    /// For how long back the rates are known: what was asked for, and up to some minutes more; less if no worker ran then.
    pub covers: Duration,
    /// Jobs that were enqueued or replayed, per second.
    pub arrivals: f64,
    /// Jobs that ended (completed, cancelled or dead), per second.
    pub departures: f64,
    /// Jobs that are ready and wait, now.
    pub waiting: u64,
    /// What [`Queue::counts`] gives, now: it was read for the rates.
    pub counts: Counts,
    /// The jobs of each name, the name with the most attempts first; 100 names in a minute at most, and `(others)`.
    pub names: Vec<NameHistory>,
    /// The minutes in which something was written down, the oldest first.
    pub minutes: Vec<HistoryMinute>,
}

/// What workers have counted of the jobs of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameHistory {
    /// The name of the type of the jobs.
    pub name: String,
    /// Jobs that completed.
    pub completed: u64,
    /// Attempts that failed, and were repeated.
    pub retried: u64,
    /// Jobs that failed for good.
    pub dead: u64,
    /// Jobs that were cancelled while they ran.
    pub cancelled: u64,
    /// How long jobs waited for their first attempt, from when they were enqueued: a delay is part of it.
    pub wait: Option<Quantiles>,
    /// How long attempts took.
    pub run: Option<Quantiles>,
}

impl NameHistory {
    /// Attempts that failed: repeated, or the last of their job.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.retried.saturating_add(self.dead)
    }
}

/// Quantiles of times, right to a tenth: so many percent of them are not longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quantiles {
    /// Half of them.
    pub p50: Duration,
    /// 95 percent.
    pub p95: Duration,
    /// 99 percent.
    pub p99: Duration,
}

/// One minute of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryMinute {
    /// When it began.
    pub at: Timestamp,
    /// Jobs that were enqueued or replayed in it, as far as the minutes before it are known.
    pub arrived: u64,
    /// Jobs that ended in it.
    pub departed: u64,
    /// Jobs that were ready and waited when it was last looked.
    pub waiting: u64,
}

impl History {
    /// How long it takes until no job waits, if jobs go on to come and end as they did. `None` if as many come as end, or more. For people:
    /// tomorrow is not like today.
    #[must_use]
    pub fn time_to_drain(&self) -> Option<Duration> {
        if self.waiting == 0 {
            return Some(Duration::ZERO);
        }
        let rate = self.departures - self.arrivals;
        let seconds = self.waiting as f64 / rate;
        (rate > 0.0).then(|| Duration::try_from_secs_f64(seconds).ok())?
    }
}

impl Quantiles {
    fn of(histogram: &Histogram) -> Option<Self> {
        Some(Self {
            p50: histogram.quantile(0.5)?,
            p95: histogram.quantile(0.95)?,
            p99: histogram.quantile(0.99)?,
        })
    }
}

impl From<(String, Tally)> for NameHistory {
    fn from((name, tally): (String, Tally)) -> Self {
        Self {
            name,
            completed: tally.completed,
            retried: tally.retried,
            dead: tally.dead,
            cancelled: tally.cancelled,
            wait: Quantiles::of(&tally.waits),
            run: Quantiles::of(&tally.runs),
        }
    }
}

impl Queue {
    /// What happened in the last minutes or hours, a day at most: how many jobs came and ended, and, for the jobs of each name, how they ended,
    /// how long they waited and ran.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(mail: oxcart::Queue) -> Result<(), oxcart::Error> {
    /// let history = mail.history(Duration::from_secs(15 * 60)).await?;
    /// println!("{:.1} jobs come in a second, {:.1} end", history.arrivals, history.departures);
    /// for jobs in &history.names {
    ///     if let Some(run) = jobs.run {
    ///         println!("{}: 95 % take no longer than {:?}", jobs.name, run.p95);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// Workers count in memory and report about once a minute, so the last minute is not told, and the counts of a worker that dies are
    /// lost, those of one minute at most. Nothing is counted twice. What happened while no worker ran is told with the minute in which the
    /// next one reported. `arrivals` and `departures` come from the queue's own totals, which are exact.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads, 32 minutes in a call.
    pub async fn history(&self, last: Duration) -> Result<History, Error> {
        let wanted = (last.as_secs().div_ceil(60)).clamp(1, MINUTES - 1);
        // The rates need what was known before that; and a quiet queue is not written down each minute.
        let mut from = (wanted + QUIET_MINUTES).min(MINUTES - 1);
        let counts = self.counts().await?;
        let mut minutes: BTreeMap<u64, Minute> = BTreeMap::new();
        loop {
            let limit = MINUTES_PER_CALL.min(from + 1);
            let found = self.inner.call(&Verb { from, limit }).await?;
            let now = found.now_ms / MINUTE_MS;
            // What is older was not written anew since yesterday.
            let read = found.minutes.iter().filter_map(|text| Minute::parse(text));
            let read = read.filter(|minute| minute.number <= now && minute.number + MINUTES > now);
            minutes.extend(read.map(|minute| (minute.number, minute)));
            if from < limit {
                return Ok(told(minutes.into_values(), wanted, found.now_ms, counts));
            }
            from -= limit;
        }
    }
}

fn told(
    minutes: impl Iterator<Item = Minute>,
    wanted: u64,
    now_ms: u64,
    counts: Counts,
) -> History {
    let from_ms = now_ms.saturating_sub(wanted * MINUTE_MS);
    let (mut names, mut shown) = (BTreeMap::<String, Tally>::new(), Vec::new());
    // What is known of the time before the minutes that are told; else of the first minute.
    let mut base: Option<(u64, Sums)> = None;
    let mut before: Option<Sums> = None;
    for minute in minutes {
        if base.is_none() || minute.at_ms <= from_ms {
            base = Some((minute.at_ms, minute.sums));
        }
        if minute.at_ms > from_ms {
            let since = |of: fn(&Sums) -> u64| {
                before.map_or(0, |before| of(&minute.sums).saturating_sub(of(&before)))
            };
            shown.push(HistoryMinute {
                at: Timestamp::from_millis(minute.number * MINUTE_MS),
                arrived: since(Sums::arrived),
                departed: since(Sums::departed),
                waiting: minute.sums.waiting,
            });
            for (name, tally) in minute.tallies.into_names() {
                names.entry(name).or_default().add(&tally);
            }
        }
        before = Some(minute.sums);
    }
    let totals = &counts.totals;
    let now = Sums {
        added: totals.added,
        replayed: totals.replayed,
        completed: totals.completed,
        cancelled: totals.cancelled,
        dead: totals.dead,
        ..Sums::default()
    };
    let (since_ms, base) = base.unwrap_or((now_ms, now));
    let covers = Duration::from_millis(now_ms.saturating_sub(since_ms));
    let rate = |of: fn(&Sums) -> u64| {
        let number = of(&now).saturating_sub(of(&base)) as f64;
        // Within a moment nothing can be told.
        number / covers.as_secs_f64().max(1.0)
    };
    let mut names: Vec<NameHistory> = names.into_iter().map(NameHistory::from).collect();
    names.sort_by_key(|of| std::cmp::Reverse(of.completed + of.failed() + of.cancelled));
    History {
        covers,
        arrivals: rate(Sums::arrived),
        departures: rate(Sums::departed),
        waiting: counts.waiting + counts.blocked,
        names,
        minutes: shown,
        counts,
    }
}
