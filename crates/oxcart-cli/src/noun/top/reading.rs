//! What is read from Redis for one look: no more than fits the screen, in bounded calls.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use oxcart::{Counts, Error, Fingerprint, JobState, Oxcart, Queue, Timestamp};

use super::state::Wanted;
use crate::trouble::Trouble;

/// Counts that are asked for at a time.
const AT_A_TIME: usize = 8;
/// Jobs that run are read for one look, the first ones.
const RUNS: usize = 32;
/// With more jobs running, it is not read who runs them, which takes a call for each 256 of them.
const RUNS_MAX: u64 = 2_048;
/// Dead letters that are grouped, in pages of 256.
const DEAD_MAX: u64 = 2_048;
/// The time whose minutes are shown.
const LATELY: Duration = Duration::from_secs(60 * 60);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one look has shown.
pub(super) struct Reading {
    pub(super) names: Vec<String>,
    pub(super) counts: Vec<(String, Counts)>,
    pub(super) inside: Option<(String, Inside)>,
}

/// Inside of a queue. What was not read is none.
#[derive(Default)]
pub(super) struct Inside {
    pub(super) runs: Vec<Run>,
    pub(super) workers: Option<Vec<Worker>>,
    pub(super) groups: Option<Vec<Group>>,
    /// How many jobs ended in each minute.
    pub(super) minutes: Option<Vec<u64>>,
}

pub(super) struct Run {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) since: Option<Timestamp>,
}

pub(super) struct Worker {
    pub(super) host: String,
    pub(super) process: u32,
    pub(super) runs: u64,
    pub(super) concurrency: u64,
}

/// Dead letters with the same name and a like error.
pub(super) struct Group {
    pub(super) fingerprint: Fingerprint,
    pub(super) name: String,
    pub(super) count: u64,
    pub(super) last_at: Timestamp,
    pub(super) sample: String,
}

impl Inside {
    /// What was read takes the place of what was known.
    pub(super) fn take(&mut self, newer: Self) {
        self.runs = newer.runs;
        self.workers = newer.workers.or(self.workers.take());
        self.groups = newer.groups.or(self.groups.take());
        self.minutes = newer.minutes.or(self.minutes.take());
    }
}

/// One look.
pub(super) async fn read(oxcart: Oxcart, wanted: Wanted) -> Result<Reading, Trouble> {
    match tokio::time::timeout(PATIENCE, all(&oxcart, wanted)).await {
        Ok(read) => Ok(read?),
        Err(_) => Err(Trouble::error(format!("no answer within {PATIENCE:?}"))),
    }
}

async fn all(oxcart: &Oxcart, wanted: Wanted) -> Result<Reading, Error> {
    let names = match wanted.names {
        Some(names) => names,
        None => oxcart.queues().await?,
    };
    let counted: Vec<String> = match &wanted.inside {
        Some(queue) => vec![queue.clone()],
        None => {
            let rows = names.iter().skip(wanted.rows.start).take(wanted.rows.len());
            rows.cloned().collect()
        }
    };
    let counted = counted.into_iter().map(async |name| {
        let counts = oxcart.queue(&name)?.counts().await?;
        Ok::<_, Error>((name, counts))
    });
    let counts: Vec<(String, Counts)> = stream::iter(counted)
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    let inside = match (wanted.inside, counts.first()) {
        (Some(name), Some((_, counts))) => {
            let queue = oxcart.queue(&name)?;
            Some((
                name,
                inside(&queue, counts, wanted.slow, wanted.hour).await?,
            ))
        }
        _ => None,
    };
    Ok(Reading {
        names,
        counts,
        inside,
    })
}

async fn inside(queue: &Queue, counts: &Counts, slow: bool, hour: bool) -> Result<Inside, Error> {
    let mut inside = Inside::default();
    if counts.active > 0 {
        let page = queue.jobs(JobState::Active).limit(RUNS).await?;
        let runs = page.jobs.into_iter().map(|job| Run {
            id: job.id.to_string(),
            name: job.name,
            since: job.claimed_at,
        });
        inside.runs = runs.collect();
    }
    if hour {
        let minutes = queue.history(LATELY).await?.minutes;
        inside.minutes = Some(minutes.iter().map(|minute| minute.departed).collect());
    }
    if !slow {
        return Ok(inside);
    }
    if counts.active <= RUNS_MAX {
        let workers = queue.workers().await?.into_iter();
        let workers = workers.map(|worker| Worker {
            host: worker.host,
            process: worker.process,
            runs: worker.running.len() as u64,
            concurrency: worker.concurrency,
        });
        inside.workers = Some(workers.collect());
    }
    inside.groups = Some(groups(queue, counts).await?);
    Ok(inside)
}

async fn groups(queue: &Queue, counts: &Counts) -> Result<Vec<Group>, Error> {
    if counts.dead == 0 {
        return Ok(Vec::new());
    }
    let found = queue.dead_letters().groups().read_at_most(DEAD_MAX).await?;
    let groups = found.groups.into_iter().map(|group| Group {
        fingerprint: group.fingerprint,
        name: group.name,
        count: group.count,
        last_at: group.last_at,
        sample: group.sample,
    });
    Ok(groups.collect())
}
