//! A job that a caller waits for: adding it, if it is a request, and what its end means.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::codec::{self, Dialect};
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::Job;
use crate::job::history::FailedAttempt;
use crate::job::outcome::Ending;
use crate::queue::Queue;
use crate::queue::cancel_on_drop::CancelOnDrop;
use crate::queue::enqueue::Enqueue;
use crate::queue::handle::JobHandle;

/// How long a caller waits unless it says otherwise.
pub(crate) const WAIT_DEFAULT: Duration = Duration::from_secs(60);
/// Announcements can be lost with a connection, so a waiter also asks Redis itself this often.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long the last question may take beyond the limit.
pub(crate) const LAST_LOOK: Duration = Duration::from_secs(1);

const PAUSE_STEP: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Each reply of a job is announced, also to those who wait for its end alone. They look less and less often while announcements come.
#[derive(Default)]
pub(crate) struct Pause(Duration);

impl Pause {
    /// Something was announced, and it is time to look, after a pause; none after the first announcement, which is mostly the end.
    pub(crate) async fn after_announcement(&mut self, deadline: Instant) {
        if !self.0.is_zero() {
            sleep_until(deadline.min(Instant::now() + self.0)).await;
        }
        self.0 = (self.0 + PAUSE_STEP).min(PAUSE_MAX);
    }
}

/// A job that a caller waits for.
pub(crate) struct AwaitedJob<J: Job> {
    source: Source<J>,
    /// It was awaited before.
    is_awaited: bool,
    pub(crate) on_drop: CancelOnDrop,
}

enum Source<J: Job> {
    Request(Box<Enqueue<J>>),
    Job {
        queue: Queue,
        id: JobId,
        is_own: bool,
    },
}

impl<J: Job> AwaitedJob<J> {
    pub(crate) fn of_request(request: Enqueue<J>) -> Self {
        Self::new(Source::Request(Box::new(request)))
    }

    pub(crate) fn of_job(handle: &JobHandle<J>) -> Self {
        Self::new(Source::Job {
            queue: handle.queue().clone(),
            id: handle.id().clone(),
            is_own: handle.is_own(),
        })
    }

    fn new(source: Source<J>) -> Self {
        Self {
            source,
            is_awaited: false,
            on_drop: CancelOnDrop::default(),
        }
    }

    /// If it is still to be enqueued, it expires when no worker has taken it by then.
    pub(crate) fn expires_in(mut self, limit: Duration) -> Self {
        if let Source::Request(request) = self.source {
            let expires = request.expires_in(limit);
            self.source = Source::Request(Box::new(expires));
        }
        self
    }

    /// The name of its queue, once it has been enqueued, and its id.
    pub(crate) fn known(&self) -> (Option<&str>, &JobId) {
        match &self.source {
            Source::Request(request) => (None, request.job_id()),
            Source::Job { queue, id, .. } => (Some(queue.name()), id),
        }
    }

    /// The job, which is enqueued first if it has not been.
    pub(crate) async fn job(&mut self, limit: Duration) -> Result<(Queue, JobId), Error> {
        if let Source::Request(request) = &mut self.source {
            request.awaited_for(limit);
            let makes_id = !request.is_given_an_id();
            if let Some(queue) = request.queue().filter(|_| makes_id) {
                self.on_drop.may_be_added(queue, request.job_id());
            }
            let sent = request.send_within(limit).await;
            if !matches!(&sent, Err(error) if error.kind() == ErrorKind::Unknown) {
                self.on_drop.leave_alone();
            }
            let handle = sent?;
            self.source = Self::of_job(&handle).source;
        }
        match &self.source {
            Source::Job { queue, id, is_own } => {
                if *is_own && !self.is_awaited {
                    self.on_drop.is_added(queue, id);
                }
                self.is_awaited = true;
                Ok((queue.clone(), id.clone()))
            }
            Source::Request(_) => unreachable!("it has been enqueued"),
        }
    }
}

/// Whether the job is known to have ended by this answer; what goes wrong with the waiting says nothing of it.
pub(crate) fn has_ended<T>(answer: &Result<T, Error>) -> bool {
    use ErrorKind::{Cancelled, Codec, Compensated, Dead, Expired, NotFound};
    let is_end = |kind| {
        matches!(
            kind,
            Dead | Cancelled | Compensated | Expired | NotFound | Codec
        )
    };
    answer
        .as_ref()
        .err()
        .is_none_or(|error| is_end(error.kind()))
}

/// What its handler gave, or why it gave nothing.
pub(crate) fn finished<J: Job>(
    queue: &Queue,
    id: &JobId,
    outcome: &[u8],
    last_attempt: Option<&[u8]>,
) -> Result<J::Output, Error> {
    let (result, dialect) = result_in(queue, id, outcome, last_attempt)?;
    codec::decode("a job's result", &result, dialect).map_err(|error| error.with_job(id))
}

/// The result as it is stored, or why there is none.
pub(crate) fn result_in(
    queue: &Queue,
    id: &JobId,
    outcome: &[u8],
    last_attempt: Option<&[u8]>,
) -> Result<(Vec<u8>, Dialect), Error> {
    let about = |kind, what: String| {
        Error::new(kind, format!("job {id} in `{}` {what}", queue.name())).with_job(id)
    };
    let (_, ending) = Ending::decode(outcome)?;
    match ending {
        Ending::Ok(result) => Ok((result.into_vec(), Dialect::Readable)),
        Ending::OldOk(result) => Ok((result.into_vec(), Dialect::Binary)),
        Ending::Cancelled(reason) => Err(about(
            ErrorKind::Cancelled,
            format!("was cancelled: {reason}"),
        )),
        Ending::Compensated(reason) => Err(about(
            ErrorKind::Compensated,
            format!("is a saga that was undone: {reason}"),
        )),
        Ending::Expired => Err(about(
            ErrorKind::Expired,
            "expired before it started".to_owned(),
        )),
        Ending::Dead(reason) => {
            let last = last_attempt
                .and_then(|entry| FailedAttempt::decode(entry).ok())
                .map_or_else(String::new, |attempt| format!(": {}", attempt.error));
            Err(about(
                ErrorKind::Dead,
                format!("is on the dead-letter list ({reason}){last}"),
            ))
        }
    }
}

pub(crate) fn missing(queue: &Queue, id: &JobId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!(
            "nothing is known of job {id} in `{}`: it never was there, was removed, or was \
             finished and dropped before anybody asked",
            queue.name()
        ),
    )
    .with_job(id)
}

/// `unsure`: why the last question got no answer.
pub(crate) fn too_late(
    queue: &Queue,
    id: &JobId,
    limit: Duration,
    unsure: Option<String>,
) -> Error {
    let name = queue.name();
    let text = match unsure {
        None => format!(
            "job {id} in `{name}` has not ended within {limit:?}; it may still wait or run, and is \
             left alone"
        ),
        Some(why) => format!(
            "whether job {id} in `{name}` has ended could not be seen within {limit:?} (Redis at \
             {}: {why}); it is left alone; wait for it again to find out",
            queue.inner.store.address()
        ),
    };
    Error::new(ErrorKind::Timeout, text).with_job(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_with_the_waiting_says_nothing_of_the_job() {
        let ended = |kind| has_ended::<()>(&Err(Error::new(kind, "")));
        assert!(has_ended(&Ok(())));
        assert!(
            [ErrorKind::Dead, ErrorKind::NotFound, ErrorKind::Codec]
                .map(ended)
                .iter()
                .all(|it| *it)
        );
        let waiting = [
            ErrorKind::Deadlock,
            ErrorKind::Timeout,
            ErrorKind::Unreachable,
            ErrorKind::Refused,
        ];
        assert!(!waiting.map(ended).iter().any(|it| *it));
    }
}
