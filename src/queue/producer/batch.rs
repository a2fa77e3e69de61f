//! The call that a producer makes, `enqueue`, as a numbered call of a lane: the submissions that are in it, and
//! its order among the calls of the producer.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::warn;

use super::ABANDON_AFTER;
use super::inbox::Inbox;
use super::submission::Given;
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

    /// Leaves out what was withdrawn.
    async fn prepare(
        &mut self,
        connection: &mut Connection,
        may_have_run: bool,
    ) -> Result<bool, Trouble> {
        if !may_have_run {
            self.submissions.retain(|given| !given.is_withdrawn());
            if self.submissions.is_empty() {
                return Ok(false);
            }
        }
        // As long as there is no connection, a submission can still be withdrawn.
        self.connection = self.connect_behind(connection).await?;
        if !may_have_run {
            self.submissions.retain(|given| given.begin());
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
        ABANDON_AFTER
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
