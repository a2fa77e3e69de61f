//! The call that a producer makes, `enqueue`, as a numbered call of a lane: the submissions that are in it, and
//! its order among the calls of the producer.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::warn;

use super::ABANDON_AFTER;
use super::inbox::Inbox;
use super::submission::Given;
use crate::claim_check::put_at::PutAt;
use crate::name::QueueName;
use crate::policy::silence::Silence;
use crate::store::backend::{Answered, Connection, Number, NumberedCall, Refusal, Trouble};
use crate::store::enqueue::{Enqueue, Enqueued, NewJob, Novelty, There};

/// By this a call tells the next call, on another lane, how far it is. Dropped when the call is over.
pub(super) type Course = watch::Sender<CallProgress>;
/// How far the call before is.
pub(super) type Before = watch::Receiver<CallProgress>;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum CallProgress {
    /// It is to be sent, for the first time or again.
    Waiting,
    /// It was sent through this connection: the next call comes after it if it goes through the same connection.
    Sent(u64),
}

/// The submissions of one call.
pub(super) struct Batch<'a> {
    pub(super) submissions: Vec<Given>,
    pub(super) queue: &'a QueueName,
    /// Where callers learn what holds up their submissions.
    pub(super) inbox: &'a Inbox,
    pub(super) silence: &'a mut Silence,
    pub(super) course: Option<&'a Course>,
    /// The call that this one comes after, as long as that matters.
    pub(super) before: &'a mut Option<Before>,
    /// The connection of this try.
    pub(super) connection: u64,
}

/// What the callers are to be told.
#[derive(Debug)]
pub(super) struct Added {
    /// The jobs that were not added.
    pub(super) there: Vec<There>,
    /// How many records of other jobs were replaced, because an id was said to be new and was not.
    pub(super) replaced: u64,
    /// Nothing was ever added before: the queue is new, or was deleted.
    pub(super) is_first: bool,
}

impl Batch<'_> {
    /// Whether each id was made for its job, and never sent.
    pub(super) fn is_new(&self) -> bool {
        let submissions = &self.submissions;
        submissions
            .iter()
            .all(|given| given.novelty == Novelty::New)
    }

    /// Leaves out what is not sent any more. Only of a call that certainly did not run.
    fn leave_out(&mut self) {
        self.submissions
            .retain(|given| !given.is_withdrawn() && !given.comes_too_late());
    }

    /// Whether a payload may be gone of a job that may have been added: sent again, it might be added without it.
    fn is_too_late(&self) -> bool {
        let mut put = self.submissions.iter().filter_map(|given| given.put_at());
        put.any(PutAt::is_too_late_to_repeat)
    }

    /// The call certainly did not run: its callers may withdraw.
    pub(super) fn call_back(&self) {
        for submission in &self.submissions {
            submission.call_back();
        }
    }

    /// Whatever comes after this call waits until it is over.
    pub(super) fn hold_others(&self) {
        if let Some(course) = self.course {
            course.send_replace(CallProgress::Waiting);
        }
    }

    /// The connection through which what is sent at once comes after the call `before` it.
    async fn connect_behind(&mut self, connection: &mut Connection) -> Result<u64, Trouble> {
        loop {
            let number = connection.connect().await?;
            let Some(earlier) = self.before else {
                return Ok(number);
            };
            if *earlier.borrow() == CallProgress::Sent(number) {
                return Ok(number);
            }
            while earlier.changed().await.is_ok() {}
            *self.before = None;
        }
    }
}

impl NumberedCall for Batch<'_> {
    type Answer = Added;

    fn carries(&self) -> usize {
        self.submissions.iter().map(|given| given.bytes).sum()
    }

    /// Leaves out what was withdrawn, and what comes too late.
    async fn prepare(
        &mut self,
        connection: &mut Connection,
        may_have_run: bool,
    ) -> Result<bool, Trouble> {
        if !may_have_run {
            self.leave_out();
            if self.submissions.is_empty() {
                return Ok(false);
            }
        }
        // As long as there is no connection, a submission can still be withdrawn.
        self.connection = self.connect_behind(connection).await?;
        if !may_have_run {
            // Once more: the call before may have taken long.
            self.leave_out();
            self.submissions.retain(|given| given.begin());
        } else if self.is_too_late() {
            // Nothing is sent, and `repeated_for` ends the call.
            let why = "its payload may be gone, so it is not sent again";
            return Err(Trouble::Unreachable(why.to_owned()));
        }
        Ok(!self.submissions.is_empty())
    }

    async fn send(
        &mut self,
        connection: &mut Connection,
        number: Number<'_>,
        _room: usize,
        may_have_run: bool,
    ) -> Result<Answered<Added>, Trouble> {
        if let Some(course) = self.course {
            course.send_replace(CallProgress::Sent(self.connection));
        }
        let jobs: Vec<&NewJob> = self
            .submissions
            .iter()
            .flat_map(|given| &given.jobs)
            .collect();
        let verb = Enqueue {
            lane: number.lane,
            call: number.call,
            jobs: &jobs,
            novelty: match !may_have_run && self.is_new() {
                true => Novelty::New,
                false => Novelty::Unsure,
            },
        };
        connection.call_once(&verb).await.map(answered)
    }

    async fn ask(
        &mut self,
        connection: &mut Connection,
        number: Number<'_>,
    ) -> Result<Answered<Added>, Trouble> {
        let question = Enqueue {
            lane: number.lane,
            call: number.call,
            jobs: &[],
            novelty: Novelty::New,
        };
        connection.call(&question).await.map(answered)
    }

    /// A refusal that will not pass by itself, and is not about the number of bytes, is told to the callers at once.
    fn is_over_after(&self, refusal: Refusal) -> bool {
        !refusal.passes() && !matches!(refusal, Refusal::Unread | Refusal::UnknownScript)
    }

    fn repeated_for(&self) -> Duration {
        match self.is_too_late() {
            true => Duration::ZERO,
            false => ABANDON_AFTER,
        }
    }

    /// The next try keeps its place behind the call before it, like the first.
    fn goes_again(&mut self, may_have_run: bool) {
        if !may_have_run {
            self.call_back();
        }
        self.hold_others();
    }

    fn is_held_up(&mut self, trouble: &Trouble, may_have_run: bool) {
        if matches!(trouble, Trouble::Garbled(_) | Trouble::Stopped(..)) {
            return;
        }
        self.inbox.held_up_by(Some(trouble.clone()));
        self.goes_again(may_have_run);
        // A call that is refused for its bytes is divided; if it fails for good, its callers are told then.
        let is_unread = matches!(trouble, Trouble::Refused(Refusal::Unread, _));
        if !is_unread && self.silence.goes_on(Instant::now()).log {
            warn!(queue = %self.queue, submissions = self.submissions.len(), %trouble, "enqueueing is held up");
        }
    }
}

fn answered(answer: Enqueued) -> Answered<Added> {
    match answer {
        Enqueued::Added {
            there,
            replaced,
            is_first,
        } => Answered::Ran(Added {
            there,
            replaced,
            is_first,
        }),
        Enqueued::Asked => Answered::Asked,
        Enqueued::Superseded => Answered::Superseded,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Producer;
    use super::super::submission::tests::job;
    use super::super::submission::{Fate, Submission};
    use super::*;
    use crate::queue::setup::Setup;

    fn minutes(minutes: u64) -> Option<PutAt> {
        Some(PutAt::ago(Duration::from_secs(60 * minutes)))
    }

    #[tokio::test]
    async fn a_job_is_not_sent_when_its_payload_may_be_gone() {
        let queue = Setup::in_memory().queue("work");
        let inner = &queue.inner;
        let producer = Producer::new(inner.store.clone(), inner.name.clone());
        let of_put = |put_at| Submission::of_put(vec![job(1)], Novelty::New, put_at);
        let [late, well, plain] = [minutes(21), minutes(19), None].map(of_put);
        // Nobody waits for it while it is sent.
        assert!(producer.submit_ahead(&late));
        for (submission, is_late) in [(well, false), (plain, false), (late, true)] {
            let again = submission.again();
            let fate = producer.submit(&submission, Duration::from_secs(60)).await;
            let fate = fate.unwrap();
            match is_late {
                true => assert!(matches!(fate, Fate::NotSent { .. }), "{fate:?}"),
                false => assert!(matches!(fate, Fate::Added { .. }), "{fate:?}"),
            }
            assert_eq!(again.comes_too_late(), is_late, "its payload is the same");
        }
        assert_eq!(queue.counts().await.unwrap().waiting, 2);
    }

    #[tokio::test]
    async fn a_job_that_may_be_there_is_not_sent_again_when_its_payload_may_be_gone() {
        let queue = Setup::in_memory().queue("work");
        let inner = &queue.inner;
        let mut connection = inner.store.shared_connection();
        for (put_at, is_late) in [(None, false), (minutes(49), false), (minutes(51), true)] {
            let submission = Submission::of_put(vec![job(1)], Novelty::New, put_at);
            assert!(submission.begin());
            let mut batch = Batch {
                submissions: vec![Given::new(&submission)],
                queue: &inner.name,
                inbox: &Inbox::new(),
                silence: &mut Silence::default(),
                course: None,
                before: &mut None,
                connection: 0,
            };
            let prepared = batch.prepare(&mut connection, true).await;
            assert_eq!(prepared.is_err(), is_late, "{prepared:?}");
            assert_eq!(batch.repeated_for().is_zero(), is_late);
        }
    }
}
