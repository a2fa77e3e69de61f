//! Runs a projection.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use crate::error::{Error, ErrorKind};
use crate::events::build::{build, switch};
use crate::events::order::order;
use crate::events::projection::{Projection, check, version};
use crate::events::read::ordered;

const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_LONGEST: Duration = Duration::from_secs(30);

/// Runs a [`Projection`]: its table follows the events.
///
/// Several may run the same projection, in one process or in many: they take turns, and each event is applied once. Each transaction takes in a
/// number of events ([`batch`](Self::batch)) and moves the position with them, so a process that is killed at any moment loses nothing
/// and repeats nothing that counts.
///
/// ```no_run
/// # use oxcart_postgres::{Error, Projection, Projector};
/// # async fn example(pool: sqlx::PgPool, balances: impl Projection) -> Result<(), Error> {
/// Projector::new(&pool, balances).run_until(oxcart::shutdown_signal()).await?;
/// # Ok(()) }
/// ```
pub struct Projector<P> {
    pub(super) pool: PgPool,
    pub(super) projection: P,
    pub(super) batch: u32,
    poll: Duration,
}

impl<P: Projection> fmt::Debug for Projector<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projector")
            .field("name", &P::NAME)
            .field("version", &P::VERSION)
            .field("batch", &self.batch)
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}

/// What a transaction has done.
pub(super) enum Moved {
    /// It has taken in this many events, or prepared something: there may be more to do.
    On,
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

    /// Takes in all that there is; which position it has come to. If the table is to be made, or made anew, it serves afterwards.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Projection`] if [`apply`](Projection::apply) or [`create`](Projection::create) has failed, [`ErrorKind::Superseded`] if a newer version
    /// of the projection serves or is being built, [`ErrorKind::Invalid`] for an unusable name, and whatever PostgreSQL says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends it between two transactions; the one under way may or may not be committed.
    pub async fn catch_up(&self) -> Result<u64, Error> {
        check::<P>()?;
        let mut limit = self.batch;
        let mut wait = WAIT_FIRST;
        loop {
            match self.step(limit).await {
                Ok(Moved::On) => (limit, wait) = (self.batch, WAIT_FIRST),
                Ok(Moved::CaughtUp) => break,
                Err(Stuck { before, .. }) if before > 0 => limit = before,
                Err(Stuck { error, .. }) if error.kind() == ErrorKind::Retry => {
                    tokio::time::sleep(wait).await;
                    wait = WAIT_LONGEST.min(2 * wait);
                }
                Err(Stuck { error, .. }) => return Err(error),
            }
        }
        let position = "SELECT position FROM oxcart.projection WHERE name = $1 AND serves";
        let position: i64 = sqlx::query_scalar(position)
            .bind(P::NAME)
            .fetch_one(&self.pool)
            .await
            .map_err(|error| Error::sql("reading how far a projection has come", error))?;
        Ok(position.unsigned_abs())
    }

    /// Takes in events as they come, until `stop` is ready.
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
        let mut stop = pin!(stop);
        let mut limit = self.batch;
        let mut wait = WAIT_FIRST;
        loop {
            // A transaction that was begun ends before it stops: it is short.
            let pause = match self.step(limit).await {
                Ok(moved) => {
                    (limit, wait) = (self.batch, WAIT_FIRST);
                    match moved {
                        Moved::On => Duration::ZERO,
                        Moved::CaughtUp => self.poll,
                    }
                }
                Err(Stuck { before, .. }) if before > 0 => {
                    limit = before;
                    Duration::ZERO
                }
                Err(Stuck { error, .. }) => {
                    match error.kind() {
                        ErrorKind::Superseded | ErrorKind::NotMigrated | ErrorKind::Invalid => {
                            return Err(error);
                        }
                        ErrorKind::Retry => {}
                        _ => {
                            tracing::warn!(projection = P::NAME, %error, "a projection does not move")
                        }
                    }
                    let pause = wait;
                    wait = WAIT_LONGEST.min(2 * wait);
                    pause
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One transaction.
    async fn step(&self, limit: u32) -> Result<Moved, Stuck> {
        order(&self.pool).await?;
        let serving = "SELECT version FROM oxcart.projection WHERE name = $1 AND serves";
        let serving: Option<i32> = sqlx::query_scalar(serving)
            .bind(P::NAME)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::sql("looking for a projection", error))?;
        match serving {
            None => self.begin().await,
            Some(serving) if serving < version::<P>() => match build(self, limit).await? {
                Moved::On => Ok(Moved::On),
                Moved::CaughtUp => switch(self).await,
            },
            Some(_) => self.follow(limit).await,
        }
    }

    /// Makes the table, if nobody else does.
    async fn begin(&self) -> Result<Moved, Stuck> {
        let failed = |error| Error::sql("beginning a projection", error);
        let mut tx = self.pool.begin().await.map_err(failed)?;
        let claim = "INSERT INTO oxcart.projection (name, serves, version, position) VALUES ($1, true, $2, 0) ON CONFLICT DO NOTHING";
        let claimed = sqlx::query(claim)
            .bind(P::NAME)
            .bind(version::<P>())
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        if claimed.rows_affected() > 0 {
            let created = self.projection.create(&mut tx, P::NAME).await;
            created.map_err(|why| refused::<P>("its table cannot be made", why))?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(Moved::On)
    }

    async fn follow(&self, limit: u32) -> Result<Moved, Stuck> {
        let failed = |error| Error::sql("moving a projection", error);
        let mut tx = self.pool.begin().await.map_err(failed)?;
        let hold =
            "SELECT version, position FROM oxcart.projection WHERE name = $1 AND serves FOR UPDATE";
        let (serving, position): (i32, i64) = sqlx::query_as(hold)
            .bind(P::NAME)
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
        check_is_ours::<P>(serving)?;
        if serving < version::<P>() {
            return Ok(Moved::On);
        }
        let taken = self
            .take_in(&mut tx, P::NAME, true, position, limit)
            .await?;
        tx.commit().await.map_err(failed)?;
        Ok(match taken {
            0 => Moved::CaughtUp,
            _ => Moved::On,
        })
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
        let events = ordered(tx, position.unsigned_abs(), limit).await?;
        for (before, event) in (0..).zip(&events) {
            if let Err(why) = self.projection.apply(tx, table, event).await {
                let at = event.position.unwrap_or_default();
                let what = format!(
                    "event {at} ({} of `{}`) was not taken",
                    event.event.name, event.stream
                );
                let error = refused::<P>(&what, why);
                return Err(Stuck { error, before });
            }
        }
        let Some(last) = events.last().and_then(|event| event.position) else {
            return Ok(0);
        };
        let move_on = "UPDATE oxcart.projection SET position = $3, moved_at = now() WHERE name = $1 AND serves = $2";
        sqlx::query(move_on)
            .bind(P::NAME)
            .bind(serves)
            .bind(i64::try_from(last).unwrap_or(i64::MAX))
            .execute(tx)
            .await
            .map_err(|error| Error::sql("moving a projection", error))?;
        Ok(u32::try_from(events.len()).unwrap_or(u32::MAX))
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

pub(super) fn refused<P: Projection>(
    what: &str,
    why: Box<dyn std::error::Error + Send + Sync>,
) -> Error {
    let message = format!("the projection `{}`: {what}: {why}", P::NAME);
    Error::new(ErrorKind::Projection, message).with_source(why)
}
