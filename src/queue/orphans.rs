//! Jobs that are in no list of a queue any more.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::id::JobId;
use crate::queue::Queue;
use crate::store::BATCH_JOBS;
use crate::store::orphans::{How, Orphans as Verb};
use crate::time::millis;

/// Records looked at in one call. The server reads them, with payloads of up to 2 KiB.
const RECORDS_PER_CALL: usize = 64;
/// The lease of a job whose worker may still run it, if no worker has said how long its leases are.
const LEASE: Duration = Duration::from_secs(30);

/// Jobs whose record is there, and that are in no list: neither in line nor anywhere else; and jobs that are blocked and
/// that their group or order does not know any more; and [children](crate::Flow) whose record is gone, and for which their parent waits. See [`Queue::orphans`].
///
/// All of these go through the records of all jobs, 64 in a call, beside whatever else happens in the
/// queue: workers go on meanwhile.
///
/// # Errors
///
/// [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable), [`ErrorKind::Refused`](crate::ErrorKind::Refused) or
/// [`ErrorKind::Unknown`](crate::ErrorKind::Unknown) when Redis does not answer. What was done until then stays done, and
/// repeating it is harmless.
///
/// # Cancel safety
///
/// If the future is dropped on the way, some of the jobs are dealt with, and the others stay as they are.
#[must_use = "nothing is looked for until one of its methods is awaited"]
pub struct Orphans {
    queue: Queue,
    told: Option<Box<dyn FnMut(u64) + Send>>,
}

impl Queue {
    /// Jobs that are in no list any more: a key of the queue was deleted, or Redis evicted it (a `maxmemory-policy`
    /// other than `noeviction`). Their records are still there. Look at them with [`list`](Orphans::list), and
    /// decide between [`put_back`](Orphans::put_back) and [`remove`](Orphans::remove).
    ///
    /// ```no_run
    /// # async fn example(mail: oxcart::Queue) -> Result<(), oxcart::Error> {
    /// for id in mail.orphans().list().await? {
    ///     println!("{id} is in no list");
    /// }
    /// let back = mail.orphans().put_back().await?;
    /// println!("{back} jobs are where they belong again");
    /// # Ok(()) }
    /// ```
    pub fn orphans(&self) -> Orphans {
        Orphans {
            queue: self.clone(),
            told: None,
        }
    }
}

impl Orphans {
    /// Is told after each call about how many records were looked at since the call before. It must not block.
    ///
    /// ```no_run
    /// # async fn example(mail: oxcart::Queue) -> Result<(), oxcart::Error> {
    /// let mut looked_at = 0;
    /// let orphans = mail.orphans().on_progress(move |records| {
    ///     looked_at += records;
    ///     eprintln!("{looked_at} records");
    /// });
    /// println!("{} jobs are in no list", orphans.list().await?.len());
    /// # Ok(()) }
    /// ```
    pub fn on_progress(mut self, told: impl FnMut(u64) + Send + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    /// Up to 256 of them.
    ///
    /// # Errors
    ///
    /// As [`Orphans`].
    pub async fn list(mut self) -> Result<Vec<JobId>, Error> {
        let mut ids: Vec<JobId> = Vec::new();
        let mut cursor = Verb::FIRST.to_owned();
        loop {
            let found = self.page(&cursor, How::Look).await?;
            let new = found.ids.iter().map(|id| JobId::stored(id));
            for id in new {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            if found.cursor == Verb::FIRST || ids.len() >= BATCH_JOBS {
                ids.truncate(BATCH_JOBS);
                return Ok(ids);
            }
            cursor = found.cursor;
        }
    }

    /// Puts all of them back; how many there were.
    ///
    /// - A job that has not ended gets its place in line again, and runs as soon as it is its turn. If it was delayed
    ///   it waits no longer: until when was lost with the list.
    /// - A job with a group or an order is held back until it is its turn there.
    /// - A job that waited for the end of the one with its unique key ([`OnDuplicate::KeepLatest`](crate::OnDuplicate::KeepLatest))
    ///   waits for it again.
    /// - A job that a worker may be running gets a lease. The worker renews it, or the job stalls when it ends.
    /// - A job whose [unique key](crate::Unique) another job has by now stays where it is, and is not counted. It can be put back when the
    ///   other job has ended.
    /// - A child whose record is gone cannot be put back: its parent is told that it was removed, and goes on when the others have ended.
    /// - A job that had ended is not run again. A dead one is on the dead-letter list, any other is kept as if it had ended now.
    ///
    /// # Errors
    ///
    /// As [`Orphans`].
    pub async fn put_back(self) -> Result<u64, Error> {
        self.all(How::PutBack, "put back orphans").await
    }

    /// Removes all of them, with all that is known of them; how many there were. Jobs that a worker may be
    /// running are left: they get a lease, as by [`put_back`](Self::put_back). The parent of a child whose record is gone is told that the child
    /// was removed.
    ///
    /// # Errors
    ///
    /// As [`Orphans`].
    pub async fn remove(self) -> Result<u64, Error> {
        self.all(How::Remove, "remove orphans").await
    }

    async fn all(mut self, how: How, action: &str) -> Result<u64, Error> {
        let inner = std::sync::Arc::clone(&self.queue.inner);
        inner.began(action, "").await?;
        let (mut cursor, mut sum) = (Verb::FIRST.to_owned(), 0);
        loop {
            let page = self.page(&cursor, how).await?;
            sum += page.ids.len() as u64;
            if page.cursor == Verb::FIRST && !page.more {
                inner.ended(action, "", sum).await?;
                return Ok(sum);
            }
            cursor = page.cursor;
        }
    }

    async fn page(
        &mut self,
        cursor: &str,
        how: How,
    ) -> Result<crate::store::orphans::Found, Error> {
        let verb = Verb {
            cursor,
            limit: RECORDS_PER_CALL,
            how,
            lease_ms: millis(LEASE),
        };
        let found = self.queue.inner.call(&verb).await?;
        if let Some(told) = &mut self.told {
            told(RECORDS_PER_CALL as u64);
        }
        Ok(found)
    }
}

impl fmt::Debug for Orphans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Orphans").field(&self.queue.name()).finish()
    }
}
