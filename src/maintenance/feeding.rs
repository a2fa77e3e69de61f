//! Feeds the queue from the topics to which it is subscribed. One worker does it for each topic at a time: it says so every second, and another one takes over
//! when it has not said so for three. A worker asks once when it starts, and again when recovery finds that the queue is subscribed to something; otherwise not one
//! command is sent for it.
//!
//! A worker that cannot feed from a topic (it cannot read an event of a newer version, it may not read the topic, it does not reach it) leaves it to others for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::error;

use crate::service::WorkerShared;
use crate::service::hooks::WorkerEvent;
use crate::service::trouble::CallKind;
use crate::store::backend::Trouble;
use crate::store::subscribed::{Subscribed, To};
use crate::topic::feeder::{Feeder, Step};

/// How often a worker says that it feeds, and for how long that holds.
const SAY: Duration = Duration::from_secs(1);
const HOLD_MS: u64 = 3_000;
/// So many topics a worker begins with at a time: each takes it a connection.
const NEW_AT_ONCE: usize = 16;
/// While enough jobs wait in the queue.
const AHEAD_PAUSE: Duration = Duration::from_millis(200);
/// After trouble; and after so much in a row the topic is left to others, for so long.
const PAUSE: Duration = Duration::from_secs(1);
const TROUBLES_MAX: u32 = 5;
const LEFT_FOR: Duration = Duration::from_secs(15);

/// Goes on until it is dropped.
pub(crate) async fn run(shared: Arc<WorkerShared>) {
    let mut feeding = Feeding {
        shared: Arc::clone(&shared),
        tasks: JoinSet::new(),
        running: HashMap::new(),
        left: Arc::default(),
        is_in_trouble: Arc::default(),
    };
    loop {
        let again_at = feeding.look().await.map(|after| Instant::now() + after);
        let again: OptionFuture<_> = again_at.map(sleep_until).into();
        tokio::select! {
            // What it says of topics that are known already comes in time.
            () = shared.subscribed.notified(), if again_at.is_none() => {}
            Some(()) = again => {}
        }
    }
}

/// The feeders of this worker, each a task, which end with it.
struct Feeding {
    shared: Arc<WorkerShared>,
    tasks: JoinSet<()>,
    /// By topic and number of the subscription.
    running: HashMap<(String, u64), AbortHandle>,
    left: Arc<Left>,
    /// The last step of some feeder failed.
    is_in_trouble: Arc<AtomicBool>,
}

/// The topics that are left to other workers, until then.
#[derive(Default)]
struct Left(Mutex<HashMap<String, Instant>>);

impl Left {
    fn add(&self, topic: &str) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        left.insert(topic.to_owned(), Instant::now() + LEFT_FOR);
    }

    fn topics(&self) -> Vec<String> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        left.retain(|_, until| *until > now);
        left.keys().cloned().collect()
    }
}

impl Feeding {
    /// Says that this worker feeds, and starts and ends what that means; says when to look again, if it has to.
    async fn look(&mut self) -> Option<Duration> {
        while self.tasks.try_join_next().is_some() {}
        self.running.retain(|_, task| !task.is_finished());
        let shared = &self.shared;
        let say = Subscribed {
            worker: Some(&shared.id),
            hold_ms: HOLD_MS,
            without: &self.left.topics(),
            most: NEW_AT_ONCE,
        };
        let all = match shared.store().call(&say).await {
            Ok(all) => all,
            Err(trouble) => {
                // What it feeds goes on: it does no harm. If nothing is known to be fed, recovery says when there is something.
                let feeds = !self.running.is_empty();
                if feeds {
                    note(shared, &trouble);
                }
                return feeds.then_some(SAY);
            }
        };
        if !self.is_in_trouble.load(Ordering::Relaxed) {
            shared.trouble.clear(CallKind::Feeding, &shared.hooks);
        }
        let held = |key: &(String, u64)| {
            let is_this = |to: &&To| (&to.topic, to.since) == (&key.0, key.1);
            all.iter().find(is_this).is_some_and(|to| to.is_held)
        };
        self.running.retain(|key, task| {
            let goes_on = held(key);
            if !goes_on {
                task.abort();
            }
            goes_on
        });
        let after = look_after(&all);
        for to in all.into_iter().filter(|to| to.is_held) {
            let key = (to.topic.clone(), to.since);
            if !self.running.contains_key(&key)
                && let Some(feeder) = Feeder::new(&self.shared.queue, to)
            {
                let feeding = Feeds {
                    shared: Arc::clone(&self.shared),
                    topic: key.0.clone(),
                    left: Arc::clone(&self.left),
                    is_in_trouble: Arc::clone(&self.is_in_trouble),
                };
                self.running
                    .insert(key, self.tasks.spawn(feeding.run(feeder)));
            }
        }
        after
    }
}

/// A worker that feeds says so again. A worker that does not feed looks when a worker that feeds may have died.
fn look_after(all: &[To]) -> Option<Duration> {
    let after = |to: &To| match to.is_held || to.others_ms == 0 {
        true => SAY,
        false => Duration::from_millis(to.others_ms).max(SAY) + SAY.mul_f64(fastrand::f64()),
    };
    all.iter().map(after).min()
}

fn note(shared: &WorkerShared, trouble: &Trouble) {
    shared
        .trouble
        .note(CallKind::Feeding, trouble, &shared.hooks);
}

/// Another worker need not wait until the hold is over.
impl Drop for Feeding {
    fn drop(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let store = self.shared.store().clone();
        let worker = self.shared.id.clone();
        self.shared.store().outlive_caller(async move {
            let stop = Subscribed {
                worker: Some(&worker),
                ..Subscribed::LOOK
            };
            let _ = store.call(&stop).await;
        });
    }
}

/// Feeds the queue from one topic.
struct Feeds {
    shared: Arc<WorkerShared>,
    topic: String,
    left: Arc<Left>,
    is_in_trouble: Arc<AtomicBool>,
}

impl Feeds {
    /// Until the subscription is removed, or the topic is left to others.
    async fn run(self, mut feeder: Feeder) {
        let mut troubles = 0;
        while troubles < TROUBLES_MAX {
            let step = feeder.step().await;
            self.tell_missed(feeder.take_missed());
            let waited = match step {
                Ok(Step::More) => Ok(()),
                Ok(Step::Even) => feeder.wait().await,
                Ok(Step::Ahead) => {
                    sleep(AHEAD_PAUSE).await;
                    Ok(())
                }
                Ok(Step::Gone) => return,
                Ok(Step::Unreadable) => {
                    let (queue, topic) = (self.shared.queue.name(), &self.topic);
                    error!(
                        queue,
                        topic,
                        "the next event of a topic was written by a newer version, and is left to workers of that version"
                    );
                    break;
                }
                Err(trouble) => Err(trouble),
            };
            self.is_in_trouble.store(waited.is_err(), Ordering::Relaxed);
            troubles = match waited {
                Ok(()) => 0,
                Err(trouble) => {
                    note(&self.shared, &trouble);
                    sleep(PAUSE).await;
                    troubles + 1
                }
            };
        }
        self.left.add(&self.topic);
    }

    fn tell_missed(&self, events: u64) {
        if events == 0 {
            return;
        }
        let (queue, topic) = (self.shared.queue.name(), &self.topic);
        error!(
            queue,
            topic, events, "events were dropped from a topic before this queue could take them"
        );
        self.shared.hooks.tell(|queue| WorkerEvent::EventsMissed {
            queue,
            topic: topic.clone(),
            events,
        });
    }
}
