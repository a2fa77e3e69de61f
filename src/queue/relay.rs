//! Carries what waits in the outbox of a queue to the queues it is for.
//!
//! One page of messages takes three calls: it is read (`outbox`), taken in by its target (`receive`), and deleted (`sent`). Whoever does that may
//! die between any two of them, and others may do the same at the same time. A message is deleted only when a relay has heard that its target has
//! taken it; and the target knows the last position that it has taken, so it takes no message twice. So nothing is lost, and nothing doubled,
//! and no relay needs to know of another.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::Instant;
use tracing::warn;

use crate::name::QueueName;
use crate::policy::pauses::Pauses;
use crate::queue::QueueInner;
use crate::queue::setup::Setup;
use crate::store::backend::{Apply, Store, Trouble};
use crate::store::outbox::message::kind_of;
use crate::store::outbox::{Outbox, Waiting};
use crate::store::receive::{NextOne, Receive, Received};
use crate::store::sent::Sent;
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// Calls that bring messages to their targets, in one run.
pub(crate) const CALLS_AT_MOST: usize = 64;
/// And of these for one target, before the next one has its turn.
const CALLS_PER_TURN: usize = 8;
/// A message may say that a queue is to send further ones. So many looks at other queues has one run.
const QUEUES_AT_MOST: usize = 16;
/// Before a target that failed is tried again.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(200), Duration::from_secs(30));

/// What became of a run.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Messages that were taken.
    pub(crate) carried: u64,
    /// There is more to carry.
    pub(crate) more: bool,
    /// What went wrong with a target, if anything did; the others were seen to.
    pub(crate) trouble: Option<Trouble>,
    /// Messages that a target cannot read were met for the first time: the target, and their kind.
    pub(crate) unknown: Vec<(String, String)>,
    /// Messages that left the outbox, and pages of drafts that came into it.
    pub(crate) progress: u64,
    /// Queues that have put something into their own outbox, and were not looked at.
    pub(crate) others: BTreeSet<QueueName>,
    /// And so has the queue itself.
    own: bool,
}

impl Run {
    /// Another queue was relayed as well, or the same one again.
    fn add(&mut self, mut other: Self) {
        self.carried += other.carried;
        self.others.append(&mut other.others);
    }
}

/// Carries the messages of one queue.
pub(crate) struct Relay {
    setup: Arc<Setup>,
    source: QueueName,
    store: Store,
    /// Targets that failed.
    failing: HashMap<String, Failing>,
    /// The target at which the last run had to end, if it had to: the next one begins there.
    begin_at: Option<String>,
}

struct Failing {
    pauses: Pauses,
    until: Instant,
    /// Why, as it was told.
    why: String,
}

impl Relay {
    pub(crate) fn new(setup: Arc<Setup>, source: QueueName) -> Self {
        Self {
            store: setup.backend.store(&setup.namespace, &source),
            setup,
            source,
            failing: HashMap::new(),
            begin_at: None,
        }
    }

    pub(crate) fn of(queue: &QueueInner) -> Self {
        Self::new(Arc::clone(&queue.setup), queue.name.clone())
    }

    /// When a target that failed is to be tried again.
    pub(crate) fn again_at(&self) -> Option<Instant> {
        self.failing.values().map(|failing| failing.until).min()
    }

    /// Carries what there is, a page of each target in turn, until there is no more, or the run has been long enough; and what the targets put
    /// into their own outboxes by that. A failure is one of the queue itself: of its targets the run tells.
    pub(crate) async fn run(&mut self) -> Result<Run, Trouble> {
        let mut run = self.run_own().await?;
        for _ in 0..QUEUES_AT_MOST {
            let Some(next) = run.others.pop_first() else {
                break;
            };
            if next == self.source {
                let own = self.run_own().await?;
                run.more |= own.more;
                run.add(own);
                continue;
            }
            // What this run has no time for, its workers see to.
            let mut relay = Self::new(Arc::clone(&self.setup), next.clone());
            if let Ok(other) = relay.run_own().await {
                if other.more && other.carried > 0 {
                    run.others.insert(next);
                }
                run.add(other);
            }
        }
        Ok(run)
    }

    async fn run_own(&mut self) -> Result<Run, Trouble> {
        let mut run = Run::default();
        let mut calls_left = CALLS_AT_MOST;
        loop {
            let before = run.progress;
            run.more = self.round(&mut run, &mut calls_left).await?;
            if !run.more || calls_left == 0 || run.progress == before {
                return Ok(run);
            }
        }
    }

    /// A page of each target; whether there is more that can be carried now.
    async fn round(&mut self, run: &mut Run, calls_left: &mut usize) -> Result<bool, Trouble> {
        let start = self.begin_at.take().unwrap_or_default();
        let (mut from, mut more, mut seen) = (Some(start.clone()), false, BTreeSet::new());
        // Behind the last target come those before the one with which the round began.
        let mut is_behind_the_last = start.is_empty();
        while *calls_left > 0 {
            let waiting = match &from {
                Some(from) => self.read(from).await?,
                None => None,
            };
            let is_around = |waiting: &Waiting| {
                is_behind_the_last && !start.is_empty() && waiting.target >= start
            };
            let Some(waiting) = waiting.filter(|waiting| !is_around(waiting)) else {
                if !is_behind_the_last {
                    (is_behind_the_last, from) = (true, Some(String::new()));
                    continue;
                }
                // Another relay has carried what was for them.
                self.failing.retain(|target, _| seen.contains(target));
                return Ok(more);
            };
            seen.insert(waiting.target.clone());
            from.clone_from(&waiting.next);
            if !waiting.messages.is_empty() {
                let (target, depth) = (waiting.target.clone(), waiting.depth);
                match self.carry(&waiting, run, calls_left).await {
                    Ok(gone) => {
                        let is_held_up = self.failing.contains_key(&target);
                        more |= depth > gone && !is_held_up || std::mem::take(&mut run.own);
                    }
                    Err(Carrying::Own(trouble)) => return Err(trouble),
                    Err(Carrying::Target(trouble)) => {
                        self.failed(&target, trouble.to_string());
                        run.trouble.get_or_insert(trouble);
                    }
                }
            }
        }
        self.begin_at = from;
        Ok(true)
    }

    /// What waits for the first target from there on; without the messages if the target has failed, and its pause is not over.
    async fn read(&self, from: &str) -> Result<Option<Waiting>, Trouble> {
        let page = |from, limit| Outbox {
            from,
            limit,
            bytes: BATCH_BYTES,
        };
        if self.failing.is_empty() {
            return call(&self.store, &page(from, BATCH_JOBS)).await;
        }
        let Some(waiting) = call(&self.store, &page(from, 0)).await? else {
            return Ok(None);
        };
        let failing = self.failing.get(&waiting.target);
        if failing.is_some_and(|failing| failing.until > Instant::now()) {
            return Ok(Some(waiting));
        }
        call(&self.store, &page(&waiting.target, BATCH_JOBS)).await
    }

    /// Brings a page to its target, and deletes what that has taken; how many messages left the outbox.
    async fn carry(
        &mut self,
        waiting: &Waiting,
        run: &mut Run,
        calls_left: &mut usize,
    ) -> Result<u64, Carrying> {
        let Waiting {
            target, messages, ..
        } = waiting;
        let name = QueueName::new(target).map_err(|error| {
            // Only another program can have written that.
            Carrying::Target(Trouble::Garbled(error.to_string()))
        })?;
        let store = self.setup.backend.store(&self.setup.namespace, &name);
        let (mut left, mut taken_up_to) = (&messages[..], None);
        let mut failed = None;
        let mut of_turn = CALLS_PER_TURN;
        while !left.is_empty() && *calls_left > 0 && of_turn > 0 {
            *calls_left -= 1;
            of_turn -= 1;
            let receive = Receive {
                source: self.source.as_str(),
                messages: left,
            };
            let received = match call(&store, &receive).await {
                Ok(received) => received,
                Err(trouble) => {
                    failed = Some(trouble);
                    break;
                }
            };
            if received.is_first {
                // Producers of the target do so as well, now and then.
                let _ = store.register().await;
            }
            if received.has_sent && name == self.source {
                run.own = true;
            } else if received.has_sent {
                run.others.insert(name.clone());
            }
            run.carried += received.taken;
            let Received { position, next, .. } = received;
            let old = left.iter().take_while(|it| it.position <= position).count();
            if old > 0 {
                taken_up_to = Some(left[old - 1].position);
            }
            left = &left[old..];
            match next {
                NextOne::Goes if old == 0 => {
                    let why = "it takes nothing, and does not say why".to_owned();
                    failed = Some(Trouble::Garbled(why));
                    break;
                }
                NextOne::Goes => {}
                NextOne::Again => run.progress += 1,
                NextOne::Unknown => {
                    let kind = left.first().map_or("", |left| kind_of(&left.message));
                    self.cannot_be_read(target, kind, run);
                    break;
                }
            }
        }
        if let Some(position) = taken_up_to {
            let sent = Sent { target, position };
            call(&self.store, &sent).await.map_err(Carrying::Own)?;
        }
        let gone = (messages.len() - left.len()) as u64;
        run.progress += gone;
        match failed {
            Some(trouble) => Err(Carrying::Target(trouble)),
            None => {
                if left.is_empty() {
                    self.failing.remove(target);
                }
                Ok(gone)
            }
        }
    }

    /// A newer version wrote it: it stays, and what is for other targets goes on.
    fn cannot_be_read(&mut self, target: &str, kind: &str, run: &mut Run) {
        let why = format!("messages of the kind `{kind}` cannot be read here");
        if self.failed(target, why) {
            run.unknown.push((target.to_owned(), kind.to_owned()));
        }
    }

    /// Notes it, and says so if it is news; whether it is.
    fn failed(&mut self, target: &str, why: String) -> bool {
        let failing = self.failing.entry(target.to_owned());
        let failing = failing.or_insert_with(|| Failing {
            pauses: PAUSES,
            until: Instant::now(),
            why: String::new(),
        });
        let pause = failing.pauses.next(fastrand::f64());
        failing.until = Instant::now() + pause;
        let is_news = failing.why != why;
        if is_news {
            let queue = self.source.as_str();
            warn!(
                queue,
                target, why, "messages for another queue wait in the outbox, and are tried again"
            );
            failing.why = why;
        }
        is_news
    }
}

/// In memory other tasks have their turn after each call, as with a round trip.
async fn call<V: Apply>(store: &Store, verb: &V) -> Result<V::Answer, Trouble> {
    let answer = store.call(verb).await;
    yield_now().await;
    answer
}

/// Whose call failed.
enum Carrying {
    Own(Trouble),
    Target(Trouble),
}

#[cfg(test)]
mod tests;
