//! One call through a breaker.

use std::fmt::Display;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::warn;

use crate::breaker::Breaker;
use crate::breaker::error::{BreakerError, BreakerOpen};
use crate::id;
use crate::metrics;
use crate::store::backend::Apply;
use crate::store::call_ended::{CallEnded, Counted, End};
use crate::store::permit::{May, Permit};

/// After that Redis counts as one that does not answer: a handler, or a web client, waits for it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// When a job asks again whose breaker was open when Redis last answered.
const ASKS_AGAIN_MS: u64 = 1_000;
/// Longest text of why a breaker is open, in characters.
const WHY_MAX: usize = 200;

impl Breaker {
    /// Makes a call if it may go. Every error of it counts as a failure of the dependency; see [`call_counting`](Self::call_counting).
    ///
    /// A call that fails while the breaker is closed fails its job as it would without a breaker. A call that fails when the breaker has opened meanwhile, or as a probe, is
    /// [`BreakerError::Open`]: its job burns no attempt either.
    ///
    /// If Redis does not answer within a second, the call goes, unless the breaker was open a moment ago.
    ///
    /// Inside of an attempt that goes through this breaker as a whole ([`Breaker::around`]), the call is a part of that attempt, and is not counted by itself.
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
        let mut under_way = UnderWay {
            breaker: self,
            probe: 0,
            is_counted: !is_within(self),
        };
        if !under_way.is_counted || self.known.is_closed(Instant::now()) {
            return Ok(under_way);
        }
        // Known before it asks: who is dropped meanwhile may have been let through as a probe.
        under_way.probe = id::number();
        let permitted = self.permit(under_way.probe).await;
        if !matches!(permitted, Ok(IsProbe::Perhaps)) {
            under_way.probe = 0;
        }
        permitted.map(|_| under_way)
    }

    /// Runs a future whose calls through this breaker are a part of one call, which is counted.
    pub(crate) async fn within<F: Future>(&self, future: F) -> F::Output {
        let mut breakers = WITHIN.try_with(Vec::clone).unwrap_or_default();
        breakers.push(self.clone());
        WITHIN.scope(breakers, future).await
    }

    fn open(&self, wait_ms: u64, why: String) -> BreakerOpen {
        metrics::breaker_refused(self.name());
        BreakerOpen {
            breaker: self.name().to_owned(),
            wait: Duration::from_millis(wait_ms),
            why,
        }
    }

    async fn permit(&self, probe: u64) -> Result<IsProbe, BreakerOpen> {
        let (rules, succeeded) = (self.rules, self.known.take_succeeded());
        let ask = Permit {
            rules,
            succeeded,
            probe,
        };
        let began = Instant::now();
        let Some(permitted) = self.ask(&ask).await else {
            if let Some(why) = self.known.why_open(began) {
                return Err(self.open(ASKS_AGAIN_MS, why));
            }
            self.known.closed(Instant::now());
            return Ok(IsProbe::Perhaps);
        };
        let now = Instant::now();
        match permitted.may {
            May::Closed => self.known.closed(now),
            May::Wait(ms) => {
                let until = now + Duration::from_millis(ms.min(self.rules.open_ms));
                self.known.open(until, &permitted.why);
            }
            May::Pass | May::Probe => self.known.forget(),
        }
        self.heard(permitted.changed, &permitted.why);
        self.list_soon(permitted.is_first);
        match permitted.may {
            May::Closed | May::Pass => Ok(IsProbe::No),
            May::Probe => Ok(IsProbe::Perhaps),
            May::Wait(ms) => Err(self.open(ms, permitted.why)),
        }
    }

    async fn tell(&self, ended: End, probe: u64, why: &str) -> Option<Counted> {
        let succeeded = self.known.take_succeeded();
        let told = CallEnded {
            rules: self.rules,
            succeeded,
            ended,
            probe,
            why,
        };
        let counted = self.ask(&told).await?;
        if counted.changed.is_some() || counted.wait_ms.is_some() {
            self.known.forget();
        }
        self.heard(counted.changed, why);
        self.list_soon(counted.is_first);
        Some(counted)
    }

    /// None if there is no answer. What went well and was told with it counts no more then: the script may have run.
    async fn ask<V: Apply>(&self, verb: &V) -> Option<V::Answer> {
        let asked = timeout(ANSWERS_WITHIN, self.inner.store.call(verb)).await;
        let trouble = match asked {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(trouble)) => trouble.to_string(),
            Err(_) => format!("no answer within {ANSWERS_WITHIN:?}"),
        };
        warn!(breaker = self.name(), %trouble, "a breaker cannot be asked, and calls go unless it was open a moment ago");
        None
    }
}

/// Whether a call goes as a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IsProbe {
    No,
    /// It does, or Redis has not answered.
    Perhaps,
}

tokio::task_local! {
    /// The breakers through which the attempt goes as a whole.
    static WITHIN: Vec<Breaker>;
}

fn is_within(breaker: &Breaker) -> bool {
    let is_same = |other: &Breaker| {
        let (one, other) = (&breaker.inner, &other.inner);
        one.name == other.name && one.setup.namespace == other.setup.namespace
    };
    let found = WITHIN.try_with(|breakers| breakers.iter().any(is_same));
    found.unwrap_or(false)
}

/// A call that is under way. Dropped, it counts neither as a failure nor as a success.
pub(crate) struct UnderWay<'a> {
    breaker: &'a Breaker,
    /// Its number if it is a probe, as long as it has not told how it ended; otherwise 0.
    probe: u64,
    /// False for a part of another call.
    is_counted: bool,
}

impl UnderWay<'_> {
    pub(crate) async fn went_well(mut self) {
        match (self.is_counted, self.probe) {
            (false, _) => return,
            (true, 0) => return self.breaker.known.succeeded(1),
            (true, _) => {}
        }
        // If Redis has not heard of it, the probe is forgotten after its time.
        let _ = self.breaker.tell(End::Well, self.probe, "").await;
        self.probe = 0;
    }

    /// Says when its job may ask again, if the failure is not to be one of its job.
    pub(crate) async fn failed(mut self, why: &str) -> Option<BreakerOpen> {
        if !self.is_counted {
            return None;
        }
        // Each refused call is told it.
        let why: String = why.chars().take(WHY_MAX).collect();
        let told = self.breaker.tell(End::Failed, self.probe, &why).await;
        self.probe = 0;
        let wait_ms = told?.wait_ms?;
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
