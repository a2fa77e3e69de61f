//! What is known of a breaker, and what operators force.

use crate::breaker::Breaker;
use crate::error::Error;
use crate::policy::breaker::BreakerState;
use crate::store;
use crate::store::breaker::{Force, Found};
use crate::time::Timestamp;

/// How a breaker stands ([`Breaker::info`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerInfo {
    /// Its state. One that is open, or rising, stays so until a call asks: `until` tells when a probe may go.
    pub state: BreakerState,
    /// An operator has forced it to this state, and it stays so until [`Breaker::automatic`].
    pub forced: bool,
    /// Since when it has this state, by the clock of Redis.
    pub since: Timestamp,
    /// From when on probes may go, if it is open by itself.
    pub until: Option<Timestamp>,
    /// Why it was opened the last time: the error of the last call that counted, or who has forced it. Empty if it never was.
    pub why: String,
    /// Calls that ended within the window of its settings; those that went well are up to a second late.
    pub calls: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Probes that are under way.
    pub probes: u64,
    /// How often failures have opened it when it was closed, or rising.
    pub opened: u64,
}

impl BreakerInfo {
    fn new(found: Found) -> Self {
        let is_open = found.state == BreakerState::Open && !found.is_forced;
        Self {
            state: found.state,
            forced: found.is_forced,
            since: Timestamp::from_millis(found.since_ms),
            until: is_open.then(|| Timestamp::from_millis(found.until_ms)),
            why: found.why,
            calls: found.calls,
            failures: found.failures,
            probes: found.probes,
            opened: found.opened,
        }
    }
}

impl Breaker {
    /// How it stands, for all processes. One that was never used is closed.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(stripe: Breaker) -> Result<(), Error> {
    /// let BreakerInfo { state, since, why, .. } = stripe.info().await?;
    /// println!("{state} since {since}: {why}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn info(&self) -> Result<BreakerInfo, Error> {
        self.look(Force::Nothing).await
    }

    /// Opens it, for all processes, until [`automatic`](Self::automatic) or [`force_closed`](Self::force_closed): no call goes, and no probe. Processes that know it as closed hear of it within about a second.
    ///
    /// If the program has said who its operator is ([`OxcartBuilder::operator`](crate::OxcartBuilder::operator)), [`audit`](Self::audit) and
    /// [`BreakerInfo::why`] tell it.
    ///
    /// # Errors
    ///
    /// If Redis does not answer. Repeating it is harmless.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn force_open(&self) -> Result<BreakerInfo, Error> {
        self.look(Force::Open).await
    }

    /// Closes it, for all processes, until [`automatic`](Self::automatic) or [`force_open`](Self::force_open): calls go, and failures are counted, but do not open it.
    ///
    /// # Errors
    ///
    /// If Redis does not answer. Repeating it is harmless.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn force_closed(&self) -> Result<BreakerInfo, Error> {
        self.look(Force::Closed).await
    }

    /// Nothing is forced any more: if it was forced open, probes may go at once; if it was forced closed, the failures of its window count.
    ///
    /// # Errors
    ///
    /// If Redis does not answer. Repeating it is harmless.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn automatic(&self) -> Result<BreakerInfo, Error> {
        self.look(Force::Automatic).await
    }

    async fn look(&self, force: Force) -> Result<BreakerInfo, Error> {
        let forced = match force {
            Force::Nothing => None,
            Force::Open => Some("open"),
            Force::Closed => Some("closed"),
            Force::Automatic => Some("automatic"),
        };
        if let Some(forced) = forced {
            self.inner.asked("breaker", forced).await?;
        }
        let operator = self.inner.setup.operator.as_deref();
        let why = format!("forced by {}", operator.unwrap_or("an operator"));
        let (rules, said) = (self.rules, &why[..]);
        let look = store::breaker::Breaker {
            rules,
            force,
            why: said,
        };
        let found = self.inner.call(&look).await?;
        if forced.is_some() {
            self.known.forget();
            self.list().await;
        }
        Ok(BreakerInfo::new(found))
    }
}
