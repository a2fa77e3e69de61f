//! The same change of many jobs, in bounded steps.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::error::Error;
use crate::id::JobId;
use crate::job::history::cut;
use crate::job::state::State;
use crate::queue::Queue;
use crate::queue::admin::Changed;
use crate::queue::jobs::{JobCursor, Jobs};
use crate::store::BATCH_JOBS;
use crate::store::cancel::Cancel;
use crate::store::remove::Remove;
use crate::store::replay::Replay;

/// Calls under way at a time, where a call changes one job.
const AT_A_TIME: usize = 32;

/// What is done to each job.
#[derive(Debug, Clone)]
enum Change {
    /// If it is in this state.
    Remove(Option<State>),
    /// No sweep does it: [`DeadLetters`](crate::DeadLetters) replay all that pass a filter.
    Replay,
    /// For this reason.
    Cancel(String),
    Promote,
    /// To this queue.
    Move(Queue),
}

impl Change {
    /// What the audit calls it.
    fn action(&self) -> &'static str {
        match self {
            Self::Remove(_) => "remove",
            Self::Replay => "replay",
            Self::Cancel(_) => "cancel",
            Self::Promote => "promote",
            Self::Move(_) => "move",
        }
    }
}

/// A change of all jobs of a request, of any number, in steps of up to 256 jobs ([`Jobs::remove_all`] and its like). Awaited, it does all
/// of them; [`step`](Self::step) does one step, so the caller can show how far it is and stop between two steps.
///
/// ```no_run
/// # use oxcart::*;
/// # use std::time::Duration;
/// # async fn example(mail: Queue, wants_to_stop: fn() -> bool) -> Result<(), Error> {
/// let week = Duration::from_secs(7 * 24 * 3_600);
/// let removed = mail.jobs(JobState::Dead).older_than(week).remove_all().await?;
/// println!("{} jobs removed", removed.done);
///
/// let mut promote = mail.jobs(JobState::Delayed).named("mail").promote_all();
/// while let Some(so_far) = promote.step().await? {
///     println!("{} of {} jobs promoted", so_far.done, so_far.seen());
///     if wants_to_stop() {
///         break; // go on later: `.after(cursor)` with the cursor in `so_far.next`
///     }
/// }
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// If Redis does not answer; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if jobs in that state cannot be changed so. What is done by then
/// stays done ([`so_far`](Self::so_far)), and a further call of [`step`](Self::step) repeats the step that failed, which is harmless.
///
/// # Cancel safety
///
/// A step that is dropped may or may not be carried out; repeating it is harmless.
#[must_use = "nothing is changed until it is awaited"]
pub struct Sweep {
    jobs: Jobs,
    change: Change,
    /// The audit has it that this began.
    is_noted: bool,
    so_far: Swept,
    /// The next step looks at the last page once more.
    looks_again: bool,
    is_over: bool,
}

/// What became of the jobs of a [`Sweep`] so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Jobs that were changed.
    pub done: u64,
    /// Jobs that run, and were asked to end.
    pub requested: u64,
    /// Jobs that were left alone: they had moved to another state, had gone, or wait for their unique key.
    pub left_alone: u64,
    /// Where the next step begins; `None` for the beginning, or if all is done ([`Sweep::is_over`]).
    pub next: Option<JobCursor>,
}

impl Swept {
    /// Jobs that were looked at.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.done + self.requested + self.left_alone
    }

    fn count(&mut self, changed: Changed) {
        match changed {
            Changed::Done => self.done += 1,
            Changed::Requested => self.requested += 1,
            _ => self.left_alone += 1,
        }
    }
}

impl Jobs {
    /// Removes all of them, with all that is known of them; of jobs that were claimed or replayed meanwhile, none. To drain a queue, remove
    /// its [`Blocked`](State::Blocked) jobs, which would get in line later, then the [`Delayed`](State::Delayed) ones if these are to go, too, and
    /// then the [`Waiting`](State::Waiting) ones.
    pub fn remove_all(self) -> Sweep {
        let state = self.state;
        Sweep::new(self, Change::Remove(Some(state)))
    }

    /// Cancels all of them, for this reason ([`Queue::cancel`]): those that run are asked to end.
    pub fn cancel_all(self, reason: impl Into<String>) -> Sweep {
        Sweep::new(self, Change::Cancel(cut(reason.into())))
    }

    /// Moves all of them to another queue of the same server; they must wait, be [blocked](State::Blocked), delayed or dead.
    ///
    /// Each job is stored there first, under its id, and then removed here. It keeps its payload byte by byte, its attempts and what went
    /// wrong with them, its priority, headers and options, when it is due, was enqueued and expires, its unique key, group and order. It gets
    /// in line there behind the jobs of its priority, those that come first here before the others. Its log stays behind, and callers
    /// that wait for its result here are told that it is gone.
    ///
    /// Left alone, before anything is written, is a job that cannot be there as it is here: another job has its id or its unique
    /// key there; its key is taken for a time ([`Unique::for_time`](crate::Unique::for_time)); it waits although a worker died on it; a newer
    /// version wrote it.
    ///
    /// If the program dies between the two steps, the last jobs (up to 32) are in both queues, and may run in both; the same call again
    /// ends the move of those that still wait in both. A job that a worker takes here meanwhile stays here, and is taken back there,
    /// unless it has started there as well. So pause the queue first ([`Queue::pause`]) if a job is not to run twice, and if jobs
    /// with an [order](crate::Order) are to keep it. To move such jobs and jobs of groups, move those that wait: the blocked ones follow one after
    /// the other in the same sweep.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(mail: Queue, bulk: Queue) -> Result<(), Error> {
    /// let moved = mail.jobs(JobState::Waiting).named("newsletter").move_all_to(&bulk).await?;
    /// println!("{} moved, {} left alone", moved.done, moved.left_alone);
    /// # Ok(()) }
    /// ```
    pub fn move_all_to(self, other: &Queue) -> Sweep {
        Sweep::new(self, Change::Move(other.clone()))
    }

    /// Makes all of them due now; they must be delayed.
    pub fn promote_all(self) -> Sweep {
        Sweep::new(self, Change::Promote)
    }
}

impl Sweep {
    fn new(jobs: Jobs, change: Change) -> Self {
        Self {
            jobs,
            change,
            is_noted: false,
            so_far: Swept::default(),
            looks_again: false,
            is_over: false,
        }
    }

    /// What became of the jobs so far.
    #[must_use]
    pub fn so_far(&self) -> &Swept {
        &self.so_far
    }

    /// Whether all is done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Changes up to 256 jobs more. Tells what became of all jobs so far; `None` if there was nothing left to do.
    pub async fn step(&mut self) -> Result<Option<&Swept>, Error> {
        self.check()?;
        if self.is_over {
            return Ok(None);
        }
        let (action, mut target) = (self.change.action(), self.jobs.to_string());
        if let Change::Move(other) = &self.change {
            target += &format!(" to {}", other.name());
        }
        if !self.is_noted {
            self.jobs.queue.inner.began(action, &target).await?;
            self.is_noted = true;
        }
        let page = self.jobs.page().await?;
        let unreadable = page.unreadable.iter().filter_map(|error| error.job_id());
        let ids: Vec<JobId> = page
            .jobs
            .iter()
            .map(|job| &job.id)
            .chain(unreadable)
            .cloned()
            .collect();
        let changed = self.jobs.queue.change(&self.change, &ids).await?;
        let lets_others_go = matches!(self.change, Change::Move(_))
            && self.jobs.state == State::Waiting
            && changed.contains(&Changed::Done);
        for changed in changed {
            // What is left alone was counted when it was looked at first.
            if !self.looks_again || changed.is_done() {
                self.so_far.count(changed);
            }
        }
        // What was moved was the last page, and jobs that it held back may have come behind it.
        self.looks_again = page.next.is_none() && lets_others_go;
        if !self.looks_again {
            self.jobs.after = page.next;
            self.is_over = self.jobs.after.is_none();
        }
        self.so_far.next.clone_from(&self.jobs.after);
        if self.is_over {
            let changed = self.so_far.done + self.so_far.requested;
            let queue = &self.jobs.queue.inner;
            queue.ended(action, &target, changed).await?;
        }
        Ok(Some(&self.so_far))
    }

    fn check(&self) -> Result<(), Error> {
        let state = self.jobs.state;
        let (what, possible) = match self.change {
            Change::Remove(_) => ("removed", state != State::Active),
            Change::Replay => ("replayed", state == State::Dead),
            Change::Cancel(_) => (
                "cancelled",
                matches!(
                    state,
                    State::Waiting | State::Blocked | State::Delayed | State::Active
                ),
            ),
            Change::Promote => ("promoted", state == State::Delayed),
            Change::Move(ref other) => {
                self.jobs.queue.check_that_it_is_another(other)?;
                let runs_or_ended =
                    matches!(state, State::Active | State::Completed | State::Cancelled);
                ("moved", !runs_or_ended)
            }
        };
        match possible {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "jobs that are {state} cannot be {what}"
            ))),
        }
    }
}

impl IntoFuture for Sweep {
    type Output = Result<Swept, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            while self.step().await?.is_some() {}
            Ok(self.so_far)
        })
    }
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep")
            .field("jobs", &self.jobs)
            .field("change", &self.change)
            .field("so_far", &self.so_far)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// Removes these jobs, as [`remove`](Self::remove) does, 256 a call. Answers what became of each, in their order.
    ///
    /// # Errors
    ///
    /// If Redis does not answer; some of the jobs may have been removed by then.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may be carried out in part; repeating it is harmless.
    pub async fn remove_many(&self, ids: &[JobId]) -> Result<Vec<Changed>, Error> {
        self.change_and_note(&Change::Remove(None), ids).await
    }

    /// Removes these jobs, those of them that are dead, 256 a call: a job that was replayed meanwhile is left alone. Answers what became of
    /// each, in their order. All that pass a filter: [`dead_letters`](Self::dead_letters).
    ///
    /// # Errors
    ///
    /// If Redis does not answer; some of the jobs may have been removed by then.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may be carried out in part; repeating it is harmless.
    pub async fn remove_dead(&self, ids: &[JobId]) -> Result<Vec<Changed>, Error> {
        let dead = Change::Remove(Some(State::Dead));
        self.change_and_note(&dead, ids).await
    }

    /// Moves these jobs to another queue of the same server, in this order; see [`Jobs::move_all_to`]. Answers what became of each, in
    /// their order: [`Changed::Duplicate`] if another job has its id or its unique key there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the other queue has the same name and namespace; or if Redis does not answer: some
    /// of the jobs may have been moved by then.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may be carried out in part; repeating it goes on with it.
    pub async fn move_many(&self, ids: &[JobId], other: &Self) -> Result<Vec<Changed>, Error> {
        let change = Change::Move(other.clone());
        self.change_and_note(&change, ids).await
    }

    /// Puts these dead jobs back in line in this order, as [`replay`](Self::replay) does, 256 a call. Answers what became of each, in
    /// their order.
    ///
    /// # Errors
    ///
    /// If Redis does not answer; some of the jobs may have been replayed by then.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may be carried out in part; repeating it is harmless.
    pub async fn replay_many(&self, ids: &[JobId]) -> Result<Vec<Changed>, Error> {
        self.change_and_note(&Change::Replay, ids).await
    }

    async fn change_and_note(&self, change: &Change, ids: &[JobId]) -> Result<Vec<Changed>, Error> {
        let action = change.action();
        if let [id] = ids {
            self.inner.asked(action, id).await?;
            return self.change(change, ids).await;
        }
        let target = format!("{} ids", ids.len());
        self.inner.began(action, &target).await?;
        let changed = self.change(change, ids).await?;
        let done = changed.iter().filter(|changed| changed.is_done()).count();
        self.inner.ended(action, &target, done as u64).await?;
        Ok(changed)
    }

    async fn change(&self, change: &Change, ids: &[JobId]) -> Result<Vec<Changed>, Error> {
        let mut changed = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH_JOBS) {
            changed.extend(match change {
                Change::Remove(state) => {
                    let only_in = state.map(|state| state.as_str());
                    let answer = self
                        .inner
                        .call(&Remove {
                            ids,
                            only_in,
                            seen: None,
                        })
                        .await?;
                    self.inner.relay_if(answer.has_sent);
                    let mut told = Told::of(&answer.removed, &answer.others)?;
                    told.add(&answer.active, Changed::InState(State::Active));
                    told.in_order(ids)
                }
                Change::Replay => {
                    let answer = self.inner.call(&Replay { ids }).await?;
                    Told::of(&answer.replayed, &answer.others)?.in_order(ids)
                }
                Change::Cancel(reason) => {
                    let answer = self.inner.call(&Cancel { ids, reason }).await?;
                    self.inner.relay_if(answer.has_sent);
                    let mut told = Told::of(&answer.cancelled, &answer.others)?;
                    told.add(&answer.running, Changed::Requested);
                    told.in_order(ids)
                }
                Change::Move(other) => self.move_some(ids, other).await?,
                Change::Promote => {
                    let call = |id| self.edit(id).now().unnoted();
                    let calls: Vec<_> = ids.iter().map(call).collect();
                    let calls = stream::iter(calls).buffered(AT_A_TIME);
                    calls.try_collect::<Vec<_>>().await?
                }
            });
        }
        Ok(changed)
    }
}

/// What became of each job of a call. A job that is not among them was not found.
struct Told<'a>(HashMap<&'a str, Changed>);

impl<'a> Told<'a> {
    fn of(done: &'a [String], others: &'a [(String, String)]) -> Result<Self, Error> {
        let mut told = Self(HashMap::new());
        told.add(done, Changed::Done);
        for other in others {
            let state = Changed::of(&[], std::slice::from_ref(other))?;
            told.0.entry(&other.0).or_insert(state);
        }
        Ok(told)
    }

    fn add(&mut self, ids: &'a [String], changed: Changed) {
        self.0.extend(ids.iter().map(|id| (id.as_str(), changed)));
    }

    fn in_order(self, ids: &[JobId]) -> Vec<Changed> {
        let of = |id: &JobId| self.0.get(id.as_str()).copied();
        let changed = ids.iter().map(|id| of(id).unwrap_or(Changed::NotFound));
        changed.collect()
    }
}
