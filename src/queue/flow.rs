//! Flows: jobs that wait for other jobs, and get what these give back.

pub(crate) mod cancel;
pub(crate) mod chain;
pub(crate) mod children;
mod large;
pub(crate) mod nodes;
pub(crate) mod offspring;
pub(crate) mod tree;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use tracing::Instrument;

use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::Job;
use crate::policy::durability::Level;
use crate::policy::flow::OnDeath;
use crate::propagation;
use crate::queue::enqueue::Enqueue;
use crate::queue::flow::chain::Chain;
use crate::queue::flow::nodes::{Nodes, Plan};
use crate::queue::handle::{Enqueued, JobHandle};
use crate::queue::producer::{Submission, is_kept};
use crate::store::enqueue::{Met, NewJob, Novelty, There};

/// A job that waits for other jobs, its children: it is [blocked](crate::JobState::Blocked) until all of them have ended, and then runs, once.
/// In its handler, [`Context::children`](crate::Context::children) has what they gave back.
///
/// Children may be of any type, may be flows themselves, to any depth, and may be in other queues of the same [`Oxcart`](crate::Oxcart).
/// Awaiting the flow enqueues all of its jobs, all of them or none, and gives a handle to the job that waits for all others.
///
/// ```
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct Assemble { film: u64 }
/// impl Job for Assemble { const NAME: &'static str = "assemble"; type Output = String; }
///
/// #[derive(Serialize, Deserialize)]
/// struct Encode { part: u32 }
/// impl Job for Encode { const NAME: &'static str = "encode"; type Output = String; }
///
/// async fn assemble(film: Assemble, context: Context) -> Result<String, Failure> {
///     let parts = context.children().await?.outputs::<Encode>()?;
///     Ok(format!("film {}: {}", film.film, parts.join(", ")))
/// }
///
/// # async fn example(queue: Queue) -> Result<(), Error> {
/// let film = Flow::new(queue.enqueue(Assemble { film: 7 }))
///     .children((1..=3).map(|part| queue.enqueue(Encode { part })))
///     .await?;
/// println!("{}", film.result().await?); // film 7: part 1, part 2, part 3
/// # Ok(()) }
/// ```
///
/// # What it waits for
///
/// A child has ended when it is completed, cancelled, expired or removed: none of these leaves a parent stuck. What the
/// death of a child means is said for each ([`Child::on_death`]); by default the parent waits until the child is replayed.
/// A priority and a group of the parent count from the moment at which its children have ended. A delay counts from the moment at which
/// the flow is enqueued: the parent runs when it is over and the children have ended.
///
/// # Ids and unique keys
///
/// A flow is there if its first job is there: then awaiting it changes nothing, and the handle says
/// [`Enqueued::AlreadyThere`]. If another job has the unique key of the first job, the handle is for that job
/// ([`Enqueued::Duplicate`]). If any other job of the flow is there, or its unique key is taken, the whole flow is refused
/// ([`ErrorKind::Conflict`]). Jobs of a flow replace no others, and are replaced by none.
///
/// # Large flows, and several queues
///
/// A flow of more than 256 jobs or 1 MiB, or with jobs in several queues, is sent in several calls. The first job is added last, and with it all
/// others are on their way; if the program dies before that, nothing of the flow is ever seen. The other jobs then arrive within
/// moments, in their queues, carried by this program and by the workers of the queue of the first job. If one of them cannot be added, because its
/// id or its unique key is taken, that is found only there: then its parent is dead, or goes on without it
/// ([`OnDeath::GoOn`]), and [`ChildInfo::refused`](crate::ChildInfo::refused) says so.
///
/// # Errors
///
/// As [`Enqueue`], and [`ErrorKind::Invalid`] for more than 10,000 jobs, two jobs with one id in one queue, and jobs in another
/// namespace or of another `Oxcart`. Nothing is written then. If awaiting it by reference fails, awaiting it again is safe.
///
/// # Cancel safety
///
/// A flow that is dropped while it is awaited may or may not be enqueued, as a whole.
#[must_use = "a flow does nothing until it is awaited"]
pub struct Flow<J: Job> {
    nodes: Nodes,
    /// The last try, as long as its fate is not known.
    submission: Option<Arc<Submission>>,
    job: PhantomData<fn() -> J>,
}

/// A child of a [`Flow`], and what its death means for its parent. Made of a request, a flow or a chain.
///
/// ```
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Page;
/// # impl Job for Page { const NAME: &'static str = "page"; type Output = (); }
/// # #[derive(Serialize, Deserialize)] struct Picture { n: u32 }
/// # impl Job for Picture { const NAME: &'static str = "picture"; type Output = (); }
/// # async fn example(queue: Queue) -> Result<(), Error> {
/// // The page goes on without a picture that cannot be drawn.
/// let picture = |n| Child::new(queue.enqueue(Picture { n })).on_death(OnDeath::GoOn);
/// Flow::new(queue.enqueue(Page)).children((0..3).map(picture)).await?;
/// # Ok(()) }
/// ```
#[must_use = "a child does nothing until its flow is awaited"]
pub struct Child {
    pub(super) nodes: Nodes,
    pub(super) on_death: OnDeath,
}

impl Child {
    /// The child that this request, flow or chain enqueues.
    pub fn new(child: impl Into<Self>) -> Self {
        child.into()
    }

    /// What it means for the parent if this child is dead. Default: [`OnDeath::Hold`].
    pub fn on_death(mut self, on_death: OnDeath) -> Self {
        self.on_death = on_death;
        self
    }
}

impl<J: Job> From<Enqueue<J>> for Child {
    fn from(request: Enqueue<J>) -> Self {
        Nodes::of(request).into()
    }
}

impl<J: Job> From<Flow<J>> for Child {
    fn from(flow: Flow<J>) -> Self {
        flow.nodes.into()
    }
}

impl<J: Job> From<Chain<J>> for Child {
    fn from(chain: Chain<J>) -> Self {
        chain.into_flow().into()
    }
}

impl From<Nodes> for Child {
    fn from(nodes: Nodes) -> Self {
        Self {
            nodes,
            on_death: OnDeath::Hold,
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("jobs", &self.nodes)
            .field("on_death", &self.on_death)
            .finish()
    }
}

impl<J: Job> Flow<J> {
    /// A job that waits for the children that are added: this is its request.
    pub fn new(request: Enqueue<J>) -> Self {
        Self::of(Nodes::of(request))
    }

    pub(super) fn of(nodes: Nodes) -> Self {
        Self {
            nodes,
            submission: None,
            job: PhantomData,
        }
    }

    /// Adds a child: a request, a flow, a chain, or a [`Child`] that says what its death means.
    pub fn child(mut self, child: impl Into<Child>) -> Self {
        let child = child.into();
        self.nodes.add(child.nodes, child.on_death);
        self
    }

    /// Adds several children.
    pub fn children<C: Into<Child>>(self, children: impl IntoIterator<Item = C>) -> Self {
        children.into_iter().fold(self, Self::child)
    }

    /// A job that is enqueued, once, when the first of the children is dead: to tell somebody, or to cancel the rest. It waits for nobody,
    /// and nobody waits for it. It may be for any queue of the same connection, and comes there through the [outbox](crate::Queue::outbox) of
    /// the flow's queue.
    ///
    /// Only children of this job count, and not theirs. A later call replaces an earlier one. If the job of the flow is removed before, by an operator or
    /// because it is not kept any longer, nothing is enqueued.
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Report { batch: u64 }
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// # #[derive(Serialize, Deserialize)] struct Send { to: u32 }
    /// # impl Job for Send { const NAME: &'static str = "send"; type Output = (); }
    /// # #[derive(Serialize, Deserialize)] struct Warn { batch: u64 }
    /// # impl Job for Warn { const NAME: &'static str = "warn"; type Output = (); }
    /// # #[derive(Serialize, Deserialize)] struct Close { batch: u64 }
    /// # impl Job for Close { const NAME: &'static str = "close"; type Output = (); }
    /// # async fn example(queue: Queue, desk: Queue) -> Result<(), Error> {
    /// let batch = 7;
    /// Flow::new(queue.enqueue(Report { batch }))              // when all went well
    ///     .children((0..100).map(|to| queue.enqueue(Send { to })))
    ///     .on_any_failure(desk.enqueue(Warn { batch }))       // when one is dead
    ///     .on_complete(desk.enqueue(Close { batch }))         // when nothing runs any more
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn on_any_failure<K: Job>(mut self, request: Enqueue<K>) -> Self {
        self.nodes.on_any_failure(request);
        self
    }

    /// A job that is enqueued, once, when each of the children has ended in any way, or was dead once: the job of the flow itself may still wait, for
    /// dead ones that may be replayed ([`OnDeath::Hold`]). All else as for [`on_any_failure`](Self::on_any_failure).
    pub fn on_complete<K: Job>(mut self, request: Enqueue<K>) -> Self {
        self.nodes.on_complete(request);
        self
    }

    /// The id of the job that waits for all others.
    #[must_use]
    pub fn job_id(&self) -> &JobId {
        self.nodes.first_id()
    }

    /// How many jobs the flow has, all of them together.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.nodes.len()
    }

    async fn send(&mut self) -> Result<JobHandle<J>, Error> {
        let queue = self.nodes.queue_name();
        let span = propagation::sending(&queue, self.nodes.len());
        let sent = self.send_here().instrument(span.clone()).await;
        sent.inspect_err(|error| propagation::not_sent(&span, error))
    }

    async fn send_here(&mut self) -> Result<JobHandle<J>, Error> {
        let root = self.nodes.first_id().clone();
        let plan = self.nodes.prepare()?;
        if self.submission.is_none() {
            for (queue, weight) in self.nodes.heaviest() {
                let checked = queue.inner.check_weight(weight).await;
                checked.map_err(|error| error.with_job(&root))?;
            }
        }
        let (queue, jobs) = match plan {
            Plan::OneCall(queue, jobs) => (queue, jobs),
            Plan::Messages(_) if self.nodes.level() != Level::MEMORY => {
                return Err(Error::invalid(
                    "a flow over several queues, or of more than 256 jobs or 1 MiB, is built of messages, which no `Durability` but \
                     `Memory` waits for",
                )
                .with_job(&root));
            }
            Plan::Messages(jobs) => {
                let queue = jobs[0].queue.clone();
                let sent = large::send(jobs).await;
                let met = sent.map_err(|error| error.with_job(&root))?;
                let (id, enqueued) = Enqueued::of(&root, met);
                return Ok(JobHandle::new(queue, id, enqueued));
            }
        };
        let last = self
            .submission
            .get_or_insert_with(|| Submission::new(jobs, Novelty::Unsure));
        let producer = queue.inner.producer(self.nodes.level());
        let limit = queue.inner.setup.call_timeout;
        let fate = producer.submit(&Arc::clone(last), limit).await;
        let ids: Vec<JobId> = last.ids().cloned().collect();
        if !is_kept(&fate) {
            self.submission = None;
        }
        let there = fate
            .and_then(|fate| fate.into_result(&queue.inner.name, &root))
            .map_err(|error| error.with_job(&root))?;
        let (id, enqueued) = added(&ids, there)?;
        Ok(JobHandle::new(queue, id, enqueued))
    }
}

/// Why children were not added: one of these jobs cannot be.
pub(crate) fn conflict(jobs: &[&NewJob], met: &[There]) -> Error {
    let own = met
        .iter()
        .find(|there| !matches!(there.met, Met::NotWithout(_)));
    let job = own.and_then(|there| Some((jobs.get(there.position)?, &there.met)));
    let Some((job, met)) = job else {
        return Error::new(ErrorKind::Conflict, "the children were not enqueued");
    };
    let why = match met {
        Met::Duplicate(other) => format!("job {other} has the unique key of {}", job.id),
        _ => format!("a job with the id of {} is there already", job.id),
    };
    Error::new(ErrorKind::Conflict, format!("no child was enqueued: {why}")).with_job(&job.id)
}

/// Which job the handle of a flow with these jobs is for, or why none of them was added.
fn added(ids: &[JobId], there: Vec<There>) -> Result<(JobId, Enqueued), Error> {
    let of = |position: usize| there.iter().find(|there| there.position == position);
    let root = of(0).map(|there| there.met.clone());
    let Some(Met::NotWithout(id)) = root else {
        return Ok(Enqueued::of(&ids[0], root));
    };
    let position = ids.iter().rposition(|other| *other == id);
    let why = match position.and_then(of).map(|there| &there.met) {
        Some(Met::Duplicate(other)) => format!("job {other} has the unique key of its job {id}"),
        _ => format!("a job with the id of its job {id} is there already"),
    };
    Err(Error::new(
        ErrorKind::Conflict,
        format!("nothing of the flow was enqueued: {why}"),
    )
    .with_job(&id))
}

impl<J: Job> fmt::Debug for Flow<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("jobs", &self.nodes).finish()
    }
}

impl<J: Job> IntoFuture for Flow<J> {
    type Output = Result<JobHandle<J>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.send().await })
    }
}

impl<'a, J: Job> IntoFuture for &'a mut Flow<J> {
    type Output = Result<JobHandle<J>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
