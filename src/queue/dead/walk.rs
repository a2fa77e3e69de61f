//! Reads dead letters page by page, those that died first before the others, up to the moment at which it began.

use std::collections::HashSet;

use crate::error::Error;
use crate::id::JobId;
use crate::job::state::State;
use crate::queue::dead::DeadLetters;
use crate::queue::info::JobInfo;
use crate::queue::jobs::JobCursor;
use crate::store::counts::Counts;
use crate::time::Timestamp;

/// A page at a time is in memory, whatever the number of dead letters. A job that dies after it began is not met: so a job that
/// is replayed on the way and dies again does not come twice.
pub(super) struct Walk {
    letters: DeadLetters,
    /// When it began, by the server's clock.
    pub(super) began_at: Timestamp,
    /// How many jobs were dead then.
    pub(super) dead: u64,
    /// How many it has looked at.
    pub(super) read: u64,
    /// How many of these a newer version wrote.
    pub(super) unreadable: u64,
    after: Option<JobCursor>,
    ended: bool,
    /// Those that died in the very millisecond in which it began: they may do so again in the same one.
    at_the_edge: HashSet<JobId>,
}

impl Walk {
    pub(super) async fn begin(letters: DeadLetters) -> Result<Self, Error> {
        let counted = letters.queue.inner.call(&Counts).await?;
        Ok(Self {
            letters,
            began_at: Timestamp::from_millis(counted.now_ms),
            dead: counted.jobs("dead"),
            read: 0,
            unreadable: 0,
            after: None,
            ended: false,
            at_the_edge: HashSet::new(),
        })
    }

    /// Those of the next page that pass; there may be none. `None` behind the last page.
    pub(super) async fn page(&mut self) -> Result<Option<Vec<JobInfo>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let mut request = self.letters.queue.jobs(State::Dead);
        if let Some(cursor) = self.after.take() {
            request = request.after(cursor);
        }
        let page = request.await?;
        self.ended = page.next.is_none();
        self.after = page.next;
        self.unreadable += page.unreadable.len() as u64;
        self.read += (page.jobs.len() + page.unreadable.len()) as u64;
        let end = self.letters.filter.ends_at(self.began_at);
        let mut found = Vec::new();
        for job in page.jobs {
            let died = died_at(&job);
            // The others died later.
            if died > self.began_at || end.is_some_and(|end| died >= end) {
                self.ended = true;
                break;
            }
            if died == self.began_at && !self.at_the_edge.insert(job.id.clone()) {
                continue;
            }
            if self.letters.filter.passes(&job, died, self.began_at) {
                found.push(job);
            }
        }
        Ok(Some(found))
    }
}

pub(super) fn died_at(job: &JobInfo) -> Timestamp {
    job.ended_at.unwrap_or(job.enqueued_at)
}
