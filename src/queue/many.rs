//! A request to enqueue many jobs.

mod claiming;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use tracing::Instrument;

use crate::error::{Error, ErrorKind};
use crate::job::Job;
use crate::policy::durability::Level;
use crate::propagation;
use crate::queue::Queue;
use crate::queue::enqueue::Enqueue;
use crate::queue::handle::{Enqueued, JobHandle};
use crate::queue::many::claiming::Unclaimed;
use crate::queue::producer::{Fate, PARTS_OF_A_CONFIRMATION, Producer, Submission, split};
use crate::store::enqueue::{NewJob, Novelty, There};

/// Calls that are handed to the producer at a time: two under way, and one that waits for them.
const PARTS_AHEAD: usize = 3;

/// What [`Queue::enqueue_many`] and [`ScheduleBuilder::job`](crate::ScheduleBuilder::job) take: a job, or a request with options of its own.
pub trait IntoEnqueue {
    /// The type of job.
    type Job: Job;

    /// The request; `queue` is where a plain job goes.
    fn into_enqueue(self, queue: &Queue) -> Enqueue<Self::Job>;
}

impl<J: Job> IntoEnqueue for J {
    type Job = J;

    fn into_enqueue(self, queue: &Queue) -> Enqueue<J> {
        queue.enqueue(self)
    }
}

impl<J: Job> IntoEnqueue for Enqueue<J> {
    type Job = J;

    fn into_enqueue(self, _: &Queue) -> Self {
        self
    }
}

/// A request to enqueue many jobs, in order, in calls of at most 256 jobs or 1 MiB, two of them
/// under way at a time. Awaiting it gives a handle for each, in the same order.
///
/// All jobs are checked before the first is sent, and all handles are in memory when it has ended: send a million jobs in
/// parts. If awaiting it by reference fails midway,
/// awaiting it again goes on where it stopped; no job is enqueued twice.
///
/// # Errors
///
/// As [`Enqueue`]: the call timeout holds for each of the calls, so many jobs may take longer in all, as long as
/// Redis takes them. The error carries the id of the first job that is not known to be there. Some of
/// the jobs behind it may be there: Redis may have refused one call and accepted the next. This is the
/// only case in which the order is not kept.
///
/// Jobs that are refused together, each time, are sent in ever smaller calls. So if one job is larger
/// than the server or a proxy takes, all jobs before it are sent; the error (`NotSent`) is about
/// that job alone. The jobs behind it are not sent: leave the large job out of a new request to send them.
///
/// Payloads that go to a [store](crate::ClaimCheck) are put in steps, each before its jobs are sent. What the store does not take
/// ([`PayloadStore`](crate::ErrorKind::PayloadStore)) is tried again when the request is awaited again, within 20 min
/// ([`PayloadLost`](crate::ErrorKind::PayloadLost)).
///
/// # Cancel safety
///
/// A request that is dropped while it is awaited may be carried out in part.
#[must_use = "a request does nothing until it is awaited"]
pub struct EnqueueMany<J: Job> {
    queue: Queue,
    /// Not checked yet.
    requests: Vec<Enqueue<J>>,
    /// What all of the jobs together ask for.
    level: Level,
    /// Checked, of a request in which payloads go to a store: their turn comes in steps.
    unclaimed: Unclaimed,
    /// Checked and not yet done, a call each; the first may be under way.
    left: VecDeque<Arc<Submission>>,
    done: Vec<JobHandle<J>>,
}

impl<J: Job> EnqueueMany<J> {
    pub(crate) fn new<R>(queue: &Queue, jobs: impl IntoIterator<Item = R>) -> Self
    where
        R: IntoEnqueue<Job = J>,
    {
        let request = |job: R| job.into_enqueue(queue);
        Self {
            queue: queue.clone(),
            requests: jobs.into_iter().map(request).collect(),
            level: Level::MEMORY,
            unclaimed: Unclaimed::default(),
            left: VecDeque::new(),
            done: Vec::new(),
        }
    }

    fn producer(&self) -> Arc<Producer> {
        self.queue.inner.producer(self.level)
    }

    fn prepare(&mut self) -> Result<(), Error> {
        let levels = self.requests.iter().map(Enqueue::level);
        self.level = levels.fold(self.level, Level::and);
        let (jobs, novelty) = self.checked(true)?;
        if jobs.iter().any(|(_, goes)| *goes) {
            self.unclaimed = Unclaimed::new(jobs, novelty);
            return Ok(());
        }
        let jobs = jobs.into_iter().map(|(job, _)| job).collect();
        self.left
            .extend(split(jobs, novelty, None, self.producer().limit()));
        Ok(())
    }

    /// The queue, and all jobs, if they are well: for a request that sends them in another way.
    pub(crate) async fn into_jobs(mut self) -> Result<(Queue, Vec<NewJob>), Error> {
        self.check_weights().await?;
        let (jobs, _) = self.checked(false)?;
        let jobs = jobs.into_iter().map(|(job, _)| job).collect();
        Ok((self.queue, jobs))
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    async fn check_weights(&self) -> Result<(), Error> {
        let weights = self.requests.iter().map(Enqueue::weight_asked);
        let heaviest = weights.max().unwrap_or(1);
        self.queue.inner.check_weight(heaviest).await
    }

    /// All jobs, and of each whether its payload is to go to the store; `may_go`: it can, in the way in which they are sent.
    fn checked(&mut self, may_go: bool) -> Result<(Vec<(NewJob, bool)>, Novelty), Error> {
        let mut jobs = Vec::with_capacity(self.requests.len());
        let mut novelty = Novelty::New;
        for request in &mut self.requests {
            if request.novelty() == Novelty::Unsure {
                novelty = Novelty::Unsure;
            }
            let (queue, job, goes) = request.prepare_to_go(may_go)?;
            if queue.name() != self.queue.name() {
                return Err(Error::invalid(format!(
                    "a request for queue `{}` is among those for `{}`",
                    queue.name(),
                    self.queue.name()
                ))
                .with_job(&job.id));
            }
            jobs.push((job, goes));
        }
        self.requests.clear();
        Ok((jobs, novelty))
    }

    async fn send(&mut self) -> Result<Vec<JobHandle<J>>, Error> {
        let left = self.left.iter().map(|part| part.ids().count());
        let jobs = self.requests.len() + left.sum::<usize>();
        let span = propagation::sending(self.queue.name(), jobs);
        let sent = self.send_here().instrument(span.clone()).await;
        sent.inspect_err(|error| propagation::not_sent(&span, error))
    }

    async fn send_here(&mut self) -> Result<Vec<JobHandle<J>>, Error> {
        self.check_weights().await?;
        if !self.requests.is_empty() {
            self.prepare()?;
        }
        self.unclaimed.check_age(!self.left.is_empty())?;
        // What was under way when the last try failed may have been refused since.
        self.redo_ahead(Submission::is_refused);
        loop {
            while let Some(part) = self.left.front().cloned() {
                let first = part.first_id().clone();
                self.send_part(&part)
                    .await
                    .map_err(|error| error.with_job(&first))?;
            }
            if self.unclaimed.is_empty() {
                break;
            }
            let jobs = Box::pin(self.unclaimed.next(&self.queue)).await?;
            let limit = self.producer().limit();
            let (novelty, put_at) = (self.unclaimed.novelty, self.unclaimed.sent_since);
            self.left.extend(split(jobs, novelty, put_at, limit));
        }
        Box::pin(self.unclaimed.clean_up(&self.queue)).await;
        Ok(std::mem::take(&mut self.done))
    }

    /// Hands over the next parts, so that they wait at the task while the first is under way. Stops at the first
    /// part for which there is no room, to keep the order.
    fn send_ahead(&self) {
        let producer = self.producer();
        let parts = match self.level == Level::MEMORY {
            true => PARTS_AHEAD,
            false => PARTS_OF_A_CONFIRMATION,
        };
        let ahead = self.left.iter().take(parts);
        ahead
            .take_while(|part| producer.submit_ahead(part))
            .for_each(drop);
    }

    /// After trouble with the first part: parts behind it that are not sent yet, or were refused as
    /// well, wait until the first part is tried again.
    fn take_back(&mut self) {
        self.redo_ahead(|part| part.is_given() && (part.withdraw() || part.is_refused()));
    }

    /// Makes parts behind the first anew if they have to be handed over once more.
    fn redo_ahead(&mut self, is_to: impl Fn(&Submission) -> bool) {
        let mut left = std::mem::take(&mut self.left).into_iter();
        self.left.extend(left.next());
        for part in left {
            match is_to(&part) {
                true => self.left.extend(part.again_in_parts()),
                false => self.left.push_back(part),
            }
        }
    }

    /// Sends the first part, or divides it if it is not taken as a whole.
    async fn send_part(&mut self, part: &Arc<Submission>) -> Result<(), Error> {
        self.send_ahead();
        let limit = self.queue.inner.setup.call_timeout;
        let fate = self.producer().submit(part, limit).await;
        if let Ok(Fate::NotDurable { there, .. }) = &fate {
            // These jobs are there; awaiting the request again goes on behind them.
            self.left.pop_front();
            self.note_done(part, there.clone());
            self.take_back();
            let told = fate?.into_result(&self.queue.inner.name, part.first_id());
            return told.map(drop);
        }
        let under_way = matches!(&fate, Err(error) if error.kind() == ErrorKind::Unknown);
        let there = fate.and_then(|fate| fate.into_result(&self.queue.inner.name, part.first_id()));
        let there = match there {
            Ok(there) => there,
            Err(error) => {
                self.take_back();
                if under_way {
                    return Err(error);
                }
                // This submission is decided for good; the next try needs a new one.
                let parts = Box::pin(claiming::again(&self.queue, part)).await?;
                let is_divided = parts.len() > 1;
                self.left.pop_front();
                for part in parts.into_iter().rev() {
                    self.left.push_front(part);
                }
                return match is_divided {
                    true => Ok(()),
                    false => Err(error),
                };
            }
        };
        self.left.pop_front();
        self.note_done(part, there);
        Ok(())
    }

    /// Makes the handles of a part that is there.
    fn note_done(&mut self, part: &Submission, there: Vec<There>) {
        let mut there = there.into_iter().peekable();
        for (position, id) in part.ids().enumerate() {
            let met = there.next_if(|there| there.position == position);
            if met.is_some() {
                self.unclaimed.met(&part.jobs()[position]);
            }
            let (id, enqueued) = Enqueued::of(id, met.map(|there| there.met));
            self.done
                .push(JobHandle::new(self.queue.clone(), id, enqueued));
        }
    }
}

impl<J: Job> fmt::Debug for EnqueueMany<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueMany")
            .field("job", &J::NAME)
            .field("queue", &self.queue.name())
            .field("unchecked", &(self.requests.len() + self.unclaimed.len()))
            .field("calls_left", &self.left.len())
            .field("done", &self.done.len())
            .finish()
    }
}

impl<J: Job> IntoFuture for EnqueueMany<J> {
    type Output = Result<Vec<JobHandle<J>>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.send().await })
    }
}

impl<'a, J: Job> IntoFuture for &'a mut EnqueueMany<J> {
    type Output = Result<Vec<JobHandle<J>>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
