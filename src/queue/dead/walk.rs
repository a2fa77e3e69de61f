//! Reads dead letters page by page, those that died first before the others, up to the moment at which it began.

use std::collections::HashSet;

use crate::error::Error;
use crate::id::JobId;
use crate::job::state::State;
use crate::queue::Queue;
use crate::queue::dead::DeadLetters;
use crate::queue::info::JobInfo;
use crate::store::BATCH_JOBS;
use crate::store::counts::Counts;
use crate::store::get::Found;
use crate::store::list::{Direction, List, Place};
use crate::time::Timestamp;

/// How many bytes a page carries at most, unless it is one job.
const PAGE_BYTES: usize = 256 * 1024;

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
    after: Option<Place>,
    ended: bool,
    /// Those that died in the very millisecond in which it began: they may do so again in the same one.
    at_the_edge: HashSet<JobId>,
}

impl Walk {
    pub(super) fn queue(&self) -> &Queue {
        &self.letters.queue
    }

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
        let page = self.page_as_stored().await?;
        Ok(page.map(|page| page.jobs.into_iter().map(|(job, _)| job).collect()))
    }

    /// The same, and what is stored of each.
    pub(super) async fn page_as_stored(&mut self) -> Result<Option<Page>, Error> {
        if self.ended {
            return Ok(None);
        }
        let verb = List {
            state: State::Dead.as_str(),
            direction: Direction::Forward,
            limit: BATCH_JOBS,
            look_at: BATCH_JOBS,
            only: None,
            bytes: PAGE_BYTES,
            after: self.after.as_ref(),
        };
        let listed = self.letters.queue.inner.call(&verb).await?;
        self.ended = listed.next.is_none();
        self.after = listed.next;
        self.read += listed.jobs.len() as u64;
        let end = self.letters.filter.ends_at(self.began_at);
        let mut page = Page::default();
        for (id, found) in listed.jobs {
            let job = match JobInfo::decode(&JobId::stored(&id), found.clone()) {
                Ok(job) => job,
                Err(error) => {
                    self.unreadable += 1;
                    page.unreadable.push(error);
                    continue;
                }
            };
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
                page.jobs.push((job, found));
            }
        }
        Ok(Some(page))
    }
}

/// Some dead letters.
#[derive(Default)]
pub(super) struct Page {
    pub(super) jobs: Vec<(JobInfo, Found)>,
    /// One error for each that this version cannot read.
    pub(super) unreadable: Vec<Error>,
}

pub(super) fn died_at(job: &JobInfo) -> Timestamp {
    job.ended_at.unwrap_or(job.enqueued_at)
}
