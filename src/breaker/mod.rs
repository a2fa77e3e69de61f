//! Breakers: whether calls of a dependency may go, decided once for all processes.
//!
//! What becomes of a call is in `call.rs`; what a process knows without asking, in `known.rs`. Scripts decide (`lua/lib/breaker.lua`).

pub(crate) mod call;
pub(crate) mod error;
pub(crate) mod info;
mod known;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{info, warn};

use crate::breaker::known::Known;
use crate::error::Error;
use crate::events::stream::{EventCursor, EventStream};
use crate::metrics;
use crate::name::{self, QueueName};
use crate::oxcart::Oxcart;
use crate::policy::breaker::{BreakerSettings, BreakerState, Rules};
use crate::queue::audit::Audit;
use crate::queue::setup::Setup;
use crate::queue::{Queue, QueueInner};
use crate::store::backend::Trouble;
use crate::store::delete::Delete;

/// A breaker around the calls of something that may be down, such as a payment service: one for all processes that use its name. Made by
/// [`Oxcart::breaker`](Oxcart::breaker), once, and used in handlers. Cheap to clone.
///
/// It is closed as long as calls go well. When [too many have failed](BreakerSettings::trips_at), in all processes together, it opens: no call goes, and the jobs
/// that want to make one go back, burn no attempt, and wait. After [a while](BreakerSettings::open_for) a few [probes](BreakerSettings::probes)
/// go. If they end well, it closes, and calls flow again at a [rising rate](BreakerSettings::rising).
///
/// A closed breaker costs one command for each process and second in which it is used, and one for each failure. While it is not closed,
/// each call asks.
///
/// `docs/breakers.md` tells more.
///
/// ```no_run
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// # use std::time::Duration;
/// # #[derive(Serialize, Deserialize)] struct Charge { cents: u64 }
/// # impl Job for Charge { const NAME: &'static str = "charge"; type Output = u64; }
/// # async fn charge_card(_: &Charge) -> Result<u64, std::io::Error> { Ok(1) }
/// # async fn example(oxcart: Oxcart) -> Result<(), Error> {
/// let settings = BreakerSettings::new()
///     .trips_at(20, Duration::from_secs(30))
///     .time_limit(Duration::from_secs(10));
/// let stripe = oxcart.breaker("stripe")?.settings(settings)?;
///
/// let worker = Worker::builder(&oxcart.queue("billing")?)
///     .state(stripe)
///     .handle(async |charge: Charge, stripe: State<Breaker>| {
///         let receipt = stripe.call(|| charge_card(&charge)).await?;
///         Ok::<_, Failure>(receipt)
///     });
/// worker.build()?.run_until(shutdown_signal()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Breaker {
    /// The place where it is kept; no worker works on it.
    inner: Arc<QueueInner>,
    rules: Rules,
    time_limit: Option<Duration>,
    known: Arc<Known>,
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Breaker").field(&self.name()).finish()
    }
}

impl Oxcart {
    /// The breaker of this name, with the default settings. Nothing is sent; a breaker exists as soon as a call asks it. All processes that use the name
    /// share it. Make it once in each process, and clone it.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(oxcart: Oxcart) -> Result<(), Error> {
    /// let stripe = oxcart.breaker("stripe")?.settings(BreakerSettings::new().probes(2))?;
    /// println!("{}", stripe.info().await?.state);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed name: 1 to 120 bytes, otherwise as names of queues.
    pub fn breaker(&self, name: &str) -> Result<Breaker, Error> {
        let name = QueueName::of_breaker(name)?;
        let inner = Arc::new(QueueInner::new(Arc::clone(&self.inner), name));
        Breaker::new(inner)
    }

    /// The names of all breakers of this namespace that were ever used, but for those that were deleted ([`Breaker::delete`]), in order.
    ///
    /// # Errors
    ///
    /// As [`queues`](Self::queues).
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn breakers(&self) -> Result<Vec<String>, Error> {
        let Setup {
            backend, namespace, ..
        } = &*self.inner;
        let names = backend.breakers(namespace).await.map_err(|error| {
            error.within(format_args!("`breakers` of the namespace `{namespace}`"))
        })?;
        Ok(name::as_users_know_them(names))
    }
}

impl Breaker {
    fn new(inner: Arc<QueueInner>) -> Result<Self, Error> {
        Ok(Self {
            inner,
            rules: BreakerSettings::new().rules()?,
            time_limit: None,
            known: Arc::default(),
        })
    }

    /// The name of the breaker.
    #[must_use]
    pub fn name(&self) -> &str {
        self.inner.name.breaker().unwrap_or_default()
    }

    /// The same breaker with these settings instead of the defaults. They hold for what is done through this handle and its clones.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a setting that is out of range; the error says which.
    pub fn settings(self, settings: BreakerSettings) -> Result<Self, Error> {
        Ok(Self {
            rules: settings.rules()?,
            time_limit: settings.limit(),
            ..self
        })
    }

    /// What happens to it: [`EventKind::Breaker`](crate::EventKind::Breaker) whenever its state changes, from now on. See [`Queue::events`].
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn events(&self) -> Result<EventStream, Error> {
        self.place().events().await
    }

    /// The same from a place on; see [`Queue::events_after`].
    #[must_use]
    pub fn events_after(&self, cursor: EventCursor) -> EventStream {
        self.place().events_after(cursor)
    }

    /// What operators did to it; see [`Queue::audit`].
    pub fn audit(&self) -> Audit {
        self.place().audit()
    }

    /// Deletes what is known of it, also that it was forced, and its place in [`Oxcart::breakers`](Oxcart::breakers). If it is used again, it is closed, and
    /// begins anew.
    ///
    /// # Errors
    ///
    /// If Redis does not answer. Repeating it is harmless.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn delete(&self) -> Result<(), Error> {
        let (all, lanes_ms) = (true, 1);
        self.inner.call(&Delete { all, lanes_ms }).await?;
        self.known.forget();
        self.inner.is_listed.store(false, Ordering::Relaxed);
        let unregistered = self.inner.store.unregister().await;
        unregistered.map_err(|trouble| {
            let error = trouble.into_error(self.inner.store.address());
            error.within(format_args!("`delete` on the breaker `{}`", self.name()))
        })
    }

    /// As a queue, of which only what all places have is used.
    fn place(&self) -> Queue {
        let inner = Arc::clone(&self.inner);
        Queue { inner }
    }

    /// Puts it on the list of breakers.
    async fn list(&self) {
        let registered = self.inner.store.register().await;
        let is_refused = matches!(&registered, Err(Trouble::Refused(..)));
        // What is refused once is refused each time.
        let is_listed = registered.is_ok() || is_refused;
        self.inner.is_listed.store(is_listed, Ordering::Relaxed);
        if let Err(trouble) = registered {
            warn!(breaker = self.name(), %trouble, "the breaker is not on the list of breakers");
        }
    }

    /// The same on the side, unless this process has done so since the breaker was made. A process that dies before it does leaves that to the next one.
    fn list_soon(&self, is_first: bool) {
        if is_first || !self.inner.is_listed.swap(true, Ordering::Relaxed) {
            let breaker = self.clone();
            let store = &self.inner.store;
            store.outlive_caller(async move { breaker.list().await });
        }
    }

    /// Each change is heard of in one process.
    fn heard(&self, changed: Option<BreakerState>, why: &str) {
        let Some(state) = changed else {
            return;
        };
        metrics::breaker_changed(self.name(), state.name());
        match state {
            BreakerState::Open => warn!(breaker = self.name(), why, "the breaker has opened"),
            _ => info!(breaker = self.name(), %state, "the breaker has changed"),
        }
    }
}
