//! Payloads that are in a store, as the queue of their jobs deals with them.

mod carry;
mod load;
pub(crate) mod sweep;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::debug;

use crate::claim_check::ClaimCheck;
use crate::claim_check::object_name;
use crate::claim_check::ticket::Ticket;
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::queue::QueueInner;
use crate::store::BATCH_JOBS;
use crate::store::enqueue::NewJob;
use crate::store::tickets::{TicketOf, Tickets};

/// For so long a caller waits, at most, until an object is deleted that nobody needs.
const CLEANING_MAX: Duration = Duration::from_secs(2);

impl QueueInner {
    fn claim_check(&self) -> Result<&ClaimCheck, Error> {
        self.setup.claim_check.as_ref().ok_or_else(|| {
            Error::invalid(format!(
                "a payload of the queue `{}` is in a store, and this connection has none (OxcartBuilder::claim_check)",
                self.name
            ))
        })
    }

    /// What the names of all objects of this queue begin with.
    pub(crate) fn objects(&self) -> String {
        object_name::prefix(&self.setup.namespace, &self.name)
    }

    /// Puts the payload of a job that is to be added into the store; what is added then has a ticket.
    pub(crate) async fn claim(&self, job: &mut NewJob, most: Duration) -> Result<(), Error> {
        let claimed = self.claimed(&job.id, &job.record, most).await;
        job.record = claimed.map_err(|error| {
            let (id, queue) = (&job.id, &self.name);
            let what = format_args!("job {id} was not enqueued into `{queue}`");
            error.within(what).with_job(id)
        })?;
        Ok(())
    }

    /// This record of a job, with a ticket in the place of its payload.
    pub(crate) async fn claimed(
        &self,
        id: &JobId,
        record: &EncodedRecord,
        most: Duration,
    ) -> Result<EncodedRecord, Error> {
        let payload = match &record.external_payload {
            Some(payload) => payload.clone(),
            None => record.read()?.payload,
        };
        let ticket = self.put(id, payload, most).await?;
        record.with_payload(ticket.encode(), true)
    }

    /// Puts a payload of this job into the store.
    pub(crate) async fn put(
        &self,
        id: &JobId,
        payload: Vec<u8>,
        most: Duration,
    ) -> Result<Ticket, Error> {
        let claim_check = self.claim_check()?;
        let object = object_name::fresh(&self.objects(), id);
        claim_check.put(object, payload, most).await
    }

    /// The payload that is in the store.
    pub(crate) async fn fetch(&self, ticket: &Ticket) -> Result<Vec<u8>, Error> {
        let claim_check = self.claim_check()?;
        // Whoever can write a ticket may not read with it what is not of this queue.
        if object_name::job_of(&self.objects(), &ticket.object).is_none() {
            let what = format!(
                "`{}` is not the name of an object of the queue `{}`",
                ticket.object, self.name
            );
            return Err(Error::new(ErrorKind::PayloadLost, what));
        }
        claim_check.fetch(ticket).await
    }

    /// Deletes objects that surely no job has, or will have. What fails is left to the sweep. `most`: the caller waits no longer.
    pub(crate) async fn discard(self: &Arc<Self>, objects: Vec<(JobId, String)>, most: Duration) {
        let objects: Vec<String> = objects.into_iter().map(|(_, object)| object).collect();
        if objects.is_empty() {
            return;
        }
        let inner = Arc::clone(self);
        let delete = async move { inner.claim_check()?.delete(&objects).await };
        self.clean(delete, most).await;
    }

    /// The same for objects that a job may have: these stay.
    pub(crate) async fn discard_unused(self: &Arc<Self>, objects: Vec<(JobId, String)>) {
        self.discard_unused_within(objects, CLEANING_MAX).await;
    }

    /// The same; `most`: the caller waits no longer.
    pub(crate) async fn discard_unused_within(
        self: &Arc<Self>,
        mut objects: Vec<(JobId, String)>,
        most: Duration,
    ) {
        objects.retain(|(id, object)| self.is_object_of(id, object));
        if self.setup.claim_check.is_none() || objects.is_empty() {
            return;
        }
        let inner = Arc::clone(self);
        let delete = async move { inner.delete_unused(&objects).await.map(drop) };
        self.clean(delete, most).await;
    }

    /// Goes on when the caller waits no longer. On the caller's runtime: the store may need that.
    async fn clean(
        &self,
        cleaning: impl Future<Output = Result<(), Error>> + Send + 'static,
        most: Duration,
    ) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let queue = self.name.clone();
        let cleaning = runtime.spawn(async move {
            if let Err(error) = cleaning.await {
                debug!(%queue, %error, "an object that no job needs is left to the sweep");
            }
        });
        // If it takes longer, it goes on.
        timeout(CLEANING_MAX.min(most), cleaning).await.ok();
    }

    /// Whether this is the name of an object of this job, and no other place that somebody has written into a ticket.
    pub(crate) fn is_object_of(&self, id: &JobId, object: &str) -> bool {
        object_name::job_of(&self.objects(), object).as_ref() == Some(id)
    }

    /// Deletes those of these objects that no job has. Returns which they were, as positions. All of them are [objects of their jobs](Self::is_object_of).
    pub(crate) async fn delete_unused(
        &self,
        objects: &[(JobId, String)],
    ) -> Result<Vec<usize>, Error> {
        let claim_check = self.claim_check()?;
        let mut deleted = Vec::new();
        for (page, objects) in objects.chunks(BATCH_JOBS).enumerate() {
            let asked: Vec<_> = objects
                .iter()
                .map(|(id, object)| TicketOf { id, object })
                .collect();
            let held = self.call(&Tickets { tickets: &asked }).await?;
            let unused = |position: &usize| !held.contains(position);
            let unused: Vec<usize> = (0..objects.len()).filter(unused).collect();
            let names: Vec<String> = unused.iter().map(|at| objects[*at].1.clone()).collect();
            claim_check.delete(&names).await?;
            deleted.extend(unused.into_iter().map(|at| page * BATCH_JOBS + at));
        }
        Ok(deleted)
    }
}
