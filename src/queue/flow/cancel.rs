//! Cancelling a whole flow.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::error::Error;
use crate::id::JobId;
use crate::job::history::cut;
use crate::policy::flow::NODES_MAX;
use crate::queue::Queue;
use crate::queue::flow::tree::Queues;
use crate::queue::relay::{CALLS_AT_MOST, Relay};
use crate::store;
use crate::store::BATCH_JOBS;

const NO_REASON: &str = "its flow was cancelled";

/// A request to cancel a job and all jobs below it in its flow ([`Queue::cancel_flow`]): say why, then await it.
///
/// Which jobs these are is read first, in all queues. Then they are cancelled in calls of up to 256 jobs, each parent before its children, so that no
/// parent runs because its children were cancelled. Jobs of a large flow that are still on their way to their queues are
/// brought there before; if one of these queues cannot be reached, they are not cancelled, and run when they arrive.
///
/// # Errors
///
/// If Redis does not answer. What is done by then stays done; awaiting it again, by reference, goes on where it stopped.
///
/// # Cancel safety
///
/// A request that is dropped while it is awaited may be carried out in part. Repeating it is harmless, and does the rest as long as the first
/// job is kept.
#[must_use = "nothing is cancelled until it is awaited"]
pub struct CancelFlow {
    queue: Queue,
    id: JobId,
    reason: String,
    /// The jobs that are left, once they are known: the first level, then the next one, each queue by itself.
    left: Option<VecDeque<(String, Vec<JobId>)>>,
    so_far: FlowCancelled,
}

/// What became of the jobs of a flow that was cancelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlowCancelled {
    /// Jobs that ended as cancelled.
    pub done: u64,
    /// Jobs that run, and were asked to end.
    pub requested: u64,
    /// Jobs that had ended before.
    pub left_alone: u64,
}

impl CancelFlow {
    /// Why the flow is no longer wanted, as [`Cancel::reason`](crate::Cancel::reason). Default: `its flow was cancelled`.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = cut(reason.into());
        self
    }

    async fn send(&mut self) -> Result<FlowCancelled, Error> {
        let inner = &self.queue.inner;
        if self.left.is_none() {
            inner.began("cancel_flow", &self.id).await?;
            self.bring_in().await;
            let tree = self.queue.flow(&self.id).await?;
            let nodes = tree.iter().flat_map(|tree| tree.iter());
            // What is gone may be the id of another job by now.
            let (there, gone): (Vec<_>, Vec<_>) = nodes.partition(|node| node.job.is_some());
            self.so_far.left_alone += gone.len() as u64;
            let mut by_level: BTreeMap<(usize, &str), Vec<JobId>> = BTreeMap::new();
            for node in there {
                let of_level = by_level.entry((node.depth, &node.queue));
                of_level.or_default().push(node.id.clone());
            }
            let parts = by_level.into_iter().flat_map(|((_, queue), ids)| {
                let parts = ids.chunks(BATCH_JOBS).map(<[JobId]>::to_vec);
                let parts = parts.map(|ids| (queue.to_owned(), ids));
                parts.collect::<Vec<_>>()
            });
            self.left = Some(parts.collect());
        }
        let mut queues = Queues::of(&self.queue);
        let left = self.left.get_or_insert_default();
        while let Some((name, ids)) = left.front() {
            let verb = store::cancel::Cancel {
                ids,
                reason: &self.reason,
            };
            let queue = &queues.named(name)?.inner;
            let answer = queue.call(&verb).await;
            let answer = answer.map_err(|error| error.with_job(&self.id))?;
            queue.relay_if(answer.has_sent);
            let (done, requested) = (answer.cancelled.len(), answer.running.len());
            self.so_far.done += done as u64;
            self.so_far.requested += requested as u64;
            self.so_far.left_alone += (ids.len() - done - requested) as u64;
            left.pop_front();
        }
        let changed = self.so_far.done + self.so_far.requested;
        inner.ended("cancel_flow", &self.id, changed).await?;
        Ok(self.so_far)
    }

    /// Jobs of a large flow may be on their way to their queues, and can be cancelled only there. What cannot be carried now is not waited for.
    async fn bring_in(&self) {
        // A job of a flow is at most three messages. A call may have room for one of them only, and pages of a draft take calls, too.
        const RUNS_AT_MOST: usize = 4 * NODES_MAX / CALLS_AT_MOST;
        let mut relay = Relay::of(&self.queue.inner);
        for _ in 0..RUNS_AT_MOST {
            match relay.run().await {
                Ok(run) if run.more && run.progress > 0 => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

impl Queue {
    /// Cancels a job and all jobs below it in its [flow](crate::Flow): the job first, so that nothing runs after it, then its children, and
    /// so on. Each is cancelled as by [`cancel`](Self::cancel): what waits ends, what runs is asked to.
    ///
    /// ```no_run
    /// # async fn run(queue: oxcart::Queue, id: oxcart::JobId) -> Result<(), oxcart::Error> {
    /// let cancelled = queue.cancel_flow(&id).reason("the film was withdrawn").await?;
    /// println!("{} jobs will not run, {} are told to come to an end", cancelled.done, cancelled.requested);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_flow(&self, id: &JobId) -> CancelFlow {
        CancelFlow {
            queue: self.clone(),
            id: id.clone(),
            reason: NO_REASON.to_owned(),
            left: None,
            so_far: FlowCancelled::default(),
        }
    }
}

impl fmt::Debug for CancelFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelFlow")
            .field("queue", &self.queue.name())
            .field("id", &self.id)
            .field("reason", &self.reason)
            .field("so_far", &self.so_far)
            .finish_non_exhaustive()
    }
}

impl IntoFuture for CancelFlow {
    type Output = Result<FlowCancelled, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.send().await })
    }
}

impl<'a> IntoFuture for &'a mut CancelFlow {
    type Output = Result<FlowCancelled, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
