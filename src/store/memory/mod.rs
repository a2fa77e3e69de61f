//! The second implementation of every verb: plain Rust, no Redis, a clock that a test can turn.
//!
//! It does exactly what `lua/` does, and is written from the promises of the scripts, not from
//! their code: here a job is one value that is in one place, where Redis has twenty keys. That
//! makes it the oracle of the random tests (`store/tests/`), and what an application tests its
//! handlers with (`testing/`).
//!
//! One lock per queue; none is held across an await.

mod adopt;
mod advance;
mod alert;
mod alerts;
mod allowance;
mod aside;
mod attempts;
mod audit;
mod breaker;
mod cancel;
mod change;
mod children;
mod claim;
mod clock;
mod counts;
mod delayed;
mod delete;
mod draft;
mod duplicate;
mod edit;
mod emit;
mod enqueue;
mod enter;
mod expiry;
mod extend;
mod feed;
mod finish;
mod fire;
mod flow;
mod gate;
mod get;
mod group;
mod group_pace;
mod group_share;
mod import;
mod lease;
mod leave;
mod limit;
mod list;
mod log;
mod messages;
mod oldest;
mod once;
mod order;
mod orphans;
mod outbox;
mod owner;
mod pause;
mod pause_name;
mod progress;
mod promote;
mod receive;
mod recover;
mod remove;
mod replay;
mod replies;
mod saga;
mod schedules;
mod settings;
mod settle;
mod skip_undo;
mod spawn;
mod state;
mod steps;
mod subscribed;
mod successor;
mod tally;
mod tend;
mod tend_gates;
mod tick;
mod topic;
mod trim;
mod undo;
mod unhandled;
mod unique;
mod waiting;
mod wanted;
mod watch;
mod workers;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::name::QueueName;
use crate::store::Verb;

pub(crate) use state::State;
#[cfg(test)]
pub(crate) use {
    attempts::stamp,
    clock::Clock,
    delayed::{ROOMS, Room},
    enqueue::stored_record,
    list::COLLECTIONS,
    schedules::encode_state,
    state::{Collection, Job},
    unhandled::Name,
};

/// What a verb does to a queue in memory.
pub(crate) trait Apply: Verb {
    fn apply(&self, state: &mut State) -> Self::Answer;
}

/// Takes the place of a Redis server: some queues and a clock. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct Server {
    inner: Arc<ServerInner>,
}

#[derive(Default)]
struct ServerInner {
    clock: clock::Clock,
    queues: Mutex<HashMap<QueueName, Queue>>,
    /// The names of those that were ever used.
    registered: Mutex<BTreeSet<QueueName>>,
}

/// One queue. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    name: QueueName,
    server: Server,
    state: Mutex<State>,
    /// Something changed, or the clock was turned: all that wait look again.
    changed: Notify,
    /// How often the clock was turned.
    turns: AtomicU64,
}

impl Server {
    /// The queue of that name. It stays as long as the server does.
    pub(crate) fn queue(&self, name: &QueueName) -> Queue {
        let mut queues = lock(&self.inner.queues);
        let queue = queues.entry(name.clone()).or_insert_with(|| Queue {
            shared: Arc::new(Shared {
                name: name.clone(),
                server: self.clone(),
                state: Mutex::default(),
                changed: Notify::new(),
                turns: AtomicU64::new(0),
            }),
        });
        queue.clone()
    }

    pub(crate) fn queues(&self) -> BTreeSet<String> {
        self.names(|name| name.topic().is_none() && name.breaker().is_none())
    }

    /// The names under which topics are kept.
    pub(crate) fn topics(&self) -> BTreeSet<String> {
        self.names(|name| name.topic().is_some())
    }

    /// The names under which breakers are kept.
    pub(crate) fn breakers(&self) -> BTreeSet<String> {
        self.names(|name| name.breaker().is_some())
    }

    fn names(&self, are_wanted: impl Fn(&QueueName) -> bool) -> BTreeSet<String> {
        let registered = lock(&self.inner.registered);
        let wanted = registered.iter().filter(|name| are_wanted(name));
        wanted.map(|name| name.as_str().to_owned()).collect()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.inner.clock.now_us() / 1_000
    }

    /// Turns the clock of all queues forward, and wakes all that wait for a moment.
    pub(crate) fn advance(&self, by: Duration) {
        self.inner.clock.advance(by);
        for queue in lock(&self.inner.queues).values() {
            queue.turned();
        }
    }

    #[cfg(test)]
    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }
}

impl Queue {
    /// One atomic call.
    pub(crate) fn call<V: Apply>(&self, verb: &V) -> V::Answer {
        let answer = {
            let mut state = self.lock();
            state.now_us = self.shared.server.inner.clock.now_us();
            state.gates.moved_aside = 0;
            state.has_sent = false;
            let answer = verb.apply(&mut state);
            state.flush_events();
            answer
        };
        self.shared.changed.notify_waiters();
        answer
    }

    /// Puts the queue on the list of queues.
    pub(crate) fn register(&self) {
        let name = self.shared.name.clone();
        lock(&self.shared.server.inner.registered).insert(name);
    }

    /// Takes the queue off the list of queues.
    pub(crate) fn unregister(&self) {
        lock(&self.shared.server.inner.registered).remove(&self.shared.name);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }

    fn turned(&self) {
        self.shared.turns.fetch_add(1, Ordering::SeqCst);
        self.shared.changed.notify_waiters();
    }

    fn turns(&self) -> u64 {
        self.shared.turns.load(Ordering::SeqCst)
    }
}

/// If a call panicked while it held the lock, the half-done state is used as it is.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
