//! The payloads of many jobs that go to a store: in steps, each shortly before its jobs are sent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use crate::claim_check::object_name;
use crate::claim_check::put_at::PutAt;
use crate::error::Error;
use crate::id::JobId;
use crate::queue::Queue;
use crate::queue::producer::{Fate, Submission};
use crate::store::BATCH_JOBS;
use crate::store::enqueue::{NewJob, Novelty};

/// Payloads that are put at a time.
const AT_A_TIME: usize = 4;
/// Bytes of payloads that are put before their jobs are sent, unless one payload has more.
const STEP_BYTES: usize = 64 * 1024 * 1024;

/// Jobs of a request in which payloads go to a store.
#[derive(Default)]
pub(super) struct Unclaimed {
    /// With each, whether its payload is still to go.
    jobs: VecDeque<(NewJob, bool)>,
    pub(super) novelty: Novelty,
    /// When the first payload was put of the step that is not complete.
    began: Option<PutAt>,
    /// The same of the step whose jobs are sent now.
    pub(super) sent_since: Option<PutAt>,
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
            Some(since) if some_left => since.check(),
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
        let began = *self.began.get_or_insert_with(PutAt::now);
        let mut jobs = self.jobs.iter_mut().take(step);
        if jobs.any(|(job, goes)| !*goes && job.record.ticket().is_some()) {
            began.check()?;
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
        if self
            .jobs
            .iter()
            .take(step)
            .any(|(job, _)| job.record.ticket().is_some())
        {
            began.check()?;
        }
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
        again.push(Submission::of_put(jobs, Novelty::Unsure, part.put_at()));
    }
    Ok(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_not_sent_when_their_payloads_may_be_gone() {
        let mut unclaimed = Unclaimed::default();
        for some_left in [false, true] {
            unclaimed.check_age(some_left).unwrap();
        }
        unclaimed.sent_since = Some(PutAt::now());
        unclaimed.check_age(true).unwrap();
        unclaimed.sent_since = Some(PutAt::ago(Duration::from_secs(21 * 60)));
        unclaimed.check_age(false).unwrap();
        let error = unclaimed.check_age(true).unwrap_err();
        assert!(error.is_payload_lost(), "{error}");
    }
}
