//! What waits for the task: submissions, in the order in which they were handed over.
//!
//! Invariants: it holds at most [`BACKLOG`] submissions, and further callers wait for room; once
//! it is closed it holds none, and takes none.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::submission::{Given, Submission};
use crate::store::backend::Trouble;
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// Submissions that may queue up; further callers wait, which is back-pressure.
const BACKLOG: usize = 1024;

pub(super) struct Inbox {
    pile: Mutex<Pile>,
    room: Semaphore,
    /// There is a batch that is worth a call, or no further submission can come.
    ready: Notify,
}

struct Pile {
    submissions: VecDeque<Given>,
    jobs: usize,
    bytes: usize,
    /// How many jobs the task waits for; `None` while it does not wait.
    wanted: Option<usize>,
    /// How many bytes fit into one call.
    limit: usize,
    /// No handle of the queue is left that could hand anything over.
    is_last: bool,
    /// Why the last call was not carried out; it is tried again.
    held_up_by: Option<Trouble>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            pile: Mutex::new(Pile {
                submissions: VecDeque::new(),
                jobs: 0,
                bytes: 0,
                wanted: None,
                limit: BATCH_BYTES,
                is_last: false,
                held_up_by: None,
            }),
            room: Semaphore::new(BACKLOG),
            ready: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pile> {
        self.pile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.room.is_closed()
    }

    /// Hands a submission over when there is room for it; not if the inbox is closed, or is
    /// meanwhile. Cancel safe.
    pub(super) async fn push(&self, submission: &Arc<Submission>) -> bool {
        match self.room.acquire().await {
            Ok(room) => self.put(submission, room),
            Err(_closed) => false,
        }
    }

    /// Hands a submission over if there is room for it now.
    pub(super) fn try_push(&self, submission: &Arc<Submission>) -> bool {
        match self.room.try_acquire() {
            Ok(room) => self.put(submission, room),
            Err(_) => false,
        }
    }

    fn put(&self, submission: &Arc<Submission>, room: SemaphorePermit<'_>) -> bool {
        let mut pile = self.lock();
        // `close` closes the room before it empties the pile.
        if self.is_closed() {
            return false;
        }
        room.forget();
        pile.jobs += submission.jobs.len();
        pile.bytes += submission.bytes;
        pile.submissions.push_back(Given::new(submission));
        if pile.is_ready() {
            self.ready.notify_one();
        }
        true
    }

    /// Waits for `wanted` jobs, or as many as fit into one call, and takes them; `None` when
    /// no handle of the queue is left. For one task; cancel safe.
    pub(super) async fn batch(&self, wanted: usize) -> Option<Vec<Given>> {
        loop {
            {
                let mut pile = self.lock();
                pile.wanted = Some(wanted);
                if pile.is_ready() {
                    pile.wanted = None;
                    let batch = pile.take();
                    self.room.add_permits(batch.len());
                    return (!batch.is_empty()).then_some(batch);
                }
            }
            self.ready.notified().await;
        }
    }

    /// How many bytes fit into one call, as far as the pace of the connection is known.
    pub(super) fn limit(&self) -> usize {
        self.lock().limit
    }

    pub(super) fn set_limit(&self, bytes: usize) {
        self.lock().limit = bytes;
    }

    /// Notes what holds up all submissions at the moment, if anything does.
    pub(super) fn held_up_by(&self, trouble: Option<Trouble>) {
        self.lock().held_up_by = trouble;
    }

    /// What holds up everything at the moment.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.lock().held_up_by.clone()
    }

    /// No handle of the queue is left.
    pub(super) fn end(&self) {
        self.lock().is_last = true;
        self.ready.notify_one();
    }

    /// The task has ended: submissions that it has not taken are decided as not sent.
    pub(super) fn close(&self) {
        self.room.close();
        let left = std::mem::take(&mut self.lock().submissions);
        drop(left);
    }
}

impl Pile {
    fn is_ready(&self) -> bool {
        self.wanted.is_some_and(|wanted| {
            self.jobs >= wanted.min(BATCH_JOBS) || self.bytes >= self.limit || self.is_last
        })
    }

    /// As much as fits into one call.
    fn take(&mut self) -> Vec<Given> {
        let mut batch = Vec::new();
        let (mut jobs, mut bytes) = (0, 0);
        while let Some(next) = self.submissions.front() {
            jobs += next.jobs.len();
            bytes += next.bytes;
            if !batch.is_empty() && (jobs > BATCH_JOBS || bytes > self.limit) {
                break;
            }
            self.jobs -= next.jobs.len();
            self.bytes -= next.bytes;
            batch.extend(self.submissions.pop_front());
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::super::submission::Fate;
    use super::super::submission::tests::job;
    use super::*;
    use crate::store::enqueue::Novelty;

    fn submission(jobs: usize, bytes: usize) -> Arc<Submission> {
        Submission::new((0..jobs).map(|_| job(bytes)).collect(), Novelty::New)
    }

    fn sizes(batch: Option<Option<Vec<Given>>>) -> Option<Vec<usize>> {
        let sizes = |given: &Given| given.jobs.len();
        batch.map(|batch| batch.unwrap_or_default().iter().map(sizes).collect())
    }

    #[test]
    fn a_batch_is_there_when_enough_wait() {
        let inbox = Inbox::new();
        assert!(sizes(inbox.batch(1).now_or_never()).is_none());
        for jobs in 1..4 {
            assert!(inbox.try_push(&submission(jobs, 1)));
        }
        assert!(sizes(inbox.batch(7).now_or_never()).is_none());
        assert_eq!(sizes(inbox.batch(6).now_or_never()), Some(vec![1, 2, 3]));
        assert!(sizes(inbox.batch(1).now_or_never()).is_none());
    }

    #[test]
    fn g7_a_batch_is_bounded_in_jobs_and_bytes_and_nobody_waits_for_more() {
        let inbox = Inbox::new();
        for jobs in [BATCH_JOBS - 1, 2, 1] {
            assert!(inbox.try_push(&submission(jobs, 1)));
        }
        let far = usize::MAX;
        assert_eq!(sizes(inbox.batch(far).now_or_never()), Some(vec![255]));
        assert_eq!(sizes(inbox.batch(3).now_or_never()), Some(vec![2, 1]));
        for _ in 0..3 {
            assert!(inbox.try_push(&submission(1, BATCH_BYTES / 2)));
        }
        assert_eq!(sizes(inbox.batch(far).now_or_never()), Some(vec![1]));
        assert!(inbox.try_push(&submission(1, 3 * BATCH_BYTES)));
        assert_eq!(sizes(inbox.batch(far).now_or_never()), Some(vec![1]));
    }

    #[test]
    fn takes_so_many_and_no_more_until_some_are_taken() {
        let inbox = Inbox::new();
        let all: Vec<_> = (0..=BACKLOG).map(|_| submission(1, 1)).collect();
        assert!(all[..BACKLOG].iter().all(|one| inbox.try_push(one)));
        assert!(!inbox.try_push(&all[BACKLOG]) && !all[BACKLOG].is_given());
        assert!(inbox.push(&all[BACKLOG]).now_or_never().is_none());
        assert!(inbox.batch(1).now_or_never().is_some());
        assert_eq!(inbox.push(&all[BACKLOG]).now_or_never(), Some(true));
    }

    #[test]
    fn ends_when_all_is_taken_that_was_handed_over() {
        let inbox = Inbox::new();
        assert!(inbox.try_push(&submission(1, 1)));
        inbox.end();
        assert_eq!(sizes(inbox.batch(100).now_or_never()), Some(vec![1]));
        assert!(inbox.batch(1).now_or_never().unwrap().is_none());
    }

    #[tokio::test]
    async fn g3_closing_decides_what_is_in_it_and_sends_waiters_away() {
        let inbox = Inbox::new();
        let all: Vec<_> = (0..=BACKLOG).map(|_| submission(1, 1)).collect();
        assert!(all[..BACKLOG].iter().all(|one| inbox.try_push(one)));
        let late = async { inbox.push(&all[BACKLOG]).await };
        let ((), taken) = tokio::join!(async { inbox.close() }, late);
        assert!(!taken && inbox.is_closed() && !inbox.try_push(&all[BACKLOG]));
        let decided = |one: &Arc<Submission>| matches!(one.fate(), Some(Fate::NotSent { .. }));
        assert!(all[..BACKLOG].iter().all(decided));
        assert!(all[BACKLOG].fate().is_none());
    }
}
