//! A job of a batch, for a batch handler that a test calls as the function that it is.

use std::fmt;

use tokio::sync::oneshot;

use crate::job::Job;
use crate::job::failure::Failure;
use crate::testing::context::ContextBuilder;
use crate::worker::batch::batched::{Batched, Given, Pending};

/// Only with the feature `memory`.
impl ContextBuilder {
    /// A job of a batch with this context, whose name is the name of the job's type; and what the handler gives it.
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Number(i32);
    /// # impl Job for Number { const NAME: &'static str = "number"; type Output = i32; }
    /// async fn halve(numbers: Vec<Batched<Number>>) -> Result<(), Failure> {
    ///     for number in numbers {
    ///         match number.job.0 {
    ///             even if even % 2 == 0 => number.complete(even / 2),
    ///             _ => number.fail(Failure::dead("an odd number")),
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Failure> {
    /// let (eight, half) = Context::builder().batched(Number(8));
    /// let (nine, none) = Context::builder().attempt(2).batched(Number(9));
    /// halve(vec![eight, nine]).await?;
    /// assert_eq!(half.given().unwrap()?, 4);
    /// assert_eq!(none.given().unwrap().unwrap_err().to_string(), "an odd number");
    /// # Ok(()) }
    /// ```
    pub fn batched<J: Job>(self, job: J) -> (Batched<J>, BatchedOutcome<J>) {
        let (pending, given) = Pending::new(self.name(J::NAME).build());
        (Batched::new(job, pending), BatchedOutcome { given })
    }
}

/// What a handler gives to a job that [`ContextBuilder::batched`] made. Only with the feature `memory`.
pub struct BatchedOutcome<J: Job> {
    given: oneshot::Receiver<Given<J>>,
}

impl<J: Job> BatchedOutcome<J> {
    /// What the handler gave to the job by now. `None` if nothing: a worker would give it the error of the handler, or say
    /// that there is no outcome.
    #[must_use]
    pub fn given(mut self) -> Option<Result<J::Output, Failure>> {
        self.given.try_recv().ok()
    }
}

/// Without what was given, which need not be shown.
impl<J: Job> fmt::Debug for BatchedOutcome<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchedOutcome").finish_non_exhaustive()
    }
}
