//! Jobs that come from elsewhere: a payload that was in a store there is put anew here, because the name of an object says which queue has it.

use std::time::Duration;

use crate::claim_check::ClaimCheck;
use crate::error::Error;
use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::queue::{Queue, QueueInner};

impl QueueInner {
    /// The largest payload that this queue takes, wherever that is kept.
    pub(in crate::queue) fn largest_payload(&self) -> usize {
        let in_store = |claim_check: &ClaimCheck| claim_check.payload_max;
        let in_store = self.setup.claim_check.as_ref().map_or(0, in_store);
        self.setup.payload_max.max(in_store)
    }

    /// A record that has its payload, as this queue keeps it: if it is too large for Redis, it is put into the store.
    pub(in crate::queue) async fn kept_here(
        &self,
        id: &JobId,
        record: EncodedRecord,
    ) -> Result<EncodedRecord, Error> {
        let Some(claim_check) = &self.setup.claim_check else {
            return Ok(record);
        };
        // As when it is enqueued.
        if record.bytes() <= claim_check.over.min(self.setup.payload_max) {
            return Ok(record);
        }
        let read = record.read()?;
        match self.setup.check_payload(&read.name, &read.payload, true)? {
            true => self.claimed(id, &record, Duration::MAX).await,
            false => Ok(record),
        }
    }
}

impl Queue {
    /// The record of a job of the queue `from`, as it is kept here. Its payload is read if it is in the store of that queue.
    pub(in crate::queue) async fn carried(
        &self,
        from: &Self,
        id: &JobId,
        record: EncodedRecord,
    ) -> Result<EncodedRecord, Error> {
        let Some(ticket) = record.ticket() else {
            return Ok(record);
        };
        let carry = async {
            let payload = from.inner.fetch(&ticket).await?;
            let name = record.read()?.name;
            let inner = &self.inner;
            let may_go = inner.setup.claim_check.is_some();
            inner.setup.check_payload(&name, &payload, may_go)?;
            inner
                .kept_here(id, record.with_payload(payload, false)?)
                .await
        };
        carry.await.map_err(|error| error.with_job(id))
    }
}
