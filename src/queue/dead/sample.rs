//! Looks at what became of jobs that were replayed: a few of each step, so that a handler that is still broken is noticed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::time::sleep;

use crate::error::Error;
use crate::id::JobId;
use crate::job::state::State;
use crate::queue::Queue;
use crate::runtime;

/// Jobs of a step that are looked at.
const OF_A_STEP: usize = 16;
/// Jobs of which it is not known yet how they go; older ones are given up.
const OPEN_MAX: usize = 64;
/// The last jobs of which it is known: these decide.
const KNOWN_MAX: usize = 64;
/// So many must be known before they decide.
const EVIDENCE: usize = 8;
/// How long a step waits for them, if no worker runs them.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(super) struct Sample {
    /// More than this part may not fail.
    part: f64,
    open: VecDeque<JobId>,
    known: VecDeque<How>,
    pub(super) looked_at: u64,
    pub(super) failed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Well,
    Failed,
}

impl Sample {
    pub(super) fn new(part: f64) -> Self {
        Self {
            part,
            open: VecDeque::new(),
            known: VecDeque::new(),
            looked_at: 0,
            failed: 0,
        }
    }

    /// These were replayed. Says whether too many of those that are known by now have failed.
    pub(super) async fn are_failing(
        &mut self,
        queue: &Queue,
        replayed: &[JobId],
    ) -> Result<bool, Error> {
        let every = replayed.len().div_ceil(OF_A_STEP).max(1);
        self.open.extend(replayed.iter().step_by(every).cloned());
        let too_many = self.open.len().saturating_sub(OPEN_MAX);
        self.open.drain(..too_many);
        let started = Instant::now();
        loop {
            self.look(queue).await?;
            let failed = self.known.iter().filter(|how| **how == How::Failed).count();
            let is_enough = self.known.len() >= EVIDENCE;
            if is_enough && failed as f64 > self.part * self.known.len() as f64 {
                return Ok(true);
            }
            if is_enough || self.open.is_empty() || started.elapsed() >= PATIENCE {
                return Ok(false);
            }
            runtime::run(async { sleep(LOOK_AGAIN).await }).await;
        }
    }

    async fn look(&mut self, queue: &Queue) -> Result<(), Error> {
        let asked = self.open.iter().map(|id| how_it_goes(queue, id));
        let told = try_join_all(asked).await?;
        let mut told_of = told.iter();
        self.open
            .retain(|_| told_of.next().is_none_or(Option::is_none));
        for how in told.into_iter().flatten() {
            self.looked_at += 1;
            self.failed += u64::from(how == How::Failed);
            self.known.push_back(how);
        }
        let too_many = self.known.len().saturating_sub(KNOWN_MAX);
        self.known.drain(..too_many);
        Ok(())
    }
}

/// `None` if it is not known yet. A job that is replayed has no failed attempt.
async fn how_it_goes(queue: &Queue, id: &JobId) -> Result<Option<How>, Error> {
    let Some(job) = queue.job(id).await? else {
        // It has ended well and was not kept, or somebody has removed it.
        return Ok(Some(How::Well));
    };
    Ok(match job.state {
        State::Dead => Some(How::Failed),
        State::Completed | State::Cancelled => Some(How::Well),
        _ if job.failed > 0 || job.stalls > 0 => Some(How::Failed),
        _ => None,
    })
}
