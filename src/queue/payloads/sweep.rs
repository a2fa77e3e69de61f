//! Objects that no job has any more.

use std::time::{Duration, SystemTime};

use crate::claim_check::{check_grace, object_name};
use crate::error::Error;
use crate::queue::Queue;

/// What a look at the objects of a queue found ([`Queue::sweep_payloads`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweptPayloads {
    /// How many objects there were.
    pub objects: u64,
    /// How many of them no job had any more, and were deleted.
    pub deleted: u64,
    /// How many bytes these had.
    pub bytes: u64,
}

impl Queue {
    /// Deletes all payloads of this queue in the [store](crate::ClaimCheck) that no job has any more, and that were stored longer ago than this: at
    /// least 1 h, because the job of a younger one may still be on its way. Workers do the same every now and then; for a queue without workers, or one
    /// that was [deleted](Queue::delete), call it yourself. Several may do it at a time.
    ///
    /// It asks Redis in calls of 256 objects, so it may take a while for many of them.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use std::time::Duration;
    /// # async fn example(scans: Queue) -> Result<(), Error> {
    /// let swept = scans.sweep_payloads(Duration::from_secs(3600)).await?;
    /// println!("{} of {} objects were orphans", swept.deleted, swept.objects);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if this connection has no store, or the age is less than 1 h;
    /// [`ErrorKind::PayloadStore`](crate::ErrorKind::PayloadStore) if the store does not answer; and if Redis does not: see [`Queue`].
    ///
    /// # Cancel safety
    ///
    /// A sweep that is dropped has done a part of its work; the next one does the rest.
    pub async fn sweep_payloads(&self, older_than: Duration) -> Result<SweptPayloads, Error> {
        check_grace(older_than)?;
        let claim_check = self.inner.claim_check()?;
        let mut swept = SweptPayloads::default();
        let Some(until) = SystemTime::now().checked_sub(older_than) else {
            return Ok(swept);
        };
        let prefix = self.inner.objects();
        let mut pages = claim_check.list(&prefix);
        while let Some(page) = claim_check.next_page(&mut *pages).await? {
            let mut bytes = Vec::new();
            let mut old = Vec::new();
            for object in page {
                // Something else may be kept there.
                let Some(id) = object_name::job_of(&prefix, &object.name) else {
                    continue;
                };
                swept.objects += 1;
                if object.modified < until {
                    bytes.push(object.bytes);
                    old.push((id, object.name));
                }
            }
            let deleted = self.inner.delete_unused(&old).await?;
            swept.deleted += deleted.len() as u64;
            swept.bytes += deleted.iter().map(|at| bytes[*at]).sum::<u64>();
        }
        Ok(swept)
    }
}
