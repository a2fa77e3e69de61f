//! The seam: a queue lives in Redis or, in tests of applications and of oxcart itself, in memory.
//!
//! All code above the seam uses these four types and does not know where the queue lives: [`Store`] for single calls,
//! [`Connection`] for a task that makes many, [`WakeToken`] to wait for work, [`Reader`] to follow a stream.

mod connection;
mod reader;
mod repeated_call;
mod wake_token;

pub(crate) use connection::{ANSWER_PATIENCE, Connection};
pub(crate) use reader::{Reader, Stream};
pub(crate) use repeated_call::{
    Answered, Became, LANE_TTL, LARGE, Lane, Number, NumberedCall, PAUSE_MAX,
};
pub(crate) use wake_token::WakeToken;

pub(crate) use crate::memory::Apply;
pub(crate) use crate::redis::connection::CALL_MAX;
pub(crate) use crate::redis::credentials::{Credentials, Provider, SignIn};
pub(crate) use crate::redis::durability::Confirmed;
pub(crate) use crate::redis::place::{ClusterNodes, Sentinels};
pub(crate) use crate::redis::pool::Pool;
pub(crate) use crate::redis::server::ServerInfo;
pub(crate) use crate::redis::stream::{Entry, EntryId};
pub(crate) use crate::redis::tls::Tls;
pub(crate) use crate::redis::trouble::{Refusal, Trouble};

use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::error::Error;
use crate::memory;
use crate::name::{Namespace, QueueName};
use crate::policy::pauses::Pauses;
use crate::redis::connection::Connector;
use crate::redis::keys::{self, Keys};
use crate::redis::reconnecting::Reconnecting;
use crate::redis::script::Single;
use crate::redis::{health, registry, server, stream};
use crate::runtime;
use crate::store;

/// Before a single call that was cut off is made again, and for how long it is.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(5), Duration::from_millis(250));
const CUT_FOR: Duration = Duration::from_secs(5);

/// Where the queues of an application live.
#[derive(Clone)]
pub(crate) enum Backend {
    Redis(Connector),
    Memory(memory::Server),
}

impl From<memory::Server> for Backend {
    fn from(server: memory::Server) -> Self {
        Self::Memory(server)
    }
}

impl Backend {
    /// The Redis at this URL.
    pub(crate) fn redis(url: &str, sign_in: SignIn<'_>) -> Result<Self, Error> {
        Connector::from_url(url, sign_in).map(Self::Redis)
    }

    /// The master that these sentinels name.
    pub(crate) fn redis_watched_by(
        sentinels: &Sentinels,
        sign_in: SignIn<'_>,
    ) -> Result<Self, Error> {
        Connector::from_sentinels(sentinels, sign_in).map(Self::Redis)
    }

    /// The cluster to which these nodes belong.
    pub(crate) fn redis_cluster(nodes: &ClusterNodes, sign_in: SignIn<'_>) -> Result<Self, Error> {
        Connector::from_cluster(nodes, sign_in).map(Self::Redis)
    }

    /// The Redis to which this pool of the application connects.
    pub(crate) fn redis_of(pool: Pool) -> Self {
        Self::Redis(Connector::from_pool(pool))
    }

    /// Whether it can be used at all.
    pub(crate) async fn check(&self, namespace: &Namespace) -> Result<(), Error> {
        match self {
            Self::Redis(connector) => health::check(connector, namespace).await,
            Self::Memory(_) => Ok(()),
        }
    }

    /// What the server says of itself.
    pub(crate) async fn server(&self, namespace: &Namespace) -> Result<ServerInfo, Error> {
        match self {
            Self::Redis(connector) => {
                let connector = connector.of_key(&keys::registry(namespace));
                server::info(&connector, namespace).await
            }
            Self::Memory(server) => Ok(ServerInfo::of_clock(server.now_ms())),
        }
    }

    /// The names of all queues that were ever used and not deleted.
    pub(crate) async fn queues(&self, namespace: &Namespace) -> Result<BTreeSet<String>, Error> {
        match self {
            Self::Redis(connector) => names(connector, &keys::registry(namespace)).await,
            Self::Memory(server) => Ok(server.queues()),
        }
    }

    /// The same of topics, as they are kept ([`QueueName::of_topic`]).
    pub(crate) async fn topics(&self, namespace: &Namespace) -> Result<BTreeSet<String>, Error> {
        match self {
            Self::Redis(connector) => names(connector, &keys::registry_of_topics(namespace)).await,
            Self::Memory(server) => Ok(server.topics()),
        }
    }

    /// The same of breakers ([`QueueName::of_breaker`]).
    pub(crate) async fn breakers(&self, namespace: &Namespace) -> Result<BTreeSet<String>, Error> {
        match self {
            Self::Redis(connector) => {
                names(connector, &keys::registry_of_breakers(namespace)).await
            }
            Self::Memory(server) => Ok(server.breakers()),
        }
    }

    /// One queue in it.
    pub(crate) fn store(&self, namespace: &Namespace, queue: &QueueName) -> Store {
        match self {
            Self::Redis(connector) => {
                let keys = Keys::new(namespace, queue);
                Store::Redis(InRedis {
                    connector: connector.of_key(keys.wake()),
                    keys,
                    namespace: namespace.clone(),
                    queue: queue.clone(),
                })
            }
            Self::Memory(server) => Store::Memory(server.queue(queue)),
        }
    }
}

/// The names on one of the lists.
async fn names(connector: &Connector, registry: &str) -> Result<BTreeSet<String>, Error> {
    let connector = connector.of_key(registry);
    let names = registry::names(&mut &connector, registry).await;
    names.map_err(|trouble| trouble.into_error(connector.address()))
}

/// One queue. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Store {
    Redis(InRedis),
    Memory(memory::Queue),
}

/// One queue in one Redis.
#[derive(Clone)]
pub(crate) struct InRedis {
    connector: Connector,
    keys: Keys,
    namespace: Namespace,
    queue: QueueName,
}

impl InRedis {
    /// Where the list of queues is: in a cluster it has a slot of its own.
    fn registry(&self) -> (Connector, String) {
        let registry = keys::registry_with(&self.namespace, &self.queue);
        (self.connector.of_key(&registry), registry)
    }

    /// A call whose connection was cut is made again, if a second run makes no difference: a shared
    /// connection is mostly cut because of another call. The call always ends in bounded time.
    async fn call<V: Apply>(&self, verb: &V) -> Result<V::Answer, Trouble> {
        let began = Instant::now();
        let mut pauses = PAUSES;
        let mut single = Single {
            connector: &self.connector,
            until: began + CALL_MAX,
        };
        let repeat = store::repeat_of::<V>();
        let makes_no_difference = |trouble: &Trouble| match trouble {
            Trouble::Closed => true,
            trouble => V::ANSWERS_AGAIN && trouble.is_cut(),
        };
        loop {
            match store::call(&self.keys, &mut single, verb, repeat).await {
                Err(trouble) if makes_no_difference(&trouble) && began.elapsed() < CUT_FOR => {
                    sleep(pauses.next(fastrand::f64())).await;
                }
                answer => return answer,
            }
        }
    }
}

impl Store {
    /// For messages; it never holds a password.
    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Redis(queue) => queue.connector.address(),
            Self::Memory(_) => "memory",
        }
    }

    /// Where the tasks that serve this queue run. Tests without Redis keep to their own runtime,
    /// whose clock they may have stopped.
    pub(crate) fn runtime(&self) -> Handle {
        match self {
            Self::Redis(_) => runtime::handle(),
            Self::Memory(_) => Handle::current(),
        }
    }

    /// Runs a future to its end although its caller is gone. Outside of a runtime, what needs no Redis is done as far as it can be
    /// at once.
    pub(crate) fn outlive_caller(&self, future: impl Future<Output = ()> + Send + 'static) {
        let runtime = match self {
            Self::Redis(_) => Some(runtime::handle()),
            Self::Memory(_) => Handle::try_current().ok(),
        };
        match runtime {
            Some(runtime) => drop(runtime.spawn(future)),
            None => _ = future.now_or_never(),
        }
    }

    /// A single call, on the connection that all of them share.
    pub(crate) async fn call<V: Apply>(&self, verb: &V) -> Result<V::Answer, Trouble> {
        match self {
            // Boxed, to keep the futures of the application small.
            Self::Redis(queue) => Box::pin(queue.call(verb)).await,
            Self::Memory(queue) => Ok(queue.call(verb)),
        }
    }

    /// Puts the queue on the list of queues.
    pub(crate) async fn register(&self) -> Result<(), Trouble> {
        match self {
            Self::Redis(queue) => {
                let (connector, registry) = queue.registry();
                let entry = registry::entry(&registry, queue.queue.as_str());
                connector.request(&entry).await.map(|_| ())
            }
            Self::Memory(queue) => {
                queue.register();
                Ok(())
            }
        }
    }

    /// Takes the queue off the list of queues.
    pub(crate) async fn unregister(&self) -> Result<(), Trouble> {
        match self {
            Self::Redis(queue) => {
                let (connector, registry) = queue.registry();
                let removal = registry::removal(&registry, queue.queue.as_str());
                connector.request(&removal).await.map(|_| ())
            }
            Self::Memory(queue) => {
                queue.unregister();
                Ok(())
            }
        }
    }

    /// The connection that all single calls of the process share, for a task whose calls are
    /// few and small.
    pub(crate) fn shared_connection(&self) -> Connection {
        match self {
            Self::Redis(queue) => Connection::Redis(queue.clone(), queue.connector.shared()),
            Self::Memory(queue) => Connection::Memory(queue.clone()),
        }
    }

    /// A connection for one task; a small answer may take as long as `patience` on a network that is
    /// not known to be slow.
    pub(crate) fn connection(&self, patience: Duration) -> Connection {
        match self {
            Self::Redis(queue) => {
                let connection = Reconnecting::new(queue.connector.clone(), patience);
                Connection::Redis(queue.clone(), connection)
            }
            Self::Memory(queue) => Connection::Memory(queue.clone()),
        }
    }

    /// Where an idle worker waits for work.
    pub(crate) fn wake_token(&self) -> WakeToken {
        match self {
            Self::Redis(queue) => WakeToken::redis(&queue.connector, &queue.keys),
            Self::Memory(queue) => WakeToken::Memory(queue.clone(), 0),
        }
    }

    /// A connection that follows one of the queue's streams.
    pub(crate) fn reader(&self, of: Stream) -> Reader {
        match self {
            Self::Redis(queue) => {
                let key = match of {
                    Stream::Events => queue.keys.events(),
                    Stream::Finished => queue.keys.finished(),
                    Stream::Cancels => queue.keys.cancels(),
                    Stream::Published => queue.keys.part("published"),
                };
                let connection = stream::reader(queue.connector.clone());
                Reader::Redis {
                    connection,
                    key: key.to_owned(),
                    meta: queue.keys.part("meta").to_owned(),
                }
            }
            Self::Memory(queue) => Reader::Memory(queue.clone(), of),
        }
    }
}
