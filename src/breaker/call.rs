//! One call through a breaker.

use std::fmt::Display;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::warn;

use crate::breaker::Breaker;
use crate::breaker::error::{BreakerError, BreakerOpen};
use crate::metrics;
use crate::store::backend::Trouble;
use crate::store::call_ended::{CallEnded, Counted, End};
use crate::store::permit::{May, Permit};

/// Longest text of why a breaker is open, in characters.
const WHY_MAX: usize = 200;

impl Breaker {
    /// Makes a call if it may go. Every error of it counts as a failure of the dependency; see [`call_counting`](Self::call_counting).
    ///
    /// A call that fails while the breaker is closed fails its job as it would without a breaker. A call that fails when the breaker has opened meanwhile, or as a probe, is
    /// [`BreakerError::Open`]: its job burns no attempt either.
    ///
    /// If Redis does not answer, the call goes.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn charge_card(cents: u64) -> Result<u64, std::io::Error> { Ok(cents) }
    /// # async fn example(stripe: Breaker) -> Result<u64, Failure> {
    /// let receipt = stripe.call(|| charge_card(1_999)).await?;
    /// # Ok(receipt) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`BreakerError`].
    ///
    /// # Cancel safety
    ///
    /// As the call itself. A call that is dropped counts neither as a failure nor as a success; a probe that is dropped makes room for another one.
    pub async fn call<T, E, Called>(
        &self,
        call: impl FnOnce() -> Called,
    ) -> Result<T, BreakerError<E>>
    where
        E: Display,
        Called: Future<Output = Result<T, E>>,
    {
        self.call_counting(|_| true, call).await
    }

    /// The same, where `counts` says which errors are failures of the dependency. Another error, such as a card that is declined, shows that
    /// the dependency answers: it counts as a call that went well, and is given back as [`BreakerError::Failed`].
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # #[derive(Debug)] struct ApiError { status: u16 }
    /// # impl std::fmt::Display for ApiError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{}", self.status) } }
    /// # impl std::error::Error for ApiError {}
    /// # async fn charge_card(cents: u64) -> Result<u64, ApiError> { Ok(cents) }
    /// # async fn example(stripe: Breaker) -> Result<u64, Failure> {
    /// let is_down = |error: &ApiError| error.status >= 500;
    /// let receipt = stripe.call_counting(is_down, || charge_card(1_999)).await?;
    /// # Ok(receipt) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`BreakerError`].
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_counting<T, E, Called>(
        &self,
        counts: impl FnOnce(&E) -> bool,
        call: impl FnOnce() -> Called,
    ) -> Result<T, BreakerError<E>>
    where
        E: Display,
        Called: Future<Output = Result<T, E>>,
    {
        let under_way = self.begin().await.map_err(BreakerError::Open)?;
        let called = match self.time_limit {
            None => Ok(call().await),
            Some(limit) => timeout(limit, call()).await.map_err(|_| limit),
        };
        let (error, why) = match called {
            Ok(Ok(output)) => {
                under_way.went_well().await;
                return Ok(output);
            }
            Ok(Err(error)) if !counts(&error) => {
                under_way.went_well().await;
                return Err(BreakerError::Failed(error));
            }
            Ok(Err(error)) => {
                let why = error.to_string();
                (BreakerError::Failed(error), why)
            }
            Err(limit) => {
                let why = format!("it took longer than {limit:?}");
                (BreakerError::TimedOut(limit), why)
            }
        };
        match under_way.failed(&why).await {
            None => Err(error),
            Some(open) => Err(BreakerError::Open(open)),
        }
    }

    /// Begins a call, if it may go.
    pub(crate) async fn begin(&self) -> Result<UnderWay<'_>, BreakerOpen> {
        let probe = self.permit().await?;
        Ok(UnderWay {
            breaker: self,
            probe,
        })
    }

    /// How long a call may take.
    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.time_limit
    }

    fn open(&self, wait_ms: u64, why: String) -> BreakerOpen {
        metrics::breaker_refused(self.name());
        BreakerOpen {
            breaker: self.name().to_owned(),
            wait: Duration::from_millis(wait_ms),
            why,
        }
    }

    /// The number of the probe, if it goes as one; otherwise 0.
    async fn permit(&self) -> Result<u64, BreakerOpen> {
        if self.known.is_closed(Instant::now()) {
            return Ok(0);
        }
        let (rules, succeeded) = (self.rules, self.known.take_succeeded());
        let ask = Permit { rules, succeeded };
        let permitted = match self.inner.store.call(&ask).await {
            Ok(permitted) => permitted,
            Err(trouble) => {
                self.is_unknown("the calls of a breaker go: it cannot be asked", &trouble);
                self.known.succeeded(succeeded);
                self.known.closed();
                return Ok(0);
            }
        };
        match permitted.may {
            May::Closed => self.known.closed(),
            _ => self.known.forget(),
        }
        let (changed, is_first, why) = (permitted.changed, permitted.is_first, permitted.why);
        self.heard(changed, &why);
        self.list_soon(is_first);
        match permitted.may {
            May::Closed | May::Pass => Ok(0),
            May::Probe(number) => Ok(number),
            May::Wait(ms) => Err(self.open(ms, why)),
        }
    }

    async fn tell(&self, ended: End, probe: u64, why: &str) -> Result<Counted, Trouble> {
        let succeeded = self.known.take_succeeded();
        let told = CallEnded {
            rules: self.rules,
            succeeded,
            ended,
            probe,
            why,
        };
        let counted = self.inner.store.call(&told).await;
        match &counted {
            Ok(counted) => {
                if counted.changed.is_some() || counted.wait_ms.is_some() {
                    self.known.forget();
                }
                self.heard(counted.changed, why);
                self.list_soon(counted.is_first);
            }
            Err(trouble) => {
                self.is_unknown("a breaker does not know how a call ended", trouble);
            }
        }
        counted
    }

    fn is_unknown(&self, what: &'static str, trouble: &Trouble) {
        warn!(breaker = self.name(), %trouble, "{what}");
    }
}

/// A call that is under way. Dropped, it counts neither as a failure nor as a success.
pub(crate) struct UnderWay<'a> {
    breaker: &'a Breaker,
    /// Its number, as long as it has not told how it ended; otherwise 0.
    probe: u64,
}

impl UnderWay<'_> {
    pub(crate) async fn went_well(mut self) {
        if self.probe == 0 {
            return self.breaker.known.succeeded(1);
        }
        // If Redis has not heard of it, the probe is forgotten after its time.
        let _ = self.breaker.tell(End::Well, self.probe, "").await;
        self.probe = 0;
    }

    /// Says when its job may ask again, if the failure is not to be one of its job.
    pub(crate) async fn failed(mut self, why: &str) -> Option<BreakerOpen> {
        // Each refused call is told it.
        let why: String = why.chars().take(WHY_MAX).collect();
        let told = self.breaker.tell(End::Failed, self.probe, &why).await;
        self.probe = 0;
        let wait_ms = told.ok()?.wait_ms?;
        Some(self.breaker.open(wait_ms, why))
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.probe == 0 {
            return;
        }
        let (breaker, probe) = (self.breaker.clone(), self.probe);
        let store = breaker.inner.store.clone();
        store.outlive_caller(async move {
            let _ = breaker.tell(End::Dropped, probe, "").await;
        });
    }
}
