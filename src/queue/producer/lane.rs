//! One call after the other, each of them repeated until it is known what became of it.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, warn};

use super::ABANDON_AFTER;
use super::submission::{Fate, Given};
use crate::id::incarnation;
use crate::name::QueueName;
use crate::policy::pauses::Pauses;
use crate::redis::trouble::{Refusal, Trouble};
use crate::store::backend::Line;
use crate::store::enqueue::{Enqueue, Enqueued, NewJob, Novelty};

/// Before a call is repeated.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(10), Duration::from_secs(1));

/// How a call tells the one after it, on another lane, how it gets on. Dropped when it is over.
pub(super) type Course = watch::Sender<Progress>;
/// The course of the call before.
pub(super) type Before = watch::Receiver<Progress>;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Progress {
    /// It is to be sent, for the first time or again.
    Waiting,
    /// It went through this connection: what goes through the same one now comes after it.
    Sent(u64),
}

/// A sender of numbered calls, one at a time.
pub(super) struct Lane {
    queue: QueueName,
    line: Line,
    id: String,
    call: u64,
}

impl Lane {
    pub(super) fn new(queue: &QueueName, line: &Line) -> Self {
        Self {
            queue: queue.clone(),
            line: line.clone(),
            id: incarnation(),
            call: 0,
        }
    }

    /// Sends one batch until its fate is known. It comes after the call `before` it: if that one
    /// did not go through the same connection, it waits until that one is over.
    pub(super) async fn commit(
        &mut self,
        mut batch: Vec<Given>,
        course: Course,
        mut before: Option<Before>,
    ) {
        self.call += 1;
        let mut sent_at = None;
        let mut pauses = PAUSES;
        loop {
            let may_have_run = sent_at.is_some();
            let answer = self.send(&mut batch, may_have_run, &course, &mut before);
            let trouble = match answer.await {
                Ok(None) => return,
                Ok(Some(Enqueued::Added { there, replaced })) => {
                    // Of a repeated call what is there may be its own.
                    let new = !may_have_run && is_new(&batch);
                    if replaced > 0 || new && !there.is_empty() {
                        error!(
                            queue = %self.queue,
                            refused = there.len(),
                            replaced,
                            "ids that were made for jobs are those of other jobs; what was replaced \
                             is lost"
                        );
                    }
                    return share_out(&batch, &there, new);
                }
                Ok(Some(Enqueued::Superseded)) => {
                    let why = format!("lane {} was used by another call", self.id);
                    return self.give_up(&batch, &why);
                }
                Err(trouble) => trouble,
            };
            match &trouble {
                Trouble::Garbled(why) => return self.give_up(&batch, why),
                Trouble::Refused(Refusal::NoWrites | Refusal::NotAllowed, _) if !may_have_run => {
                    return refuse(&batch, &trouble);
                }
                _ if trouble.may_have_run() => _ = sent_at.get_or_insert_with(Instant::now),
                _ => {}
            }
            match sent_at {
                Some(at) if at.elapsed() > ABANDON_AFTER => {
                    return self.give_up(&batch, "no answer for half an hour");
                }
                Some(_) => {}
                None => batch.iter().for_each(|submission| submission.call_back()),
            }
            warn!(queue = %self.queue, submissions = batch.len(), %trouble, "enqueueing is held up");
            course.send_replace(Progress::Waiting);
            sleep(pauses.next(fastrand::f64())).await;
        }
    }

    /// One try. `None`: everything was withdrawn before it.
    async fn send(
        &mut self,
        batch: &mut Vec<Given>,
        may_have_run: bool,
        course: &Course,
        before: &mut Option<Before>,
    ) -> Result<Option<Enqueued>, Trouble> {
        if !may_have_run {
            batch.retain(|submission| !submission.is_withdrawn());
            if batch.is_empty() {
                return Ok(None);
            }
        }
        // As long as there is no connection, a submission can still be withdrawn.
        let connection = self.connect_behind(before).await?;
        if !may_have_run {
            batch.retain(|submission| submission.begin());
            if batch.is_empty() {
                return Ok(None);
            }
        }
        course.send_replace(Progress::Sent(connection));
        let jobs: Vec<&NewJob> = batch.iter().flat_map(|given| &given.jobs).collect();
        let verb = Enqueue {
            lane: &self.id,
            call: self.call,
            jobs: &jobs,
            novelty: match !may_have_run && is_new(batch) {
                true => Novelty::New,
                false => Novelty::Unsure,
            },
        };
        self.line.call(&verb).await.map(Some)
    }

    /// The connection through which what is sent at once comes after the call `before` it.
    async fn connect_behind(&mut self, before: &mut Option<Before>) -> Result<u64, Trouble> {
        loop {
            let connection = self.line.connect().await?;
            let Some(earlier) = before else {
                return Ok(connection);
            };
            if *earlier.borrow() == Progress::Sent(connection) {
                return Ok(connection);
            }
            while earlier.changed().await.is_ok() {}
            *before = None;
        }
    }

    /// Puts the queue on the list of queues.
    pub(super) async fn register(&mut self) -> Result<(), Trouble> {
        self.line.register().await
    }

    /// Leaves the lane behind, so that a late repeat of this call can do no harm.
    fn give_up(&mut self, batch: &[Given], why: &str) {
        self.id = incarnation();
        self.call = 0;
        for submission in batch {
            let why = why.to_owned();
            submission.decide(Fate::Unknowable { why });
        }
    }
}

fn refuse(batch: &[Given], trouble: &Trouble) {
    for submission in batch {
        submission.decide(Fate::NotAdded {
            why: trouble.to_string(),
        });
    }
}

/// Whether each id was made for its job, and never sent.
fn is_new(batch: &[Given]) -> bool {
    batch.iter().all(|given| given.novelty == Novelty::New)
}

/// Gives each submission its part of the answer. `there` is in ascending order; if all ids were new,
/// it is what clashed.
fn share_out(batch: &[Given], there: &[usize], new: bool) {
    let mut start = 0;
    let mut there = there.iter().copied().peekable();
    for submission in batch {
        let end = start + submission.jobs.len();
        let mut mine = Vec::new();
        while let Some(position) = there.next_if(|position| *position < end) {
            mine.push(position - start);
        }
        submission.decide(match new && !mine.is_empty() {
            true => Fate::Clashed { positions: mine },
            false => Fate::Added { there: mine },
        });
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::super::submission::Submission;
    use super::super::submission::tests::job;
    use super::*;

    #[test]
    fn answers_are_shared_out_by_position() {
        let batch =
            [3, 1, 2].map(|n| Submission::new((0..n).map(|_| job(1)).collect(), Novelty::New));
        share_out(&batch.each_ref().map(Given::new), &[0, 2, 3, 5], false);
        let there = batch.map(|s| match s.fate() {
            Some(Fate::Added { there }) => there.clone(),
            other => unreachable!("{other:?}"),
        });
        assert_eq!(there, [vec![0, 2], vec![0], vec![1]]);
    }
}
