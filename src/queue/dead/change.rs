//! Replaying and removing dead letters, in steps of up to 256 jobs.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::error::Error;
use crate::id::JobId;
use crate::job::state::State;
use crate::queue::dead::DeadLetters;
use crate::queue::dead::sample::Sample;
use crate::queue::dead::walk::{Walk, died_at};
use crate::runtime;
use crate::store::BATCH_JOBS;
use crate::store::remove::Remove;
use crate::store::replay::{DUPLICATE, Replay};
use crate::time::Timestamp;

/// The first step of a replay that is to stop by itself; each further one is twice as large.
const FIRST_STEP: usize = 16;

/// How far a replay or removal of dead letters is, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadTally {
    /// When it began, by the server's clock. What dies later is left alone.
    pub began_at: Timestamp,
    /// How many dead letters there were then.
    pub dead: u64,
    /// How many of them were read.
    pub read: u64,
    /// How many of these a newer version wrote; they were left alone.
    pub unreadable: u64,
    /// How many passed all filters, and were dealt with, or would be in a dry run.
    pub matching: u64,
    /// How many were replayed or removed.
    pub done: u64,
    /// How many were left alone because another job has their unique key.
    pub duplicates: u64,
    /// How many were not dead any more when their turn came.
    pub gone: u64,
    /// When the first of those that passed died.
    pub first_at: Option<Timestamp>,
    /// When the last of those that passed died.
    pub last_at: Option<Timestamp>,
    /// How many of the replayed jobs were looked at again ([`ReplayDead::stop_if_failing`]), and are known to have ended or failed.
    pub looked_at: u64,
    /// How many of these have failed again.
    pub failed_again: u64,
    /// Why it ended before all were dealt with; `None` if it did not.
    pub stopped: Option<Stopped>,
}

/// Why a replay or removal has ended early. The jobs that were not dealt with are dead as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stopped {
    /// What was told of its progress has answered `Break`.
    Asked,
    /// Too many of the replayed jobs have failed again.
    Failing,
}

/// How far it is, for the caller.
type Told = Box<dyn FnMut(&DeadTally) -> ControlFlow<()> + Send>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Replay,
    Remove,
}

/// What both requests have in common.
struct Change {
    plan: Plan,
    told: Option<Told>,
}

#[derive(Debug)]
struct Plan {
    letters: DeadLetters,
    action: Action,
    per_second: Option<u32>,
    stop_if_failing: Option<f64>,
    is_dry: bool,
}

/// A request to put dead letters back in line ([`DeadLetters::replay`]), each at the back of its priority and with a fresh budget of
/// attempts. Those that died first come first, and they keep this order.
///
/// It reads pages of up to 256 dead letters, and replays up to 256 jobs in a call. What dies after it has begun is left alone, so a job
/// that dies again is not replayed twice.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a part that is not between 0 and 1, or a rate of 0. If Redis does not answer;
/// see [`Queue`](crate::Queue). What was replayed until then stays replayed.
///
/// # Cancel safety
///
/// If the future is dropped on the way, some of the jobs are replayed, and the others are dead as before. The same request again
/// goes on with those; see [`DeadLetters::died_before`] for how to leave alone what has died again meanwhile.
#[must_use = "nothing is replayed until it is awaited"]
pub struct ReplayDead(Change);

/// A request to remove dead letters ([`DeadLetters::remove`]), with all that is known of them. A job that was replayed meanwhile is left
/// alone.
///
/// It reads pages of up to 256 dead letters, and removes up to 256 jobs in a call.
///
/// # Errors
///
/// If Redis does not answer; see [`Queue`](crate::Queue). What was removed until then stays removed.
///
/// # Cancel safety
///
/// If the future is dropped on the way, some of the jobs are removed, and the others are dead as before.
#[must_use = "nothing is removed until it is awaited"]
pub struct RemoveDead(Change);

impl ReplayDead {
    pub(super) fn new(letters: DeadLetters) -> Self {
        Self(Change::new(letters, Action::Replay))
    }

    /// At most so many in a second, in steps of a quarter of a second; from 1. As fast as Redis answers, unless set.
    pub fn per_second(mut self, jobs: u32) -> Self {
        self.0.plan.per_second = Some(jobs);
        self
    }

    /// Ends by itself when more than this part (0 to 1) of what was replayed fails again: an attempt that fails counts, also if others
    /// are left. See [`DeadTally::stopped`].
    ///
    /// Up to 16 jobs of each step are looked at until they have ended or failed, and of these the last 64 decide, as soon as 8 are
    /// known. The first step has 16 jobs, and each further one twice as many, up to 256. As long as fewer than 8 are known, a step
    /// waits for them for 2 s, and then goes on: so without a worker it is slow. What fails later than that is noticed in a later step.
    pub fn stop_if_failing(mut self, part: f64) -> Self {
        self.0.plan.stop_if_failing = Some(part);
        self
    }
}

impl RemoveDead {
    pub(super) fn new(letters: DeadLetters) -> Self {
        Self(Change::new(letters, Action::Remove))
    }
}

/// What both requests can do.
macro_rules! requests {
    ($($request:ident)*) => {$(
        impl $request {
            /// Changes nothing, and only says what would be changed: [`DeadTally::matching`], and when the first and the last of
            /// these died.
            pub fn dry_run(mut self) -> Self {
                self.0.plan.is_dry = true;
                self
            }

            /// Is told how far it is after each page that was read and each step. `Break` ends it there. It must not block.
            pub fn on_progress(
                mut self,
                told: impl FnMut(&DeadTally) -> ControlFlow<()> + Send + 'static,
            ) -> Self {
                self.0.told = Some(Box::new(told));
                self
            }
        }

        impl IntoFuture for $request {
            type Output = Result<DeadTally, Error>;
            type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.0.run())
            }
        }

        impl fmt::Debug for $request {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($request)).field(&self.0.plan).finish()
            }
        }
    )*};
}

requests! { ReplayDead RemoveDead }

impl Change {
    fn new(letters: DeadLetters, action: Action) -> Self {
        let plan = Plan {
            letters,
            action,
            per_second: None,
            stop_if_failing: None,
            is_dry: false,
        };
        Self { plan, told: None }
    }

    async fn run(self) -> Result<DeadTally, Error> {
        let Self { plan, mut told } = self;
        plan.check()?;
        let mut walk = Walk::begin(plan.letters.clone()).await?;
        let mut tally = DeadTally::begun(&walk);
        let mut sample = plan.stop_if_failing.map(Sample::new);
        // A dry run has nothing to look at.
        sample = sample.filter(|_| !plan.is_dry);
        let mut step = match sample {
            Some(_) => FIRST_STEP,
            None => BATCH_JOBS,
        };
        plan.note_the_beginning().await?;
        let started = Instant::now();
        let mut pending: VecDeque<JobId> = VecDeque::new();
        let mut is_read = false;
        loop {
            let at_most = step.min(plan.step_of_rate());
            if pending.len() < at_most && !is_read {
                match walk.page().await? {
                    None => is_read = true,
                    Some(jobs) => {
                        for job in jobs {
                            tally.first_at = tally.first_at.or(Some(died_at(&job)));
                            tally.last_at = Some(died_at(&job));
                            pending.push_back(job.id);
                        }
                    }
                }
                (tally.read, tally.unreadable) = (walk.read, walk.unreadable);
            } else if pending.is_empty() {
                plan.note_the_end(&tally).await?;
                return Ok(tally);
            } else {
                plan.keep_the_rate(started, tally.matching).await;
                let ids: Vec<JobId> = pending.drain(..at_most.min(pending.len())).collect();
                plan.step(&ids, &mut tally).await?;
                step = (step * 2).min(BATCH_JOBS);
                if let Some(sample) = &mut sample {
                    let failing = sample.are_failing(&plan.letters.queue, &ids).await?;
                    (tally.looked_at, tally.failed_again) = (sample.looked_at, sample.failed);
                    let is_over = is_read && pending.is_empty();
                    tally.stopped = (failing && !is_over).then_some(Stopped::Failing);
                }
            }
            if tell(&mut told, &tally).is_break() && tally.stopped.is_none() {
                tally.stopped = Some(Stopped::Asked);
            }
            if tally.stopped.is_some() {
                plan.note_the_end(&tally).await?;
                return Ok(tally);
            }
        }
    }
}

/// Whether it is to go on.
fn tell(told: &mut Option<Told>, tally: &DeadTally) -> ControlFlow<()> {
    let told = told.as_mut();
    told.map_or(ControlFlow::Continue(()), |told| told(tally))
}

impl Plan {
    fn check(&self) -> Result<(), Error> {
        if self.per_second == Some(0) {
            return Err(Error::invalid(
                "a replay of 0 jobs in a second never ends; at least 1 is allowed",
            ));
        }
        match self.stop_if_failing {
            Some(part) if !(0.0..=1.0).contains(&part) => Err(Error::invalid(format!(
                "`stop_if_failing({part})`: a part is between 0 and 1; 0.2 is a fifth"
            ))),
            _ => Ok(()),
        }
    }

    fn action(&self) -> &'static str {
        match self.action {
            Action::Replay => "replay",
            Action::Remove => "remove",
        }
    }

    fn target(&self) -> String {
        format!("dead letters: {}", self.letters.filter)
    }

    async fn note_the_beginning(&self) -> Result<(), Error> {
        let queue = &self.letters.queue.inner;
        match self.is_dry {
            true => Ok(()),
            false => queue.began(self.action(), self.target()).await,
        }
    }

    async fn note_the_end(&self, tally: &DeadTally) -> Result<(), Error> {
        let queue = &self.letters.queue.inner;
        match self.is_dry {
            true => Ok(()),
            false => queue.ended(self.action(), self.target(), tally.done).await,
        }
    }

    fn step_of_rate(&self) -> usize {
        let of_rate = |rate: u32| (rate as usize / 4).clamp(1, BATCH_JOBS);
        self.per_second.map_or(BATCH_JOBS, of_rate)
    }

    /// Waits until so many jobs may have been changed.
    async fn keep_the_rate(&self, started: Instant, changed: u64) {
        let Some(rate) = self.per_second.filter(|_| !self.is_dry) else {
            return;
        };
        let due = Duration::from_secs_f64(changed as f64 / f64::from(rate));
        let wait = due.saturating_sub(started.elapsed());
        if !wait.is_zero() {
            runtime::run(async move { sleep(wait).await }).await;
        }
    }

    async fn step(&self, ids: &[JobId], tally: &mut DeadTally) -> Result<(), Error> {
        let asked = ids.len() as u64;
        tally.matching += asked;
        if self.is_dry {
            return Ok(());
        }
        let queue = &self.letters.queue.inner;
        let (done, duplicates) = match self.action {
            Action::Replay => {
                let answer = queue.call(&Replay { ids }).await?;
                let duplicates = answer.others.iter().filter(|(_, why)| why == DUPLICATE);
                (answer.replayed.len(), duplicates.count())
            }
            Action::Remove => {
                let only_in = Some(State::Dead.as_str());
                let answer = queue
                    .call(&Remove {
                        ids,
                        only_in,
                        seen: None,
                    })
                    .await?;
                queue.relay_if(answer.has_sent);
                (answer.removed.len(), 0)
            }
        };
        tally.done += done as u64;
        tally.duplicates += duplicates as u64;
        tally.gone += asked.saturating_sub((done + duplicates) as u64);
        Ok(())
    }
}

impl DeadTally {
    fn begun(walk: &Walk) -> Self {
        Self {
            began_at: walk.began_at,
            dead: walk.dead,
            read: 0,
            unreadable: 0,
            matching: 0,
            done: 0,
            duplicates: 0,
            gone: 0,
            first_at: None,
            last_at: None,
            looked_at: 0,
            failed_again: 0,
            stopped: None,
        }
    }
}
