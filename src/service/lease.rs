//! One lease, and the table of all leases of a worker.
//!
//! A lease is confirmed when Redis has answered a claim or an extension of it; it then holds
//! until the lease time after that call was *sent*, by our own monotonic clock, which is never
//! later than what Redis has stored. A worker without a confirmed lease stops the handler.
//!
//! The table is shared by the lanes, which add leases and take them out, and the services that renew
//! and end them. No lock is held across an await.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::id::{Fence, JobId, Receipt};
use crate::job::traits::EndTraits;
use crate::service::job_log::JobLog;
use crate::store::advance::Claimed;

/// A handler that has lost its lease may tidy up for this long before it is stopped.
const LOST_GRACE: Duration = Duration::from_millis(750);

/// The lease of one attempt.
pub(crate) struct Lease {
    pub(crate) id: JobId,
    pub(crate) fence: Fence,
    pub(crate) receipt: Receipt,
    pub(crate) traits: EndTraits,
    epoch: Instant,
    until_us: AtomicU64,
    lost: AtomicBool,
    handed_over: Instant,
    /// It is decided whether the attempt begins or its job is given back: the first thread that sets this decides.
    decided: AtomicBool,
    /// It was confirmed, or is lost.
    changed: Notify,
    /// Why the job is to be cancelled, once that was asked for.
    cancel_reason: OnceLock<String>,
    /// What the handler says, once it says anything.
    log: OnceLock<Box<JobLog>>,
    /// Tells the handler to come to an end.
    pub(crate) cancel: CancellationToken,
    /// Tells the runner to stop the handler.
    pub(crate) stop: CancellationToken,
}

impl Lease {
    /// The lease of a job whose claim was sent at `sent`.
    pub(crate) fn new(claimed: &Claimed, sent: Instant, length: Duration) -> Self {
        let lease = Self {
            id: claimed.id.clone(),
            fence: claimed.fence,
            receipt: claimed.receipt.clone(),
            traits: EndTraits::of(&claimed.record),
            epoch: sent,
            until_us: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            handed_over: Instant::now(),
            decided: AtomicBool::new(false),
            changed: Notify::new(),
            cancel_reason: OnceLock::new(),
            log: OnceLock::new(),
            cancel: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        lease.confirm(sent, length);
        lease
    }

    /// The attempt begins, unless its job was given back meanwhile.
    pub(crate) fn begin(&self) -> bool {
        self.decide()
    }

    /// The job goes back to the queue, unless its attempt has begun.
    pub(crate) fn give_back(&self) -> bool {
        self.decide()
    }

    /// Whether this call is the first, which decides.
    fn decide(&self) -> bool {
        !self.decided.swap(true, Ordering::AcqRel)
    }

    /// Whether the attempt was to begin this long ago and has not.
    pub(crate) fn waits_for(&self, time: Duration) -> bool {
        !self.decided.load(Ordering::Acquire) && self.handed_over.elapsed() > time
    }

    /// Redis has answered a call that was sent at `sent`. A lease that was lost meanwhile stays lost.
    pub(crate) fn confirm(&self, sent: Instant, length: Duration) {
        self.until_us
            .store(self.micros(sent + length), Ordering::SeqCst);
        if self.is_lost() {
            self.end_soon(Instant::now());
        }
        self.changed.notify_waiters();
    }

    /// Waits until at least `left` of the lease is left, it is over, or the handler is to be
    /// stopped. Cancel safe.
    pub(crate) async fn has(&self, left: Duration) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let now = Instant::now();
            if self.is_over() || self.until() >= now + left {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = self.stop.cancelled() => return,
                () = sleep_until(self.until().into()) => {}
            }
        }
    }

    /// Until when no other attempt can have the job.
    pub(crate) fn until(&self) -> Instant {
        self.epoch + Duration::from_micros(self.until_us.load(Ordering::Acquire))
    }

    /// Whether no attempt may begin any more under this lease.
    pub(crate) fn is_over(&self) -> bool {
        self.is_lost() || self.until() <= Instant::now()
    }

    /// Another attempt has the job, or may have it.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Cancels the handler; it is stopped at the end of the lease, or soon.
    pub(crate) fn lose(&self, now: Instant) {
        if !self.lost.swap(true, Ordering::SeqCst) {
            self.end_soon(now);
            self.cancel.cancel();
            self.changed.notify_waiters();
        }
    }

    /// The job is to be cancelled: tells the handler to come to an end. The first reason stays.
    pub(crate) fn cancel_for(&self, reason: String) {
        let _ = self.cancel_reason.set(reason);
        self.cancel.cancel();
    }

    pub(crate) fn cancel_reason(&self) -> Option<&str> {
        self.cancel_reason.get().map(String::as_str)
    }

    /// The log of the attempt, made when it is needed.
    pub(crate) fn log(&self) -> &JobLog {
        self.log.get_or_init(Box::default)
    }

    /// The log, if the handler has said anything.
    pub(crate) fn log_if_used(&self) -> Option<&JobLog> {
        self.log.get().map(|log| &**log)
    }

    fn end_soon(&self, now: Instant) {
        let soon = self.micros(now + LOST_GRACE);
        self.until_us.fetch_min(soon, Ordering::SeqCst);
    }

    fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_micros() as u64
    }
}

/// The leases of everything that runs or is not settled yet.
#[derive(Default)]
pub(crate) struct Leases {
    by_fence: Mutex<HashMap<Fence, Arc<Lease>>>,
    /// Every lease is to be renewed, whether or not it is time.
    renew_all: Notify,
    /// There is one again.
    any: Notify,
}

impl Leases {
    fn lock(&self) -> MutexGuard<'_, HashMap<Fence, Arc<Lease>>> {
        self.by_fence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, leases: impl IntoIterator<Item = Arc<Lease>>) {
        let leases = leases.into_iter().map(|lease| (lease.fence, lease));
        let mut by_fence = self.lock();
        let was_empty = by_fence.is_empty();
        by_fence.extend(leases);
        if was_empty && !by_fence.is_empty() {
            self.any.notify_one();
        }
    }

    pub(crate) fn remove(&self, fences: impl IntoIterator<Item = Fence>) {
        let mut by_fence = self.lock();
        for fence in fences {
            by_fence.remove(&fence);
        }
    }

    /// The leases that `wanted` picks.
    pub(crate) fn filter(&self, wanted: impl Fn(&Lease) -> bool) -> Vec<Arc<Lease>> {
        let by_fence = self.lock();
        let wanted = by_fence.values().filter(|lease| wanted(lease));
        wanted.cloned().collect()
    }

    /// Waits until there is a lease. For one task; cancel safe.
    pub(crate) async fn any(&self) {
        while self.lock().is_empty() {
            self.any.notified().await;
        }
    }

    /// When the first job was claimed that has been held for `time`, by the server's clock (ms); `None` if none has.
    pub(crate) fn claimed_before(&self, time: Duration) -> Option<u64> {
        let by_fence = self.lock();
        let held = by_fence
            .values()
            .filter(|lease| lease.handed_over.elapsed() >= time);
        held.map(|lease| lease.receipt.since_ms()).min()
    }

    /// Every lease is to be renewed at once.
    pub(crate) fn renew_all(&self) {
        self.renew_all.notify_one();
    }

    /// Waits until every lease is to be renewed. For one task; cancel safe.
    pub(crate) async fn all_to_be_renewed(&self) {
        self.renew_all.notified().await;
    }

    /// Fires the token of every handler.
    pub(crate) fn cancel_all(&self) {
        for lease in self.lock().values() {
            lease.cancel.cancel();
        }
    }

    /// Stops every handler.
    pub(crate) fn stop_all(&self) {
        for lease in self.lock().values() {
            lease.cancel.cancel();
            lease.stop.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(30);

    fn claimed() -> Claimed {
        Claimed {
            id: JobId::generate(),
            fence: Fence(1),
            receipt: Receipt::new("1 2 worker"),
            record: Vec::new(),
            payload: None,
            counters: None,
            stalls: 0,
            alone: false,
        }
    }

    #[test]
    fn g2_a_lease_counts_from_when_the_call_was_sent() {
        let sent = Instant::now();
        let lease = Lease::new(&claimed(), sent, LENGTH);
        assert_eq!(lease.until(), sent + LENGTH);
        let later = sent + Duration::from_secs(10);
        lease.confirm(later, LENGTH);
        assert_eq!(lease.until(), later + LENGTH);
    }

    #[tokio::test]
    async fn g2_who_waits_for_a_longer_lease_goes_on_when_it_is_confirmed_lost_or_over() {
        let now = Instant::now();
        let late = now.checked_sub(LENGTH * 3 / 4).unwrap();
        let waits = |lease: &Lease| lease.has(LENGTH / 2).now_or_never().is_none();
        let lease = Lease::new(&claimed(), now, LENGTH);
        assert!(!waits(&lease));
        for settled in [
            |lease: &Lease| lease.confirm(Instant::now(), LENGTH),
            |lease: &Lease| lease.lose(Instant::now()),
            |lease: &Lease| lease.stop.cancel(),
        ] {
            let lease = Lease::new(&claimed(), late, LENGTH);
            assert!(waits(&lease));
            let waiting = lease.has(LENGTH / 2);
            let mut waiting = pin!(waiting);
            assert!(waiting.as_mut().now_or_never().is_none());
            settled(&lease);
            waiting.await;
        }
        let nearly_over = now.checked_sub(LENGTH - Duration::from_millis(50)).unwrap();
        let lease = Lease::new(&claimed(), nearly_over, LENGTH);
        lease.has(LENGTH / 2).await;
        assert!(lease.is_over());
    }

    #[test]
    fn g2_a_lost_lease_cancels_at_once_and_ends_soon() {
        let sent = Instant::now();
        let lease = Lease::new(&claimed(), sent, LENGTH);
        lease.lose(sent);
        assert!(lease.is_lost() && lease.cancel.is_cancelled());
        assert!(!lease.stop.is_cancelled());
        assert_eq!(lease.until(), sent + LOST_GRACE);
    }
}
