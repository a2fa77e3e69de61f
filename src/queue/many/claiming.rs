//! The payloads of many jobs that go to a store: in steps, each shortly before its jobs are sent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};

use crate::claim_check::object_name;
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::queue::Queue;
use crate::queue::producer::{Fate, Submission};
use crate::store::BATCH_JOBS;
use crate::store::enqueue::{NewJob, Novelty};

/// Payloads that are put at a time.
const AT_A_TIME: usize = 4;
/// Bytes of payloads that are put before their jobs are sent, unless one payload has more.
const STEP_BYTES: usize = 64 * 1024 * 1024;
/// Jobs whose payloads were put longer ago are not sent any more: a sweep may take these payloads for orphans.
const SENT_WITHIN: Duration = Duration::from_secs(20 * 60);

/// Jobs of a request in which payloads go to a store.
#[derive(Default)]
pub(super) struct Unclaimed {
    /// With each, whether its payload is still to go.
    jobs: VecDeque<(NewJob, bool)>,
    pub(super) novelty: Novelty,
    /// When the first payload was put of the step that is not complete.
    began: Option<Instant>,
    /// The same of the step whose jobs are sent now.
    sent_since: Option<Instant>,
    /// Objects of jobs that were there before.
    unused: Vec<(JobId, String)>,
}

impl Unclaimed {
    pub(super) fn new(jobs: Vec<(NewJob, bool)>, novelty: Novelty) -> Self {
        Self {
            jobs: jobs.into(),
            novelty,
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Refuses jobs that were to be sent so long ago that their payloads may be gone. `some_left`: some of them were not sent.
    pub(super) fn check_age(&self, some_left: bool) -> Result<(), Error> {
        match self.sent_since {
            Some(since) if some_left => check_age(since),
            _ => Ok(()),
        }
    }

    /// Puts the payloads of the next jobs, and gives these jobs. After an error it goes on where it stopped.
    pub(super) async fn next(&mut self, queue: &Queue) -> Result<Vec<NewJob>, Error> {
        let mut bytes = 0;
        let fits = self.jobs.iter().take(BATCH_JOBS).take_while(|(job, goes)| {
            bytes += if *goes { job.bytes() } else { 0 };
            bytes <= STEP_BYTES
        });
        let step = fits.count().max(1).min(self.jobs.len());
        let began = *self.began.get_or_insert_with(Instant::now);
        let mut jobs = self.jobs.iter_mut().take(step);
        if jobs.any(|(job, goes)| !*goes && job.record.ticket().is_some()) {
            check_age(began)?;
        }
        let put = self.jobs.iter_mut().take(step).filter(|(_, goes)| *goes);
        let put = put.map(async |(job, goes)| {
            queue.inner.claim(job, Duration::MAX).await?;
            *goes = false;
            Ok::<_, Error>(())
        });
        // All of them: what was put is not put again.
        let put: Vec<Result<(), Error>> = stream::iter(put.collect::<Vec<_>>())
            .buffer_unordered(AT_A_TIME)
            .collect()
            .await;
        put.into_iter().collect::<Result<(), Error>>()?;
        (self.sent_since, self.began) = (Some(began), None);
        Ok(self.jobs.drain(..step).map(|(job, _)| job).collect())
    }

    /// This job was there before.
    pub(super) fn met(&mut self, job: &NewJob) {
        let ticket = job.record.ticket();
        self.unused
            .extend(ticket.map(|ticket| (job.id.clone(), ticket.object)));
    }

    pub(super) async fn clean_up(&mut self, queue: &Queue) {
        let unused = std::mem::take(&mut self.unused);
        queue.inner.discard_unused(unused).await;
    }
}

fn check_age(since: Instant) -> Result<(), Error> {
    let age = since.elapsed();
    match age > SENT_WITHIN {
        false => Ok(()),
        true => Err(Error::new(
            ErrorKind::PayloadLost,
            format!(
                "the payloads of the next jobs were put into the store {age:?} ago, and may be gone; make a new request of the jobs that \
                 are not there"
            ),
        )),
    }
}

/// The jobs of a submission once more. One whose id was taken by another job has another id: then its payload is put once more, because the name of an
/// object says which job has it.
pub(super) async fn again(queue: &Queue, part: &Submission) -> Result<Vec<Arc<Submission>>, Error> {
    let parts = part.again_in_parts();
    if !matches!(part.fate(), Some(Fate::Clashed { .. })) {
        return Ok(parts);
    }
    let (inner, mut again) = (&queue.inner, Vec::new());
    let prefix = inner.objects();
    for part in parts {
        let mut jobs = part.jobs().to_vec();
        for job in &mut jobs {
            let ticket = job.record.ticket();
            let other =
                |object: &str| object_name::job_of(&prefix, object).as_ref() != Some(&job.id);
            if let Some(ticket) = ticket.filter(|ticket| other(&ticket.object)) {
                let payload = inner.fetch(&ticket).await?;
                job.record = job.record.with_payload(payload, false)?;
                inner.claim(job, Duration::MAX).await?;
            }
        }
        again.push(Submission::new(jobs, Novelty::Unsure));
    }
    Ok(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_not_sent_when_their_payloads_may_be_gone() {
        let now = Instant::now();
        let mut unclaimed = Unclaimed::default();
        for some_left in [false, true] {
            unclaimed.check_age(some_left).unwrap();
        }
        unclaimed.sent_since = Some(now);
        unclaimed.check_age(true).unwrap();
        // A machine that was just started has no such moment.
        let Some(long_ago) = now.checked_sub(SENT_WITHIN + Duration::from_secs(1)) else {
            return;
        };
        unclaimed.sent_since = Some(long_ago);
        unclaimed.check_age(false).unwrap();
        let error = unclaimed.check_age(true).unwrap_err();
        assert!(error.is_payload_lost(), "{error}");
    }
}
