//! From a unique key to the job that has it.

use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::job::traits::unique_key;
use crate::policy::key::{check_key, encode_key};
use crate::queue::Queue;
use crate::queue::handle::JobHandle;
use crate::store::owner::Owner;

impl Queue {
    /// The job of this type that has a [unique key](crate::Unique) now; `None` if the key is free. The handle tells all that is known
    /// of the job ([`JobHandle::info`]), waits for its [result](JobHandle::result), or cancels it. One cheap read.
    ///
    /// The job waits or runs. If the key is taken for a time ([`Unique::for_time`](crate::Unique::for_time)), the job may have
    /// ended, and [`JobHandle::info`] is `None` once the queue has dropped it. A successor
    /// ([`OnDuplicate::KeepLatest`](crate::OnDuplicate::KeepLatest)) does not have the key yet.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Export { user: u64 }
    /// # impl Job for Export { const NAME: &'static str = "export"; type Output = (); }
    /// # async fn example(queue: Queue) -> Result<(), Error> {
    /// match queue.job_with_key::<Export>("user-7").await? {
    ///     Some(job) => println!("{} is under way", job.id()),
    ///     None => println!("no export of this user waits or runs"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the key is empty or has more than 512 bytes; or if Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn job_with_key<J: Job>(&self, key: &str) -> Result<Option<JobHandle<J>>, Error> {
        let holder = self.holder_of("`job_with_key`", J::NAME, key).await?;
        Ok(holder.map(|id| JobHandle::existing(self.clone(), id)))
    }

    /// The job of this name that has a key.
    pub(super) async fn holder_of(
        &self,
        call: &str,
        job_name: &str,
        key: &str,
    ) -> Result<Option<JobId>, Error> {
        check_key(call, key)?;
        let name = &encode_key(&unique_key(job_name, key));
        self.inner.call(&Owner { name }).await
    }
}
