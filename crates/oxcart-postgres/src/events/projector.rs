//! Runs a projection.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::iter::successors;
use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};

use crate::ask::{LIMIT, Lent, known_within, within};
use crate::error::{Error, ErrorKind, kind_of};
use crate::events::build::{build, switch};
use crate::events::order::order;
use crate::events::projection::{Projection, ProjectionError, check, version};
use crate::events::read::ordered;
use crate::events::transaction::{BEGIN, set_lock_timeout};

const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_LONGEST: Duration = Duration::from_secs(30);
/// Others that are in the way for so long are worth a line in the log.
const WAIT_LOGGED: Duration = Duration::from_secs(2);

const APPLY_TIMEOUT: Duration = Duration::from_secs(600);

/// Runs a [`Projection`]: its table follows the events.
///
/// Several may run the same projection, in one process or in many: they take turns, and each event is applied once. Each transaction takes in a
/// number of events ([`batch`](Self::batch)) and moves the position with them, so a process that is killed at any moment loses nothing
/// and repeats nothing that counts. One that is frozen holds up the others for 60 s at most: then PostgreSQL ends its transaction, in which nothing was
/// sent ([`idle_in_transaction_session_timeout`], unless a shorter one is set).
///
/// [`idle_in_transaction_session_timeout`]: https://www.postgresql.org/docs/current/runtime-config-client.html
///
/// ```no_run
/// # use oxcart_postgres::{Error, Projection, Projector};
/// # async fn example(pool: sqlx::PgPool, balances: impl Projection) -> Result<(), Error> {
/// Projector::new(&pool, balances).run_until(oxcart::shutdown_signal()).await?;
/// # Ok(()) }
/// ```
pub struct Projector<P> {
    pool: PgPool,
    projection: P,
    pub(super) batch: u32,
    poll: Duration,
    statement_timeout: Duration,
    apply_timeout: Duration,
}

impl<P: Projection> fmt::Debug for Projector<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projector")
            .field("name", &P::NAME)
            .field("version", &P::VERSION)
            .field("batch", &self.batch)
            .field("poll", &self.poll)
            .field("statement_timeout", &self.statement_timeout)
            .field("apply_timeout", &self.apply_timeout)
            .finish_non_exhaustive()
    }
}

/// What a transaction has done.
pub(super) enum Moved {
    /// It has taken in this many events, or prepared something: there may be more to do.
    On,
    /// Nothing: another process is at it.
    Elsewhere,
    /// Nothing is left.
    CaughtUp,
}

/// Why a transaction did nothing.
pub(super) struct Stuck {
    pub(super) error: Error,
    /// So many events could have been taken in before the one that failed.
    pub(super) before: u32,
}

impl From<Error> for Stuck {
    fn from(error: Error) -> Self {
        Self { error, before: 0 }
    }
}

impl<P: Projection> Projector<P> {
    /// Nothing runs yet.
    pub fn new(pool: &PgPool, projection: P) -> Self {
        Self {
            pool: pool.clone(),
            projection,
            batch: 500,
            poll: Duration::from_millis(100),
            statement_timeout: LIMIT,
            apply_timeout: APPLY_TIMEOUT,
        }
    }

    /// How many events one transaction takes in: 1 to 10,000. Default 500.
    #[must_use]
    pub fn batch(mut self, events: u32) -> Self {
        self.batch = events.clamp(1, 10_000);
        self
    }

    /// How long it waits before it looks again when there was nothing new. Default 100 ms.
    #[must_use]
    pub fn poll(mut self, wait: Duration) -> Self {
        self.poll = wait;
        self
    }

    /// How long PostgreSQL may take to answer one statement of the projector, 100 ms at least. Default 30 s.
    ///
    /// After that the connection counts as lost ([`ErrorKind::Unreachable`]): it is closed, and what was not committed is done again. The statements
    /// of [`apply`](Projection::apply) have a limit of [their own](Self::apply_timeout).
    #[must_use]
    pub fn statement_timeout(mut self, limit: Duration) -> Self {
        self.statement_timeout = limit.max(Duration::from_millis(100));
        self
    }

    /// How long one call of [`apply`](Projection::apply) or [`create`](Projection::create) may take, 100 ms at least. Default 10 min.
    ///
    /// After that the call is dropped, its connection is closed, and the transaction is done again. The error ([`ErrorKind::Unreachable`]) names the event and this
    /// limit: either the connection was lost, or the limit is too short for what the projection does.
    #[must_use]
    pub fn apply_timeout(mut self, limit: Duration) -> Self {
        self.apply_timeout = limit.max(Duration::from_millis(100));
        self
    }

    /// Takes in all that there is; which position it has come to. If the table is to be made, or made anew, it serves afterwards.
    ///
    /// While another process moves the projection, it waits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Projection`] if [`apply`](Projection::apply) or [`create`](Projection::create) has failed, [`ErrorKind::Superseded`] if a newer version
    /// of the projection serves or is being built, [`ErrorKind::Codec`] if the next event cannot be read, [`ErrorKind::Invalid`] for an unusable
    /// name, and whatever PostgreSQL says.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the transaction under way is rolled back, unless its commit was sent already.
    pub async fn catch_up(&self) -> Result<u64, Error> {
        check::<P>()?;
        let mut limit = self.batch;
        let mut wait = WAIT_FIRST;
        loop {
            match self.step(limit).await {
                Ok(Moved::On) => (limit, wait) = (self.batch, WAIT_FIRST),
                Ok(Moved::Elsewhere) => tokio::time::sleep(self.poll).await,
                Ok(Moved::CaughtUp) => break,
                Err(Stuck { before, .. }) if before > 0 => limit = before,
                Err(Stuck { error, .. }) if error.kind() == ErrorKind::Retry => {
                    tokio::time::sleep(wait).await;
                    wait = WAIT_LONGEST.min(2 * wait);
                }
                Err(Stuck { error, .. }) => return Err(error),
            }
        }
        let tried = "reading how far a projection has come";
        let mut lent = self.lend(tried).await?;
        let position = "SELECT position FROM oxcart.projection WHERE name = $1 AND serves";
        let position = sqlx::query_scalar(position).bind(P::NAME);
        let position: i64 = self.ask(tried, position.fetch_one(&mut *lent)).await?;
        lent.give_back(None);
        Ok(position.unsigned_abs())
    }

    /// Takes in events as they come, until `stop` is ready. The transaction that is under way then is rolled back.
    ///
    /// What fails is logged through `tracing`, and tried again, at first after 100 ms and at last each 30 s: also an event that
    /// [`apply`](Projection::apply) does not take.
    ///
    /// # Errors
    ///
    /// What no further try mends: [`ErrorKind::Superseded`] if a newer version of the projection serves or is being built,
    /// [`ErrorKind::NotMigrated`], and [`ErrorKind::Invalid`] for an unusable name.
    ///
    /// # Cancel safety
    ///
    /// As [`catch_up`](Self::catch_up).
    pub async fn run_until(&self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        check::<P>()?;
        tokio::select! {
            biased;
            () = stop => Ok(()),
            error = self.run() => Err(error),
        }
    }

    /// Until something fails that no further try mends.
    async fn run(&self) -> Error {
        let mut limit = self.batch;
        let mut wait = WAIT_FIRST;
        loop {
            let pause = match self.step(limit).await {
                Ok(moved) => {
                    (limit, wait) = (self.batch, WAIT_FIRST);
                    match moved {
                        Moved::On => Duration::ZERO,
                        Moved::CaughtUp | Moved::Elsewhere => self.poll,
                    }
                }
                Err(Stuck { before, .. }) if before > 0 => {
                    limit = before;
                    Duration::ZERO
                }
                Err(Stuck { error, .. }) => {
                    match error.kind() {
                        ErrorKind::Superseded | ErrorKind::NotMigrated | ErrorKind::Invalid => {
                            return error;
                        }
                        ErrorKind::Retry if wait < WAIT_LOGGED => {}
                        _ => {
                            tracing::warn!(projection = P::NAME, %error, "a projection does not move")
                        }
                    }
                    let pause = wait;
                    wait = WAIT_LONGEST.min(2 * wait);
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One transaction. If it is dropped, or nobody answers, its connection is closed.
    async fn step(&self, limit: u32) -> Result<Moved, Stuck> {
        let mut lent = self.lend("moving a projection").await?;
        let moved = self.step_on(&mut lent, limit).await;
        lent.give_back(moved.as_ref().err().map(|stuck| &stuck.error));
        moved
    }

    async fn step_on(&self, connection: &mut PgConnection, limit: u32) -> Result<Moved, Stuck> {
        let ordered = order(&mut *connection);
        known_within(
            self.statement_timeout,
            "giving events their positions",
            ordered,
        )
        .await?;
        let serving = "SELECT version FROM oxcart.projection WHERE name = $1 AND serves";
        let serving = sqlx::query_scalar(serving).bind(P::NAME);
        let serving = serving.fetch_optional(&mut *connection);
        let serving: Option<i32> = self.ask("looking for a projection", serving).await?;
        match serving {
            None => self.begin(connection).await,
            Some(serving) if serving < version::<P>() => {
                match build(self, connection, limit).await? {
                    Moved::CaughtUp => switch(self, connection).await,
                    moved => Ok(moved),
                }
            }
            Some(_) => self.follow(connection, limit).await,
        }
    }

    /// Makes the table, if nobody else does.
    async fn begin(&self, connection: &mut PgConnection) -> Result<Moved, Stuck> {
        const TRIED: &str = "beginning a projection";
        let mut tx = self.ask(TRIED, connection.begin_with(BEGIN)).await?;
        let was = self.ask(TRIED, set_lock_timeout(&mut tx, self.lock_timeout()));
        let was = was.await?;
        let claim = "INSERT INTO oxcart.projection (name, serves, version, position) VALUES ($1, true, $2, 0) ON CONFLICT DO NOTHING";
        let claim = sqlx::query(claim).bind(P::NAME).bind(version::<P>());
        let claimed = self.ask(TRIED, claim.execute(&mut *tx)).await?;
        if claimed.rows_affected() > 0 {
            self.ask(TRIED, set_lock_timeout(&mut tx, was)).await?;
            self.make(&mut tx, P::NAME).await?;
        }
        self.ask(TRIED, tx.commit()).await?;
        Ok(Moved::On)
    }

    async fn follow(&self, connection: &mut PgConnection, limit: u32) -> Result<Moved, Stuck> {
        const TRIED: &str = "moving a projection";
        let mut tx = self.ask(TRIED, connection.begin_with(BEGIN)).await?;
        // If another process has it, this one looks again later: how long the other one works in its transaction is no trouble.
        let hold = "SELECT version, position FROM oxcart.projection WHERE name = $1 AND serves FOR UPDATE SKIP LOCKED";
        let hold = sqlx::query_as(hold).bind(P::NAME);
        let held: Option<(i32, i64)> = self.ask(TRIED, hold.fetch_optional(&mut *tx)).await?;
        let Some((serving, position)) = held else {
            self.ask(TRIED, tx.rollback()).await?;
            return Ok(Moved::Elsewhere);
        };
        check_is_ours::<P>(serving)?;
        if serving < version::<P>() {
            return Ok(Moved::On);
        }
        let taken = self.take_in(&mut tx, P::NAME, true, position, limit);
        let taken = taken.await?;
        self.ask(TRIED, tx.commit()).await?;
        Ok(match taken {
            0 => Moved::CaughtUp,
            _ => Moved::On,
        })
    }

    /// Makes a table.
    pub(super) async fn make(&self, tx: &mut PgConnection, table: &str) -> Result<(), Error> {
        let what = format!("the table `{table}` cannot be made");
        self.call(&what, self.projection.create(tx, table)).await
    }

    /// Applies the events after this position to this table, and moves the position; how many these were.
    pub(super) async fn take_in(
        &self,
        tx: &mut PgConnection,
        table: &str,
        serves: bool,
        position: i64,
        limit: u32,
    ) -> Result<u32, Stuck> {
        const TRIED: &str = "moving a projection";
        let events = ordered(&mut *tx, position.unsigned_abs(), limit);
        let events = known_within(self.statement_timeout, TRIED, events).await?;
        for (before, event) in (0..).zip(&events) {
            let at = event.position.unwrap_or_default();
            let what = format!(
                "event {at} ({} of `{}`) was not taken",
                event.event.name, event.stream
            );
            let applied = self.projection.apply(&mut *tx, table, event);
            let applied = self.call(&what, applied).await;
            applied.map_err(|error| Stuck { error, before })?;
        }
        let Some(last) = events.last().and_then(|event| event.position) else {
            return Ok(0);
        };
        let move_on = "UPDATE oxcart.projection SET position = $3, moved_at = now() WHERE name = $1 AND serves = $2";
        let move_on = sqlx::query(move_on)
            .bind(P::NAME)
            .bind(serves)
            .bind(i64::try_from(last).unwrap_or(i64::MAX));
        self.ask(TRIED, move_on.execute(tx)).await?;
        Ok(u32::try_from(events.len()).unwrap_or(u32::MAX))
    }

    /// What the projection says, unless that takes too long.
    async fn call(
        &self,
        what: &str,
        said: impl Future<Output = Result<(), ProjectionError>>,
    ) -> Result<(), Error> {
        match tokio::time::timeout(self.apply_timeout, said).await {
            Ok(said) => said.map_err(|why| refused::<P>(what, why)),
            Err(_) => Err(Error::new(
                ErrorKind::Unreachable,
                format!(
                    "the projection `{}`: {what}: the connection was lost, or the projection took longer than {:?}, which is its limit: \
                     see `Projector::apply_timeout`",
                    P::NAME,
                    self.apply_timeout
                ),
            )),
        }
    }

    /// The answer to a statement of the projector itself.
    pub(super) async fn ask<T>(
        &self,
        tried: &str,
        statement: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Error> {
        within(self.statement_timeout, tried, statement).await
    }

    async fn lend(&self, tried: &str) -> Result<Lent, Error> {
        self.ask(tried, Lent::from(&self.pool)).await
    }

    /// A wait for another process ends before it counts as a lost connection.
    pub(super) fn lock_timeout(&self) -> String {
        format!("{}ms", (self.statement_timeout * 2 / 3).as_millis())
    }
}

/// A newer version must not be written to by an older program.
pub(super) fn check_is_ours<P: Projection>(there: i32) -> Result<(), Error> {
    match there > version::<P>() {
        false => Ok(()),
        true => Err(Error::new(
            ErrorKind::Superseded,
            format!(
                "the projection `{}` is of version {there} now, and this program has version {}: update it, or end it",
                P::NAME,
                P::VERSION
            ),
        )),
    }
}

fn refused<P: Projection>(what: &str, why: ProjectionError) -> Error {
    let message = format!("the projection `{}`: {what}: {why}", P::NAME);
    Error::new(kind_of_refusal(&*why), message).with_source(why)
}

/// Another transaction in the way, or a lost connection, is not the projection's fault.
fn kind_of_refusal(why: &(dyn StdError + 'static)) -> ErrorKind {
    let mut causes = successors(Some(why), |&error| error.source());
    let kind = causes.find_map(|cause| {
        let by_sql = cause.downcast_ref().map(kind_of);
        by_sql.or_else(|| cause.downcast_ref().map(Error::kind))
    });
    match kind {
        Some(kind @ (ErrorKind::Retry | ErrorKind::Unreachable)) => kind,
        _ => ErrorKind::Projection,
    }
}
