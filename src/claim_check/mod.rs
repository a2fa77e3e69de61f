//! Payloads that are too large for Redis: they are in a store, and Redis has a ticket.

mod calls;
pub(crate) mod object_name;
pub(crate) mod put_at;
pub(crate) mod store;
pub(crate) mod ticket;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::claim_check::store::PayloadStore;
use crate::error::Error;

/// A ticket takes the place of a payload, so it should be smaller than any of them.
const OVER_MIN: usize = 1024;
/// Largest payload that goes to the store, in bytes, unless set.
const PAYLOAD_MAX_DEFAULT: usize = 64 * 1024 * 1024;
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// A job should be sent soon behind its payload.
const TIMEOUT_MAX: Duration = Duration::from_secs(5 * 60);
/// An enqueueing that was sent and not answered may still be carried out half an hour later: its payload must be there until then.
const GRACE_MIN: Duration = Duration::from_secs(60 * 60);
const SWEEP_DEFAULT: Duration = Duration::from_secs(15 * 60);
const SWEEP_MIN: Duration = Duration::from_secs(1);

/// Large payloads in a store of their own, while Redis holds a small [`Ticket`](crate::Ticket) for each: the *claim check* pattern. Jobs and handlers are written
/// as before. `docs/claim-check.md` says which calls use it, and how payloads are deleted.
///
/// Every program that enqueues into a queue, works on it, or reads payloads of it should have the same store. Two Redis servers, or two sets
/// of databases of one, never share a place in a store: what one does not know is an orphan for it, and is deleted.
///
/// | what | default |
/// |---|---|
/// | the largest payload | 64 MiB |
/// | how long one request of the store may take | 30 s |
/// | how old an object without a job is when it is deleted | 1 h |
/// | how often each worker looks for such objects | about every 15 min |
///
/// ```no_run
/// # async fn example(store: impl oxcart::PayloadStore) -> Result<(), oxcart::Error> {
/// use oxcart::{ClaimCheck, Oxcart};
///
/// let oxcart = Oxcart::builder()
///     .claim_check(ClaimCheck::over(64 * 1024, store))
///     .connect("redis://127.0.0.1/")
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClaimCheck {
    pub(crate) over: usize,
    pub(crate) payload_max: usize,
    pub(crate) timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) sweep_every: Option<Duration>,
    store: Arc<dyn PayloadStore>,
}

impl ClaimCheck {
    /// Payloads of more than so many bytes go to this store: at least 1,024. Smaller ones stay in Redis. Payloads are counted as they are stored,
    /// as MessagePack.
    #[must_use]
    pub fn over(bytes: usize, store: impl PayloadStore) -> Self {
        Self {
            over: bytes,
            payload_max: PAYLOAD_MAX_DEFAULT,
            timeout: TIMEOUT_DEFAULT,
            grace: GRACE_MIN,
            sweep_every: Some(SWEEP_DEFAULT),
            store: Arc::new(store),
        }
    }

    /// Largest payload that goes to the store, in bytes. A program that reads a payload has all of it in memory. What stays in Redis, and results, still have
    /// [`OxcartBuilder::payload_max`](crate::OxcartBuilder::payload_max). Default 64 MiB.
    #[must_use]
    pub fn payload_max(mut self, bytes: usize) -> Self {
        self.payload_max = bytes;
        self
    }

    /// How long one request of the store may take: storing one payload, or reading it. More than zero, at most 5 min. Default 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How old an object is, by the clock of the store, before a worker takes it for an orphan if no job has it: at least 1 h, because a job may
    /// be added so long after its payload was stored, if Redis was away meanwhile. Default 1 h.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How often each worker looks for orphans; the moments are spread by half of that. At least 1 s. Default 15 min.
    #[must_use]
    pub fn sweep_every(mut self, period: Duration) -> Self {
        self.sweep_every = Some(period);
        self
    }

    /// No worker of this connection looks for orphans: something else calls [`Queue::sweep_payloads`](crate::Queue::sweep_payloads). Payloads of jobs that a worker has
    /// ended, and that are kept no longer, are deleted all the same.
    #[must_use]
    pub fn without_sweep(mut self) -> Self {
        self.sweep_every = None;
        self
    }

    /// Whether a payload of so many bytes may go to the store.
    pub(crate) fn check_size(&self, name: &str, bytes: usize) -> Result<(), Error> {
        let most = self.payload_max;
        match bytes > most {
            false => Ok(()),
            true => Err(Error::invalid(format!(
                "the payload of `{name}` has {bytes} bytes; {most} are allowed in the store (ClaimCheck::payload_max)"
            ))),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |what: String| Err(Error::invalid(what));
        if self.over < OVER_MIN {
            let over = self.over;
            return bad(format!(
                "payloads over {over} bytes are to go to a store; the least limit is {OVER_MIN}"
            ));
        }
        if self.payload_max < self.over {
            return bad(format!(
                "payloads over {} bytes are to go to a store, and {} bytes are allowed there (ClaimCheck::payload_max)",
                self.over, self.payload_max
            ));
        }
        if self.timeout.is_zero() {
            return bad("the time limit of a store is zero; 30 s is the default".to_owned());
        }
        if self.timeout > TIMEOUT_MAX {
            let timeout = self.timeout;
            return bad(format!(
                "the time limit of a store is {timeout:?}; the largest is {TIMEOUT_MAX:?}"
            ));
        }
        check_grace(self.grace)?;
        match self.sweep_every {
            Some(period) if period < SWEEP_MIN => bad(format!(
                "a store is to be swept every {period:?}; the least period is {SWEEP_MIN:?}"
            )),
            _ => Ok(()),
        }
    }
}

/// Whether orphans may be deleted that are so old.
pub(crate) fn check_grace(grace: Duration) -> Result<(), Error> {
    match grace < GRACE_MIN {
        false => Ok(()),
        true => Err(Error::invalid(format!(
            "objects that are {grace:?} old are to be taken for orphans; the least age is {GRACE_MIN:?}: the job of a younger one may \
             still be on its way"
        ))),
    }
}

/// Without the store: it may hold secrets.
impl fmt::Debug for ClaimCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimCheck")
            .field("over", &self.over)
            .field("payload_max", &self.payload_max)
            .field("timeout", &self.timeout)
            .field("grace", &self.grace)
            .field("sweep_every", &self.sweep_every)
            .finish_non_exhaustive()
    }
}
