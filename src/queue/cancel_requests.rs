//! Requests to cancel jobs that run, as the workers of this process hear of them. One task per queue reads the
//! announcements, only while a worker has a job that has been running for a while; several workers share it.
//!
//! A request is stored with its job, so no announcement has to arrive: a worker that misses one hears of the request when it
//! renews its leases.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use crate::codec;
use crate::id::{JobId, Receipt};
use crate::job::outcome::Ending;
use crate::name::QueueName;
use crate::policy::pauses::Pauses;
use crate::policy::silence::Silence;
use crate::queue::follower::Follower;
use crate::store::backend::{Entry, Reader, Store, Stream};

const ENTRIES_PER_READ: usize = 64;
/// Before it is tried again to read, while Redis is in trouble.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(200), Duration::from_secs(2));
/// Reading begins so long before the claim of the oldest job for which it is done: the clock of the server may step back a
/// little, and another job may have been claimed a little earlier. What is read twice does no harm.
const BEFORE_CLAIM_MS: u64 = 2_000;
/// An announcement may be read before the answer to the claim is here. So this many are remembered, for this long.
const REMEMBERED: usize = 4_096;
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

pub(crate) struct CancelRequests {
    store: Store,
    /// For the log.
    queue: QueueName,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Changes with each announcement.
    heard: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    listeners: usize,
    requests: HashMap<JobId, (Receipt, String)>,
    /// The same, in the order in which they were read.
    order: VecDeque<(Instant, JobId, Receipt)>,
    follower: Option<Follower>,
}

/// One worker that listens; no longer when it is dropped.
pub(crate) struct Listening {
    shared: Arc<Shared>,
    heard: watch::Receiver<()>,
}

/// Why a job is to be cancelled, as it is stored; `None` if it cannot be read.
pub(crate) fn reason_in(request: &[u8]) -> Option<String> {
    match codec::decode_plain("a request to cancel a job", request) {
        Ok(Ending::Cancelled(reason)) => Some(reason),
        _ => None,
    }
}

impl Listening {
    /// Completes when there was an announcement since the last time. Cancel safe.
    pub(crate) async fn heard(&mut self) {
        // The sender lives as long as this listener.
        let _ = self.heard.changed().await;
    }

    /// Why the attempt with this receipt is to end, if that was announced.
    pub(crate) fn reason(&self, id: &JobId, receipt: &Receipt) -> Option<String> {
        let state = self.shared.lock();
        let (of, reason) = state.requests.get(id)?;
        (of == receipt).then(|| reason.clone())
    }

    /// Whether there is no announcement at all.
    pub(crate) fn is_silent(&self) -> bool {
        let mut state = self.shared.lock();
        state.forget_old();
        state.requests.is_empty()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shared.lock().listeners -= 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, entry: &Entry) {
        let mut state = self.lock();
        for (id, request) in &entry.fields {
            let line_ends = request.iter().position(|byte| *byte == b'\n');
            let (receipt, request) = request.split_at(line_ends.unwrap_or(0));
            let receipt = String::from_utf8_lossy(receipt);
            if let Some(reason) = request.get(1..).and_then(reason_in) {
                let id = JobId::stored(id);
                let receipt = Receipt::new(&receipt);
                let of = (receipt.clone(), reason);
                state.requests.insert(id.clone(), of);
                state.order.push_back((Instant::now(), id, receipt));
            }
        }
        state.forget_old();
        drop(state);
        self.heard.send_replace(());
    }
}

impl State {
    fn forget_old(&mut self) {
        let is_old = |(at, ..): &(Instant, JobId, Receipt)| at.elapsed() > REMEMBERED_FOR;
        while self.order.len() > REMEMBERED || self.order.front().is_some_and(is_old) {
            let Some((_, id, receipt)) = self.order.pop_front() else {
                return;
            };
            // The id may have been announced once more since, for another attempt.
            if self.requests.get(&id).is_some_and(|(of, _)| *of == receipt) {
                self.requests.remove(&id);
            }
        }
    }
}

impl CancelRequests {
    pub(crate) fn new(store: Store, queue: QueueName) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            heard: watch::Sender::new(()),
        };
        Self {
            store,
            queue,
            shared: Arc::new(shared),
        }
    }

    /// Announcements are heard from here on; of jobs that were claimed at `since_ms` or later, by the server's clock, also those that
    /// were made before, if no other worker of this process listens already.
    pub(crate) fn listen(&self, since_ms: u64) -> Listening {
        let mut state = self.shared.lock();
        state.listeners += 1;
        if !state.follower.as_ref().is_some_and(Follower::runs) {
            let reader = self.store.reader(Stream::Cancels);
            let from_ms = since_ms.saturating_sub(BEFORE_CLAIM_MS);
            let (queue, shared) = (self.queue.clone(), Arc::clone(&self.shared));
            let follower = Follower::start(&self.store.runtime(), |ready| {
                follow(queue, shared, reader, from_ms, ready)
            });
            Follower::forget_if_elsewhere(state.follower.replace(follower));
        }
        Listening {
            heard: self.shared.heard.subscribe(),
            shared: Arc::clone(&self.shared),
        }
    }
}

/// When this is dropped no worker listens any more, because each has a handle of the queue.
impl Drop for CancelRequests {
    fn drop(&mut self) {
        Follower::stop(self.shared.lock().follower.take());
    }
}

/// The task: reads what was announced from this moment on, as long as a worker listens, and then to the end of its read, 5 s
/// at most: the next job that runs for long may be there in a moment.
async fn follow(
    queue: QueueName,
    shared: Arc<Shared>,
    mut reader: Reader,
    from_ms: u64,
    ready: watch::Sender<bool>,
) {
    // Its place is known. That this is not dropped shows that the task runs.
    ready.send_replace(true);
    let mut cursor = (from_ms, 0);
    let (mut silence, mut pauses) = (Silence::default(), PAUSES);
    loop {
        {
            let mut state = shared.lock();
            if state.listeners == 0 {
                // Under the lock, so that the next worker that listens starts another task.
                *state = State::default();
                return;
            }
        }
        match reader.read(cursor, ENTRIES_PER_READ).await {
            Ok(entries) => {
                silence.ends();
                pauses.reset();
                for entry in entries {
                    shared.announce(&entry);
                    cursor = entry.id;
                }
            }
            Err(trouble) => {
                if silence.goes_on(Instant::now()).log {
                    let queue = queue.as_str();
                    warn!(queue, %trouble, "requests to cancel running jobs cannot be read; the worker hears of them when it renews its leases");
                }
                sleep(pauses.next(fastrand::f64())).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Handle;

    use super::*;
    use crate::queue::Queue;
    use crate::queue::setup::Setup;

    fn queue() -> Queue {
        Setup::in_memory().queue("work")
    }

    fn entry(fields: &[(&str, &[u8])]) -> Entry {
        let field = |(id, value): &(&str, &[u8])| ((*id).to_owned(), value.to_vec());
        Entry {
            id: (1, 0),
            fields: fields.iter().map(field).collect(),
        }
    }

    fn request(receipt: &str, reason: &str) -> Vec<u8> {
        let outcome = codec::encode_plain(&Ending::Cancelled(reason.to_owned()));
        [receipt.as_bytes(), b"\n", &outcome].concat()
    }

    #[tokio::test]
    async fn a_request_is_for_one_attempt_and_what_is_no_request_is_passed_over() {
        let queue = queue();
        let requests = &queue.inner.cancel_requests;
        let mut listening = requests.listen(0);
        assert!(listening.is_silent());
        let (first, second) = (request("1 5 w", "moot"), request("2 6 w", "gone"));
        let entries = [
            ("a", &first[..]),
            ("b", b"noise"),
            ("c", b"1 5 w\n\xc1"),
            ("d", &second),
        ];
        requests.shared.announce(&entry(&entries));
        listening.heard().await;
        let reason = |id, receipt| listening.reason(&JobId::stored(id), &Receipt::new(receipt));
        assert_eq!(reason("a", "1 5 w").as_deref(), Some("moot"));
        assert_eq!(reason("a", "2 6 w"), None, "it is for another attempt");
        assert_eq!((reason("b", ""), reason("c", "1 5 w")), (None, None));
        assert_eq!(reason("d", "2 6 w").as_deref(), Some("gone"));
        assert!(!listening.is_silent());
    }

    #[tokio::test]
    async fn g8_the_workers_of_a_process_share_one_task_and_requests_are_remembered_in_bounds() {
        let queue = queue();
        let requests = &queue.inner.cancel_requests;
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        let listening: Vec<_> = (0..3).map(|_| requests.listen(0)).collect();
        tokio::task::yield_now().await;
        drop(requests.listen(0));
        assert_eq!(tasks() - before, 1);
        for n in 0..=REMEMBERED {
            let id = format!("job-{n}");
            let entry = entry(&[(&id, &request("1 5 w", "moot"))]);
            requests.shared.announce(&entry);
        }
        let state = requests.shared.lock();
        assert_eq!(
            (state.requests.len(), state.order.len()),
            (REMEMBERED, REMEMBERED)
        );
        assert!(!state.requests.contains_key(&JobId::stored("job-0")));
        assert_eq!(state.listeners, 3);
        drop(state);
        drop(listening);
    }
}
