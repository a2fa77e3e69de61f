//! Sends batches, one after the other, and tells the callers what became of them, or holds that back until it is confirmed.

use std::sync::Arc;

use tracing::{error, warn};

use super::batch::{Added, Batch, Before, Course};
use super::inbox::Inbox;
use super::submission::{Fate, Given};
use crate::metrics;
use crate::name::QueueName;
use crate::policy::pace::Pace;
use crate::policy::silence::Silence;
use crate::store::BATCH_BYTES;
use crate::store::backend::{Became, Connection, Lane, Trouble};
use crate::store::enqueue::{Met, There};

/// One lane of a producer, which sends one batch at a time.
pub(super) struct Sender {
    queue: QueueName,
    inbox: Arc<Inbox>,
    lane: Lane,
    /// A call was the first that added a job: the queue may not be on the list of queues.
    is_unlisted: bool,
    silence: Silence,
    /// What was added, where callers are told only once it is confirmed.
    held: Option<Held>,
}

/// Submissions whose jobs are there, and whose callers are not told yet.
#[derive(Default)]
pub(super) struct Held {
    /// What came through the connection of the last call.
    pub(super) fates: Vec<(Given, Fate)>,
    /// What came through connections before that one: another server may have answered since, and nobody can be asked, because the lane has gone on.
    pub(super) unsure: Vec<(Given, Fate)>,
    /// The lane and the number of the last of their calls, and the connection through which it was answered.
    pub(super) last: Option<(String, u64, u64)>,
}

impl Held {
    fn add(&mut self, told: impl Iterator<Item = (Given, Fate)>, last: (String, u64, u64)) {
        let before = self.last.as_ref().map(|(_, _, connection)| *connection);
        if before.is_some_and(|before| before != last.2) {
            self.unsure.append(&mut self.fates);
        }
        self.fates.extend(told);
        self.last = Some(last);
    }
}

impl Sender {
    pub(super) fn new(queue: &QueueName, connection: &Connection, inbox: &Arc<Inbox>) -> Self {
        Self {
            queue: queue.clone(),
            inbox: Arc::clone(inbox),
            lane: Lane::new(connection.clone(), Pace::confident(BATCH_BYTES)),
            is_unlisted: false,
            silence: Silence::default(),
            held: None,
        }
    }

    /// The same, for a task that confirms what was added before it tells the callers.
    pub(super) fn holding(self) -> Self {
        let held = Some(Held::default());
        Self { held, ..self }
    }

    /// What was added since the last time.
    pub(super) fn take_held(&mut self) -> Held {
        self.held.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether what is sent next goes through the connection through which everything went that was added since the last time.
    pub(super) async fn goes_on_as_before(&mut self) -> bool {
        let before = self.held.as_ref().and_then(|held| held.last.as_ref());
        let before = before.map(|(_, _, connection)| *connection);
        let now = self.connection().connect().await;
        before.is_none_or(|before| now.is_ok_and(|now| now == before))
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        self.lane.connection()
    }

    /// How many bytes the next call may carry.
    pub(super) fn bytes(&self) -> usize {
        self.lane.bytes()
    }

    /// Sends one batch until its fate is known. It comes after the call `before` it: if that call
    /// did not go through the same connection, this one waits until that call is over.
    ///
    /// A call that is refused each time is divided into two, and so on, until the submission that is refused is
    /// alone and is given up; the others are added. No later call is sent before all of these are over.
    pub(super) async fn commit(
        &mut self,
        batch: Vec<Given>,
        course: Course,
        mut before: Option<Before>,
    ) {
        let mut course = Some(&course);
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let batch = Batch {
                submissions: part,
                queue: &self.queue,
                inbox: &self.inbox,
                silence: &mut self.silence,
                course,
                before: &mut before,
                connection: 0,
            };
            let held = self.held.as_mut();
            let refused = send(&mut self.lane, &mut self.is_unlisted, batch, held).await;
            self.inbox.held_up_by(None);
            let Some((mut first, why)) = refused else {
                continue;
            };
            course = None;
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

    /// Whether the queue is new, or was deleted since, by what this lane was told.
    pub(super) fn is_unlisted(&self) -> bool {
        self.is_unlisted
    }

    /// Puts the queue on the list of queues.
    pub(super) async fn register(&mut self) -> Result<(), Trouble> {
        self.is_unlisted = false;
        self.lane.connection().register().await
    }
}

/// Makes one call until its fate is known. Or gives the submissions back, with the reason, if the call did
/// not run, and never will with these bytes.
async fn send(
    lane: &mut Lane,
    is_unlisted: &mut bool,
    mut batch: Batch<'_>,
    held: Option<&mut Held>,
) -> Option<(Vec<Given>, String)> {
    match lane.call(&mut batch).await {
        Became::Done {
            answer, is_repeat, ..
        } => {
            batch.silence.ends();
            // If an earlier try ran, its lost answer may have said that it was the first.
            *is_unlisted |= answer.is_first || is_repeat;
            let fates = fates(&batch, &answer, is_repeat);
            let told = batch.submissions.into_iter().zip(fates);
            match held {
                Some(held) => {
                    let number = lane.number();
                    let last = (number.lane.to_owned(), number.call, batch.connection);
                    held.add(told, last);
                }
                None => told.for_each(|(submission, fate)| _ = submission.decide(fate)),
            }
        }
        Became::Withdrawn => {}
        Became::Denied(refused) => decide(&batch, || Fate::NotAdded {
            refused: refused.clone(),
        }),
        Became::Refused { why, .. } => {
            batch.call_back();
            batch.hold_others();
            return Some((batch.submissions, why));
        }
        Became::Unknowable { why } => {
            lane.leave_behind();
            decide(&batch, || Fate::Unknowable { why: why.clone() });
        }
    }
    None
}

fn decide(batch: &Batch<'_>, fate: impl Fn() -> Fate) {
    for submission in &batch.submissions {
        submission.decide(fate());
    }
}

/// What became of the submissions of a call that was answered. If an earlier try may have run, the ids that were already there may be its own.
fn fates(batch: &Batch<'_>, added: &Added, is_repeat: bool) -> Vec<Fate> {
    let new = !is_repeat && batch.is_new();
    let clashed = added.there.iter().filter(|there| there.met == Met::Itself);
    let refused = if new { clashed.count() } else { 0 };
    if added.replaced > 0 || refused > 0 {
        error!(
            queue = %batch.queue,
            refused,
            replaced = added.replaced,
            "ids that were made for jobs are those of other jobs; what was replaced is lost"
        );
    }
    let jobs = batch.submissions.iter().map(|given| given.jobs.len()).sum();
    metrics::enqueued(
        batch.queue.as_str(),
        jobs,
        jobs.saturating_sub(added.there.len()),
    );
    share_out(&batch.submissions, &added.there, new)
}

/// Gives each submission its part of the answer. `there` is in ascending order. If all ids are `new`,
/// ids that were there belong to other jobs.
fn share_out(batch: &[Given], there: &[There], new: bool) -> Vec<Fate> {
    let mut fates = Vec::with_capacity(batch.len());
    let mut start = 0;
    let mut there = there.iter().cloned().peekable();
    for submission in batch {
        let end = start + submission.jobs.len();
        let mut mine = Vec::new();
        while let Some(mut one) = there.next_if(|one| one.position < end) {
            one.position -= start;
            mine.push(one);
        }
        let clashed = mine.iter().filter(|one| new && one.met == Met::Itself);
        let positions: Vec<usize> = clashed.map(|one| one.position).collect();
        fates.push(match positions.is_empty() {
            false => Fate::Clashed { positions },
            true => Fate::Added { there: mine },
        });
        start = end;
    }
    fates
}

#[cfg(test)]
mod tests {
    use super::super::submission::Submission;
    use super::super::submission::tests::job;
    use super::*;
    use crate::store::enqueue::Novelty;

    #[test]
    fn what_came_through_an_earlier_connection_is_not_confirmed_with_the_rest() {
        let given = || Given::new(&Submission::new(vec![job(1)], Novelty::New));
        let added = || (given(), Fate::Added { there: Vec::new() });
        let mut held = Held::default();
        for (call, connection) in [(1, 4), (2, 4), (3, 5), (4, 5), (5, 6)] {
            held.add([added()].into_iter(), ("lane".to_owned(), call, connection));
        }
        assert_eq!((held.unsure.len(), held.fates.len()), (4, 1));
        assert_eq!(held.last, Some(("lane".to_owned(), 5, 6)));
    }

    #[test]
    fn answers_are_shared_out_by_position() {
        let batch =
            [3, 1, 2].map(|n| Submission::new((0..n).map(|_| job(1)).collect(), Novelty::New));
        let there = |position| There {
            position,
            met: Met::Itself,
        };
        let all = [0, 2, 3, 5].map(there);
        let fates = share_out(&batch.each_ref().map(Given::new), &all, false);
        let positions = |fate: &Fate| match fate {
            Fate::Added { there } => there.iter().map(|one| one.position).collect(),
            other => unreachable!("{other:?}"),
        };
        let there: Vec<Vec<usize>> = fates.iter().map(positions).collect();
        assert_eq!(there, [vec![0, 2], vec![0], vec![1]]);
    }
}
