//! Alerts: rules that are judged again and again, by one process at a time, and jobs that tell what came of it.

pub(crate) mod info;
pub(crate) mod notification;
mod readings;
mod round;
pub(crate) mod rule;
pub(crate) mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::alerts::info::{Acknowledge, AlertInfo, name_of};
use crate::alerts::round::Judged;
use crate::alerts::rule::AlertRule;
use crate::alerts::running::RunningAlerts;
use crate::error::{Error, ErrorKind};
use crate::oxcart::Oxcart;
use crate::policy::alert::standing::{Acknowledged, AlertState, Standing};
use crate::queue::Queue;
use crate::store::alert::{Alert, Change, Stored};
use crate::store::alerts as verb;
use crate::time::{check_wait, millis};

/// Alerts read in one call.
const PAGE: usize = 64;
const EVERY_DEFAULT: Duration = Duration::from_secs(15);
const REPEAT_DEFAULT: Duration = Duration::from_secs(60 * 60);
/// How often an acknowledgement is tried that meets a judgement of the same alert.
const TRIES: usize = 8;
/// Longest name of a person who acknowledges, in bytes.
const WHO_MAX: usize = 256;

/// Rules about queues, whose alerts lie in a queue of their own, and are told by jobs of that queue.
///
/// Every process of an application may [`start`](Self::start) them: in each round one of them judges, by a compare-and-set in Redis, and if
/// that process dies, another one judges in the next round. What is told is a job, an [`AlertNotification`](crate::AlertNotification): a handler
/// of the application takes it, or one that sends it to a webhook (the package `oxcart-alerts`), with the retries of any job. It is added in the
/// same step in which the alert changes, so no crash loses it or doubles it.
///
/// ```no_run
/// # use oxcart::*;
/// # use std::time::Duration;
/// # async fn example(oxcart: Oxcart) -> Result<(), Error> {
/// let alerts = Alerts::new(&oxcart, "alerts")?
///     .rule(AlertRule::new("deep", Condition::waiting_above(10_000).clears_below(5_000)).lasting(Duration::from_secs(60)))
///     .rule(AlertRule::new("old", Condition::oldest_waiting_above(Duration::from_secs(300))).on_queues(["mail"]));
/// let running = alerts.start()?;
///
/// for alert in alerts.list().await? {
///     println!("{} on {}: {:?}", alert.rule, alert.queue, alert.state);
/// }
/// # drop(running);
/// # Ok(()) }
/// ```
///
/// Without rules it lists and acknowledges what other processes judge.
#[derive(Clone)]
pub struct Alerts {
    oxcart: Oxcart,
    queue: Queue,
    rules: Vec<AlertRule>,
    every: Duration,
    repeat_every: Duration,
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts")
            .field("queue", &self.queue)
            .field("rules", &self.rules)
            .field("every", &self.every)
            .field("repeat_every", &self.repeat_every)
            .finish_non_exhaustive()
    }
}

impl Alerts {
    /// Alerts that are kept in, and told by, the queue of this name. It is best a queue of its own: then a backlog delays no alert.
    /// Services with different rules name different queues: in a round one process judges, by the rules that it has. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed name.
    pub fn new(oxcart: &Oxcart, queue: &str) -> Result<Self, Error> {
        Ok(Self {
            oxcart: oxcart.clone(),
            queue: oxcart.queue(queue)?,
            rules: Vec::new(),
            every: EVERY_DEFAULT,
            repeat_every: REPEAT_DEFAULT,
        })
    }

    /// One more rule. No other rule may have its name.
    #[must_use]
    pub fn rule(mut self, rule: AlertRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// How often the rules are judged: 100 ms to an hour. Default 15 s.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval;
        self
    }

    /// After which time an alert is told again that fires and that nobody has acknowledged. Default 1 h.
    #[must_use]
    pub fn repeat_every(mut self, interval: Duration) -> Self {
        self.repeat_every = interval;
        self
    }

    /// Judges the rules until what is given back is dropped: every process that calls it takes part. Trouble with Redis is logged, and
    /// goes by without a restart.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there are no rules, if two of them have one name, or if one of them makes no sense.
    pub fn start(&self) -> Result<RunningAlerts, Error> {
        self.check()?;
        Ok(RunningAlerts::start(self.clone()))
    }

    /// Judges the rules once, if a round is due: what [`start`](Self::start) does again and again. For tests, and for applications that say
    /// themselves when. Gives how long it takes until another round is due.
    ///
    /// ```
    /// # use oxcart::*;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let oxcart = Oxcart::in_memory();
    /// let alerts = Alerts::new(&oxcart, "alerts")?
    ///     .rule(AlertRule::new("deep", Condition::waiting_above(100)).on_queues(["mail"]));
    /// let next = alerts.judge().await?;
    /// assert_eq!(alerts.list().await?[0].state, AlertState::Ok);
    /// oxcart.advance_time(next);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and if Redis does not answer. A queue that cannot be read keeps no other queue from being judged.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, some alerts are judged and some are not, and the next round is due as if it had ended.
    pub async fn judge(&self) -> Result<Duration, Error> {
        self.check()?;
        match round::judge(self).await? {
            Judged::Done => Ok(self.every),
            Judged::Later(wait) => Ok(wait),
        }
    }

    /// All alerts that were judged lately: those that fire first, then by rule and queue. Those whose rule or queue is gone are
    /// there for ten minutes more, or for ten rounds if these take longer.
    ///
    /// # Errors
    ///
    /// If Redis does not answer; see [`Queue`].
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn list(&self) -> Result<Vec<AlertInfo>, Error> {
        let stored = self.stored().await?;
        let told = stored.iter();
        let mut told: Vec<AlertInfo> = told
            .filter_map(|(name, bytes)| AlertInfo::new(name, Standing::decode(bytes)?))
            .collect();
        told.sort_by(|a, b| (a.state, &a.rule, &a.queue).cmp(&(b.state, &b.rule, &b.queue)));
        Ok(told)
    }

    /// Somebody knows of an alert that fires: it is not told again until it is resolved. That it is resolved is told. `who` is shown to
    /// others, and is cut to 256 bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if `who` is empty; and if Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out. It can be repeated.
    pub async fn acknowledge(
        &self,
        rule: &str,
        queue: &str,
        who: &str,
    ) -> Result<Acknowledge, Error> {
        let who = who.trim();
        if who.is_empty() {
            return Err(Error::invalid(
                "nobody acknowledges the alert; say who it is, as others know them",
            ));
        }
        let by = &who[..who.floor_char_boundary(WHO_MAX)];
        let name = name_of(rule, queue);
        self.queue.inner.asked("acknowledge alert", &name).await?;
        for _ in 0..TRIES {
            let Some((seen, mut standing)) = self.stored_as(&name).await? else {
                return Ok(Acknowledge::NotFiring);
            };
            match (standing.state, standing.acknowledged.take()) {
                (AlertState::Firing, None) => {}
                (AlertState::Firing, Some(already)) => {
                    return Ok(Acknowledge::Already { by: already.by });
                }
                _ => return Ok(Acknowledge::NotFiring),
            }
            standing.acknowledged = Some(Acknowledged {
                by: by.to_owned(),
                at_ms: standing.judged_ms,
            });
            let change = Change {
                name: name.clone(),
                seen,
                stands: standing.encode(),
                job: None,
            };
            let verb = Alert {
                round: None,
                changes: &[change],
            };
            if self.queue.inner.call(&verb).await? == (Stored::Done { stored: vec![true] }) {
                return Ok(Acknowledge::Done);
            }
        }
        Err(Error::new(
            ErrorKind::Refused,
            format!(
                "the alert `{name}` changed each time before it could be acknowledged; try again"
            ),
        ))
    }

    async fn stored_as(&self, name: &str) -> Result<Option<(Vec<u8>, Standing)>, Error> {
        let found = self.queue.inner.call(&verb::Alerts::one(name)).await?;
        let found = found.alerts.into_iter().next();
        Ok(found.and_then(|(_, bytes)| {
            let standing = Standing::decode(&bytes)?;
            Some((bytes, standing))
        }))
    }

    /// All alerts, by their names.
    async fn stored(&self) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let mut all = BTreeMap::new();
        let mut cursor = verb::Alerts::ALL.to_owned();
        loop {
            let page = verb::Alerts::page(&cursor, PAGE);
            let found = self.queue.inner.call(&page).await?;
            all.extend(found.alerts);
            cursor = found.cursor;
            if cursor == verb::Alerts::ALL {
                return Ok(all);
            }
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.rules.is_empty() {
            return Err(Error::invalid(
                "the alerts have no rules; add some by `rule`",
            ));
        }
        let mut names = BTreeSet::new();
        for rule in &self.rules {
            rule.check()?;
            if !names.insert(&rule.name) {
                return Err(Error::invalid(format!(
                    "two rules of the alerts are called `{}`",
                    rule.name
                )));
            }
        }
        let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(3_600));
        if !(shortest..=longest).contains(&self.every) {
            return Err(Error::invalid(format!(
                "the alerts are to be judged every {:?}; 100 ms to an hour is allowed",
                self.every
            )));
        }
        if self.repeat_every.is_zero() {
            return Err(Error::invalid(
                "alerts are to be repeated at once, again and again; an hour is the default",
            ));
        }
        check_wait(
            "the time until an alert is repeated",
            millis(self.repeat_every),
        )
    }
}
