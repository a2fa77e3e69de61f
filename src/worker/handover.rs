//! Handing attempts over to the application's runtime: whether the attempts that a lane has handed over have begun.
//!
//! A lane waits for that before it makes its next call, so that attempts that end at once go with
//! it. It waits only for a moment: an application that blocks its threads holds up no outcome of
//! the attempts that ended before.
//!
//! An attempt that has not begun after a second goes back to the queue, where another worker may have a
//! thread for it, and the worker claims nothing until its application's runtime runs again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::warn;

use crate::service::WorkerShared;
use crate::worker::attempt::release;

/// How long a lane waits for attempts to begin.
const PATIENCE: Duration = Duration::from_millis(2);
/// If there are at most [`FEW`] attempts, the thread stays awake for the first part of the wait.
const AWAKE_FOR: Duration = Duration::from_micros(100);
const FEW: usize = 16;
/// After this an attempt that has not begun goes back to the queue.
const BEGINS_WITHIN: Duration = Duration::from_secs(1);

/// The attempts of one call.
pub(crate) struct Handover {
    own: Ticket,
    tickets: Arc<Tickets>,
}

struct Tickets {
    /// How many attempts have not begun; one more while tickets are still made.
    left: AtomicUsize,
    all: Notify,
}

impl Tickets {
    /// Keeps the thread awake for a moment: waking it again would cost more than a few attempts take to
    /// begin. Other threads that wait for a processor go first.
    fn begin_at_once(&self) {
        let asked = Instant::now();
        while self.left.load(Ordering::Acquire) > 0 && asked.elapsed() < AWAKE_FOR {
            thread::yield_now();
        }
    }
}

/// The ticket of one attempt: given back when the attempt has been polled once, or is dropped before.
pub(crate) struct Ticket(Arc<Tickets>);

impl Ticket {
    /// The attempt that has this ticket.
    pub(crate) fn of<F: Future>(self, attempt: F) -> WithTicket<F> {
        let ticket = Some(self);
        WithTicket { attempt, ticket }
    }
}

pin_project! {
    /// An attempt that gives its ticket back when it has been polled once. An async block would have room for the attempt
    /// twice.
    pub(crate) struct WithTicket<F> {
        #[pin]
        attempt: F,
        ticket: Option<Ticket>,
    }
}

impl<F: Future> Future for WithTicket<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = this.attempt.poll(context);
        drop(this.ticket.take());
        polled
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.0.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.all.notify_one();
        }
    }
}

impl Handover {
    pub(crate) fn new() -> Self {
        let tickets = Arc::new(Tickets {
            left: AtomicUsize::new(1),
            all: Notify::new(),
        });
        Self {
            own: Ticket(Arc::clone(&tickets)),
            tickets,
        }
    }

    /// A ticket for one more attempt.
    pub(crate) fn ticket(&self) -> Ticket {
        self.tickets.left.fetch_add(1, Ordering::Relaxed);
        Ticket(Arc::clone(&self.tickets))
    }

    /// Waits until all of them have begun, but not for long. Cancel safe.
    pub(crate) async fn begun(self) {
        let Self { own, tickets } = self;
        let attempts = tickets.left.load(Ordering::Relaxed) - 1;
        drop(own);
        if attempts <= FEW {
            tickets.begin_at_once();
        }
        let _ = timeout(PATIENCE, tickets.all.notified()).await;
    }
}

/// Hands back what has not begun, and claims nothing more until the application's runtime runs.
pub(crate) fn give_back_late(shared: &WorkerShared) {
    let late = shared.leases.filter(|lease| lease.waits_for(BEGINS_WITHIN));
    let back: Vec<_> = late.into_iter().filter(|one| one.give_back()).collect();
    if back.is_empty() {
        return;
    }
    warn!(
        queue = shared.queue.name(),
        jobs = back.len(),
        "the application blocks the threads of its runtime: jobs that were claimed and have not \
         begun within {BEGINS_WITHIN:?} go back to the queue"
    );
    shared.slots.pause_claims();
    for lease in back {
        shared.slots.ended(release(&lease));
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn attempts_have_begun_when_each_was_polled_or_dropped() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let handover = Handover::new();
        let ends = handover.ticket().of(ready(7));
        let mut goes_on = Box::pin(handover.ticket().of(pending::<()>()));
        let never_polled = handover.ticket().of(ready(()));
        let mut begun = Box::pin(handover.begun());
        assert!(begun.as_mut().now_or_never().is_none());
        assert_eq!(ends.now_or_never(), Some(7));
        assert!(goes_on.as_mut().now_or_never().is_none());
        assert!(begun.as_mut().now_or_never().is_none());
        drop(never_polled);
        assert!(begun.as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn nobody_waits_long_for_an_attempt_that_does_not_begin() {
        let handover = Handover::new();
        let _unpolled = handover.ticket().of(pending::<()>());
        let began = Instant::now();
        handover.begun().await;
        assert!(began.elapsed() >= PATIENCE);
        // Without an attempt there is nothing to wait for.
        assert!(Handover::new().begun().now_or_never().is_some());
    }
}
