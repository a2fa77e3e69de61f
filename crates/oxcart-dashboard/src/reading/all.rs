//! What is known of all queues: read in turn, the busy ones more often, as long as somebody looks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use oxcart::{Counts, Error, Oxcart};
use tokio::time::{sleep, timeout};

use crate::model::{Moment, Overview, QueueLine, Rates};
use crate::reading::budget::Budget;
use crate::reading::clock::{self, Clock};
use crate::reading::queue::{LATELY, LATELY_COMMANDS, lately, lease_over, line, outbox, unread};
use crate::reading::{ANSWER_WITHIN, NotRead, Reading, View};

/// Commands a second for this, and how many at once.
const PER_SECOND: f64 = 28.0;
/// Nobody has looked for this long: the reading ends.
const IDLE: Duration = Duration::from_secs(20);
/// How often what is stale is looked for.
const TICK: Duration = Duration::from_millis(250);
/// Values younger than this are not read again.
const FRESH: Duration = Duration::from_millis(900);
/// So many queues are read at once when somebody comes and their values are old.
const FEW: usize = 32;
/// After this time without reading, all queues are read at once.
const COLD: Duration = Duration::from_secs(60);
/// But not more than these.
const MANY: usize = 1_000;
/// For so long nothing else is read after that.
const PAID_BACK_WITHIN: Duration = Duration::from_secs(5);
const CALLS_AT_A_TIME: usize = 16;
/// How often the history of a queue is read, in which something happens.
const HISTORY_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether the leases of jobs that run are renewed.
const LEASES_EVERY: Duration = Duration::from_secs(5);
/// A queue in which something happens is read so many times as often as a quiet one.
const BUSY_WEIGHT: u32 = 16;
const CLOCK_EVERY: Duration = Duration::from_secs(60);

/// What is known of one queue.
#[derive(Clone)]
struct Known {
    line: QueueLine,
    counts: Counts,
    read_at: Instant,
    is_busy: bool,
    lately: Option<(Rates, Vec<u64>)>,
    lately_at: Option<Instant>,
    /// Something has happened since the history was read.
    has_news: bool,
    lease_over: Option<Duration>,
    leases_at: Option<Instant>,
}

impl Known {
    /// Something in it is not as this version writes it. It is tried again like a quiet queue.
    fn unreadable(name: &str, why: &str) -> Self {
        let mut line = unread(name);
        line.problems = vec![format!("it cannot be read: {why}")];
        Self {
            line,
            counts: Counts::default(),
            read_at: Instant::now(),
            is_busy: false,
            lately: None,
            lately_at: None,
            has_news: false,
            lease_over: None,
            leases_at: None,
        }
    }
}

#[derive(Default)]
struct State {
    /// `None`: not read yet.
    queues: BTreeMap<String, Option<Known>>,
    named_at: Option<Instant>,
    clock_at: Option<Instant>,
    read_at: Option<Moment>,
    lost: Option<String>,
    looked_at: Option<Instant>,
    is_reading: bool,
    /// Grows with each change.
    revision: u64,
}

pub(super) struct All {
    oxcart: Oxcart,
    clock: Arc<Clock>,
    budget: Budget,
    state: Mutex<State>,
    /// What was told last, and of which state.
    told: Mutex<Option<(u64, Reading)>>,
    /// Held while all queues are read at once.
    at_once: tokio::sync::Mutex<()>,
}

impl All {
    pub(super) fn new(oxcart: Oxcart, clock: Arc<Clock>) -> Self {
        Self {
            oxcart,
            clock,
            budget: Budget::new(PER_SECOND, PER_SECOND),
            state: Mutex::default(),
            told: Mutex::default(),
            at_once: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All queues; the reading goes on for a while.
    pub(super) async fn look(self: &Arc<Self>) -> Reading {
        let was_idle_for = {
            let mut state = self.state();
            let before = state.looked_at.replace(Instant::now());
            if !std::mem::replace(&mut state.is_reading, true) {
                tokio::spawn(read_on(Arc::downgrade(self)));
            }
            before.map(|before| before.elapsed())
        };
        self.catch_up(was_idle_for).await;
        self.told()
    }

    /// What is known of one queue, and when it was read; nothing is sent.
    pub(super) fn known(&self, queue: &str) -> Option<QueueLine> {
        let state = self.state();
        let known = state.queues.get(queue)?.as_ref()?;
        Some(known.line.clone())
    }

    /// The names of all queues, those in which most goes on first.
    pub(super) fn busiest(&self) -> Vec<QueueLine> {
        let state = self.state();
        let mut lines: Vec<QueueLine> = state.lines().collect();
        lines.sort_by_key(|line| std::cmp::Reverse((line.active, line.waiting)));
        lines
    }

    /// Reads at once what would be old, if these are few, or if nobody has looked for long.
    async fn catch_up(&self, was_idle_for: Option<Duration>) {
        let is_cold = was_idle_for.is_none_or(|time| time > COLD);
        let _one_at_a_time = self.at_once.lock().await;
        let old = {
            let state = self.state();
            let is_named = state.named_at.is_some_and(|at| at.elapsed() < 2 * FRESH);
            if state.lost.is_some() && !is_cold {
                return;
            }
            (!is_named).then_some(())
        };
        if old.is_some() && (is_cold || self.is_small()) && self.names().await.is_err() {
            return;
        }
        let stale = self.stale(if is_cold { MANY } else { FEW + 1 }, 2 * FRESH);
        if is_cold || stale.len() <= FEW {
            self.read(stale).await;
            self.budget.forgive(PAID_BACK_WITHIN);
        }
    }

    /// Reads a queue again, in which somebody has changed something.
    pub(super) async fn again(&self, queue: &str) {
        let _one_at_a_time = self.at_once.lock().await;
        self.read(vec![queue.to_owned()]).await;
    }

    fn is_small(&self) -> bool {
        self.state().queues.len() <= FEW
    }

    /// The queues whose values are oldest, the busy ones before the others.
    fn stale(&self, at_most: usize, age: Duration) -> Vec<String> {
        let state = self.state();
        let mut stale: Vec<(u128, &String)> = state
            .queues
            .iter()
            .filter_map(|(name, known)| match known {
                None => Some((u128::MAX, name)),
                Some(known) if known.read_at.elapsed() < age => None,
                Some(known) => {
                    let weight = if known.is_busy { BUSY_WEIGHT } else { 1 };
                    Some((
                        known.read_at.elapsed().as_millis() * u128::from(weight),
                        name,
                    ))
                }
            })
            .collect();
        stale.sort_by_key(|(staleness, _)| std::cmp::Reverse(*staleness));
        let names = stale.into_iter().take(at_most);
        names.map(|(_, name)| name.clone()).collect()
    }

    /// Which queues there are.
    async fn names(&self) -> Result<(), ()> {
        self.budget.borrow(1);
        let found = answered(self.oxcart.queues()).await;
        let mut state = self.state();
        let names = match found {
            Ok(names) => names,
            Err(why) => {
                state.found_lost(why.into_text());
                return Err(());
            }
        };
        state.named_at = Some(Instant::now());
        state.found_alive(self.clock.now());
        let mut before = std::mem::take(&mut state.queues);
        let queues = names.into_iter().map(|name| {
            let known = before.remove(&name).flatten();
            (name, known)
        });
        state.queues = queues.collect();
        Ok(())
    }

    /// Reads these queues, a few at a time. Ends if Redis does not answer; a queue that cannot be read keeps no other from being read.
    async fn read(&self, names: Vec<String>) {
        let calls = names.into_iter().map(|name| async {
            let before = self.state().queues.get(&name).cloned().flatten();
            let read = self.queue(&name, before).await;
            (name, read)
        });
        let mut calls = stream::iter(calls).buffer_unordered(CALLS_AT_A_TIME);
        while let Some((name, read)) = calls.next().await {
            let mut state = self.state();
            let known = match read {
                Ok(known) => known,
                Err(NotRead::Lost(why)) => {
                    state.found_lost(why);
                    return;
                }
                Err(why) => Known::unreadable(&name, &why.into_text()),
            };
            state.found_alive(self.clock.now());
            if let Some(place) = state.queues.get_mut(&name) {
                *place = Some(known);
            }
        }
    }

    async fn queue(&self, name: &str, before: Option<Known>) -> Result<Known, NotRead> {
        let queue = self.oxcart.queue(name)?;
        let lately_at = before.as_ref().and_then(|before| before.lately_at);
        let is_due = before.as_ref().is_some_and(|before| {
            before.has_news && lately_at.is_none_or(|at| at.elapsed() > HISTORY_EVERY)
        });
        let mut history = None;
        let counts = if is_due {
            self.budget.borrow(LATELY_COMMANDS);
            let read = answered(queue.history(LATELY)).await?;
            history = Some(lately(&read, self.clock.now()));
            read.counts
        } else {
            self.budget.borrow(1);
            answered(queue.counts()).await?
        };
        let mut oldest = None;
        if counts.waiting > 0 {
            self.budget.borrow(1);
            let found = answered(queue.oldest_waiting()).await?;
            oldest = found.map(|oldest| oldest.age);
        }
        let mut outgoing = Vec::new();
        if counts.has_sent {
            outgoing = answered(outbox(&queue)).await?;
            self.budget.borrow(outgoing.len().max(1));
        }
        let has_moved = match &before {
            Some(before) => before.counts.totals != counts.totals,
            None => counts.totals.added > 0,
        };
        let leases_at = before.as_ref().and_then(|before| before.leases_at);
        let looks = counts.active > 0 && leases_at.is_none_or(|at| at.elapsed() > LEASES_EVERY);
        let lease_over = if looks {
            self.budget.borrow(1);
            answered(lease_over(&queue, self.clock.now())).await?
        } else {
            let known = before.as_ref().and_then(|before| before.lease_over);
            known.filter(|_| counts.active > 0)
        };
        let was_news = before.as_ref().is_some_and(|before| before.has_news);
        let has_history = history.is_some();
        let lately = history.or(before.and_then(|before| before.lately));
        Ok(Known {
            line: line(
                name,
                &counts,
                (oldest, lease_over),
                outgoing,
                lately.as_ref(),
                self.clock.now(),
            ),
            lease_over,
            leases_at: if looks {
                Some(Instant::now())
            } else {
                leases_at
            },
            is_busy: has_moved || counts.active > 0,
            has_news: has_moved || (was_news && !has_history),
            lately_at: if has_history {
                Some(Instant::now())
            } else {
                lately_at
            },
            lately,
            counts,
            read_at: Instant::now(),
        })
    }

    /// All queues, and how well they are known; the same for all who ask before something changes.
    fn told(&self) -> Reading {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.state();
        if let Some((revision, reading)) = &*told
            && *revision == state.revision
        {
            return reading.clone();
        }
        let queues: Vec<QueueLine> = state.lines().collect();
        let unread = queues.iter().filter(|line| line.is_unread()).count();
        let overview = Overview {
            queues,
            unread: unread as u64,
        };
        let view = View::Overview(overview);
        let reading = Reading::new(view, state.read_at, state.lost.clone());
        *told = Some((state.revision, reading.clone()));
        reading
    }

    /// One look at what is stale. Says whether somebody still looks.
    async fn step(&self) -> bool {
        let (is_watched, is_named, has_clock) = {
            let state = self.state();
            let within = |at: Option<Instant>, limit| at.is_some_and(|at| at.elapsed() < limit);
            (
                within(state.looked_at, IDLE),
                within(state.named_at, FRESH),
                within(state.clock_at, CLOCK_EVERY),
            )
        };
        if !is_watched {
            return false;
        }
        let _one_at_a_time = self.at_once.lock().await;
        let left = self.budget.left();
        if left == 0 {
            return true;
        }
        if !is_named && self.names().await.is_err() {
            return true;
        }
        if !has_clock {
            self.budget.borrow(clock::COMMANDS);
            self.state().clock_at = Some(Instant::now());
            if let Err(why) = answered(self.clock.ask(&self.oxcart)).await {
                self.state().found_lost(why.into_text());
                return true;
            }
        }
        // Most queues take two commands.
        self.read(self.stale(left.div_ceil(2), FRESH)).await;
        true
    }
}

impl State {
    fn lines(&self) -> impl Iterator<Item = QueueLine> {
        self.queues.iter().map(|(name, known)| match known {
            Some(known) => known.line.clone(),
            None => unread(name),
        })
    }

    fn found_alive(&mut self, now: Moment) {
        self.lost = None;
        self.read_at = Some(now);
        self.revision += 1;
    }

    fn found_lost(&mut self, why: String) {
        self.lost = Some(why);
        self.revision += 1;
    }
}

/// What was answered, or why nothing was.
async fn answered<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, NotRead> {
    match timeout(ANSWER_WITHIN, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(NotRead::Lost(format!(
            "no answer within {} s",
            ANSWER_WITHIN.as_secs()
        ))),
    }
}

/// Reads on as long as somebody looks.
async fn read_on(all: Weak<All>) {
    loop {
        sleep(TICK).await;
        let Some(all) = all.upgrade() else { return };
        if !all.step().await {
            let mut state = all.state();
            let is_watched = state.looked_at.is_some_and(|at| at.elapsed() < IDLE);
            if !is_watched {
                state.is_reading = false;
                return;
            }
        }
        if all.state().lost.is_some() {
            sleep(FRESH).await;
        }
    }
}
