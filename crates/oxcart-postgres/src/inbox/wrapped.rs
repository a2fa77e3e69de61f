//! A handler that is not called when its job is done already.

use std::fmt;

use oxcart::{Context, Failure, Handler, Job, States};
use serde::de::DeserializeOwned;
use sqlx::PgPool;

use crate::error::Error;
use crate::inbox::Inbox;
use crate::inbox::in_transaction::stale;
use crate::inbox::job_key::JobKey;
use crate::inbox::seen::seen_now;
use crate::inbox::stored::decode;

const FIND: &str = "SELECT fence, output FROM oxcart.inbox_job WHERE job = $1 AND incarnation = $2";

/// From here on no earlier attempt commits anything.
const BEGIN: &str = concat!(
    "INSERT INTO oxcart.inbox_job AS held (job, incarnation, queue, fence) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (job, incarnation) DO UPDATE SET fence = greatest(held.fence, excluded.fence), ",
    seen_now!(),
    " RETURNING fence, output"
);

/// A handler that is not called for a job which a transaction has completed ([`Inbox::wrap`]).
pub struct Settled<H> {
    handler: H,
    pool: PgPool,
}

impl<H> fmt::Debug for Settled<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settled").finish_non_exhaustive()
    }
}

impl Inbox {
    /// The same handler, for jobs that are completed by a transaction ([`InTransaction::complete_in`](crate::InTransaction::complete_in)). It is given to
    /// [`WorkerBuilder::handle`](oxcart::WorkerBuilder::handle).
    ///
    /// Before each attempt it looks whether the job is completed: if so, the handler is not called, and the job ends with the output that
    /// was stored. If the handler fails, it looks again: the commit may have succeeded, or be about to, although its answer was lost.
    ///
    /// An attempt that is not the first one, also one after a replay, leaves its fence as well. After that no earlier attempt commits: neither with
    /// `complete_in` nor with `once` or `hold_in`. If an earlier one is just about to commit, it waits for that.
    ///
    /// It costs one statement an attempt, which reads one row by its key. If PostgreSQL cannot be asked, the attempt fails, and is retried.
    pub fn wrap<H>(&self, handler: H) -> Settled<H> {
        Settled {
            handler,
            pool: self.pool.clone(),
        }
    }
}

impl<H> Settled<H> {
    /// The output of the job, if it is completed.
    async fn find<T: DeserializeOwned>(
        &self,
        key: &JobKey<'_>,
        begins: bool,
    ) -> Result<Option<T>, Error> {
        let failed = |error| Error::sql("looking whether a job is completed", error);
        let find = sqlx::query_as(if begins { BEGIN } else { FIND });
        let find = find.bind(key.job).bind(&key.incarnation);
        let found: Option<(i64, Option<Vec<u8>>)> = match begins {
            true => {
                let begin = find.bind(key.queue).bind(key.fence);
                Some(begin.fetch_one(&self.pool).await.map_err(failed)?)
            }
            false => find.fetch_optional(&self.pool).await.map_err(failed)?,
        };
        match found {
            Some((_, Some(output))) => decode(&output).map(Some),
            Some((fence, None)) if fence > key.fence => Err(stale(key, fence)),
            _ => Ok(None),
        }
    }
}

impl<J, Args, H> Handler<J, Args> for Settled<H>
where
    J: Job,
    H: Handler<J, Args>,
{
    fn check(states: &States) -> Result<(), oxcart::Error> {
        H::check(states)
    }

    async fn call(&self, job: J, context: Context) -> Result<J::Output, Failure> {
        let attempt = context.attempt();
        // Also one from before the job was replayed may still be about to commit.
        let is_first = (attempt.earlier, attempt.stalls, attempt.snoozes) == (0, 0, 0);
        let key = JobKey::of(&context)?;
        if let Some(output) = self.find(&key, !is_first).await? {
            return Ok(output);
        }
        let failure = match self.handler.call(job, context.clone()).await {
            Ok(output) => return Ok(output),
            Err(failure) => failure,
        };
        // A commit that is still under way is waited for: it holds the row of the job.
        match self.find(&key, true).await {
            Ok(Some(output)) => Ok(output),
            // What the handler says explains more than what became of the question.
            Ok(None) | Err(_) => Err(failure),
        }
    }
}
