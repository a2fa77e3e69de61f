//! Reading the payload of a job that was looked up from the store.

use crate::error::Error;
use crate::queue::Queue;
use crate::queue::info::JobInfo;

impl Queue {
    /// The same job with its payload, if that is in a [store](crate::ClaimCheck): so [`JobInfo::payload`] and [`JobInfo::job`] read it. Of any other
    /// job it gives back what it got.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example<Scan: Job>(queue: Queue, id: JobId) -> Result<(), Error> {
    /// if let Some(info) = queue.job(&id).await? {
    ///     let scan: Scan = queue.load_payload(info).await?.job()?;
    /// #   drop(scan);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PayloadStore`](crate::ErrorKind::PayloadStore) if the store does not answer; [`ErrorKind::PayloadLost`](crate::ErrorKind::PayloadLost) if the payload
    /// is not there any more, or is not as it was stored; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if this connection has no
    /// store, or the payload is larger than [it allows](crate::ClaimCheck::payload_max).
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn load_payload(&self, info: JobInfo) -> Result<JobInfo, Error> {
        let Some(ticket) = info.open_ticket()? else {
            return Ok(info);
        };
        let payload = self.inner.fetch(&ticket).await;
        let payload = payload.map_err(|error| error.with_job(&info.id))?;
        Ok(info.with_payload(payload))
    }
}
