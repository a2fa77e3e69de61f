//! Handlers that take several jobs of a type at once.
//!
//! Each job has an attempt of its own, as any other: a lease, a slot, middleware, hooks, an outcome. Only where another attempt
//! would run its handler, this one joins a batch (`gather.rs`), waits until the handler has given the job its outcome
//! (`member.rs`), and ends. So nothing of a worker but these files knows of batches. The handler runs in a task of its own
//! (`course.rs`), because it belongs to no single one of its jobs.

pub(crate) mod batched;
pub(crate) mod course;
pub(crate) mod gather;
pub(crate) mod handler;
pub(crate) mod member;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::job::Job;
use crate::job::options::JobOptions;
use crate::job::reader::Reader;
use crate::job::record::Record;
use crate::worker::any_handler::{AnyHandler, Gathering, Started};
use crate::worker::builder::WorkerBuilder;
use crate::worker::context::Context;
use crate::worker::extract::States;
use gather::{Gather, Share};
use handler::BatchHandler;
use member::Member;

const WITHIN_DEFAULT: Duration = Duration::from_millis(10);
/// A job that waits takes a slot, and its lease is renewed.
const WITHIN_MAX: Duration = Duration::from_secs(10);

/// How many jobs a batch has, and how long the first of them waits for the others; for
/// [`WorkerBuilder::handle_batch`].
///
/// | setting | default | allowed |
/// |---|---|---|
/// | [`up_to`](Self::up_to) | none: it is always said | 1 to the worker's concurrency |
/// | [`within`](Self::within) | 10 ms | up to 10 s |
/// | [`by_group`](Self::by_group) | no: any jobs of the type | |
///
/// ```
/// # use oxcart::Batch;
/// # use std::time::Duration;
/// let batch = Batch::up_to(100).within(Duration::from_millis(50));
/// # let _ = batch;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it is given to `WorkerBuilder::handle_batch`"]
pub struct Batch {
    up_to: usize,
    within: Duration,
    share: Share,
}

impl Batch {
    /// Batches of at most so many jobs. Each job takes a slot of the worker.
    pub fn up_to(jobs: usize) -> Self {
        Self {
            up_to: jobs,
            within: WITHIN_DEFAULT,
            share: Share::All,
        }
    }

    /// A batch that is not full begins when its first job has waited for this long, or when jobs that wait for a batch have all slots of
    /// the worker. Default 10 ms; zero takes what is there
    /// at once.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// All jobs of a batch have the same [group](crate::Enqueue::group), which
    /// [`Context::group`](crate::Context::group) of each tells. The groups do not wait for one another: a batch begins when it is full,
    /// or when its own first job has waited long enough. A job without a group is a batch by itself, and begins at once.
    ///
    /// A batch is never larger than what its group may have at a time
    /// ([`QueueSettings::group_concurrency`](crate::QueueSettings::group_concurrency)).
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Row { text: String }
    /// # impl Job for Row { const NAME: &'static str = "row"; type Output = (); }
    /// # struct Tenants;
    /// # impl Tenants { async fn insert(&self, _: &str, _: impl Iterator<Item = &Row>) -> Result<(), std::io::Error> { Ok(()) } }
    /// async fn insert(rows: Vec<Batched<Row>>, tenants: State<Tenants>) -> Result<(), Failure> {
    ///     let tenant = rows[0].context().group().ok_or_else(|| Failure::dead("a row of no tenant"))?;
    ///     tenants.insert(tenant, rows.iter().map(|row| &row.job)).await?;
    ///     rows.into_iter().for_each(|row| row.complete(()));
    ///     Ok(())
    /// }
    /// # fn example(builder: WorkerBuilder, tenants: Tenants) -> WorkerBuilder {
    /// builder
    ///     .concurrency(200)
    ///     .state(tenants)
    ///     .handle_batch(Batch::up_to(100).by_group(), insert)
    /// # }
    /// ```
    pub fn by_group(mut self) -> Self {
        self.share = Share::Group;
        self
    }

    fn check(self, concurrency: usize) -> Result<(), Error> {
        let Self { up_to, within, .. } = self;
        if up_to == 0 {
            return Err(Error::invalid("a batch of up to 0 jobs can never begin"));
        }
        if up_to > concurrency {
            return Err(Error::invalid(format!(
                "a batch of up to {up_to} jobs takes {up_to} slots, and the worker has {concurrency}; give it \
                 `.concurrency({up_to})` or more, or make the batch smaller"
            )));
        }
        if within > WITHIN_MAX {
            return Err(Error::invalid(format!(
                "the jobs of a batch would wait for one another for {within:?}; {WITHIN_MAX:?} are allowed"
            )));
        }
        Ok(())
    }
}

impl WorkerBuilder {
    /// Runs jobs of this type in batches with this async function, which takes a `Vec<Batched<J>>`; see [`BatchHandler`].
    /// [`Batch`] says how many jobs it gets at most, and how long they wait for one another.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use std::time::Duration;
    /// # #[derive(Serialize, Deserialize)] struct Reading { sensor: u32, value: f64 }
    /// # impl Job for Reading { const NAME: &'static str = "reading"; type Output = (); }
    /// # struct Database;
    /// # impl Database { async fn insert(&self, _: impl Iterator<Item = &Reading>) -> Result<(), std::io::Error> { Ok(()) } }
    /// async fn insert(readings: Vec<Batched<Reading>>, database: State<Database>) -> Result<(), Failure> {
    ///     database.insert(readings.iter().map(|reading| &reading.job)).await?;    // an error is one of all jobs
    ///     for reading in readings {
    ///         reading.complete(());
    ///     }
    ///     Ok(())
    /// }
    /// # fn example(builder: WorkerBuilder, database: Database) -> WorkerBuilder {
    /// builder
    ///     .concurrency(200)
    ///     .state(database)
    ///     .handle_batch(Batch::up_to(100).within(Duration::from_millis(50)), insert)
    /// # }
    /// ```
    pub fn handle_batch<J: Job, Args: 'static>(
        self,
        batch: Batch,
        handler: impl BatchHandler<J, Args>,
    ) -> Self {
        let gather = Arc::new(Gather::new(handler, batch.up_to, batch.within, batch.share));
        self.handler::<J>(Box::new(TypedBatch {
            batch,
            gather,
            reader: Reader::new(),
        }))
    }
}

struct TypedBatch<H, J: Job, Args> {
    batch: Batch,
    gather: Arc<Gather<H, J, Args>>,
    reader: Reader<J>,
}

impl<H, J, Args> AnyHandler for TypedBatch<H, J, Args>
where
    H: BatchHandler<J, Args>,
    J: Job,
    Args: 'static,
{
    fn check(&self, states: &States, concurrency: usize) -> Result<(), Error> {
        self.batch.check(concurrency)?;
        self.reader.check()?;
        H::check(states)
    }

    fn options(&self) -> JobOptions {
        J::options()
    }

    fn version(&self) -> u32 {
        J::VERSION
    }

    fn start(&self, record: &Record, context: Context) -> Result<Started, Error> {
        let job = self.reader.read(record)?;
        let gather = Arc::clone(&self.gather);
        Ok(Started::Joins(Box::new(Member {
            job,
            context,
            gather,
        })))
    }

    fn gathering(&self) -> Option<&dyn Gathering> {
        Some(&*self.gather)
    }
}
