//! How a worker calls a handler, whatever the type of its jobs.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::codec;
use crate::error::Error;
use crate::job::Job;
use crate::job::options::JobOptions;
use crate::job::reader::Reader;
use crate::job::record::Record;
use crate::service::lease::Lease;
use crate::worker::context::Context;
use crate::worker::decide::Happened;
use crate::worker::extract::States;
use crate::worker::handler::{Failed, Handler, Returned};

pub(crate) type Running = Pin<Box<dyn Future<Output = Returned> + Send>>;

/// A handler whose job type is forgotten.
pub(crate) trait AnyHandler: Send + Sync {
    /// Whether a worker with these states and so many slots can call it.
    fn check(&self, states: &States, concurrency: usize) -> Result<(), Error>;

    fn options(&self) -> JobOptions;

    /// The last version of the payload that it reads.
    fn version(&self) -> u32;

    /// Decodes the payload of the record. Nothing of the handler runs before the first poll, its arguments
    /// included.
    fn start(&self, record: &Record, context: Context) -> Result<Started, Error>;

    /// Where jobs wait for one another, if the handler takes several at once.
    #[allow(
        dead_code,
        reason = "only workers that a test runs by hand use it, and these are a feature"
    )]
    fn gathering(&self) -> Option<&dyn Gathering> {
        None
    }
}

/// A job that was read, for a handler.
pub(crate) enum Started {
    /// The handler takes this job alone.
    Alone(Running),
    /// The handler takes it together with others.
    Joins(Box<dyn Joining>),
}

/// A job that is about to wait for its batch.
pub(crate) trait Joining: Send {
    /// Waits for the batch and for the outcome that the handler gives to this job.
    fn attend<'a>(
        self: Box<Self>,
        bounds: Bounds<'a>,
    ) -> Pin<Box<dyn Future<Output = Happened> + Send + 'a>>;
}

/// What ends an attempt from outside.
pub(crate) struct Bounds<'a> {
    pub(crate) lease: &'a Lease,
    /// The time limit of the job, from the moment when its batch begins.
    pub(crate) limit: Option<Duration>,
    /// The worker begins nothing more.
    pub(crate) claims_end: &'a CancellationToken,
    /// How many jobs the worker may have at a time.
    pub(crate) slots: usize,
}

/// Where jobs wait for one another, for a worker that a test runs by hand.
#[allow(
    dead_code,
    reason = "only workers that a test runs by hand use it, and these are a feature"
)]
pub(crate) trait Gathering: Send + Sync {
    /// Which batch a job of this group joins.
    fn place(&self, group: Option<&str>) -> Place;

    /// The next jobs that join this batch wait until it is full, or for as long as this.
    fn open(&self, place: Place, within: Duration, claims_end: &CancellationToken);

    /// How many wait.
    fn waiting(&self) -> usize;

    /// The batch begins with the jobs that wait.
    fn begin(&self);
}

/// The batch of a handler that a job joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The group of its jobs, if they have to share it.
    pub(crate) group: Option<String>,
    /// How many jobs it has at most.
    pub(crate) up_to: usize,
}

struct Typed<H, J, Args> {
    handler: Arc<H>,
    reader: Reader<J>,
    types: PhantomData<fn() -> (J, Args)>,
}

impl<H, J, Args> AnyHandler for Typed<H, J, Args>
where
    H: Handler<J, Args>,
    J: Job,
    Args: 'static,
{
    fn check(&self, states: &States, _: usize) -> Result<(), Error> {
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
        let handler = Arc::clone(&self.handler);
        // Everything of the handler is inside the future: its panics are caught there.
        Ok(Started::Alone(Box::pin(async move {
            let output = handler.call(job, context).await.map_err(Failed::from)?;
            Ok(codec::encode_to_be_read("a job's result", &output))
        })))
    }
}

/// All handlers of a worker, by the name of the job.
pub(crate) type Handlers = HashMap<&'static str, Box<dyn AnyHandler>>;

pub(crate) fn typed<H, J, Args>(handler: H) -> Box<dyn AnyHandler>
where
    H: Handler<J, Args>,
    J: Job,
    Args: 'static,
{
    Box::new(Typed {
        handler: Arc::new(handler),
        reader: Reader::new(),
        types: PhantomData,
    })
}
