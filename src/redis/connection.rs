//! Making connections to Redis, and the connection that all single calls of a process share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::Manager as _;
use deadpool_redis::Manager;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind as RedisKind,
    IntoConnectionInfo, Value,
};
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};
use crate::redis::address;
use crate::redis::last_word::last_word;
use crate::redis::pool::Pool;
use crate::redis::reconnecting::{BYTES_PER_SECOND, Reconnecting, SharedConnection, bytes_of};
use crate::redis::repeat::Repeat;
use crate::redis::tls::{self, Secured, Tls};
use crate::redis::trouble::Trouble;
use crate::runtime;
use crate::tls_library::{self, Listener};

/// How long a connection may take to be made, greeting and password included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long to wait for the reason why a connection with TLS was closed.
const LISTEN_FOR: Duration = Duration::from_millis(500);
/// Longest wait of a command that does not block, when nothing shorter is set.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// A single call takes no longer than this, and a large one as much longer as its bytes take.
pub(crate) const CALL_MAX: Duration = CONNECT_TIMEOUT.saturating_add(RESPONSE_TIMEOUT);
/// A silent peer is noticed after this, and then three probes at this interval.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBE: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;
/// A larger request goes through a connection of its own: on the shared connection all other callers would
/// wait for it, and would be cut off with it if the server does not take it.
const SHARED_BYTES: usize = 64 * 1024;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    maker: Maker,
    address: Arc<str>,
    /// The connection for single calls.
    shared: SharedConnection,
    listener: Option<Arc<Listener>>,
}

#[derive(Clone)]
enum Maker {
    Ours(Arc<Manager>, Arc<ConnectionAddr>),
    /// A pool of the application: it says how connections are made; no connection is taken out of it.
    Theirs(Pool),
}

impl Maker {
    fn manager(&self) -> &Manager {
        match self {
            Self::Ours(manager, _) => manager,
            Self::Theirs(pool) => pool.manager(),
        }
    }
}

impl Connector {
    /// From a URL as redis-rs reads it: `redis://[user:password@]host[:port][/db]`,
    /// the same with `rediss://` over TLS, `redis+unix:///path`.
    pub(crate) fn from_url(url: &str, tls: Option<&Tls>) -> Result<Self, Error> {
        let invalid = |source: redis::RedisError| {
            Error::new(
                ErrorKind::Invalid,
                format!(
                    "the Redis URL cannot be used: {source}; it looks like \
                     `redis://127.0.0.1/`, `redis://user:password@host:6379/0` or \
                     `redis+unix:///path/to/socket?db=0`"
                ),
            )
            .with_source(source)
        };
        tls::check(url, tls)?;
        address::check(url)?;
        let info = url.trim().into_connection_info().map_err(invalid)?;
        let address = address_of(&info);
        let server = info.addr().clone();
        let Secured { info, listener } = tls::secured(info, tls)?;
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
        let maker = Maker::Ours(Arc::new(manager), server.into());
        let connector = Self::new(maker, address);
        Ok(Self {
            listener: listener.map(Arc::new),
            ..connector
        })
    }

    pub(crate) fn from_pool(pool: Pool) -> Self {
        // The connections of the pool may be with TLS; the pool does not say it.
        tls_library::prepare();
        Self::new(Maker::Theirs(pool), "the given pool".to_owned())
    }

    fn new(maker: Maker, address: String) -> Self {
        Self {
            maker,
            address: address.into(),
            shared: SharedConnection::default(),
            listener: None,
        }
    }

    /// For messages; it never holds a password.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A new connection, driven by the library's runtime. It has no time limit for answers: each caller sets its own.
    pub(crate) async fn connect(&self) -> Result<MultiplexedConnection, Trouble> {
        // The task that drives a connection runs on the runtime on which the connection was made.
        let (maker, address) = (self.maker.clone(), self.address.clone());
        let listener = self.listener.clone();
        let connecting = runtime::run(async move {
            let error = match timeout(CONNECT_TIMEOUT, maker.manager().create()).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => error,
                Err(_) => {
                    return Err(Trouble::Unreachable(format!(
                        "Redis at {address} accepted no connection within {CONNECT_TIMEOUT:?}{}",
                        tls::hint_of_silence(&address)
                    )));
                }
            };
            let was_closed = error.is_connection_dropped() && !error.is_connection_refusal();
            let was_taken = was_closed || error.kind() == RedisKind::Parse;
            if !was_taken || tls::refusal(&error).is_some() {
                return Err(Trouble::from_connecting(&address, &error));
            }
            if let Some(why) = why_closed(listener).await {
                return Err(Trouble::untrusted(&address, &why));
            }
            let last_word = match &maker {
                Maker::Ours(_, server) => last_word(server).await,
                Maker::Theirs(_) => None,
            };
            Err(Trouble::from_greeting(&address, &error, last_word))
        });
        connecting.await
    }

    /// The connection over which the single calls of all clones of this go.
    pub(crate) fn shared(&self) -> Reconnecting {
        Reconnecting::shared(self.clone(), &self.shared, RESPONSE_TIMEOUT)
    }

    /// Sends one command that does not block, and may be sent twice. A caller that is dropped drops
    /// only its wait: the connection belongs to others, too.
    pub(crate) async fn request(&self, command: &Cmd) -> Result<Value, Trouble> {
        let until = Instant::now() + CALL_MAX;
        self.request_until(until, command, Repeat::Always).await
    }

    /// The same, for a caller that waits until `until`, or a bit longer if the command is large.
    pub(crate) async fn request_until(
        &self,
        until: Instant,
        command: &Cmd,
        repeat: Repeat,
    ) -> Result<Value, Trouble> {
        let bytes = bytes_of(command);
        let link = match bytes > SHARED_BYTES {
            true => {
                let reading = Duration::from_millis((bytes * 1000 / BYTES_PER_SECOND) as u64);
                Reconnecting::new(self.clone(), RESPONSE_TIMEOUT).until(until + reading)
            }
            false => self.shared().until(until),
        };
        let command = command.clone();
        runtime::run(async move { link.request(&command, repeat).await }).await
    }
}

/// Why a connection with TLS was closed in the middle of the greeting, if the server says it.
async fn why_closed(listener: Option<Arc<Listener>>) -> Option<String> {
    timeout(LISTEN_FOR, listener?.hear()).await.ok()?
}

fn address_of(info: &ConnectionInfo) -> String {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => format!("{host}:{port}"),
        ConnectionAddr::TcpTls { host, port, .. } => format!("{host}:{port}{}", tls::MARK),
        ConnectionAddr::Unix(path) => path.display().to_string(),
        other => other.to_string(),
    }
}
