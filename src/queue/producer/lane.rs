//! One call after the other, each of them repeated until it is known what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, warn};

use super::ABANDON_AFTER;
use super::inbox::Inbox;
use super::submission::{Fate, Given};
use crate::id::incarnation;
use crate::name::QueueName;
use crate::policy::pace::Pace;
use crate::policy::pauses::Pauses;
use crate::policy::silence::Silence;
use crate::redis::trouble::{Refusal, Trouble};
use crate::store::BATCH_BYTES;
use crate::store::backend::Line;
use crate::store::enqueue::{Enqueue, Enqueued, NewJob, Novelty};

/// Before a call is repeated.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(10), Duration::from_secs(1));
/// A call of fewer bytes is not what a server or a proxy refuses: if its connection is cut, the
/// network is to blame.
const LARGE: usize = 32 * 1024;
/// After so many cuts of a large call it is asked whether it ran.
const CUTS: u32 = 3;

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
    /// Where callers learn what holds up their submissions.
    inbox: Arc<Inbox>,
    id: String,
    call: u64,
    pace: Pace,
    /// A call was the first one that added anything: the queue may not be on the list of queues.
    is_unlisted: bool,
    silence: Silence,
}

impl Lane {
    pub(super) fn new(queue: &QueueName, line: &Line, inbox: &Arc<Inbox>) -> Self {
        Self {
            queue: queue.clone(),
            line: line.clone(),
            inbox: Arc::clone(inbox),
            id: incarnation(),
            call: 0,
            pace: Pace::confident(BATCH_BYTES),
            is_unlisted: false,
            silence: Silence::default(),
        }
    }

    /// How many bytes the next call may carry.
    pub(super) fn bytes(&self) -> usize {
        self.pace.bytes()
    }

    /// Sends one batch until its fate is known. It comes after the call `before` it: if that one
    /// did not go through the same connection, it waits until that one is over.
    ///
    /// A call that is refused each time is divided into two, and so on: the culprit is given up, the others
    /// pass. No later call is sent before all of these are over.
    pub(super) async fn commit(
        &mut self,
        batch: Vec<Given>,
        course: Course,
        mut before: Option<Before>,
    ) {
        let mut course = Some(&course);
        let mut parts = vec![batch];
        while let Some(batch) = parts.pop() {
            let refused = self.commit_part(batch, course, &mut before).await;
            self.inbox.held_up_by(None);
            let Some((mut first, why)) = refused else {
                continue;
            };
            if let Some(course) = course.take() {
                course.send_replace(Progress::Waiting);
            }
            if let [culprit] = &first[..] {
                let bytes = culprit.bytes;
                warn!(queue = %self.queue, bytes, why, "enqueueing is refused each time, and given up");
                let why = format!("its {bytes} bytes are refused each time: {why}");
                culprit.decide(Fate::NotTaken { why });
                continue;
            }
            let second = first.split_off(first.len().div_ceil(2));
            parts.extend([second, first]);
        }
    }

    /// Repeats one call until its fate is known. Or gives the batch back, with the reason, if the call
    /// did not run, and never will with these bytes.
    async fn commit_part(
        &mut self,
        mut batch: Vec<Given>,
        course: Option<&Course>,
        before: &mut Option<Before>,
    ) -> Option<(Vec<Given>, String)> {
        self.call += 1;
        let bytes: usize = batch.iter().map(|given| given.bytes).sum();
        let mut sent_at = None;
        let (mut pauses, mut cuts, mut why) = (PAUSES, 0, String::new());
        let mut woke_up = false;
        loop {
            let may_have_run = sent_at.is_some();
            let answer = self.send(&mut batch, may_have_run, course, before);
            let trouble = match answer.await {
                Ok(None) => return None,
                // The answer to the question below was lost.
                Ok(Some(Enqueued::Asked)) => return Some((called_back(batch), why)),
                Ok(Some(answer)) => {
                    self.told(&batch, answer, may_have_run);
                    return None;
                }
                Err(trouble) => trouble,
            };
            match &trouble {
                // A script that was stopped in its middle may have added some: it is not known which.
                Trouble::Garbled(_) | Trouble::Stopped(..) => {
                    self.give_up(&batch, &trouble.to_string());
                    return None;
                }
                Trouble::Refused(refusal, _) if !may_have_run && is_final(*refusal) => {
                    refuse(&batch, &trouble);
                    return None;
                }
                _ if trouble.may_have_run() => _ = sent_at.get_or_insert_with(Instant::now),
                _ => {}
            }
            // The connection was closed in its sleep: at once, but behind the call before it.
            if trouble.was_idle() && !woke_up {
                woke_up = true;
                batch = match sent_at {
                    Some(_) => batch,
                    None => called_back(batch),
                };
                if let Some(course) = course {
                    course.send_replace(Progress::Waiting);
                }
                continue;
            }
            self.inbox.held_up_by(Some(trouble.clone()));
            why = trouble.to_string();
            let is_unread = matches!(trouble, Trouble::Refused(Refusal::Unread, _));
            cuts += u32::from(trouble.is_cut() && bytes >= LARGE);
            if trouble.may_have_run() && (cuts > 1 || !trouble.is_cut()) {
                self.pace.unanswered(bytes);
            }
            if is_unread || (trouble.is_cut() && cuts >= CUTS) {
                let ran = match sent_at {
                    Some(_) => self.ran().await,
                    None => Ok(None),
                };
                match ran {
                    Ok(Some(answer)) => {
                        self.told(&batch, answer, true);
                        return None;
                    }
                    Ok(None) => return Some((called_back(batch), why)),
                    // It is asked again: the question has left a mark if it got through.
                    Err(_) => {}
                }
            }
            match sent_at {
                Some(at) if at.elapsed() > ABANDON_AFTER => {
                    self.give_up(&batch, "no answer for half an hour");
                    return None;
                }
                Some(_) => {}
                None => batch.iter().for_each(|submission| submission.call_back()),
            }
            if self.silence.goes_on(Instant::now()).log {
                warn!(queue = %self.queue, submissions = batch.len(), %trouble, "enqueueing is held up");
            }
            if let Some(course) = course {
                course.send_replace(Progress::Waiting);
            }
            sleep(pauses.next(fastrand::f64())).await;
        }
    }

    /// A call was answered. If it may have run before, the ids that were already there may be its own.
    fn told(&mut self, batch: &[Given], answer: Enqueued, may_have_run: bool) {
        self.silence.ends();
        match answer {
            Enqueued::Added {
                there,
                replaced,
                is_first,
            } => {
                // The answer that said so may have been lost.
                self.is_unlisted |= is_first || may_have_run;
                let new = !may_have_run && is_new(batch);
                if replaced > 0 || new && !there.is_empty() {
                    error!(
                        queue = %self.queue,
                        refused = there.len(),
                        replaced,
                        "ids that were made for jobs are those of other jobs; what was replaced is lost"
                    );
                }
                share_out(batch, &there, new);
            }
            Enqueued::Asked => unreachable!("a batch that did not run is sent in parts"),
            Enqueued::Superseded => {
                let why = format!("lane {} was used by another call", self.id);
                self.give_up(batch, &why);
            }
        }
    }

    /// What the call under the last number was answered, if it ran. Else it never will: the question
    /// takes its number.
    async fn ran(&mut self) -> Result<Option<Enqueued>, Trouble> {
        let question = Enqueue {
            lane: &self.id,
            call: self.call,
            jobs: &[],
            novelty: Novelty::New,
        };
        Ok(match self.line.call(&question).await? {
            Enqueued::Asked => None,
            answer => Some(answer),
        })
    }

    /// One try. `None`: everything was withdrawn before it.
    async fn send(
        &mut self,
        batch: &mut Vec<Given>,
        may_have_run: bool,
        course: Option<&Course>,
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
        if let Some(course) = course {
            course.send_replace(Progress::Sent(connection));
        }
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
        let began = Instant::now();
        // A repeat on another connection would not come after the call before.
        let answer = self.line.call_once(&verb).await;
        if answer.is_ok() {
            let bytes = batch.iter().map(|given| given.bytes).sum();
            self.pace.answered(bytes, began.elapsed());
        }
        answer.map(Some)
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

    /// Whether the queue is new, or was deleted since, by what this lane was told.
    pub(super) fn is_unlisted(&self) -> bool {
        self.is_unlisted
    }

    /// Puts the queue on the list of queues.
    pub(super) async fn register(&mut self) -> Result<(), Trouble> {
        self.is_unlisted = false;
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

/// The call certainly did not run.
fn called_back(batch: Vec<Given>) -> Vec<Given> {
    batch.iter().for_each(|submission| submission.call_back());
    batch
}

/// Whether the callers are told at once: it is not over at the next try, and no matter of its size.
fn is_final(refusal: Refusal) -> bool {
    !refusal.passes() && !matches!(refusal, Refusal::Unread | Refusal::UnknownScript)
}

fn refuse(batch: &[Given], trouble: &Trouble) {
    for submission in batch {
        submission.decide(Fate::NotAdded {
            refused: trouble.clone(),
        });
    }
}

/// Whether each id was made for its job, and never sent.
fn is_new(batch: &[Given]) -> bool {
    batch.iter().all(|given| given.novelty == Novelty::New)
}

/// Gives each submission its part of the answer. `there` is in ascending order. If all ids are `new`,
/// those that were there clashed.
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
