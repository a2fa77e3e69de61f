//! Chains: jobs that run one after the other, each with what the one before gave back.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use crate::error::Error;
use crate::job::Job;
use crate::policy::flow::OnDeath;
use crate::queue::enqueue::Enqueue;
use crate::queue::flow::Flow;
use crate::queue::flow::nodes::Nodes;
use crate::queue::handle::JobHandle;

/// Jobs that run one after the other: each starts when the one before it has ended, and gets what that gave back
/// ([`Context::previous`](crate::Context::previous)). All of them are enqueued, or none, and the handle is for the last.
///
/// A chain is a [`Flow`] in which each job has one child, the job before it; what is said there of ids, unique keys and errors
/// holds here, too.
///
/// ```
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct Fetch { url: String }
/// impl Job for Fetch { const NAME: &'static str = "fetch"; type Output = String; }
///
/// #[derive(Serialize, Deserialize)]
/// struct Count;
/// impl Job for Count { const NAME: &'static str = "count"; type Output = usize; }
///
/// async fn count(_: Count, context: Context) -> Result<usize, Failure> {
///     let page = context.previous::<Fetch>().await?;
///     Ok(page.len())
/// }
///
/// # async fn example(queue: Queue) -> Result<(), Error> {
/// let url = "https://example.com".to_owned();
/// let length = Chain::new(queue.enqueue(Fetch { url })).then(queue.enqueue(Count)).await?;
/// println!("{} bytes", length.result().await?);
/// # Ok(()) }
/// ```
#[must_use = "a chain does nothing until it is awaited"]
pub struct Chain<J: Job> {
    /// In the order in which they run, each with what its death means for the next.
    links: Vec<(Nodes, OnDeath)>,
    on_death: OnDeath,
    last: PhantomData<fn() -> J>,
}

impl<J: Job> Chain<J> {
    /// A chain that begins with this job.
    pub fn new(request: Enqueue<J>) -> Self {
        Self {
            links: vec![(Nodes::of(request), OnDeath::Hold)],
            on_death: OnDeath::Hold,
            last: PhantomData,
        }
    }

    /// What it means for the next job if a job is dead, for all jobs that are added from here on, and the last one that was added before.
    /// Default: [`OnDeath::Hold`], the chain stands still until the dead job is replayed.
    pub fn on_death(mut self, on_death: OnDeath) -> Self {
        self.on_death = on_death;
        if let Some((_, last)) = self.links.last_mut() {
            *last = on_death;
        }
        self
    }

    /// The next job: it runs when the one before it has ended.
    pub fn then<K: Job>(mut self, request: Enqueue<K>) -> Chain<K> {
        self.links.push((Nodes::of(request), self.on_death));
        Chain {
            links: self.links,
            on_death: self.on_death,
            last: PhantomData,
        }
    }

    /// The same as a flow, whose first job is the last of the chain.
    pub(super) fn into_flow(self) -> Flow<J> {
        Flow::of(Nodes::in_a_row(self.links))
    }
}

impl<J: Job> fmt::Debug for Chain<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let links = self.links.iter().map(|(link, _)| link);
        f.debug_list().entries(links).finish()
    }
}

impl<J: Job> IntoFuture for Chain<J> {
    type Output = Result<JobHandle<J>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        self.into_flow().into_future()
    }
}
