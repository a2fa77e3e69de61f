//! A breaker that is declared for a type of jobs: each attempt is a call of the dependency.

use std::fmt;
use std::marker::PhantomData;

use crate::breaker::Breaker;
use crate::job::Job;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::{DeadReason, Outcome};
use crate::worker::context::Context;
use crate::worker::middleware::{Middleware, Next};

impl Breaker {
    /// Middleware for jobs of type `J` that do nothing but call the dependency: each attempt is a call through this breaker, as
    /// [`call`](Self::call) is one. Jobs of other types pass.
    ///
    /// An attempt that fails, or takes too long, has failed as a call, unless it declares its job dead ([`Failure::dead`](crate::Failure::dead)): that shows that
    /// the dependency answers, and so does an attempt that completes. A panic, and whatever else ends an attempt (it is put off, suspended, cancelled, or its worker
    /// stops), says nothing of the dependency. [`BreakerMiddleware::counting`] is for another rule.
    ///
    /// How long an attempt may take is said by its [job](crate::JobOptions::timeout), and not by the [breaker](crate::BreakerSettings::time_limit). What is [wrapped](crate::WorkerBuilder::wrap)
    /// outside of this middleware sees attempts that the breaker refuses, what is wrapped inside does not. A [saga](crate::Saga) is undone within an attempt as well: let its steps use
    /// [`call`](Self::call) instead.
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Charge { cents: u64 }
    /// # impl Job for Charge { const NAME: &'static str = "charge"; type Output = u64; }
    /// # async fn charge_card(cents: u64) -> Result<u64, std::io::Error> { Ok(cents) }
    /// # fn example(oxcart: Oxcart) -> Result<(), Error> {
    /// let stripe = oxcart.breaker("stripe")?;
    /// let worker = Worker::builder(&oxcart.queue("billing")?)
    ///     .wrap(stripe.around::<Charge>())
    ///     .handle(async |charge: Charge| Ok::<_, Failure>(charge_card(charge.cents).await?));
    /// # let _ = worker.build()?;
    /// # Ok(()) }
    /// ```
    #[must_use = "it is given to `WorkerBuilder::wrap`"]
    pub fn around<J: Job>(&self) -> BreakerMiddleware<J> {
        BreakerMiddleware {
            breaker: self.clone(),
            counts: Box::new(|_| true),
            jobs: PhantomData,
        }
    }
}

/// A breaker around each attempt of jobs of one type: made by [`Breaker::around`], for [`WorkerBuilder::wrap`](crate::WorkerBuilder::wrap).
pub struct BreakerMiddleware<J> {
    breaker: Breaker,
    counts: Box<dyn Fn(&AttemptEntry) -> bool + Send + Sync>,
    jobs: PhantomData<fn() -> J>,
}

impl<J> BreakerMiddleware<J> {
    /// Which attempts are failures of the dependency, of those that failed and may be tried again. The others show that it answers. Default: all.
    ///
    /// ```
    /// # use oxcart::*;
    /// # fn example<J: Job>(stripe: Breaker) -> BreakerMiddleware<J> {
    /// stripe.around::<J>().counting(|entry| entry.error.contains("503"))
    /// # }
    /// ```
    #[must_use = "it is given to `WorkerBuilder::wrap`"]
    pub fn counting(
        mut self,
        counts: impl Fn(&AttemptEntry) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.counts = Box::new(counts);
        self
    }
}

impl<J> fmt::Debug for BreakerMiddleware<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let breaker = self.breaker.name();
        f.debug_tuple("BreakerMiddleware").field(&breaker).finish()
    }
}

/// What an attempt says of the dependency.
enum Says<'a> {
    Answers,
    Fails(&'a AttemptEntry),
    Nothing,
}

impl<J> BreakerMiddleware<J> {
    fn says<'a>(&self, outcome: &'a Outcome) -> Says<'a> {
        match outcome {
            Outcome::Completed(_)
            | Outcome::Dead {
                reason: DeadReason::Declared,
                ..
            } => Says::Answers,
            Outcome::Retry { entry, .. }
            | Outcome::Dead {
                reason: DeadReason::AttemptsSpent,
                entry,
            } if matches!(entry.kind, AttemptKind::Error | AttemptKind::Timeout) => {
                match (self.counts)(entry) {
                    true => Says::Fails(entry),
                    false => Says::Answers,
                }
            }
            _ => Says::Nothing,
        }
    }
}

impl<J: Job> Middleware for BreakerMiddleware<J> {
    async fn run(&self, context: Context, next: Next) -> Outcome {
        if context.attempt().name != J::NAME {
            return next.run(context).await;
        }
        let under_way = match self.breaker.begin().await {
            Ok(under_way) => under_way,
            Err(open) => return next.fail(open),
        };
        let outcome = self.breaker.within(next.run(context)).await;
        let refused = match self.says(&outcome) {
            Says::Answers => {
                under_way.went_well().await;
                None
            }
            Says::Fails(entry) => under_way.failed(&entry.error).await,
            Says::Nothing => None,
        };
        refused.map_or(outcome, |open| next.fail(open))
    }
}
