//! Carries rows of the outbox to Redis.

mod batch;
mod loss;
mod stream;
mod trouble;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use oxcart::Oxcart;
use sqlx::postgres::PgListener;
use sqlx::{Executor, PgPool};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::error::{Error, ErrorKind};
use crate::migrate;
use crate::outbox::Outbox;
use crate::relay::stream::{Ended, Stream};
use crate::relay::trouble::{Pause, Troubles};

/// What transactions that have enqueued something send.
const CHANNEL: &str = "oxcart_outbox";
/// How long a relay that is dropped may take to release its queues.
const RELEASE_LIMIT: Duration = Duration::from_secs(1);
/// It looks no more often than this, however many transactions tell it to.
const DEBOUNCE: Duration = Duration::from_millis(2);
/// So many dead rows are worth cleaning.
const DEAD_ROWS: i64 = 20_000;
const POLL: Duration = Duration::from_secs(1);
const KEEP: Duration = Duration::from_secs(60 * 60);
const LOSS_CHECK: Duration = Duration::from_secs(2);

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

    /// How often it looks by itself, in case that it did not hear of something: 10 ms or more. Default 1 s.
    pub fn poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(10));
        self
    }

    /// How long rows are kept after they were sent, in case that Redis loses them; up to a sixth longer. It should be longer than it takes to notice that a server is lost and to
    /// promote a replica. All relays should have the same. Default one hour.
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
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
            let is_final = matches!(
                error.kind(),
                ErrorKind::NotMigrated
                    | ErrorKind::NewerSchema
                    | ErrorKind::Unsuitable
                    | ErrorKind::Invalid
            );
            if is_final {
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
        let mut listener = PgListener::connect_with(&self.shared.pool)
            .await
            .map_err(|error| Error::sql("listening for news of the outbox", error))?;
        listener.ignore_pool_close_event(true);
        listener
            .listen(CHANNEL)
            .await
            .map_err(|error| Error::sql("listening for news of the outbox", error))?;
        troubles.is_well("postgres");
        let mut streams = Streams::default();
        let mut cleaning: Option<JoinHandle<()>> = None;
        let mut last_look: Option<Instant> = None;
        let mut look_at = Instant::now();
        let mut next_loss_check = Instant::now();
        let mut next_rotation = Instant::now();
        loop {
            let now = Instant::now();
            if now >= next_loss_check {
                next_loss_check = now + LOSS_CHECK;
                streams
                    .wanted
                    .extend(loss::unsent(&self.shared, &source).await?);
            }
            if now >= next_rotation {
                let pause = self.keep / 60;
                next_rotation =
                    now + pause.clamp(Duration::from_millis(100), Duration::from_secs(10));
                self.shared.rotate(self.keep).await?;
                self.shared.measure().await?;
                if cleaning.as_ref().is_none_or(JoinHandle::is_finished) {
                    cleaning = Some(tokio::spawn(clean(self.shared.pool.clone())));
                }
            }
            if now >= look_at {
                last_look = Some(now);
                look_at = now + self.poll;
                streams.wanted.extend(self.shared.waiting().await?);
            }
            streams.start(&self.shared, &source);
            let wake = [next_loss_check, next_rotation, look_at];
            let wake = wake.into_iter().chain(streams.next_try()).min();
            tokio::select! {
                // Notifications that have piled up are one reason to look.
                news = listener.try_recv() => {
                    let news = news.map_err(|error| Error::sql("listening for news of the outbox", error))?;
                    if news.is_none() {
                        return Err(Error::new(ErrorKind::Unreachable, "the connection to PostgreSQL was lost"));
                    }
                    while listener.next_buffered().is_some() {}
                    let soonest = last_look.map_or(now, |last| last + DEBOUNCE);
                    look_at = look_at.min(soonest);
                }
                Some(ended) = streams.tasks.join_next() => streams.take_in(ended, troubles)?,
                () = sleep_until(wake.unwrap_or(look_at)) => {}
            }
        }
    }
}

/// The server cleans tables once a minute, when a busy one has a million dead rows. Where this user may not do it, the server does it alone.
async fn clean(pool: PgPool) {
    let many = "SELECT pg_stat_get_dead_tuples('oxcart.outbox'::regclass) > $1";
    let many = sqlx::query_scalar(many).bind(DEAD_ROWS);
    if many.fetch_one(&pool).await.unwrap_or(false) {
        let cleaned = (&pool).execute("VACUUM (SKIP_LOCKED) oxcart.outbox").await;
        if let Err(error) = cleaned {
            tracing::debug!(%error, "the table of the outbox was not cleaned");
        }
    }
}

/// The queues on which this relay is at work, each in a task of its own.
#[derive(Default)]
struct Streams {
    /// Rows wait for these.
    wanted: HashSet<String>,
    running: HashSet<String>,
    /// These have trouble, and are tried again then.
    paused: HashMap<String, (Pause, Instant)>,
    tasks: JoinSet<(String, Result<Ended, Error>)>,
}

impl Streams {
    fn start(&mut self, shared: &Arc<Shared>, source: &str) {
        let now = Instant::now();
        for queue in std::mem::take(&mut self.wanted) {
            let is_paused = self
                .paused
                .get(&queue)
                .is_some_and(|(_, until)| *until > now);
            // Rows that came since a task looked for the last time are not forgotten when it ends.
            if is_paused || self.running.contains(&queue) {
                self.wanted.insert(queue);
                continue;
            }
            self.running.insert(queue.clone());
            let stream = Stream::new(Arc::clone(shared), queue.clone(), source.to_owned());
            self.tasks
                .spawn(async move { (queue, stream.drain().await) });
        }
    }

    /// When the first of those that are paused is tried again.
    fn next_try(&self) -> Option<Instant> {
        let idle = self.wanted.iter();
        let idle = idle.filter(|queue| !self.running.contains(*queue));
        let wanted = idle.filter_map(|queue| self.paused.get(queue));
        wanted.map(|(_, until)| *until).min()
    }

    fn take_in(
        &mut self,
        ended: Result<(String, Result<Ended, Error>), tokio::task::JoinError>,
        troubles: &mut Troubles<'_>,
    ) -> Result<(), Error> {
        // A task that panics is a bug; the others go on after all has begun anew.
        let (queue, result) =
            ended.map_err(|error| Error::new(ErrorKind::Database, error.to_string()))?;
        self.running.remove(&queue);
        match result {
            Ok(Ended::Drained) => {
                self.paused.remove(&queue);
                troubles.is_well(&queue);
            }
            Ok(Ended::Trouble(error)) => {
                troubles.tell(&queue, &error);
                let (mut pause, _) = self
                    .paused
                    .remove(&queue)
                    .unwrap_or((Pause::new(), Instant::now()));
                let until = Instant::now() + pause.next();
                self.paused.insert(queue.clone(), (pause, until));
                self.wanted.insert(queue);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
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
        let failed = |error| Error::sql("connecting to the outbox", error);
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        migrate::check(&mut connection).await?;
        let (id, reads_only): (String, bool) =
            sqlx::query_as("SELECT id::text, pg_is_in_recovery() FROM oxcart.installation")
                .fetch_one(&mut *connection)
                .await
                .map_err(failed)?;
        match reads_only {
            true => Err(Error::new(
                ErrorKind::ReadOnly,
                "this PostgreSQL is a standby, from which nothing can be taken: connect to the primary, or promote it",
            )),
            false => Ok(format!("postgres-{id}")),
        }
    }

    async fn waiting(&self) -> Result<Vec<String>, Error> {
        let queues = sqlx::query_scalar("SELECT * FROM oxcart.outbox_queues()");
        let queues = queues.fetch_all(&self.pool).await;
        queues.map_err(|error| Error::sql("looking into the outbox", error))
    }

    async fn rotate(&self, keep: Duration) -> Result<(), Error> {
        let rotate = sqlx::query("SELECT oxcart.outbox_rotate($1 * interval '1 second')");
        let rotated = rotate.bind(keep.as_secs_f64()).execute(&self.pool).await;
        rotated
            .map(drop)
            .map_err(|error| Error::sql("dropping rows that were sent", error))
    }

    /// What waits, for those who watch.
    async fn measure(&self) -> Result<(), Error> {
        if !crate::metrics::IS_ON {
            return Ok(());
        }
        let connection = self.pool.acquire().await;
        let mut connection =
            connection.map_err(|error| Error::sql("asking what is in the outbox", error))?;
        let status = Outbox::new().status(&mut connection).await?;
        crate::metrics::status(&status);
        Ok(())
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
