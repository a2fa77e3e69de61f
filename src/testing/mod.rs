//! Queues in memory, for the tests of an application: the same types, no Redis, and a clock
//! that a test turns. Only with the feature `memory`.

#![allow(
    clippy::panic,
    reason = "this is called by tests, which fail by panicking"
)]

pub(crate) mod batched;
pub(crate) mod context;
pub(crate) mod drain;
pub(crate) mod readable;
mod show;

use std::time::Duration;

use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::job::state::State;
use crate::memory::{self, Server};
use crate::oxcart::{Oxcart, OxcartBuilder};
use crate::queue::Queue;
use crate::queue::info::JobInfo;
use crate::store::BATCH_JOBS;
use crate::store::backend::{Backend, Store};
use crate::store::list::{Direction, List};
use crate::testing::show::Shown;
use crate::time::Timestamp;

/// Only with the feature `memory`.
impl Oxcart {
    /// Queues in this process's memory, empty at first: for tests, without a Redis. Everything
    /// but the waiting is as with Redis: fences, retries, priorities, events, results.
    ///
    /// Nothing is shared between two of these, and nothing outlives the last clone.
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use std::time::Duration;
    /// # #[derive(Serialize, Deserialize)] struct SendWelcome { user: u64 }
    /// # impl Job for SendWelcome { const NAME: &'static str = "w"; type Output = (); }
    /// # async fn send_welcome(_: SendWelcome) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let oxcart = Oxcart::in_memory();
    /// let mail = oxcart.queue("mail")?;
    /// let worker = Worker::builder(&mail).handle(send_welcome).build()?;
    ///
    /// mail.enqueue(SendWelcome { user: 7 }).delay(Duration::from_secs(3_600)).await?;
    /// mail.assert_enqueued(|job: &SendWelcome| job.user == 7);
    /// assert!(worker.drain().await.is_empty());
    ///
    /// oxcart.advance_time(Duration::from_secs(3_600));
    /// let ran = worker.drain().await;
    /// assert!(ran[0].outcome.is_completed());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn in_memory() -> Self {
        let built = OxcartBuilder::default().in_memory();
        built.expect("the defaults are well formed")
    }

    /// Turns the clock of the queues in memory forward, by at most ten years. It runs by itself
    /// as well, as the system's does.
    ///
    /// What becomes due by it is run by the next [`Worker::drain`](crate::Worker::drain), or at
    /// once by a worker that runs.
    ///
    /// # Panics
    ///
    /// If the queues are in a Redis: its clock cannot be turned.
    #[track_caller]
    pub fn advance_time(&self, by: Duration) {
        turnable(self).advance(by);
    }

    /// Turns the clock of the queues in memory forward to this moment, so that what is due then is
    /// due; takes a [`SystemTime`](std::time::SystemTime) as well. Nothing happens if it has
    /// passed: the clock is never turned back. Otherwise as [`advance_time`](Self::advance_time).
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Report {}
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// # async fn report(_: Report) -> Result<(), Failure> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let oxcart = Oxcart::in_memory();
    /// let reports = oxcart.queue("reports")?;
    /// reports.schedule("nightly").cron("0 3 * * *").job(Report {}).await?;
    /// let worker = Worker::builder(&reports).handle(report).build()?;
    ///
    /// let nightly = reports.schedule("nightly").info().await?.expect("it is stored");
    /// oxcart.advance_to(nightly.next_tick.expect("it goes on"));
    /// assert_eq!(worker.drain().await.len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// If the queues are in a Redis: its clock cannot be turned.
    #[track_caller]
    pub fn advance_to(&self, moment: impl Into<Timestamp>) {
        let server = turnable(self);
        let now = Timestamp::from_millis(server.now_ms());
        server.advance(moment.into().duration_since(now));
    }
}

#[track_caller]
fn turnable(oxcart: &Oxcart) -> &Server {
    match &oxcart.inner.backend {
        Backend::Memory(server) => server,
        Backend::Redis(_) => panic!("only the clock of Oxcart::in_memory() can be turned"),
    }
}

/// Only with the feature `memory`.
impl OxcartBuilder {
    /// Queues in memory with these settings; see [`Oxcart::in_memory`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed namespace or a call
    /// timeout of zero.
    pub fn in_memory(self) -> Result<Oxcart, Error> {
        self.build(Server::default().into())
    }
}

/// Only with the feature `memory`.
impl Queue {
    /// The jobs of one type that wait or are delayed, in the order in which they would be run.
    ///
    /// # Panics
    ///
    /// If the queue is in a Redis, or if a job of that name cannot be read as a `J`.
    #[must_use]
    #[track_caller]
    pub fn enqueued<J: Job>(&self) -> Vec<J> {
        of_type(self).into_iter().map(|(_, job)| job).collect()
    }

    /// Asserts that a job of this type waits or is delayed that is as `wanted`; gives what is
    /// known of the first of these, to check when it is due, its priority, its headers.
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct SendWelcome { user: u64 }
    /// # impl Job for SendWelcome { const NAME: &'static str = "w"; type Output = (); }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let mail = Oxcart::in_memory().queue("mail")?;
    /// mail.enqueue(SendWelcome { user: 7 }).priority(3).await?;
    ///
    /// let found = mail.assert_enqueued(|job: &SendWelcome| job.user == 7);
    /// assert_eq!(found.priority, 3);
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such job, with a list of the jobs that there are and the payloads of jobs of this type; and as
    /// [`enqueued`](Self::enqueued).
    #[track_caller]
    pub fn assert_enqueued<J: Job>(&self, wanted: impl Fn(&J) -> bool) -> JobInfo {
        let found = of_type::<J>(self);
        let (of_name, all) = (found.len(), in_line(self));
        if let Some((info, _)) = found.into_iter().find(|(_, job)| wanted(job)) {
            return info;
        }
        let shown = |info: &&JobInfo| info.name == J::NAME;
        let (same, others): (Vec<_>, Vec<_>) = all.iter().partition(shown);
        let same = same.into_iter().map(|info| {
            let payload = info.payload::<Shown>().unwrap_or_default();
            format!("\n  {payload} ({}, {})", info.state, info.id)
        });
        let others = others
            .into_iter()
            .map(|info| format!("\n  another: `{}` ({}, {})", info.name, info.state, info.id));
        panic!(
            "no `{0}` as wanted in `{1}`; in line: {of_name} `{0}`, {2} other{3}",
            J::NAME,
            self.name(),
            all.len() - of_name,
            same.chain(others).collect::<String>()
        );
    }
}

#[track_caller]
fn of_type<J: Job>(queue: &Queue) -> Vec<(JobInfo, J)> {
    let of_name = in_line(queue)
        .into_iter()
        .filter(|info| info.name == J::NAME);
    // The test has made them.
    let decoded = |info: JobInfo| match info.clone().reveal().job() {
        Ok(job) => (info, job),
        Err(error) => panic!("job {}: {error}", info.id),
    };
    of_name.map(decoded).collect()
}

/// What waits or is delayed.
#[track_caller]
fn in_line(queue: &Queue) -> Vec<JobInfo> {
    let memory = in_memory(queue);
    let mut found = Vec::new();
    for state in [State::Waiting, State::Delayed] {
        let mut after = None;
        loop {
            let page = memory.call(&List {
                state: state.as_str(),
                direction: Direction::Forward,
                limit: BATCH_JOBS,
                look_at: BATCH_JOBS,
                only: None,
                bytes: usize::MAX,
                after: after.as_ref(),
            });
            for (id, job) in page.jobs {
                match JobInfo::decode(&JobId::stored(&id), job) {
                    Ok(info) => found.push(info),
                    Err(error) => panic!("job {id}: {error}"),
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    found
}

#[track_caller]
fn in_memory(queue: &Queue) -> &memory::Queue {
    match &queue.inner.store {
        Store::Memory(memory) => memory,
        Store::Redis(_) => panic!(
            "`{}` is in a Redis; this is for queues of Oxcart::in_memory()",
            queue.name()
        ),
    }
}
