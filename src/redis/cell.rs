//! A connection that is there or not, and what is known of its line.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;

use crate::redis::credentials::Renewal;
use crate::redis::trouble::Trouble;

/// For how long the slowest answer is remembered.
const SLOW_FOR: Duration = Duration::from_secs(30);
/// An attempt to connect that failed: when it began, and why.
pub(crate) type ConnectFailure = (Instant, Trouble);

/// A connection that may be there, and what is known of the line.
pub(crate) struct ConnectionCell {
    connection: Mutex<Option<Numbered>>,
    /// Held by the caller that makes a connection. Fair: the callers have their turn in order.
    pub(crate) connecting: tokio::sync::Mutex<Option<ConnectFailure>>,
    pub(crate) made: AtomicU64,
    epoch: Instant,
    /// When the last answer came, or the connection was made; ms since the epoch.
    heard_ms: AtomicU64,
    /// Bytes of requests without an answer yet.
    pub(crate) under_way: AtomicUsize,
    /// Requests that got no answer in time, one after the other.
    pub(crate) silent: AtomicU32,
    /// How long the slowest answer took, if one was slow, and when it came.
    slowest_ms: AtomicU64,
    slowest_at_ms: AtomicU64,
}

impl Default for ConnectionCell {
    fn default() -> Self {
        Self {
            connection: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            made: AtomicU64::new(0),
            epoch: Instant::now(),
            heard_ms: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
            silent: AtomicU32::new(0),
            slowest_ms: AtomicU64::new(0),
            slowest_at_ms: AtomicU64::new(0),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Numbered {
    /// Which connection of the cell it is.
    pub(crate) number: u64,
    pub(crate) connection: MultiplexedConnection,
    pub(crate) renewal: Option<Arc<Renewal>>,
}

impl ConnectionCell {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<Numbered>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open(&self) -> Option<Numbered> {
        let open = self.lock().clone()?;
        if let Some(renewal) = &open.renewal {
            renewal.look(&open.connection);
        }
        Some(open)
    }

    pub(crate) fn is_open(&self, number: u64) -> bool {
        let open = self.lock();
        open.as_ref().is_some_and(|open| open.number == number)
    }

    /// Drops this connection, unless that was done.
    pub(crate) fn close(&self, number: u64) -> bool {
        let mut connection = self.lock();
        let is_open = connection
            .as_ref()
            .is_some_and(|open| open.number == number);
        if is_open {
            *connection = None;
        }
        is_open
    }

    fn since_epoch_ms(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_millis() as u64
    }

    pub(crate) fn heard(&self, now: Instant) {
        let now_ms = self.since_epoch_ms(now);
        self.heard_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(crate) fn last_heard(&self) -> Instant {
        self.epoch + Duration::from_millis(self.heard_ms.load(Ordering::Relaxed))
    }

    /// The slowest answer lately; zero if none was slow.
    pub(crate) fn slowest(&self, now: Instant) -> Duration {
        let slowest_ms = self.slowest_ms.load(Ordering::Relaxed);
        if slowest_ms == 0 {
            return Duration::ZERO;
        }
        let age_ms = self
            .since_epoch_ms(now)
            .saturating_sub(self.slowest_at_ms.load(Ordering::Relaxed));
        if age_ms > SLOW_FOR.as_millis() as u64 {
            self.slowest_ms.store(0, Ordering::Relaxed);
            return Duration::ZERO;
        }
        Duration::from_millis(slowest_ms)
    }

    pub(crate) fn answered(&self, took: Duration, patience: Duration, now: Instant) {
        self.heard(now);
        if self.silent.load(Ordering::Relaxed) > 0 {
            self.silent.store(0, Ordering::Relaxed);
        }
        // An answer that is clearly quicker than the usual patience needs no longer patience.
        if took > patience * 3 / 4 && took >= self.slowest(now) {
            let took_ms = took.as_millis() as u64;
            self.slowest_ms.store(took_ms, Ordering::Relaxed);
            let now_ms = self.since_epoch_ms(now);
            self.slowest_at_ms.store(now_ms, Ordering::Relaxed);
        }
    }
}

/// A request that is under way; drops a dedicated connection when it has come to nothing.
pub(crate) struct Request<'a> {
    cell: &'a ConnectionCell,
    number: u64,
    bytes: usize,
    pub(crate) keeps: bool,
}

impl<'a> Request<'a> {
    /// `keeps`: also when it comes to nothing.
    pub(crate) fn new(cell: &'a ConnectionCell, number: u64, bytes: usize, keeps: bool) -> Self {
        cell.under_way.fetch_add(bytes, Ordering::Relaxed);
        Self {
            cell,
            number,
            bytes,
            keeps,
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.cell.under_way.fetch_sub(self.bytes, Ordering::Relaxed);
        if !self.keeps {
            self.cell.close(self.number);
        }
    }
}
