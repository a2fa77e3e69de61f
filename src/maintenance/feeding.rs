//! Feeds the queue from the topics to which it is subscribed. One worker does it for each topic at a time: it says so every second, and another one takes over
//! when it has not said so for three. A worker asks once when it starts, and again when recovery finds that the queue is subscribed to something; otherwise not one
//! command is sent for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::error;

use crate::service::WorkerShared;
use crate::service::hooks::WorkerEvent;
use crate::service::trouble::CallKind;
use crate::store::subscribed::{Subscribed, To};
use crate::topic::feeder::{Feeder, Step};

/// How often a worker says that it feeds, and for how long that holds.
const SAY: Duration = Duration::from_secs(1);
const HOLD_MS: u64 = 3_000;
/// After trouble; and while enough jobs wait in the queue.
const PAUSE: Duration = Duration::from_secs(1);
const AHEAD_PAUSE: Duration = Duration::from_millis(200);
/// Before events of a newer version are looked at again.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(30);

/// Goes on until it is dropped.
pub(crate) async fn run(shared: Arc<WorkerShared>) {
    let mut feeding = Feeding {
        shared: Arc::clone(&shared),
        tasks: JoinSet::new(),
        running: HashMap::new(),
    };
    loop {
        let is_subscribed = feeding.look().await;
        let again_at = is_subscribed.then(|| Instant::now() + SAY);
        let again: OptionFuture<_> = again_at.map(sleep_until).into();
        tokio::select! {
            () = shared.subscribed.notified() => {}
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
}

impl Feeding {
    /// Says that this worker feeds, and starts and ends what that means; says whether to look again.
    async fn look(&mut self) -> bool {
        while self.tasks.try_join_next().is_some() {}
        self.running.retain(|_, task| !task.is_finished());
        let shared = &self.shared;
        let say = Subscribed {
            worker: Some(&shared.id),
            hold_ms: HOLD_MS,
        };
        let all = match shared.store().call(&say).await {
            Ok(all) => all,
            Err(trouble) => {
                // What it feeds goes on: it does no harm, and ends with its own trouble.
                shared
                    .trouble
                    .note(CallKind::Feeding, &trouble, &shared.hooks);
                return true;
            }
        };
        shared.trouble.clear(CallKind::Feeding, &shared.hooks);
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
        let is_subscribed = !all.is_empty();
        for to in all.into_iter().filter(|to| to.is_held) {
            let key = (to.topic.clone(), to.since);
            if !self.running.contains_key(&key)
                && let Some(feeder) = Feeder::new(&self.shared.queue, to)
            {
                let feeding = feed(Arc::clone(&self.shared), feeder, key.0.clone());
                self.running.insert(key, self.tasks.spawn(feeding));
            }
        }
        is_subscribed
    }
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
            let (worker, hold_ms) = (Some(&*worker), 0);
            let _ = store.call(&Subscribed { worker, hold_ms }).await;
        });
    }
}

/// Feeds the queue from one topic until the subscription is removed.
async fn feed(shared: Arc<WorkerShared>, mut feeder: Feeder, topic: String) {
    let mut told_unreadable = false;
    loop {
        let step = feeder.step().await;
        match step {
            Ok(Step::More { missed }) => tell_missed(&shared, &topic, missed),
            Ok(Step::Even { missed }) => {
                tell_missed(&shared, &topic, missed);
                if let Err(trouble) = feeder.wait().await {
                    shared
                        .trouble
                        .note(CallKind::Feeding, &trouble, &shared.hooks);
                    sleep(PAUSE).await;
                }
            }
            Ok(Step::Ahead) => sleep(AHEAD_PAUSE).await,
            Ok(Step::Gone) => return,
            Ok(Step::Unreadable) => {
                if !told_unreadable {
                    told_unreadable = true;
                    let queue = shared.queue.name();
                    error!(
                        queue,
                        topic,
                        "the next event of a topic was written by a newer version, and waits for workers of that version"
                    );
                }
                sleep(UNREADABLE_PAUSE).await;
            }
            Err(trouble) => {
                shared
                    .trouble
                    .note(CallKind::Feeding, &trouble, &shared.hooks);
                sleep(PAUSE).await;
            }
        }
    }
}

fn tell_missed(shared: &WorkerShared, topic: &str, events: u64) {
    if events == 0 {
        return;
    }
    let queue = shared.queue.name();
    error!(
        queue,
        topic, events, "events were dropped from a topic before this queue could take them"
    );
    shared.hooks.tell(|queue| WorkerEvent::EventsMissed {
        queue,
        topic: topic.to_owned(),
        events,
    });
}
