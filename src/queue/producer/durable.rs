//! The task that sends jobs which are to be more than in memory: it adds what waits, call by call, has Redis confirm all of it at
//! once (`WAIT`, `WAITAOF`), and tells the callers then. What comes meanwhile shares the next confirmation.
//!
//! Redis confirms what came through the connection that asks, so that is the connection of the calls, and nothing else goes through
//! it. If it is lost meanwhile, another server may answer, which never had the jobs. So the last call is asked for by its number
//! first: a server that knows it has all calls before it that came through the same connection, too. The answer to the question
//! writes behind the call, and that is what this server then confirms. A call that came through an earlier connection than the last one
//! cannot be asked for any more; its callers are told that it is not known to be safe. So when a connection was lost, what came through it
//! is confirmed before anything else is sent.
//!
//! Each caller is told before it gives up, whatever the others of the same confirmation have left.
//!
//! Invariant: what is held is decided before the next batch is taken; if the task breaks, it cannot be known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use super::batch::CallProgress;
use super::inbox::Inbox;
use super::sender::{Held, Sender};
use super::submission::{Fate, Given, Shortfall};
use super::task::Registration;
use super::{Promise, TaskInbox};
use crate::name::QueueName;
use crate::policy::pauses::Pauses;
use crate::policy::silence::Silence;
use crate::store::backend::{ANSWER_PATIENCE, Confirmed, Store, Trouble};
use crate::store::enqueue::{Enqueue, Enqueued, Novelty};

/// So many calls share one confirmation, at most.
pub(crate) const PARTS_OF_A_CONFIRMATION: usize = 64;
/// The callers are told this long before they give up; less, if they wait for less than ten times as long.
const EARLIER: Duration = Duration::from_millis(500);
/// Before a confirmation whose connection was lost is asked for again.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(10), Duration::from_millis(250));

/// It ends when all handles of the queue are gone and everything is decided.
pub(super) struct DurableTask {
    inbox: TaskInbox,
    sender: Sender,
    promise: Promise,
    queue: QueueName,
    registration: Registration,
    silence: Silence,
}

/// What became of the wait for a level.
enum Outcome {
    Reached,
    Short(Shortfall),
    /// Another server answers now, which does not have the jobs.
    Lost,
}

/// What becomes of jobs that are there, and not as safe as was asked for.
fn short(fate: Fate, why: Shortfall) -> Fate {
    match fate {
        Fate::Added { there } => Fate::NotDurable { there, why },
        fate => fate,
    }
}

/// What becomes of jobs that were there, and are gone.
fn lost(fate: Fate) -> Fate {
    match fate {
        Fate::Added { .. } => Fate::Unknowable {
            why: "Redis had it, and the server that answers now does not".to_owned(),
        },
        fate => fate,
    }
}

impl DurableTask {
    pub(super) fn new(
        store: &Store,
        queue: &QueueName,
        inbox: Arc<Inbox>,
        promise: Promise,
    ) -> Self {
        let connection = store.connection(ANSWER_PATIENCE);
        Self {
            sender: Sender::new(queue, &connection, &inbox).holding(),
            inbox: TaskInbox(inbox),
            promise,
            queue: queue.clone(),
            registration: Registration::default(),
            silence: Silence::default(),
        }
    }

    pub(super) async fn run(mut self) {
        while let Some(batch) = self.inbox.0.batch(1).await {
            let taken = Instant::now();
            self.add(batch).await;
            for _ in 1..PARTS_OF_A_CONFIRMATION {
                if !self.sender.goes_on_as_before().await {
                    break;
                }
                // What is not there yet shares the next confirmation.
                let Some(Some(batch)) = self.inbox.0.batch(1).now_or_never() else {
                    break;
                };
                self.add(batch).await;
            }
            let held = self.sender.take_held();
            self.confirm(held, taken).await;
            if self.registration.is_due() || self.sender.is_unlisted() {
                let registered = self.sender.register().await;
                self.registration.note(registered);
            }
        }
    }

    async fn add(&mut self, batch: Vec<Given>) {
        let (course, _) = watch::channel(CallProgress::Waiting);
        self.sender.commit(batch, course, None).await;
        let bytes = self.sender.bytes();
        self.inbox.0.set_limit(bytes);
    }

    /// Decides what is held. It was taken from the inbox then: a caller that does not wait yet is told within its limit from there.
    async fn confirm(&mut self, held: Held, taken: Instant) {
        for (submission, fate) in held.unsure {
            let why = "the connection to Redis was lost before it was confirmed".to_owned();
            submission.decide(short(fate, Shortfall::NotInTime(why)));
        }
        let Some((lane, call, mut connection)) = held.last else {
            return;
        };
        let latest = taken + self.promise.within;
        let earlier = EARLIER.min(self.promise.within / 10);
        let until =
            |given: &Given| given.until().map_or(latest, |until| until.min(latest)) - earlier;
        let mut waiting = held.fates;
        while let Some(first) = waiting.iter().map(|(given, _)| until(given)).min() {
            let outcome = self.outcome((&lane, call), &mut connection, first).await;
            self.tell(&outcome);
            let is_over = !matches!(outcome, Outcome::Short(Shortfall::NotInTime(_)));
            let now = Instant::now();
            let (decided, left) = waiting
                .into_iter()
                .partition(|(given, _)| is_over || until(given) <= now);
            waiting = left;
            let decided: Vec<(Given, Fate)> = decided;
            for (submission, fate) in decided {
                submission.decide(match &outcome {
                    Outcome::Reached => fate,
                    Outcome::Short(why) => short(fate, why.clone()),
                    Outcome::Lost => lost(fate),
                });
            }
        }
    }

    fn tell(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Reached => _ = self.silence.ends(),
            Outcome::Lost => {
                warn!(queue = %self.queue, "jobs that were enqueued are gone: another server answers")
            }
            Outcome::Short(why) if self.silence.goes_on(Instant::now()).log => {
                warn!(queue = %self.queue, ?why, "jobs are not as safe as was asked for");
            }
            Outcome::Short(_) => {}
        }
    }

    /// Asks for the confirmation through the connection of this number. If that is lost, `connection` gets the number of the new one.
    async fn outcome(
        &mut self,
        last: (&str, u64),
        connection: &mut u64,
        until: Instant,
    ) -> Outcome {
        let mut pauses = PAUSES;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let level = self.promise.level;
            let through = self.sender.connection();
            let trouble = match through.confirm(*connection, level, left).await {
                Ok(Confirmed::Reached) => return Outcome::Reached,
                Ok(Confirmed::Short(why)) => return Outcome::Short(Shortfall::NotInTime(why)),
                Err(trouble @ (Trouble::Refused(..) | Trouble::Garbled(_)))
                    if !trouble.is_outage() =>
                {
                    return Outcome::Short(Shortfall::Denied(trouble));
                }
                Err(trouble) => trouble,
            };
            if until <= Instant::now() {
                let why = Shortfall::NotInTime(trouble.to_string());
                return Outcome::Short(why);
            }
            match self.knows(last).await {
                Ok(Some(number)) => *connection = number,
                Ok(None) => return Outcome::Lost,
                Err(_) => {}
            }
            // Also if a server knows it: something in between may cut off each wait.
            sleep(pauses.next(fastrand::f64())).await;
        }
    }

    /// The connection through which a server said that it has this call; `None` if it has not.
    async fn knows(&mut self, (lane, call): (&str, u64)) -> Result<Option<u64>, Trouble> {
        let through = self.sender.connection();
        let number = through.connect().await?;
        let question = Enqueue {
            lane,
            call,
            jobs: &[],
            novelty: Novelty::New,
        };
        // A later answer through another connection makes the wait fail, and the question is asked again.
        let answer = through.call_once(&question).await?;
        Ok(matches!(answer, Enqueued::Added { .. }).then_some(number))
    }
}
