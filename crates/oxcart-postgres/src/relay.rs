//! Carries rows of the outbox to Redis.

mod batch;
mod duty;
mod loss;
mod stream;
mod streams;
mod trouble;
mod upkeep;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use oxcart::Oxcart;
use sqlx::postgres::PgListener;
use sqlx::{Executor, PgPool};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::ask::{LIMIT, ask, within};
use crate::error::{Error, ErrorKind};
use crate::migrate;
use crate::relay::duty::Duty;
use crate::relay::streams::Streams;
use crate::relay::trouble::{Pause, Troubles};

/// What transactions that have enqueued something send.
const CHANNEL: &str = "oxcart_outbox";
/// How long a relay that is dropped may take to release its queues.
const RELEASE_LIMIT: Duration = Duration::from_secs(1);
/// It looks no more often than this, however many transactions tell it to.
const DEBOUNCE: Duration = Duration::from_millis(2);
const POLL: Duration = Duration::from_secs(1);
const POLL_RANGE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3_600));
const KEEP: Duration = Duration::from_secs(3_600);
const KEEP_MOST: Duration = Duration::from_secs(10 * 365 * 86_400);
const LOSS_CHECK: Duration = Duration::from_secs(2);
const UPKEEP_RANGE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// A listening connection that is silent is asked whether it still is one, and has this time to answer.
const LISTENER_LIMIT: Duration = Duration::from_secs(5);
const LISTENER_SILENCE: Duration = Duration::from_secs(10);
const INSTALLATION: &str = "SELECT id::text, pg_is_in_recovery() FROM oxcart.installation";
const LISTENING: &str = "listening for news of the outbox";

/// What is done between two steps, in tests.
type OnStep = dyn Fn(Step) + Send + Sync;
type OnTrouble = dyn Fn(&Error) + Send + Sync;

/// Carries what transactions have put into the [`Outbox`](crate::Outbox) to Redis. It runs in a worker or in a process of its own; several at once share the queues,
/// one of them works on a queue at a time, and another one takes over within seconds if that one dies.
///
/// ```no_run
/// use oxcart::{Oxcart, shutdown_signal};
/// use oxcart_postgres::Relay;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = sqlx::PgPool::connect("postgres://localhost/shop").await?;
/// let oxcart = Oxcart::connect("redis://127.0.0.1/").await?;
/// oxcart_postgres::migrate(&pool).await?;
/// Relay::new(pool, oxcart).run_until(shutdown_signal()).await?;
/// # Ok(()) }
/// ```
///
/// # What is promised
///
/// - Each row that is committed becomes one job, whatever dies in between: the relay at any point, PostgreSQL, Redis; also if the job has run and is forgotten
///   before the relay knows that it was sent.
/// - Rows of one ordering key arrive in the order of their commits.
/// - If Redis loses what it has confirmed (a replica that was behind is promoted, a restart without the last second), the rows of the last hour
///   ([`keep`](Self::keep)) that it lost are sent again, in order.
///
/// It uses connections of the pool, which has to have two or more: one to listen, and one for each queue at the moments at which it takes rows. The pool connects to PostgreSQL itself, or through a pooler
/// that keeps sessions together; through one that does not, it hears of new rows only when it looks by itself ([`poll`](Self::poll)).
#[must_use = "a relay does nothing until it runs"]
pub struct Relay {
    shared: Arc<Shared>,
    poll: Duration,
    keep: Duration,
    on_trouble: Option<Box<OnTrouble>>,
}

struct Shared {
    pool: PgPool,
    oxcart: Oxcart,
    /// By which name PostgreSQL knows this relay.
    me: String,
    on_step: Option<Box<OnStep>>,
}

/// What a relay has just done with a batch of rows: for tests that end it there.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet; rows may wait.
    Begun,
    /// The rows have positions, in a transaction that is committed.
    Taken,
    /// Rows that cannot be sent are aside.
    SetAside,
    /// The queue has them.
    Fed,
}

impl Relay {
    /// A relay between the tables in this database and the queues of this connection, with all defaults.
    pub fn new(pool: PgPool, oxcart: Oxcart) -> Self {
        let me = fastrand::u128(..);
        Self {
            shared: Arc::new(Shared {
                pool,
                oxcart,
                me: format!("{me:032x}"),
                on_step: None,
            }),
            poll: POLL,
            keep: KEEP,
            on_trouble: None,
        }
    }

    /// How often it looks by itself, in case that it did not hear of something: 10 ms to one hour; less or more counts as that. Default 1 s.
    pub fn poll(mut self, poll: Duration) -> Self {
        self.poll = poll.clamp(POLL_RANGE.0, POLL_RANGE.1);
        self
    }

    /// How long rows are kept after they were sent, in case that Redis loses them; up to a sixth longer. It should be longer than it takes to notice that a server is lost and to
    /// promote a replica. All relays should have the same. Default one hour; more than ten years count as ten years.
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep.min(KEEP_MOST);
        self
    }

    /// Called with each trouble with PostgreSQL or Redis, before it tries again; it is logged as well, once, and again each minute.
    pub fn on_trouble(mut self, hook: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_trouble = Some(Box::new(hook));
        self
    }

    #[doc(hidden)]
    pub fn on_step(mut self, hook: impl Fn(Step) + Send + Sync + 'static) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.on_step = Some(Box::new(hook));
        }
        self
    }

    /// Carries rows until `shutdown` is ready. It waits for PostgreSQL and Redis as long as they are away, and goes on by itself.
    ///
    /// # Errors
    ///
    /// What does not pass by itself: [`ErrorKind::NotMigrated`], [`ErrorKind::NewerSchema`], [`ErrorKind::Unsuitable`] (this user may not use the tables), [`ErrorKind::Invalid`].
    /// Everything else is told to [`on_trouble`](Self::on_trouble), and tried again; a standby ([`ErrorKind::ReadOnly`]) too, which may be promoted.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped at any moment: nothing is lost or doubled. Other relays take its queues over after two seconds at most.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let mut shutdown = pin!(shutdown);
        let mut troubles = Troubles::new(self.on_trouble.as_deref());
        let mut pause = Pause::new();
        loop {
            let began = Instant::now();
            let error = tokio::select! {
                () = &mut shutdown => break,
                error = self.work(&mut troubles) => error,
            };
            if trouble::is_final(&error) {
                return Err(error);
            }
            troubles.tell("postgres", &error);
            if began.elapsed() > Duration::from_secs(10) {
                pause = Pause::new();
            }
            tokio::select! {
                () = &mut shutdown => break,
                () = sleep(pause.next()) => {}
            }
        }
        // A task that is dropped here has sent its batch, or another relay sends it.
        let release = self.shared.release();
        let _ = timeout(RELEASE_LIMIT, release).await;
        Ok(())
    }

    /// Carries rows until there is trouble with PostgreSQL.
    async fn work(&self, troubles: &mut Troubles<'_>) -> Error {
        match self.work_on(troubles).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn work_on(
        &self,
        troubles: &mut Troubles<'_>,
    ) -> Result<std::convert::Infallible, Error> {
        let source = self.shared.source().await?;
        let mut listener = within(
            LIMIT,
            LISTENING,
            PgListener::connect_with(&self.shared.pool),
        )
        .await?;
        listener.ignore_pool_close_event(true);
        within(LIMIT, LISTENING, listener.listen(CHANNEL)).await?;
        troubles.is_well("postgres");
        let mut streams = Streams::default();
        let mut losses = Duty::every(LOSS_CHECK);
        let mut upkeep = Duty::every((self.keep / 60).clamp(UPKEEP_RANGE.0, UPKEEP_RANGE.1));
        let mut cleaning = Duty::every(UPKEEP_RANGE.1);
        let mut last_look: Option<Instant> = None;
        let mut look_at = Instant::now();
        let mut heard_at = Instant::now();
        loop {
            let now = Instant::now();
            losses.begin_if_due(|| loss::unsent(Arc::clone(&self.shared), source.clone()));
            upkeep.begin_if_due(|| upkeep::keep_up(self.shared.pool.clone(), self.keep));
            cleaning.begin_if_due(|| upkeep::clean(self.shared.pool.clone()));
            if now >= look_at {
                last_look = Some(now);
                look_at = now + self.poll;
                streams.wanted.extend(self.shared.waiting().await?);
            }
            if heard_at.elapsed() > LISTENER_SILENCE {
                heard_at = now;
                is_listening(&mut listener).await?;
            }
            streams.start(&self.shared, &source);
            let wake = [
                losses.next(),
                upkeep.next(),
                cleaning.next(),
                streams.next_try(),
            ];
            let wake = wake.into_iter().flatten().fold(look_at, Instant::min);
            tokio::select! {
                // Notifications that have piled up are one reason to look.
                news = listener.try_recv() => {
                    let news = news.map_err(|error| Error::sql(LISTENING, error))?;
                    if news.is_none() {
                        return Err(Error::new(ErrorKind::Unreachable, "the connection to PostgreSQL was lost"));
                    }
                    while listener.next_buffered().is_some() {}
                    heard_at = Instant::now();
                    let soonest = last_look.map_or(now, |last| last + DEBOUNCE);
                    look_at = look_at.min(soonest);
                }
                Some(ended) = streams.tasks.join_next() => streams.take_in(ended, troubles)?,
                Some(unsent) = losses.ended() => match unsent {
                    Ok(queues) => streams.wanted.extend(queues),
                    Err(error) => troubles.tell_or_end("looking for losses", error)?,
                },
                Some(kept) = upkeep.ended() => match kept {
                    Ok(()) => troubles.is_well("upkeep"),
                    Err(error) => troubles.tell_or_end("upkeep", error)?,
                },
                Some(cleaned) = cleaning.ended() => if let Err(error) = cleaned {
                    troubles.tell_or_end("cleaning", error)?;
                },
                () = sleep_until(wake) => {}
            }
        }
    }
}

/// Whether the connection on which news come is still there. One that has died without a word tells nothing, not even that.
async fn is_listening(listener: &mut PgListener) -> Result<(), Error> {
    let answer = within(LISTENER_LIMIT, LISTENING, listener.execute("SELECT 1"));
    answer.await.map(drop)
}

impl Shared {
    fn step(&self, step: Step) {
        if let Some(hook) = &self.on_step {
            hook(step);
        }
    }

    /// The name by which queues know this database, if its tables are those of this version.
    async fn source(&self) -> Result<String, Error> {
        // One of them listens all the time.
        if self.pool.options().get_max_connections() < 2 {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the pool of a relay has one connection at most, and needs two or more: one listens for news; see `PgPoolOptions::max_connections`",
            ));
        }
        let (id, reads_only) = ask(&self.pool, "connecting to the outbox", async |asked| {
            if let Err(error) = migrate::check(&mut *asked).await {
                return Ok(Err(error));
            }
            let installation = sqlx::query_as::<_, (String, bool)>(INSTALLATION);
            installation.fetch_one(asked).await.map(Ok)
        })
        .await??;
        match reads_only {
            true => Err(Error::new(
                ErrorKind::ReadOnly,
                "this PostgreSQL is a standby, from which nothing can be taken: connect to the primary, or promote it",
            )),
            false => Ok(format!("postgres-{id}")),
        }
    }

    async fn waiting(&self) -> Result<Vec<String>, Error> {
        ask(&self.pool, "looking into the outbox", async |asked| {
            let queues = sqlx::query_scalar("SELECT * FROM oxcart.outbox_queues()");
            queues.fetch_all(asked).await
        })
        .await
    }

    /// Other relays need not wait until this one counts as dead.
    async fn release(&self) -> Result<(), sqlx::Error> {
        let release =
            "UPDATE oxcart.outbox_stream SET held_until = '-infinity' WHERE held_by = $1::uuid";
        let release = sqlx::query(release).bind(&self.me);
        release.execute(&self.pool).await.map(drop)
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("oxcart", &self.shared.oxcart)
            .field("poll", &self.poll)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}
