//! Settings of a queue: those that an operator or code asks for, those that are in force, and the text in which they
//! are stored.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fmt::Write;
use std::time::Duration;

use crate::error::Error;
use crate::policy::limits::{CONCURRENCY, NONE, RATE, Rate, parse_concurrency};
use crate::policy::retention::Retention;
use crate::time::{check_wait, millis};

/// The format of the texts.
pub(crate) const FORMAT: &str = "1";
/// Larger numbers are not exact in Lua.
const MAX: u64 = (1 << 53) - 1;

/// Settings of a queue, as an operator or code asks for them. Each may be given or left out.
///
/// They are stored with the queue and hold for all of its workers, from the next call of each on. An
/// operator changes them with [`Queue::change_settings`](crate::Queue::change_settings), code declares them with
/// [`WorkerBuilder::queue_settings`](crate::WorkerBuilder::queue_settings), and
/// [`Queue::settings`](crate::Queue::settings) tells what is in force. A setting that was never set has
/// its default.
///
/// | setting | default |
/// |---|---|
/// | keep_completed | one day |
/// | keep_at_most | 1,000 jobs |
/// | max_stalls | 4 |
/// | keep_events | about 100,000 events |
/// | group_concurrency | no limit |
/// | group_rate | no limit |
/// | rate | no limit |
/// | concurrency | no limit |
/// | keep_dead | for ever |
/// | keep_dead_at_most | any number |
///
/// ```
/// use oxcart::{QueueSettings, Retention};
/// use std::time::Duration;
///
/// const HOUR: Duration = Duration::from_secs(3600);
/// let settings = QueueSettings::new()
///     .keep_completed(Retention::For(HOUR))
///     .keep_at_most(10_000);
/// assert_eq!(settings.max_stalls, None);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "settings do nothing until they are declared or stored"]
pub struct QueueSettings {
    /// See [the method](Self::keep_completed).
    pub keep_completed: Option<Retention>,
    /// See [the method](Self::keep_at_most).
    pub keep_at_most: Option<u64>,
    /// See [the method](Self::max_stalls).
    pub max_stalls: Option<u32>,
    /// See [the method](Self::keep_events).
    pub keep_events: Option<u64>,
    /// See [the method](Self::group_concurrency).
    pub group_concurrency: Option<u64>,
    /// See [the method](Self::group_rate). `Some(None)`: groups have no rate.
    pub group_rate: Option<Option<Rate>>,
    /// See [the method](Self::keep_dead). `Some(None)`: for ever.
    pub keep_dead: Option<Option<Duration>>,
    /// See [the method](Self::keep_dead_at_most).
    pub keep_dead_at_most: Option<u64>,
    /// See [the method](Self::rate). `Some(None)`: there is no rate.
    pub rate: Option<Option<Rate>>,
    /// See [the method](Self::concurrency). `Some(None)`: there is no limit.
    pub concurrency: Option<Option<u32>>,
}

impl QueueSettings {
    /// No setting is given.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a completed or cancelled job is kept, with its result, from the moment at which it ended.
    /// Default one day; at most 10 years. A change holds for the jobs that are kept already, too.
    ///
    /// What limits it: [`keep_at_most`](Self::keep_at_most) may drop a job earlier. What overrides it: a
    /// job, or a type of jobs, may ask for a retention of its own
    /// ([`Enqueue::keep`](crate::Enqueue::keep), [`JobOptions::keep`](crate::JobOptions::keep)); and a job
    /// that a caller waits for is kept for at least 60 s. Dead jobs are kept as [`keep_dead`](Self::keep_dead) says.
    pub fn keep_completed(mut self, keep: Retention) -> Self {
        self.keep_completed = Some(keep);
        self
    }

    /// How many completed and cancelled jobs the queue keeps at most; the jobs that ended first are dropped first.
    /// Default 1,000; `u64::MAX` for any number.
    ///
    /// What limits it: [`keep_completed`](Self::keep_completed) drops jobs by their age, however few there
    /// are. What it does not count, and never drops: jobs with a retention of their own
    /// ([`Enqueue::keep`](crate::Enqueue::keep), [`JobOptions::keep`](crate::JobOptions::keep)), and for 60 s
    /// jobs that a caller waits for.
    pub fn keep_at_most(mut self, jobs: u64) -> Self {
        self.keep_at_most = Some(jobs);
        self
    }

    /// How often a job's worker may die while it runs before the job is dead. Default 4: one of these may
    /// be the crash of a group of suspects, to which the job was innocent. With 3 or less no suspects run
    /// together; with 0 each job whose worker died is dead.
    ///
    /// Nothing limits it. Attempts that fail are counted apart
    /// ([`JobOptions::attempts`](crate::JobOptions::attempts)).
    pub fn max_stalls(mut self, stalls: u32) -> Self {
        self.max_stalls = Some(stalls);
        self
    }

    /// About how many lifecycle events the queue keeps, for readers that come later or are slow. Default
    /// 100,000. One event is one thing that happened to one job. The events of the last 100 calls are
    /// always kept, unless it is 0; and Redis drops events in blocks, so there may be somewhat more.
    ///
    /// With 0 no events are kept: existing events are dropped, and a reader
    /// ([`Queue::events`](crate::Queue::events)) reads nothing. As soon as events are kept again, the reader is
    /// told that it has missed some ([`EventKind::Missed`](crate::EventKind::Missed)). Waiting for results
    /// and hooks do without them.
    pub fn keep_events(mut self, events: u64) -> Self {
        self.keep_events = Some(events);
        self
    }

    /// How many jobs of one group run at a time, over all workers of the queue. Default: no limit; 0 stands for that. It holds for
    /// every group that has no limit of its own ([`Group::set_concurrency`](crate::Group::set_concurrency)). Jobs without a group are
    /// not limited.
    pub fn group_concurrency(mut self, jobs: u64) -> Self {
        self.group_concurrency = Some(jobs);
        self
    }

    /// How many jobs of one group may start in a period, over all workers of the queue. Default: no limit; `None` stands for that. It
    /// holds for every group that has no rate of its own ([`Group::set_rate`](crate::Group::set_rate)). Each start counts as one,
    /// whatever the [weight](crate::Enqueue::weight) of the job. Jobs without a group are not limited.
    ///
    /// ```
    /// # use oxcart::{QueueSettings, Rate};
    /// # use std::time::Duration;
    /// let settings = QueueSettings::new().group_rate(Rate::burst(10, Duration::from_secs(1)));
    /// let unlimited = QueueSettings::new().group_rate(None);
    /// # assert_ne!(settings, unlimited);
    /// ```
    pub fn group_rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.group_rate = Some(rate.into());
        self
    }

    /// How many jobs may start in a period, over all workers of the queue. Default: no limit; `None` stands for that. A job that starts
    /// again, after a failure or because its worker died, counts again. What is held back stays in line, in its order, and workers sleep
    /// until the next job may start.
    ///
    /// What limits it: the slots of the workers, and [`concurrency`](Self::concurrency). What it does not limit: jobs that are enqueued.
    ///
    /// ```
    /// # use oxcart::{QueueSettings, Rate};
    /// # use std::time::Duration;
    /// let settings = QueueSettings::new().rate(Rate::burst(5, Duration::from_secs(1)));
    /// let unlimited = QueueSettings::new().rate(None);
    /// # assert_ne!(settings, unlimited);
    /// ```
    pub fn rate(mut self, rate: impl Into<Option<Rate>>) -> Self {
        self.rate = Some(rate.into());
        self
    }

    /// How many jobs may run at a time, over all workers of the queue: 1 or more. Default: no limit; `None` stands for that. A job of a
    /// worker that died counts until another worker takes it back. What is held back stays in line, in its order.
    ///
    /// What limits it: the slots of the workers ([`WorkerBuilder::concurrency`](crate::WorkerBuilder::concurrency)), and
    /// [`rate`](Self::rate). What it does not limit: jobs that run already when it is changed.
    pub fn concurrency(mut self, jobs: impl Into<Option<u32>>) -> Self {
        self.concurrency = Some(jobs.into());
        self
    }

    /// For how long a dead job is kept, from the moment at which it died. Default: for ever, until it is replayed or removed; `None` stands
    /// for that. At most 10 years. What is too old is dropped by the workers, within 15 s and 256 in a call, with all that is known of
    /// it; [`Totals::dead_dropped`](crate::Totals::dead_dropped) counts it, and the worker logs it. There is no event for it.
    ///
    /// What it does not drop: a job that holds back the jobs of its order ([`OnFailure::Halt`](crate::OnFailure::Halt)).
    ///
    /// ```
    /// # use oxcart::QueueSettings;
    /// # use std::time::Duration;
    /// const DAY: Duration = Duration::from_secs(24 * 3_600);
    /// let capped = QueueSettings::new().keep_dead(30 * DAY).keep_dead_at_most(100_000);
    /// let for_ever = QueueSettings::new().keep_dead(None).keep_dead_at_most(u64::MAX);
    /// # assert_ne!(capped, for_ever);
    /// ```
    pub fn keep_dead(mut self, keep: impl Into<Option<Duration>>) -> Self {
        self.keep_dead = Some(keep.into());
        self
    }

    /// How many dead jobs the queue keeps at most; those that died first are dropped first, as [`keep_dead`](Self::keep_dead) drops
    /// them. Default: any number; `u64::MAX` stands for that. Jobs that hold back their order count, and are not dropped.
    pub fn keep_dead_at_most(mut self, jobs: u64) -> Self {
        self.keep_dead_at_most = Some(jobs);
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Some(Some(age)) = self.keep_dead {
            check_wait("keep_dead", millis(age))?;
        }
        if let Some(Retention::For(age)) = self.keep_completed {
            check_wait("keep_completed", millis(age))?;
        }
        for rate in [self.group_rate, self.rate].into_iter().flatten().flatten() {
            rate.check()?;
        }
        match self.concurrency {
            Some(Some(0)) => Err(Error::invalid(
                "a concurrency of 0 would stop the queue; 1 or more are allowed, `None` takes the limit away, and `Queue::pause` \
                 stops the queue",
            )),
            _ => Ok(()),
        }
    }

    /// The given settings, by the names under which they are stored.
    pub(crate) fn values(&self) -> Values {
        let numbers = [
            (
                KEEP_COMPLETED,
                self.keep_completed.map(Retention::as_millis),
            ),
            (KEEP_AT_MOST, self.keep_at_most),
            (MAX_STALLS, self.max_stalls.map(u64::from)),
            (KEEP_EVENTS, self.keep_events),
            (GROUP_CONCURRENCY, self.group_concurrency),
            (KEEP_DEAD_AT_MOST, self.keep_dead_at_most),
        ];
        let numbers = numbers.into_iter();
        let numbers = numbers.filter_map(|(name, value)| Some((name, value?.min(MAX).to_string())));
        let texts = [
            (GROUP_RATE, self.group_rate.map(rate_text)),
            (RATE, self.rate.map(rate_text)),
            (CONCURRENCY, self.concurrency.map(concurrency_text)),
            (KEEP_DEAD, self.keep_dead.map(age_text)),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)));
        numbers
            .chain(texts)
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn from_values(values: &Values) -> Self {
        let text = |name| values.get(name).map(String::as_str);
        let number = |name| text(name)?.parse().ok();
        let unlimited = |n: u64| if n >= MAX { u64::MAX } else { n };
        Self {
            keep_completed: number(KEEP_COMPLETED).map(Retention::from_millis),
            keep_at_most: number(KEEP_AT_MOST).map(unlimited),
            max_stalls: number(MAX_STALLS).map(|n: u64| u32::try_from(n).unwrap_or(u32::MAX)),
            keep_events: number(KEEP_EVENTS).map(unlimited),
            group_concurrency: number(GROUP_CONCURRENCY),
            group_rate: text(GROUP_RATE).map(Rate::parse),
            keep_dead: text(KEEP_DEAD).map(|age| age.parse().ok().map(Duration::from_millis)),
            keep_dead_at_most: number(KEEP_DEAD_AT_MOST).map(unlimited),
            rate: text(RATE).map(Rate::parse),
            concurrency: text(CONCURRENCY).map(parse_concurrency),
        }
    }
}

/// The settings in force for a queue: those that were set, and the defaults of all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsInForce {
    /// See [`QueueSettings::keep_completed`].
    pub keep_completed: Retention,
    /// See [`QueueSettings::keep_at_most`].
    pub keep_at_most: u64,
    /// See [`QueueSettings::max_stalls`].
    pub max_stalls: u32,
    /// See [`QueueSettings::keep_events`].
    pub keep_events: u64,
    /// See [`QueueSettings::group_concurrency`]; 0 for no limit.
    pub group_concurrency: u64,
    /// See [`QueueSettings::group_rate`].
    pub group_rate: Option<Rate>,
    /// See [`QueueSettings::keep_dead`]; `None` for ever.
    pub keep_dead: Option<Duration>,
    /// See [`QueueSettings::keep_dead_at_most`].
    pub keep_dead_at_most: u64,
    /// See [`QueueSettings::rate`].
    pub rate: Option<Rate>,
    /// See [`QueueSettings::concurrency`].
    pub concurrency: Option<u32>,
    /// Grows by one with each change; 0 if nothing was ever set.
    pub revision: u64,
    /// The settings that an operator or code has set; all others have their defaults.
    pub set: QueueSettings,
    /// What the code of workers declared last. Where `set` says something else, an operator has
    /// changed it since.
    pub declared: QueueSettings,
}

impl SettingsInForce {
    /// From the texts that are stored; `None` if they are in another format.
    pub(crate) fn read(settings: &str, declared: &str) -> Option<Self> {
        let (settings, declared) = (Stored::parse(settings)?, parse_declared(declared)?);
        let set = QueueSettings::from_values(&settings.values);
        Some(Self {
            keep_completed: set.keep_completed.unwrap_or(Retention::DEFAULT),
            keep_at_most: set.keep_at_most.unwrap_or(1_000),
            max_stalls: set.max_stalls.unwrap_or(4),
            keep_events: set.keep_events.unwrap_or(100_000),
            group_concurrency: set.group_concurrency.unwrap_or(0),
            group_rate: set.group_rate.flatten(),
            keep_dead: set.keep_dead.flatten(),
            keep_dead_at_most: set.keep_dead_at_most.unwrap_or(u64::MAX),
            rate: set.rate.flatten(),
            concurrency: set.concurrency.flatten(),
            revision: settings.revision,
            set,
            declared: QueueSettings::from_values(&declared),
        })
    }

    /// Which settings have changed, for the log.
    pub(crate) fn changes_since(&self, before: &Self) -> String {
        let mut text = String::new();
        let mut compare = |name: &str, old: &dyn Display, new: &dyn Display| {
            let (old, new) = (old.to_string(), new.to_string());
            if old != new {
                let comma = if text.is_empty() { "" } else { ", " };
                let _ = write!(text, "{comma}{name} from {old} to {new}");
            }
        };
        let age = |keep: Retention| match keep {
            Retention::Nothing => "nothing".to_owned(),
            Retention::For(age) => format!("{age:?}"),
        };
        let (old, new) = (age(before.keep_completed), age(self.keep_completed));
        compare("keep_completed", &old, &new);
        compare("keep_at_most", &before.keep_at_most, &self.keep_at_most);
        compare("max_stalls", &before.max_stalls, &self.max_stalls);
        compare("keep_events", &before.keep_events, &self.keep_events);
        compare(
            "group_concurrency",
            &before.group_concurrency,
            &self.group_concurrency,
        );
        let (old, new) = (rate_text(before.group_rate), rate_text(self.group_rate));
        compare("group_rate", &old, &new);
        let age = |keep: Option<Duration>| match keep {
            None => "for ever".to_owned(),
            Some(age) => format!("{age:?}"),
        };
        let (old, new) = (age(before.keep_dead), age(self.keep_dead));
        compare("keep_dead", &old, &new);
        compare(
            "keep_dead_at_most",
            &before.keep_dead_at_most,
            &self.keep_dead_at_most,
        );
        compare("rate", &rate_text(before.rate), &rate_text(self.rate));
        let (old, new) = (before.concurrency, self.concurrency);
        compare(
            "concurrency",
            &concurrency_text(old),
            &concurrency_text(new),
        );
        text
    }
}

/// What is set, as text without a space, by its name. There may be names that only newer versions know.
pub(crate) type Values = BTreeMap<String, String>;

const KEEP_COMPLETED: &str = "keep_completed_ms";
const KEEP_AT_MOST: &str = "keep_at_most";
const MAX_STALLS: &str = "max_stalls";
const KEEP_EVENTS: &str = "keep_events";
const GROUP_CONCURRENCY: &str = "group_concurrency";
const GROUP_RATE: &str = "group_rate";
const KEEP_DEAD: &str = "keep_dead_ms";
const KEEP_DEAD_AT_MOST: &str = "keep_dead_at_most";

fn age_text(age: Option<Duration>) -> String {
    age.map_or_else(|| NONE.to_owned(), |age| millis(age).to_string())
}

fn rate_text(rate: Option<Rate>) -> String {
    rate.map_or_else(|| NONE.to_owned(), |rate| rate.text())
}

fn concurrency_text(jobs: Option<u32>) -> String {
    jobs.map_or_else(|| NONE.to_owned(), |jobs| jobs.to_string())
}

/// `<format> <revision> <name>=<value> ..`, the names in their order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) revision: u64,
    pub(crate) values: Values,
}

impl Stored {
    /// `None` if the text is in another format; no settings if it is in no format at all.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let Some(rest) = known_format(text)? else {
            return Some(Self::default());
        };
        let revision = rest.split(' ').next().unwrap_or_default();
        Some(Self {
            revision: revision.parse().unwrap_or(0),
            values: parse_values(rest),
        })
    }
}

/// `<format> <name>=<value> ..`: what code declared last, of each setting.
pub(crate) fn parse_declared(text: &str) -> Option<Values> {
    Some(known_format(text)?.map(parse_values).unwrap_or_default())
}

/// The text behind the number of the format; `None` for another format. `Some(None)` for a text that begins with no
/// number: another program wrote it, and it counts as no settings.
fn known_format(text: &str) -> Option<Option<&str>> {
    let begins = text.split_once(' ');
    match begins.filter(|(format, _)| format.bytes().all(|b| b.is_ascii_digit())) {
        Some((FORMAT, rest)) => Some(Some(rest)),
        Some((format, _)) if !format.is_empty() => None,
        _ => Some(None),
    }
}

fn parse_values(text: &str) -> Values {
    let pairs = text.split(' ').filter_map(|word| word.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
