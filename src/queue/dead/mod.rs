//! Dead letters: which of them are meant, what they died of, and putting them back in line or removing them, in bounded steps.

pub(crate) mod archive;
mod beside;
pub(crate) mod change;
pub(crate) mod fingerprint;
pub(crate) mod groups;
mod sample;
mod walk;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::queue::Queue;
use crate::queue::dead::change::{RemoveDead, ReplayDead};
use crate::queue::dead::fingerprint::Fingerprint;
use crate::queue::dead::groups::GroupDead;
use crate::queue::info::JobInfo;
use crate::time::Timestamp;

/// The dead letters of a queue, or those of them that pass all filters that are set. See [`Queue::dead_letters`].
#[derive(Clone)]
#[must_use = "nothing is done with the dead letters until one of its methods is awaited"]
pub struct DeadLetters {
    queue: Queue,
    filter: Filter,
    /// Exports show secret fields.
    revealed: bool,
}

/// What an application looks at.
type Test = Arc<dyn Fn(&JobInfo) -> bool + Send + Sync>;

/// What must hold for a job; all of it.
#[derive(Clone, Default)]
struct Filter {
    name: Option<String>,
    fingerprint: Option<Fingerprint>,
    /// In small letters.
    error: Option<String>,
    id_prefix: Option<String>,
    header: Option<(String, String)>,
    group: Option<String>,
    order: Option<String>,
    older_than: Option<Duration>,
    newer_than: Option<Duration>,
    before: Option<Timestamp>,
    tests: Vec<Test>,
}

impl Filter {
    fn passes(&self, job: &JobInfo, died: Timestamp, now: Timestamp) -> bool {
        let is_young = |limit: Duration| now.duration_since(died) < limit;
        has(&self.name, |name| name == job.name)
            && self.newer_than.is_none_or(is_young)
            && has(&self.error, |text| {
                job.last_error().to_lowercase().contains(text)
            })
            && self
                .fingerprint
                .is_none_or(|wanted| job.fingerprint() == wanted)
            && has(&self.id_prefix, |start| job.id.as_str().starts_with(start))
            && has(&self.group, |group| job.group.as_deref() == Some(group))
            && has(&self.order, |order| job.order.as_deref() == Some(order))
            && self
                .header
                .as_ref()
                .is_none_or(|header| job.headers.contains(header))
            && self.tests.iter().all(|test| test(job))
    }

    /// No job that died then or later passes.
    fn ends_at(&self, now: Timestamp) -> Option<Timestamp> {
        let oldest = self.older_than.map(|age| {
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            Timestamp::from_millis(now.as_millis().saturating_sub(age))
        });
        oldest.into_iter().chain(self.before).min()
    }
}

/// Whether that holds for the text, if one is wanted.
fn has(wanted: &Option<String>, holds: impl Fn(&str) -> bool) -> bool {
    wanted.as_deref().is_none_or(holds)
}

impl Queue {
    /// The dead letters of this queue: say which are meant, and then what to do with them. Without a filter all are meant.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use std::time::Duration;
    /// # async fn example(billing: Queue) -> Result<(), Error> {
    /// // What did they die of?
    /// let groups = billing.dead_letters().groups().await?;
    /// for group in &groups.groups {
    ///     println!("{} {}: {} ({})", group.count, group.name, group.sample, group.fingerprint);
    /// }
    ///
    /// // The largest group again, slowly, and no further if it does not help.
    /// if let Some(group) = groups.groups.first() {
    ///     let replayed = billing
    ///         .dead_letters()
    ///         .fingerprint(group.fingerprint)
    ///         .replay()
    ///         .per_second(500)
    ///         .stop_if_failing(0.2)
    ///         .await?;
    ///     println!("{} are back in line", replayed.done);
    /// }
    ///
    /// // What nobody has missed for a month.
    /// let month = Duration::from_secs(30 * 24 * 60 * 60);
    /// billing.dead_letters().older_than(month).remove().await?;
    /// # Ok(()) }
    /// ```
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters {
            queue: self.clone(),
            filter: Filter::default(),
            revealed: false,
        }
    }
}

impl DeadLetters {
    /// Jobs of this name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.filter.name = Some(name.into());
        self
    }

    /// Jobs with this fingerprint: one group of [`groups`](Self::groups).
    pub fn fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.filter.fingerprint = Some(fingerprint);
        self
    }

    /// Jobs with this text in the error of their last attempt, in capital or small letters.
    pub fn error_contains(mut self, text: impl AsRef<str>) -> Self {
        self.filter.error = Some(text.as_ref().to_lowercase());
        self
    }

    /// Jobs whose ids begin so.
    pub fn id_prefix(mut self, start: impl Into<String>) -> Self {
        self.filter.id_prefix = Some(start.into());
        self
    }

    /// Jobs with this header.
    pub fn header(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.filter.header = Some((key.into(), value.into()));
        self
    }

    /// Jobs of this group.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.filter.group = Some(group.into());
        self
    }

    /// Jobs with this order key.
    pub fn ordered_by(mut self, order: impl Into<String>) -> Self {
        self.filter.order = Some(order.into());
        self
    }

    /// Jobs that died at least so long ago, by the server's clock.
    pub fn older_than(mut self, age: Duration) -> Self {
        self.filter.older_than = Some(age);
        self
    }

    /// Jobs that died within this time, by the server's clock.
    pub fn newer_than(mut self, age: Duration) -> Self {
        self.filter.newer_than = Some(age);
        self
    }

    /// Jobs that died before this moment. With [`DeadTally::began_at`](crate::DeadTally::began_at) of a replay that was interrupted, a second
    /// replay leaves alone what has died again since the first began.
    pub fn died_before(mut self, moment: Timestamp) -> Self {
        self.filter.before = Some(moment);
        self
    }

    /// Jobs for which this holds, too. It is called by the library while it reads, and must not block.
    pub fn matching(mut self, test: impl Fn(&JobInfo) -> bool + Send + Sync + 'static) -> Self {
        self.filter.tests.push(Arc::new(test));
        self
    }

    /// An [export](Self::export) holds the [secret](crate::Job::SECRET) fields of payloads. That is noted in the audit of the queue.
    pub fn reveal(mut self) -> Self {
        self.revealed = true;
        self
    }

    /// A request to count them by what they died of.
    pub fn groups(self) -> GroupDead {
        GroupDead::new(self)
    }

    /// A request to put them back in line, those that died first before the others.
    pub fn replay(self) -> ReplayDead {
        ReplayDead::new(self)
    }

    /// A request to remove them, with all that is known of them.
    pub fn remove(self) -> RemoveDead {
        RemoveDead::new(self)
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters")
            .field("queue", &self.queue.name())
            .field("filter", &self.filter)
            .finish()
    }
}

/// Only what is set: it is also what an audit entry says.
impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ago = |age: &Duration| humantime::format_duration(*age).to_string();
        let parts = [
            ("name", self.name.clone()),
            ("fingerprint", self.fingerprint.map(|it| it.to_string())),
            ("error", self.error.clone()),
            ("id-prefix", self.id_prefix.clone()),
            (
                "header",
                self.header
                    .as_ref()
                    .map(|(key, value)| format!("{key}:{value}")),
            ),
            ("group", self.group.clone()),
            ("order", self.order.clone()),
            ("older-than", self.older_than.as_ref().map(ago)),
            ("newer-than", self.newer_than.as_ref().map(ago)),
            ("before", self.before.map(|it| it.to_string())),
            (
                "tests",
                (!self.tests.is_empty()).then(|| self.tests.len().to_string()),
            ),
        ];
        let set = parts
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        let set: Vec<String> = set.collect();
        match set.is_empty() {
            true => f.write_str("all"),
            false => f.write_str(&set.join(" ")),
        }
    }
}
