//! What a handler does in its transaction, under the fence of its attempt.

use std::future::Future;
use std::time::Duration;

use oxcart::{Context, Failure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{PgConnection, PgTransaction};

use crate::error::{Error, ErrorKind};
use crate::inbox::consumer::{check, take};
use crate::inbox::job_key::JobKey;
use crate::inbox::seen::seen_now;
use crate::inbox::stored::{decode, encode};

/// A transaction of an attempt that has stopped is idle for at least so long before PostgreSQL ends it.
const IDLE_LEAST: Duration = Duration::from_secs(10);

/// The row of a job is what its attempts wait for. So a transaction that does nothing any more, because its process is frozen or cut off, must not
/// hold it for ever: unless something shorter is set, it may be idle for as many milliseconds as this parameter says.
macro_rules! end_if_idle {
    ($parameter:literal) => {
        concat!(
            "CASE WHEN current_setting('idle_in_transaction_session_timeout')::interval ",
            "BETWEEN interval '1 ms' AND make_interval(secs => ",
            $parameter,
            "::int8 / 1e3) THEN '' ELSE set_config('idle_in_transaction_session_timeout', ",
            $parameter,
            "::text, true) END"
        )
    };
}

/// Finds or makes the row of the job, and holds it until the transaction ends. A transaction that has committed meanwhile is seen.
const HOLD: &str = concat!(
    "INSERT INTO oxcart.inbox_job AS held (job, incarnation, queue, fence) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (job, incarnation) DO UPDATE SET fence = greatest(held.fence, excluded.fence), ",
    seen_now!(),
    " RETURNING fence, effect, output IS NOT NULL, ",
    end_if_idle!("$5")
);

const KEEP_EFFECT: &str =
    "UPDATE oxcart.inbox_job SET effect = $3 WHERE job = $1 AND incarnation = $2";

/// A second call in the same transaction changes the output.
macro_rules! may_complete {
    () => {
        "held.fence <= excluded.fence AND (held.output IS NULL OR held.completed_by = excluded.completed_by)"
    };
}

/// The same, and the output of the job, unless it is completed or a later attempt has been here.
const COMPLETE: &str = concat!(
    "INSERT INTO oxcart.inbox_job AS held (job, incarnation, queue, fence, output, completed_by) \
     VALUES ($1, $2, $3, $4, $6, pg_current_xact_id()) ON CONFLICT (job, incarnation) DO UPDATE SET \
     fence = greatest(held.fence, excluded.fence), \
     output = CASE WHEN ",
    may_complete!(),
    " THEN excluded.output ELSE held.output END, completed_by = CASE WHEN ",
    may_complete!(),
    " THEN excluded.completed_by ELSE held.completed_by END, ",
    seen_now!(),
    " RETURNING fence, output IS NOT NULL, completed_by IS NOT DISTINCT FROM pg_current_xact_id(), ",
    end_if_idle!("$5")
);

/// What a handler does in a transaction of PostgreSQL: once for its job, whatever dies. It is there for [`Context`].
///
/// An attempt whose process was frozen or cut off may still be about to commit while the next one runs. So all of these hold a row of the
/// job until the transaction ends, one attempt after the other, and compare [fences](oxcart::Fence): as soon as a later attempt has been here, an
/// earlier one is refused ([`ErrorKind::Stale`]).
///
/// While it holds that row, a transaction may be idle for about two leases at most ([`idle_in_transaction_session_timeout`], unless a shorter one is
/// set): then PostgreSQL ends it. So the job of a frozen process goes on.
///
/// [`idle_in_transaction_session_timeout`]: https://www.postgresql.org/docs/current/runtime-config-client.html
#[expect(
    async_fn_in_trait,
    reason = "whether the future of `once` can be sent depends on `run`, and there is one implementation, which shows it"
)]
pub trait InTransaction: sealed::Sealed {
    /// Does something in the transaction, once for the job. If that is committed, each later attempt gets what it gave, and `run` is not
    /// called.
    ///
    /// ```no_run
    /// # use oxcart::{Context, Failure, Job, State};
    /// # use serde::{Deserialize, Serialize};
    /// # use sqlx::PgPool;
    /// # #[derive(Serialize, Deserialize)] struct Deposit { account: i64, cents: i64 }
    /// # impl Job for Deposit { const NAME: &'static str = "deposit"; type Output = i64; }
    /// use oxcart_postgres::InTransaction;
    ///
    /// async fn deposit(job: Deposit, context: Context, pool: State<PgPool>) -> Result<i64, Failure> {
    ///     let mut tx = pool.begin().await?;
    ///     let balance: i64 = context.once(&mut tx, async |tx| {
    ///         let add = "UPDATE account SET cents = cents + $1 WHERE id = $2 RETURNING cents";
    ///         let add = sqlx::query_scalar(add).bind(job.cents).bind(job.account);
    ///         Ok(add.fetch_one(tx).await?)
    ///     }).await?;
    ///     tx.commit().await?;
    ///     Ok(balance)
    /// }
    /// ```
    ///
    /// A job has one effect without a name: a second call gets what the first one gave, also in the same attempt. A handler that has several gives each a
    /// name, with [`once_named`](Self::once_named). If `run` fails, roll the transaction back: what it has written until then is in it.
    ///
    /// # Errors
    ///
    /// What `run` returns. An [`Error`], as the source of a failure that is retried: [`ErrorKind::Stale`] if a later attempt has been here,
    /// [`ErrorKind::Completed`] if another attempt has completed the job, [`ErrorKind::Codec`] if the value cannot be stored, or what is stored cannot be
    /// read, and whatever PostgreSQL says. After an error the transaction is to be rolled back.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, roll the transaction back, as dropping the transaction does.
    async fn once<T, F>(&self, tx: &mut PgTransaction<'_>, run: F) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        F: AsyncFnOnce(&mut PgConnection) -> Result<T, Failure>;

    /// The same as [`once`](Self::once), for one of several effects of a job: each has a name, which is the same in each attempt (1 to 512 bytes).
    ///
    /// ```no_run
    /// # use oxcart::{Context, Failure};
    /// # use oxcart_postgres::InTransaction;
    /// # async fn example(context: Context, pool: sqlx::PgPool) -> Result<(), Failure> {
    /// for account in [1, 2] {
    ///     let mut tx = pool.begin().await?;
    ///     context.once_named(&mut tx, &format!("account {account}"), async |tx| {
    ///         let add = "UPDATE account SET cents = cents + 1 WHERE id = $1";
    ///         sqlx::query(add).bind(account).execute(tx).await?;
    ///         Ok(())
    ///     }).await?;
    ///     tx.commit().await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`once`](Self::once), and [`ErrorKind::Invalid`] for a name that cannot be stored.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, roll the transaction back.
    async fn once_named<T, F>(
        &self,
        tx: &mut PgTransaction<'_>,
        name: &str,
        run: F,
    ) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        F: AsyncFnOnce(&mut PgConnection) -> Result<T, Failure>;

    /// Completes the job with the transaction: if it is committed, the job is done, and this is its output. The handler returns the same output after it
    /// has committed.
    ///
    /// If the process dies right after the commit, or the answer to the commit is lost, the job runs again. A handler that is
    /// [wrapped](crate::Inbox::wrap) is not called then: the job is completed with this output. One that is not wrapped gets here again, and
    /// is refused.
    ///
    /// A second call in the same transaction replaces the output. Take the row of the job first, with [`hold_in`](Self::hold_in), before the transaction changes any other row: the limit for an idle transaction
    /// counts from there. A process that is frozen earlier holds the other rows without a limit.
    ///
    /// ```no_run
    /// # use oxcart::{Context, Failure, Job, Queue, State, Worker};
    /// # use serde::{Deserialize, Serialize};
    /// # use sqlx::PgPool;
    /// # #[derive(Serialize, Deserialize)] struct Ship { order: i64 }
    /// # impl Job for Ship { const NAME: &'static str = "ship"; type Output = i64; }
    /// use oxcart_postgres::{Inbox, InTransaction};
    ///
    /// async fn ship(job: Ship, context: Context, pool: State<PgPool>) -> Result<i64, Failure> {
    ///     let mut tx = pool.begin().await?;
    ///     context.hold_in(&mut tx).await?;
    ///     let parcel = "INSERT INTO parcel (order_id) VALUES ($1) RETURNING id";
    ///     let parcel: i64 = sqlx::query_scalar(parcel).bind(job.order).fetch_one(&mut *tx).await?;
    ///     context.complete_in(&mut tx, &parcel).await?;
    ///     tx.commit().await?;
    ///     Ok(parcel)
    /// }
    /// # fn example(queue: &Queue, pool: PgPool) -> Result<Worker, oxcart::Error> {
    /// let inbox = Inbox::new(&pool);
    /// let worker = Worker::builder(queue).state(pool).handle(inbox.wrap(ship)).build()?;
    /// # Ok(worker) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Completed`] if another attempt, or another transaction of this one, has completed the job; [`ErrorKind::Stale`] if a later attempt
    /// has been here; [`ErrorKind::Codec`] if the output cannot be stored; and whatever PostgreSQL says. After an error the transaction is to be
    /// rolled back.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, roll the transaction back.
    fn complete_in<T: Serialize + DeserializeOwned + Sync>(
        &self,
        tx: &mut PgTransaction<'_>,
        output: &T,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Holds the job until the transaction ends, without ending it: for a handler with several transactions. Neither an earlier attempt nor
    /// a later one writes meanwhile, and once this is committed no earlier one does.
    ///
    /// ```no_run
    /// # use oxcart::{Context, Failure};
    /// # use oxcart_postgres::InTransaction;
    /// # async fn example(context: Context, pool: sqlx::PgPool) -> Result<(), Failure> {
    /// for page in 0..10 {
    ///     let mut tx = pool.begin().await?;
    ///     context.hold_in(&mut tx).await?;
    ///     sqlx::query("UPDATE page SET done = true WHERE id = $1").bind(page).execute(&mut *tx).await?;
    ///     tx.commit().await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Stale`] and [`ErrorKind::Completed`], as [`complete_in`](Self::complete_in), and whatever PostgreSQL says.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, roll the transaction back.
    fn hold_in(&self, tx: &mut PgTransaction<'_>)
    -> impl Future<Output = Result<(), Error>> + Send;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for oxcart::Context {}
}

impl InTransaction for Context {
    async fn once<T, F>(&self, tx: &mut PgTransaction<'_>, run: F) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        F: AsyncFnOnce(&mut PgConnection) -> Result<T, Failure>,
    {
        let key = JobKey::of(self)?;
        if let Some(effect) = hold(tx, &key, self, Gives::Effect).await? {
            return Ok(decode(&effect)?);
        }
        let given = run(&mut *tx).await?;
        let keep = sqlx::query(KEEP_EFFECT)
            .bind(key.job)
            .bind(&key.incarnation)
            .bind(encode(&given)?);
        let kept = keep.execute(&mut **tx).await;
        kept.map_err(|error| Error::sql("storing that a job has had its effect", error))?;
        Ok(given)
    }

    async fn once_named<T, F>(
        &self,
        tx: &mut PgTransaction<'_>,
        name: &str,
        run: F,
    ) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        F: AsyncFnOnce(&mut PgConnection) -> Result<T, Failure>,
    {
        check("effect", name)?;
        let key = JobKey::of(self)?;
        // Who holds the row of the job has all of its effects.
        hold(tx, &key, self, Gives::Nothing).await?;
        let consumer = format!("job {} {}", key.job, key.incarnation);
        take(tx, &consumer, name, run).await
    }

    async fn complete_in<T: Serialize + DeserializeOwned + Sync>(
        &self,
        tx: &mut PgTransaction<'_>,
        output: &T,
    ) -> Result<(), Error> {
        let key = JobKey::of(self)?;
        let complete = sqlx::query_as(COMPLETE)
            .bind(key.job)
            .bind(&key.incarnation)
            .bind(key.queue)
            .bind(key.fence)
            .bind(idle_ms(self))
            .bind(encode(output)?);
        let completed = complete.fetch_one(&mut **tx).await;
        let (fence, is_completed, is_mine, _): (i64, bool, bool, Option<String>) =
            completed.map_err(|error| Error::sql("completing a job", error))?;
        match (is_mine, is_completed) {
            (true, _) => Ok(()),
            (false, true) => Err(completed_already(&key)),
            (false, false) => Err(stale(&key, fence)),
        }
    }

    async fn hold_in(&self, tx: &mut PgTransaction<'_>) -> Result<(), Error> {
        let key = JobKey::of(self)?;
        hold(tx, &key, self, Gives::Nothing).await.map(|_| ())
    }
}

/// Whether the caller wants what an earlier effect of the job gave. Then it gets that whatever its fence is, because it changes nothing.
#[derive(PartialEq, Eq)]
enum Gives {
    Effect,
    Nothing,
}

/// What the effect gave, if there was one and it is asked for.
async fn hold(
    tx: &mut PgTransaction<'_>,
    key: &JobKey<'_>,
    context: &Context,
    gives: Gives,
) -> Result<Option<Vec<u8>>, Error> {
    let hold = sqlx::query_as(HOLD)
        .bind(key.job)
        .bind(&key.incarnation)
        .bind(key.queue)
        .bind(key.fence)
        .bind(idle_ms(context));
    let held = hold.fetch_one(&mut **tx).await;
    let (fence, effect, is_completed, _): (i64, Option<Vec<u8>>, bool, Option<String>) =
        held.map_err(|error| Error::sql("looking whether a job has had its effect", error))?;
    match (effect, is_completed) {
        (Some(effect), _) if gives == Gives::Effect => Ok(Some(effect)),
        (_, true) => Err(completed_already(key)),
        (_, false) if fence > key.fence => Err(stale(key, fence)),
        (_, false) => Ok(None),
    }
}

fn idle_ms(context: &Context) -> i64 {
    let idle = (2 * context.lease_remaining()).max(IDLE_LEAST);
    i64::from(i32::try_from(idle.as_millis()).unwrap_or(i32::MAX))
}

pub(super) fn stale(key: &JobKey<'_>, fence: i64) -> Error {
    Error::new(
        ErrorKind::Stale,
        format!(
            "a later attempt of job {} (fence {fence}) has been here, so the one with fence {} may not write: stop, and roll back",
            key.job, key.fence
        ),
    )
}

fn completed_already(key: &JobKey<'_>) -> Error {
    Error::new(
        ErrorKind::Completed,
        format!(
            "job {} was completed in another transaction: roll this one back. A handler that is wrapped, with `inbox.wrap(handler)`, \
             is not called for such a job",
            key.job
        ),
    )
}
