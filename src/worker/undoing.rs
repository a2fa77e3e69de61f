//! After the handler of a saga has ended: if the saga cannot be finished, its steps are undone.
//!
//! Everything here may be the last thing that the process does. What was stored before stays, and the next attempt comes here again: its handler runs
//! through the stored steps, so that the undos are known, and is refused any further step.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};
use crate::job::failure::{Failure, Verdict};
use crate::job::history::{AttemptEntry, AttemptKind, cut};
use crate::job::outcome::{DeadReason, Outcome};
use crate::policy::steps::StepKind;
use crate::queue::saga::reason_in;
use crate::service::lease::Lease;
use crate::store::undo::{Undo, Undoing};
use crate::worker::context::Context;
use crate::worker::decide::{Happened, hold_within_bounds, panicked, snoozed_for};
use crate::worker::handler::Failed;
use crate::worker::inner::WorkerInner;
use crate::worker::saga::{Course, Reached};
use crate::worker::steps::{Known, Store};
use crate::worker::terms::Terms;

/// An attempt of a saga whose handler has ended.
struct Ended<'a> {
    worker: &'a WorkerInner,
    terms: &'a Terms,
    lease: &'a Lease,
    context: &'a Context,
    course: &'a Course,
    store: Store,
    /// The time limit of the job, for each undo.
    limit: Option<Duration>,
}

/// What becomes of the attempt, given how its handler ended. Of a job that is no saga it stays as it is.
pub(crate) async fn conclude(
    worker: &WorkerInner,
    terms: &Terms,
    lease: &Lease,
    limit: Option<Duration>,
    context: &Context,
    happened: Happened,
) -> Happened {
    let Some(course) = context.inner.saga.get() else {
        return happened;
    };
    let ended = Ended {
        worker,
        terms,
        lease,
        context,
        course,
        store: context.step_store(),
        limit,
    };
    let outcome = terms.decide(worker, lease, happened);
    Happened::Decided(Box::new(ended.conclude(outcome).await))
}

impl Ended<'_> {
    async fn conclude(&self, outcome: Outcome) -> Outcome {
        match &outcome {
            Outcome::Completed(_) if !self.course.has_refused() => return outcome,
            Outcome::Completed(_)
            | Outcome::Retry { .. }
            | Outcome::Dead { .. }
            | Outcome::Cancelled(_) => {}
            _ => return outcome,
        }
        // The handler may have ended before its first step: then nothing was read.
        let known = match self.store.known(self.context.steps()).await {
            Ok(known) => known,
            Err(error) => return self.without_an_answer(&error),
        };
        let undoing = known.undoing();
        let is_saga = known.is_saga() || self.course.has_begun();
        let why = match &outcome {
            // The handler has caught the error of a step that was refused.
            Outcome::Completed(_) => "a step was refused".to_owned(),
            Outcome::Dead { entry, .. } if is_saga => entry.error.clone(),
            Outcome::Cancelled(reason) if is_saga => reason.clone(),
            Outcome::Retry { entry, .. } if undoing.is_some() => entry.error.clone(),
            _ => return outcome,
        };
        let goes_forward = undoing.is_none();
        let why = match undoing {
            Some(why) => why,
            None => match self.begin(why).await {
                Ok(why) => why,
                Err(outcome) => return outcome,
            },
        };
        let failed = if goes_forward {
            0
        } else {
            self.terms.counters.failed
        };
        match self.undo_all(failed, &outcome).await {
            Ok(()) => Outcome::Compensated(cut(why)),
            Err(outcome) => outcome,
        }
    }

    /// From here on the saga is to be undone, whoever runs it. Returns why: somebody else may have asked for it before.
    async fn begin(&self, reason: String) -> Result<String, Outcome> {
        let verb = Undo {
            id: &self.lease.id,
            receipt: &self.lease.receipt,
            reason: &cut(reason),
        };
        match self.store.lasting(&verb).await {
            Ok(Undoing::LeaseLost) => {
                self.lease.lose(Instant::now());
                Err(Outcome::LeaseLost)
            }
            Ok(Undoing::Because(why)) => Ok(reason_in(&why)),
            Err(error) => Err(self.without_an_answer(&error)),
        }
    }

    /// `failed`: how many attempts to undo have failed by now. `outcome`: how the handler ended.
    async fn undo_all(&self, mut failed: u32, outcome: &Outcome) -> Result<(), Outcome> {
        // This attempt may have stored the first of them itself.
        let store = Store {
            has_stored: true,
            ..self.store.clone()
        };
        let known = match store.read().await {
            Ok(known) => known,
            Err(error) => return Err(self.without_an_answer(&error)),
        };
        if let Some(why) = self.unreached(&known) {
            let error = match outcome.error() {
                Some(entry) => format!("{why}: {}", entry.error),
                None => why,
            };
            return Err(self.again(AttemptKind::Error, error, None, failed));
        }
        self.course.begin_undos();
        // An undo is told to stop when its worker stops, and not because the job was cancelled.
        let context = Context {
            ends: Some(self.lease.stop.child_token()),
            ..self.context.clone()
        };
        for (number, step) in self.course.in_reverse() {
            let is_done = known.kind(number) == Some(StepKind::Done);
            let Some(undo) = step.undo.as_ref().filter(|_| is_done) else {
                continue;
            };
            let undoing = undo.start(step.value.clone(), context.clone());
            match self.run(undoing).await {
                Happened::Returned(Ok(_)) => self.undone(number, &step, failed).await?,
                other => return Err(self.not_undone(other, &step.name, failed)),
            }
            failed = 0;
        }
        Ok(())
    }

    /// What the handler did not come to in this attempt, so that it is not known what there is to undo.
    fn unreached(&self, known: &Known) -> Option<String> {
        for (number, step) in known.steps() {
            let name = &step.name;
            let now = self.context.steps().name(number);
            let why = match step.kind {
                StepKind::Begun => format!(
                    "whether step `{name}` took effect is not known, and it has not come to its end now"
                ),
                StepKind::Done if now.as_ref().is_some_and(|now| now != name) => format!(
                    "step `{name}` is to be undone, and the handler calls another step in its place"
                ),
                StepKind::Done if now.is_none() || self.course.has_left(number) => {
                    format!("step `{name}` is to be undone, and the handler has not come to it now")
                }
                _ => continue,
            };
            return Some(why);
        }
        None
    }

    /// Runs the application's undo, which may panic, or never end.
    async fn run(&self, undoing: impl Future<Output = Result<(), Failure>>) -> Happened {
        let within = async {
            let undoing = async { undoing.await.map_err(Failed::from) };
            match self.limit {
                None => Happened::Returned(undoing.await.map(|()| Ok(Vec::new()))),
                Some(limit) => match timeout(limit, undoing).await {
                    Ok(ended) => Happened::Returned(ended.map(|()| Ok(Vec::new()))),
                    Err(_) => Happened::TimedOut(limit),
                },
            }
        };
        let running = async {
            tokio::select! {
                biased;
                happened = within => happened,
                () = self.lease.stop.cancelled() => Happened::Stopped,
            }
        };
        let running = AssertUnwindSafe(running).catch_unwind().await;
        running.unwrap_or_else(panicked)
    }

    async fn undone(&self, number: u32, step: &Reached, failed: u32) -> Result<(), Outcome> {
        let call = self.context.call(&self.store, number, &step.name);
        let undone = StepKind::Undone;
        match call.store(undone, None, &step.value, &[undone]).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::LeaseLost => Err(Outcome::LeaseLost),
            Err(error) => Err(self.again(AttemptKind::Error, error.to_string(), None, failed)),
        }
    }

    fn not_undone(&self, happened: Happened, name: &str, failed: u32) -> Outcome {
        let about = |error: &str| format!("undoing `{name}`: {error}");
        match happened {
            Happened::Returned(Err(failure)) => {
                let error = about(&failure.error);
                match failure.verdict {
                    Verdict::Snooze(wait) => {
                        stuck(self.terms.snoozed(self.worker, self.lease, wait))
                    }
                    Verdict::NotYet(wait) => Outcome::Snoozed {
                        after: snoozed_for(wait),
                    },
                    Verdict::RateLimited(wait) => Outcome::RateLimited {
                        after: hold_within_bounds(wait),
                    },
                    Verdict::Dead | Verdict::Cancel => Outcome::Dead {
                        reason: DeadReason::Stuck,
                        entry: AttemptEntry::new(AttemptKind::Error, error),
                    },
                    // Its worker stops: that is no failure of the undo.
                    Verdict::Retry | Verdict::RetryAfter(_) if self.is_told_to_stop() => {
                        Outcome::Released
                    }
                    Verdict::RetryAfter(wait) => {
                        self.again(AttemptKind::Error, error, Some(wait), failed)
                    }
                    Verdict::Retry => self.again(AttemptKind::Error, error, None, failed),
                }
            }
            Happened::Panicked(message) => {
                self.again(AttemptKind::Panic, about(&message), None, failed)
            }
            Happened::TimedOut(limit) => {
                let error = about(&format!("took longer than the time limit of {limit:?}"));
                self.again(AttemptKind::Timeout, error, None, failed)
            }
            _ if self.lease.is_lost() => Outcome::LeaseLost,
            _ => Outcome::Released,
        }
    }

    /// It is tried again, if attempts are left; otherwise the saga is stuck.
    fn again(
        &self,
        kind: AttemptKind,
        error: String,
        wait: Option<Duration>,
        failed: u32,
    ) -> Outcome {
        let entry = AttemptEntry::new(kind, error);
        stuck(
            self.terms
                .failed(self.worker, self.lease, entry, wait, failed),
        )
    }

    fn is_told_to_stop(&self) -> bool {
        self.lease.cancel.is_cancelled() && self.lease.cancel_reason().is_none()
    }

    /// Redis did not answer for as long as the attempt had the job, or what is stored cannot be read.
    fn without_an_answer(&self, error: &Error) -> Outcome {
        match error.kind() {
            ErrorKind::LeaseLost => Outcome::LeaseLost,
            _ if self.lease.is_lost() => Outcome::LeaseLost,
            _ => self.again(
                AttemptKind::Error,
                error.to_string(),
                None,
                self.terms.counters.failed,
            ),
        }
    }
}

/// A saga that is dead while it is undone is stuck.
fn stuck(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Dead { entry, .. } => Outcome::Dead {
            reason: DeadReason::Stuck,
            entry,
        },
        other => other,
    }
}
