//! The entrance: a connection to Redis and the queues in it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::claim_check::ClaimCheck;
use crate::error::Error;
use crate::job::Job;
use crate::job::cloud_event::check_source;
use crate::name::{self, Namespace, QueueName};
use crate::queue::enqueue::Enqueue;
use crate::queue::setup::Setup;
use crate::queue::shelf::Shelf;
use crate::queue::{Queue, QueueInner};
use crate::runtime;
use crate::store::backend::{
    Backend, ClusterNodes, Credentials, Pool, Provider, Sentinels, ServerInfo, SignIn, Tls,
};
use crate::topic::Topic;

/// Largest payload or result of a job, in bytes, unless set.
const PAYLOAD_MAX_DEFAULT: usize = 1024 * 1024;
/// How long a producer's call may take, unless set.
const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// A connection to Redis and the queues in it. Cheap to clone; clones share everything.
///
/// ```no_run
/// # async fn example() -> Result<(), oxcart::Error> {
/// let oxcart = oxcart::Oxcart::connect("redis://127.0.0.1/").await?;
/// let mail = oxcart.queue("mail")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Oxcart {
    pub(crate) inner: Arc<Setup>,
}

impl fmt::Debug for Oxcart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match &self.inner.backend {
            Backend::Redis(connector) => connector.address(),
            Backend::Memory(_) => "memory",
        };
        f.debug_struct("Oxcart")
            .field("address", &address)
            .field("namespace", &self.inner.namespace)
            .finish_non_exhaustive()
    }
}

impl Oxcart {
    /// Connects to the Redis at `url` with all defaults and checks that it can be used: version 7.0 or newer, a
    /// primary, and willing to run scripts for this user. Warns, through `tracing`, about settings
    /// that endanger jobs.
    ///
    /// URLs look like `redis://127.0.0.1/`, `redis://user:password@host:6379/3` (database 3), or
    /// `redis+unix:///path/to/socket?db=3`; with TLS `rediss://host:6380/`, for which the feature `tls-rustls` or
    /// `tls-native` is enabled. The master that sentinels name: `redis+sentinel://host:26379,host2:26379/main`
    /// (`rediss+sentinel://` with TLS), see [`OxcartBuilder::connect_sentinels`]. A cluster: `redis+cluster://host:6379,host2:6379`, see
    /// [`OxcartBuilder::connect_cluster`]. `docs/connect.md` has a section for each surrounding.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a URL that cannot be read, or that needs a feature for TLS, [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) if
    /// nothing answers within about 3 s, [`ErrorKind::Refused`](crate::ErrorKind::Refused) if it is loading, busy or
    /// full, [`ErrorKind::Unsuitable`](crate::ErrorKind::Unsuitable) for something that is no Redis, is too old, is a replica, a sentinel or a node of a
    /// cluster, wants another password, shows or wants another certificate, or denies what oxcart needs. `docs/errors.md` lists the causes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::builder().connect(url).await
    }

    /// Uses a pool that the application has already; see [`OxcartBuilder::with_pool`].
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn with_pool(pool: impl Into<Pool>) -> Result<Self, Error> {
        Self::builder().with_pool(pool).await
    }

    /// Settings other than the defaults.
    #[must_use]
    pub fn builder() -> OxcartBuilder {
        OxcartBuilder::default()
    }

    /// The queue of this name. Nothing is sent; a queue exists as soon as something is in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed name.
    pub fn queue(&self, name: &str) -> Result<Queue, Error> {
        let name = QueueName::new(name)?;
        let inner = Arc::new(QueueInner::new(Arc::clone(&self.inner), name));
        Ok(Queue { inner })
    }

    /// Enqueues a job into the queue that its type names ([`Job::QUEUE`]); see
    /// [`Queue::enqueue`].
    ///
    /// A type that names no queue is refused when the program is built (`cargo build` and `cargo test` find it;
    /// `cargo check` does not look that far):
    ///
    /// ```compile_fail,E0080
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Ping {}
    ///
    /// impl Job for Ping {
    ///     const NAME: &'static str = "ping";
    ///     type Output = ();
    /// }
    /// # fn example(oxcart: &Oxcart) {
    ///
    /// let request = oxcart.enqueue(Ping {});             // into which queue?
    /// # }
    /// # fn main() { let _: fn(&Oxcart) = example; }
    /// ```
    pub fn enqueue<J: Job>(&self, job: J) -> Enqueue<J> {
        const {
            assert!(
                !J::QUEUE.is_empty(),
                "this type of job names no queue: name one in its `impl Job` (`const QUEUE`), or say at the call which \
                 one it is for (`oxcart.queue(\"mail\")?.enqueue(job)`)"
            );
        }
        Enqueue::new(self.queue(J::QUEUE), &job)
    }

    /// The same connection, with which somebody else works: what is done through it, and through its queues, is noted under this name in the
    /// audits of the queues. For programs with several users; otherwise see [`OxcartBuilder::operator`].
    ///
    /// ```no_run
    /// # async fn example(oxcart: oxcart::Oxcart) -> Result<(), oxcart::Error> {
    /// oxcart.as_operator("ada").queue("mail")?.pause().await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn as_operator(&self, operator: impl Into<String>) -> Self {
        let mut setup = Setup::clone(&self.inner);
        setup.operator = Some(operator.into());
        let inner = Arc::new(setup);
        Self { inner }
    }

    /// The names of all queues of this namespace that were ever used, but for those that were deleted
    /// ([`Queue::delete`]), in order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable), [`ErrorKind::Refused`](crate::ErrorKind::Refused), [`ErrorKind::Unsuitable`](crate::ErrorKind::Unsuitable) or
    /// [`ErrorKind::Unknown`](crate::ErrorKind::Unknown) if Redis does not answer, or says no.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn queues(&self) -> Result<Vec<String>, Error> {
        let Setup {
            backend, namespace, ..
        } = &*self.inner;
        let names = backend.queues(namespace).await.map_err(|error| {
            error.within(format_args!("`queues` of the namespace `{namespace}`"))
        })?;
        Ok(names.into_iter().collect())
    }

    /// The topic of this name. Nothing is sent; a topic exists as soon as something is published or subscribed. A topic and a queue may have the same name: they share nothing.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct OrderPlaced { order: u64 }
    /// # impl Job for OrderPlaced { const NAME: &'static str = "order-placed"; type Output = (); }
    /// # async fn example(oxcart: Oxcart) -> Result<(), Error> {
    /// let orders = oxcart.topic("orders")?;
    /// orders.subscribe("billing", &oxcart.queue("billing")?).await?;
    /// orders.publish(OrderPlaced { order: 17 }).subject("order-17").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed name: 1 to 122 bytes, otherwise as names of queues.
    pub fn topic(&self, name: &str) -> Result<Topic, Error> {
        let name = QueueName::of_topic(name)?;
        let inner = Arc::new(QueueInner::new(Arc::clone(&self.inner), name));
        Ok(Topic::new(inner))
    }

    /// The names of all topics of this namespace, but for those that were deleted ([`Topic::delete`]), in order.
    ///
    /// # Errors
    ///
    /// As [`queues`](Self::queues).
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn topics(&self) -> Result<Vec<String>, Error> {
        let Setup {
            backend, namespace, ..
        } = &*self.inner;
        let names = backend.topics(namespace).await.map_err(|error| {
            error.within(format_args!("`topics` of the namespace `{namespace}`"))
        })?;
        Ok(name::as_users_know_them(names))
    }

    /// What the server says of itself: its version, what it keeps on disk, its memory and its clock, how far away it is, and which
    /// commands it denies to this user. It takes a dozen small commands. In memory only the clock is known.
    ///
    /// ```no_run
    /// # async fn example(oxcart: oxcart::Oxcart) -> Result<(), oxcart::Error> {
    /// let server = oxcart.server().await?;
    /// if server.persistence == Some(oxcart::Persistence::Nothing) {
    ///     println!("a restart loses every job");
    /// }
    /// println!("{:?} away; denied: {:?}", server.round_trip, server.denied.unwrap_or_default());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`queues`](Self::queues). What the server does not tell this user is no error, and `None`.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn server(&self) -> Result<ServerInfo, Error> {
        let Setup {
            backend, namespace, ..
        } = &*self.inner;
        let info = backend.server(namespace).await;
        info.map_err(|error| error.within("`server`"))
    }
}

/// Settings of an [`Oxcart`].
///
/// ```no_run
/// # async fn example() -> Result<(), oxcart::Error> {
/// use std::time::Duration;
///
/// let oxcart = oxcart::Oxcart::builder()
///     .namespace("billing")
///     .call_timeout(Duration::from_secs(2))
///     .connect("redis://:secret@127.0.0.1:6379/0")
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct OxcartBuilder {
    namespace: String,
    payload_max: usize,
    call_timeout: Duration,
    operator: Option<String>,
    source: Option<String>,
    causes: bool,
    claim_check: Option<ClaimCheck>,
    tls: Option<Tls>,
    credentials: Option<Provider>,
}

impl Default for OxcartBuilder {
    fn default() -> Self {
        Self {
            namespace: "oxcart".to_owned(),
            payload_max: PAYLOAD_MAX_DEFAULT,
            call_timeout: CALL_TIMEOUT_DEFAULT,
            operator: None,
            source: None,
            causes: true,
            claim_check: None,
            tls: None,
            credentials: None,
        }
    }
}

impl OxcartBuilder {
    /// What all keys start with, so that applications can share a Redis. Default `oxcart`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Largest payload and largest result, in bytes. Default 1 MiB.
    #[must_use]
    pub fn payload_max(mut self, bytes: usize) -> Self {
        self.payload_max = bytes;
        self
    }

    /// How long enqueueing may take before it fails with a typed error. Default 5 s.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Who works with this program, such as `ada@ops-1`: what it does to queues as an operator (replaying, removing, pausing, ..) is noted
    /// under this name in their [audits](Queue::audit). Default: nobody, and nothing is noted.
    #[must_use]
    pub fn operator(mut self, operator: impl Into<String>) -> Self {
        self.operator = Some(operator.into());
        self
    }

    /// Where the jobs and events of this program come from: a URI reference of up to 256 bytes, such as `https://shop.example/orders` or `/orders`. Each carries it as
    /// the header `source`, unless it has one or there is no room for it, and it is the `source` of [`CloudEvent`](crate::CloudEvent)s. Default: no job
    /// carries a source, and the source of a CloudEvent is `oxcart:<namespace>/<queue>`.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether a job or event that a handler enqueues or publishes gets two headers by itself: `causationid`, the id of the job that runs, and `correlationid`,
    /// which is the same for all that came of the same first cause ([`Context::correlation_id`](crate::Context::correlation_id)). They take 24 bytes and the two ids of
    /// the 1,024 bytes of all headers, and are left out if there is no room. Default: yes.
    #[must_use]
    pub fn causes(mut self, causes: bool) -> Self {
        self.causes = causes;
        self
    }

    /// Payloads over a limit go to a store of objects: see [`ClaimCheck`]. Default: all payloads go to Redis.
    #[must_use]
    pub fn claim_check(mut self, claim_check: ClaimCheck) -> Self {
        self.claim_check = Some(claim_check);
        self
    }

    /// Which certificates to trust on a connection by `rediss://`, and with which certificate to sign in. Default:
    /// the CAs that the system trusts, and no certificate.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Asks for user and password at each connection that is made, for services whose tokens or passwords change. Default: those of the
    /// URL, which never change. A URL with a user or a password is refused beside it; sentinels keep their own.
    ///
    /// It is asked often, and by several connections at once: let it keep a token as long as that is good. It has 2 s, runs on a thread of
    /// its own, and may block that. If it fails, or a server does not accept what it gave, that is trouble that passes: it is asked
    /// again with the next attempt to connect. `docs/connect.md` tells of connections that live longer than a token.
    ///
    /// ```no_run
    /// # async fn token() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// # async fn example() -> Result<(), oxcart::Error> {
    /// use oxcart::{Credentials, Oxcart};
    ///
    /// let oxcart = Oxcart::builder()
    ///     .credentials(|| async { Ok(Credentials::new("app", token().await?)) })
    ///     .connect("rediss://redis.internal:6379/")
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn credentials<F, Given>(mut self, provider: F) -> Self
    where
        F: Fn() -> Given + Send + Sync + 'static,
        Given: Future<Output = Result<Credentials, Box<dyn StdError + Send + Sync>>> + 'static,
    {
        self.credentials = Some(Provider::new(provider));
        self
    }

    fn sign_in(&self) -> SignIn<'_> {
        SignIn {
            tls: self.tls.as_ref(),
            provider: self.credentials.as_ref(),
        }
    }

    /// Connects; see [`Oxcart::connect`].
    ///
    /// # Errors
    ///
    /// As [`Oxcart::connect`], and [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed namespace, or a certificate or key that cannot be used.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect(self, url: &str) -> Result<Oxcart, Error> {
        let backend = Backend::redis(url, self.sign_in())?;
        self.finish(backend).await
    }

    /// Connects to the master that these sentinels name.
    ///
    /// They are asked again for each connection that is made, so that after a failover everything goes on at the new master, by itself.
    /// A URL does the same: `redis+sentinel://user:password@host:26379,host2:26379/main/0?sentinel_password=other`; user and password
    /// in front of the `@` are those of Redis.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect). [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) if no sentinel answers within 1 s;
    /// [`ErrorKind::Unsuitable`](crate::ErrorKind::Unsuitable) if they know no master of this name;
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) if the server that they name is a replica, as it may be during a failover.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect_sentinels(self, sentinels: Sentinels) -> Result<Oxcart, Error> {
        let backend = Backend::redis_watched_by(&sentinels, self.sign_in())?;
        self.finish(backend).await
    }

    /// Connects to the Redis Cluster to which these nodes belong.
    ///
    /// Each queue is in one slot, and all of its connections go to the node that has this slot, also after the slot has moved or the
    /// node was replaced. While a slot is on its way between two nodes, calls for its queues wait. A URL does the same:
    /// `redis+cluster://user:password@host:6379,host2:6379`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), for each node that has slots. [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) if no node
    /// answers within 1 s, or the address that a node announces cannot be reached; [`ErrorKind::Unsuitable`](crate::ErrorKind::Unsuitable)
    /// for a server that is no node of a cluster; [`ErrorKind::Refused`](crate::ErrorKind::Refused) if some slots have no node.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn connect_cluster(self, nodes: ClusterNodes) -> Result<Oxcart, Error> {
        let backend = Backend::redis_cluster(&nodes, self.sign_in())?;
        self.finish(backend).await
    }

    /// Uses a pool that the application has already.
    ///
    /// All connections are made the way the pool makes them, but with time limits that fit their
    /// use; no connection is taken out of the pool, so its size does not matter. Where the pool
    /// does not set `TCP_NODELAY`, expect higher latency.
    ///
    /// # Errors
    ///
    /// As [`Oxcart::connect`], and [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed namespace.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn with_pool(self, pool: impl Into<Pool>) -> Result<Oxcart, Error> {
        if self.tls.is_some() {
            return Err(Error::invalid(
                "settings for TLS and a pool are given, and the pool says how connections are made",
            ));
        }
        if self.credentials.is_some() {
            return Err(Error::invalid(
                "a provider of credentials and a pool are given, and the pool says how connections are made",
            ));
        }
        self.finish(Backend::redis_of(pool.into())).await
    }

    async fn finish(self, backend: Backend) -> Result<Oxcart, Error> {
        runtime::start()?;
        let oxcart = self.build(backend)?;
        oxcart.inner.backend.check(&oxcart.inner.namespace).await?;
        Ok(oxcart)
    }

    pub(crate) fn build(self, backend: Backend) -> Result<Oxcart, Error> {
        let namespace = Namespace::new(&self.namespace)?;
        if self.call_timeout.is_zero() {
            let what = "the call timeout is zero; 5 s is the default";
            return Err(Error::invalid(what));
        }
        if let Some(source) = &self.source {
            check_source(source)?;
        }
        if let Some(claim_check) = &self.claim_check {
            claim_check.check()?;
        }
        Ok(Oxcart {
            inner: Arc::new(Setup {
                backend,
                namespace,
                payload_max: self.payload_max,
                operator: self.operator,
                source: self.source,
                causes: self.causes,
                claim_check: self.claim_check,
                call_timeout: self.call_timeout,
                shelf: Shelf::default(),
            }),
        })
    }
}
