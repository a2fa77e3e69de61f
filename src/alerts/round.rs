//! One round: whose it is, what is read, what becomes of each alert, and what is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::alerts::Alerts;
use crate::alerts::info::name_of;
use crate::alerts::notification::AlertNotification;
use crate::alerts::readings::read;
use crate::error::Error;
use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::policy::alert::condition::Needs;
use crate::policy::alert::standing::{AlertEvent, AlertState, Pace, Standing};
use crate::store::alert::{Alert, Change, Round, Stored};
use crate::store::alert_round::{AlertRound, Begun};
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::time::{ServerClock, Timestamp, millis};

/// For how many rounds, and at least for how long, an alert is kept that is judged no more: a process of another version may have its rule.
const ROUNDS_KEPT: u64 = 10;
const KEPT_MS: u64 = 10 * 60 * 1_000;

pub(crate) enum Judged {
    Done,
    /// Another process has this round; the next one is due after this time.
    Later(Duration),
}

/// One round, if one is due.
pub(crate) async fn judge(alerts: &Alerts) -> Result<Judged, Error> {
    let every_ms = millis(alerts.every);
    let (now_ms, number) = match alerts.queue.inner.call(&AlertRound { every_ms }).await? {
        Begun::Yes { now_ms, number } => (now_ms, number),
        Begun::Later { ms } => return Ok(Judged::Later(Duration::from_millis(ms))),
    };
    let mut round = Course {
        alerts,
        round: Round { number, every_ms },
        clock: ServerClock::heard_now(now_ms),
        stored: alerts.stored().await?,
        changes: Vec::new(),
        since: Instant::now(),
        is_over: false,
    };
    round.run().await?;
    Ok(Judged::Done)
}

struct Course<'a> {
    alerts: &'a Alerts,
    round: Round,
    clock: ServerClock,
    /// What was stored at the beginning, of alerts that were not judged yet.
    stored: BTreeMap<String, Vec<u8>>,
    /// What is not stored yet.
    changes: Vec<Change>,
    /// The last call.
    since: Instant,
    /// Another round has begun.
    is_over: bool,
}

impl Course<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        let mut failed = None;
        for queue in self.queues().await? {
            match self.judge_queue(&queue).await {
                Ok(()) => {}
                // The others cannot be read either.
                Err(error) if error.is_unreachable() => return Err(error),
                Err(error) => {
                    self.leave(&queue);
                    failed = Some(error);
                }
            }
            if self.is_over {
                warn!(
                    queue = self.alerts.queue.name(),
                    "a round of alerts took so long that another one has begun; it judges the rest"
                );
                return Ok(());
            }
        }
        self.drop_old().await?;
        self.send().await?;
        failed.map_or(Ok(()), Err)
    }

    /// All queues that a rule is about.
    async fn queues(&self) -> Result<BTreeSet<String>, Error> {
        let rules = &self.alerts.rules;
        let named = rules.iter().filter_map(|rule| rule.queues.as_ref());
        let mut queues: BTreeSet<String> = named.flatten().cloned().collect();
        if rules.iter().any(|rule| rule.queues.is_none()) {
            queues.extend(self.alerts.oxcart.queues().await?);
        }
        Ok(queues)
    }

    async fn judge_queue(&mut self, name: &str) -> Result<(), Error> {
        let alerts = self.alerts;
        let rules = alerts.rules.iter().filter(|rule| rule.is_about(name));
        let rules: Vec<_> = rules.collect();
        let mut needs = Needs::default();
        for rule in &rules {
            let of_rule = rule.test.needs();
            needs.oldest |= of_rule.oldest;
            needs.schedules |= of_rule.schedules;
            needs.workers |= of_rule.workers;
        }
        let now_ms = self.clock.now_ms();
        let queue = alerts.oxcart.queue(name)?;
        let readings = read(&queue, needs, Timestamp::from_millis(now_ms)).await?;
        for rule in rules {
            let pace = Pace {
                lasting_ms: millis(rule.lasting),
                repeat_ms: millis(alerts.repeat_every),
            };
            let judged = |before| Standing::judged(before, &rule.test, pace, &readings, now_ms);
            self.judge_alert((&rule.name, name), now_ms, judged)?;
            if self.is_full() {
                self.send().await?;
            }
        }
        Ok(())
    }

    fn judge_alert(
        &mut self,
        (rule, queue): (&str, &str),
        now_ms: u64,
        judged: impl FnOnce(Option<Standing>) -> (Standing, Option<AlertEvent>),
    ) -> Result<(), Error> {
        let name = name_of(rule, queue);
        let seen = self.stored.remove(&name).unwrap_or_default();
        let before = Standing::decode(&seen);
        let since_ms = before.as_ref().map(|before| before.since_ms);
        let (standing, event) = judged(before);
        let job = event.map(|event| {
            let since_ms = match event {
                // The alert stands otherwise now.
                AlertEvent::Resolved => since_ms.unwrap_or(now_ms),
                _ => standing.since_ms,
            };
            self.tell(event, (rule, queue), &standing, since_ms, now_ms)
        });
        self.changes.push(Change {
            name,
            seen,
            stands: standing.encode(),
            job: job.transpose()?,
        });
        Ok(())
    }

    fn tell(
        &self,
        event: AlertEvent,
        of: (&str, &str),
        standing: &Standing,
        since_ms: u64,
        now_ms: u64,
    ) -> Result<(JobId, EncodedRecord), Error> {
        let namespace = self.alerts.oxcart.inner.namespace.to_string();
        AlertNotification::new(event, &namespace, of, standing, since_ms, now_ms).job()
    }

    /// A queue that cannot be read: what is known of it stays as it is.
    fn leave(&mut self, queue: &str) {
        let is_its = |name: &String| name.split_once(' ').is_some_and(|(_, of)| of == queue);
        self.stored.retain(|name, _| !is_its(name));
    }

    /// Drops alerts whose rule or queue is gone, and what cannot be read.
    async fn drop_old(&mut self) -> Result<(), Error> {
        let now_ms = self.clock.now_ms();
        let kept_ms = KEPT_MS.max(ROUNDS_KEPT.saturating_mul(self.round.every_ms));
        for (name, seen) in std::mem::take(&mut self.stored) {
            let standing = Standing::decode(&seen);
            let judged_ms = standing.as_ref().map_or(0, |standing| standing.judged_ms);
            if judged_ms.saturating_add(kept_ms) > now_ms {
                continue;
            }
            let fires = standing.filter(|standing| standing.state == AlertState::Firing);
            let job = fires.zip(name.split_once(' ')).map(|(mut standing, of)| {
                standing.value = None;
                let since_ms = standing.since_ms;
                self.tell(AlertEvent::Resolved, of, &standing, since_ms, now_ms)
            });
            let job = job.transpose()?;
            let stands = Vec::new();
            self.changes.push(Change {
                name,
                seen,
                stands,
                job,
            });
            if self.is_full() {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// What is known is stored while the rest is read, so that the round lasts for as long as it takes.
    fn is_full(&self) -> bool {
        let bytes = self.changes.iter().map(Change::bytes).sum::<usize>();
        let waited = millis(self.since.elapsed()) >= self.round.every_ms / 2;
        self.changes.len() >= BATCH_JOBS || bytes >= BATCH_BYTES / 2 || waited
    }

    async fn send(&mut self) -> Result<(), Error> {
        let changes = std::mem::take(&mut self.changes);
        self.since = Instant::now();
        if self.is_over {
            return Ok(());
        }
        let queue = &self.alerts.queue.inner;
        let verb = Alert {
            round: Some(self.round),
            changes: &changes,
        };
        if queue.call(&verb).await? == Stored::Over {
            self.is_over = true;
            return Ok(());
        }
        if changes.iter().any(|change| change.job.is_some()) {
            let registered = queue.store.register().await;
            registered.map_err(|trouble| trouble.into_error(queue.store.address()))?;
        }
        Ok(())
    }
}
