//! Connections to Redis: dedicated ones, each owned by one task, and pooled ones for the rest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool::managed::Manager as _;
use deadpool_redis::{Connection, Manager, Pool};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError,
    Value,
};
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};
use crate::redis::trouble::Trouble;
use crate::runtime;

/// How long a connection may take to be made, greeting and password included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait of a command that does not block, when nothing shorter is set.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent peer is noticed after this, and then three probes at this interval.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBE: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;
const POOL_SIZE: usize = 16;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    pool: Pool,
    address: Arc<str>,
}

impl Connector {
    /// From a URL as redis-rs reads it: `redis://[user:password@]host[:port][/db]`,
    /// `redis+unix:///path`.
    pub(crate) fn from_url(url: &str) -> Result<Self, Error> {
        let invalid = |source: redis::RedisError| {
            Error::new(
                ErrorKind::Invalid,
                format!(
                    "the Redis URL cannot be used: {source}; it looks like \
                     `redis://127.0.0.1/`, `redis://:password@host:6379/0` or \
                     `redis+unix:///path/to/socket`"
                ),
            )
            .with_source(source)
        };
        let info = url.into_connection_info().map_err(invalid)?;
        let address = address_of(&info);
        let info = info.set_tcp_settings(
            TcpSettings::default().set_nodelay(true).set_keepalive(
                TcpKeepalive::new()
                    .with_time(KEEPALIVE)
                    .with_interval(KEEPALIVE_PROBE)
                    .with_retries(KEEPALIVE_PROBES),
            ),
        );
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let manager = Manager::new_with_config(info, config).map_err(invalid)?;
        let pool = Pool::builder(manager)
            .max_size(POOL_SIZE)
            .build()
            .map_err(|source| {
                Error::invalid("the connection pool cannot be built").with_source(source)
            })?;
        Ok(Self {
            pool,
            address: address.into(),
        })
    }

    pub(crate) fn from_pool(pool: Pool) -> Self {
        Self {
            pool,
            address: "the given pool".into(),
        }
    }

    /// For messages; it never holds a password.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A connection of its own, driven by the library's runtime, that does not count against the
    /// pool.
    /// Whatever response timeout the pool was made with, this one has `response_timeout`.
    pub(crate) async fn dedicated(
        &self,
        response_timeout: Duration,
    ) -> Result<MultiplexedConnection, Trouble> {
        // What drives a connection runs where it was made.
        let pool = self.pool.clone();
        let connecting =
            runtime::run(async move { timeout(CONNECT_TIMEOUT, pool.manager().create()).await });
        let mut connection = match connecting.await {
            Ok(connected) => {
                connected.map_err(|error| Trouble::from_connecting(&self.address, &error))?
            }
            Err(_) => return Err(self.no_greeting()),
        };
        connection.set_response_timeout(response_timeout);
        Ok(connection)
    }

    /// Sends one command on a pooled connection.
    pub(crate) async fn request(&self, command: &Cmd) -> Result<Value, Trouble> {
        let pool = self.pool.clone();
        let getting = runtime::run(async move { timeout(CONNECT_TIMEOUT, pool.get()).await });
        let pooled = match getting.await {
            Ok(Ok(pooled)) => pooled,
            Ok(Err(deadpool_redis::PoolError::Backend(error))) => {
                return Err(Trouble::from_connecting(&self.address, &error));
            }
            Ok(Err(error)) => {
                return Err(Trouble::Unreachable(format!(
                    "no pooled connection to Redis at {}: {error}",
                    self.address
                )));
            }
            Err(_) => return Err(self.no_greeting()),
        };
        // The clone has our time limit; the pool's own handle stays as its owner set it.
        let mut connection = MultiplexedConnection::clone(&pooled);
        connection.set_response_timeout(RESPONSE_TIMEOUT);
        // Others may use it, up to a limit that its owner set: that wait has an end as well.
        let asking = ask(&mut connection, command, RESPONSE_TIMEOUT);
        let answer = match timeout(RESPONSE_TIMEOUT, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(Trouble::timed_out(RESPONSE_TIMEOUT)),
        };
        if matches!(&answer, Err(trouble) if trouble.wants_new_connection()) {
            drop(Connection::take(pooled));
        }
        answer
    }

    fn no_greeting(&self) -> Trouble {
        Trouble::Unreachable(format!(
            "Redis at {} accepted no connection within {CONNECT_TIMEOUT:?}",
            self.address
        ))
    }
}

/// One dedicated connection that is made when first needed and made again after trouble.
///
/// Clones share it. As long as it lives, what one task asks through them reaches the server in
/// the order in which the requests were first polled. A request that is dropped takes the
/// connection with it: its answer would be in the way of the next.
#[derive(Clone)]
pub(crate) struct Link {
    connector: Connector,
    slot: Arc<Slot>,
    patience: Duration,
}

#[derive(Default)]
struct Slot {
    connection: Mutex<Option<Numbered>>,
    /// Held by who makes one. Fair: the others have their turn in order.
    connecting: tokio::sync::Mutex<()>,
    made: AtomicU64,
}

#[derive(Clone)]
struct Numbered {
    /// Which connection of the slot it is.
    number: u64,
    connection: MultiplexedConnection,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Numbered>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Option<Numbered> {
        self.lock().clone()
    }
}

/// Drops the connection, unless somebody did, when the request on it has come to nothing.
struct Request<'a> {
    slot: &'a Slot,
    number: u64,
    answered: bool,
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let mut connection = self.slot.lock();
            if connection
                .as_ref()
                .is_some_and(|open| open.number == self.number)
            {
                *connection = None;
            }
        }
    }
}

impl Link {
    /// `patience` is how long an answer may take; for a blocking command it includes the time
    /// that the server blocks.
    pub(crate) fn new(connector: Connector, patience: Duration) -> Self {
        Self {
            connector,
            slot: Arc::default(),
            patience,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.slot.lock().is_some()
    }

    /// Makes the connection, if there is none, and says which one of this link it is. Whatever
    /// this ends with, nothing was sent.
    pub(crate) async fn connect(&self) -> Result<u64, Trouble> {
        self.connection().await.map(|open| open.number)
    }

    async fn connection(&self) -> Result<Numbered, Trouble> {
        if let Some(open) = self.slot.open() {
            return Ok(open);
        }
        let _turn = self.slot.connecting.lock().await;
        if let Some(open) = self.slot.open() {
            return Ok(open);
        }
        let open = Numbered {
            connection: self.connector.dedicated(self.patience).await?,
            number: self.slot.made.fetch_add(1, Ordering::Relaxed),
        };
        *self.slot.lock() = Some(open.clone());
        Ok(open)
    }

    pub(crate) async fn request(&self, command: &Cmd) -> Result<Value, Trouble> {
        let Numbered {
            number,
            mut connection,
        } = self.connection().await?;
        let mut request = Request {
            slot: &self.slot,
            number,
            answered: false,
        };
        let answer = ask(&mut connection, command, self.patience).await;
        request.answered = !matches!(&answer, Err(trouble) if trouble.wants_new_connection());
        answer
    }
}

/// The connection has `patience` as its response timeout.
async fn ask(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
    patience: Duration,
) -> Result<Value, Trouble> {
    let call = |error: RedisError| match error.is_timeout() {
        true => Trouble::timed_out(patience),
        false => Trouble::from_calling(&error),
    };
    let value = connection
        .send_packed_command(command)
        .await
        .map_err(call)?;
    value.extract_error().map_err(call)
}

fn address_of(info: &ConnectionInfo) -> String {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => format!("{host}:{port}"),
        ConnectionAddr::TcpTls { host, port, .. } => format!("{host}:{port} (TLS)"),
        ConnectionAddr::Unix(path) => path.display().to_string(),
        other => other.to_string(),
    }
}
