//! What jobs died of: those with the same fingerprint, counted.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::ops::ControlFlow;
use std::pin::Pin;

use crate::error::Error;
use crate::id::JobId;
use crate::queue::dead::DeadLetters;
use crate::queue::dead::fingerprint::Fingerprint;
use crate::queue::dead::walk::{Walk, died_at};
use crate::queue::info::JobInfo;
use crate::time::Timestamp;

/// More different ones are not told apart.
const GROUPS_MAX: usize = 1_000;
/// How many dead letters are read, unless set.
const READ_DEFAULT: u64 = 100_000;

/// How far it is, for the caller.
type Told = Box<dyn FnMut(u64, u64) -> ControlFlow<()> + Send>;

/// A request to count dead letters by what they died of ([`DeadLetters::groups`]).
///
/// # Errors
///
/// If Redis does not answer; see [`Queue`](crate::Queue).
///
/// # Cancel safety
///
/// Only reads.
#[must_use = "nothing is read until it is awaited"]
pub struct GroupDead {
    letters: DeadLetters,
    read_at_most: u64,
    told: Option<Told>,
}

/// Dead letters with the same fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadGroup {
    /// The same for all of them; [`DeadLetters::fingerprint`] chooses them.
    pub fingerprint: Fingerprint,
    /// The name of the jobs.
    pub name: String,
    /// How many there are.
    pub count: u64,
    /// When the first of them died.
    pub first_at: Timestamp,
    /// When the last of them died.
    pub last_at: Timestamp,
    /// The error of the job that died last; at most 4 KiB.
    pub sample: String,
    /// The job that died last.
    pub sample_id: JobId,
}

/// What dead letters died of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadGroups {
    /// The groups, the largest first; at most 1,000.
    pub groups: Vec<DeadGroup>,
    /// How many dead letters there were.
    pub dead: u64,
    /// How many of them were read.
    pub read: u64,
    /// How many of these a newer version wrote, so that they are in no group.
    pub unreadable: u64,
    /// How many passed, and belong to none of the 1,000 groups.
    pub left_out: u64,
}

impl GroupDead {
    pub(super) fn new(letters: DeadLetters) -> Self {
        Self {
            letters,
            read_at_most: READ_DEFAULT,
            told: None,
        }
    }

    /// Reads no more than about so many dead letters, those that died first; 100,000 unless set. They are read in pages of up to 256.
    pub fn read_at_most(mut self, jobs: u64) -> Self {
        self.read_at_most = jobs;
        self
    }

    /// Is told after each page how many dead letters were read, and how many there are. `Break` ends the reading; what was counted
    /// until then is the answer.
    pub fn on_progress(
        mut self,
        told: impl FnMut(u64, u64) -> ControlFlow<()> + Send + 'static,
    ) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    async fn read(mut self) -> Result<DeadGroups, Error> {
        let mut walk = Walk::begin(self.letters.clone()).await?;
        let mut groups: HashMap<Fingerprint, DeadGroup> = HashMap::new();
        let mut left_out = 0;
        while walk.read < self.read_at_most
            && let Some(jobs) = walk.page().await?
        {
            for job in &jobs {
                let fingerprint = job.fingerprint();
                if let Some(group) = groups.get_mut(&fingerprint) {
                    group.add(job);
                } else if groups.len() < GROUPS_MAX {
                    groups.insert(fingerprint, DeadGroup::of(fingerprint, job));
                } else {
                    left_out += 1;
                }
            }
            if let Some(told) = &mut self.told
                && told(walk.read, walk.dead).is_break()
            {
                break;
            }
        }
        let mut groups: Vec<DeadGroup> = groups.into_values().collect();
        groups.sort_by_key(|group| Reverse((group.count, group.last_at, group.fingerprint)));
        Ok(DeadGroups {
            groups,
            dead: walk.dead,
            read: walk.read,
            unreadable: walk.unreadable,
            left_out,
        })
    }
}

impl DeadGroup {
    fn of(fingerprint: Fingerprint, job: &JobInfo) -> Self {
        Self {
            fingerprint,
            name: job.name.clone(),
            count: 1,
            first_at: died_at(job),
            last_at: died_at(job),
            sample: job.last_error().to_owned(),
            sample_id: job.id.clone(),
        }
    }

    /// They come in the order in which they died.
    fn add(&mut self, job: &JobInfo) {
        self.count += 1;
        self.last_at = died_at(job);
        self.sample.clear();
        self.sample.push_str(job.last_error());
        self.sample_id = job.id.clone();
    }
}

impl fmt::Debug for GroupDead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupDead")
            .field("letters", &self.letters)
            .field("read_at_most", &self.read_at_most)
            .finish_non_exhaustive()
    }
}

impl IntoFuture for GroupDead {
    type Output = Result<DeadGroups, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.read())
    }
}
