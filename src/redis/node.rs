//! One address of a Redis, and how connections to it are made.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::Manager as _;
use deadpool_redis::Manager;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind as RedisKind, RedisError,
};
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};
use crate::redis::last_word::last_word;
use crate::redis::pool::Pool;
use crate::redis::tls::{self, Secured, Tls};
use crate::redis::trouble::Trouble;
use crate::tls_library::{self, Listener};

/// Host and port.
pub(crate) type Address = (String, u16);

/// How long a connection may take to be made, greeting and password included.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait of a command that does not block, when nothing shorter is set.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for the reason why a connection with TLS was closed.
const LISTEN_FOR: Duration = Duration::from_millis(500);
/// A silent peer is noticed after this, and then three probes at this interval.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBE: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;

/// Makes connections to one address.
#[derive(Clone)]
pub(crate) struct Node {
    maker: Maker,
    address: Arc<str>,
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

impl Node {
    pub(crate) fn at(info: ConnectionInfo, tls: Option<&Tls>) -> Result<Self, Error> {
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
        Ok(Self {
            maker: Maker::Ours(Arc::new(manager), server.into()),
            address: address.into(),
            listener: listener.map(Arc::new),
        })
    }

    pub(crate) fn of_pool(pool: Pool) -> Self {
        // The connections of the pool may be with TLS; the pool does not say it.
        tls_library::prepare();
        Self {
            maker: Maker::Theirs(pool),
            address: "the given pool".into(),
            listener: None,
        }
    }

    /// For messages; it never holds a password.
    pub(crate) fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// A new connection, driven by the runtime on which this is awaited.
    pub(crate) async fn connect(&self, within: Duration) -> Result<MultiplexedConnection, Trouble> {
        let address = &self.address;
        let error = match timeout(within, self.maker.manager().create()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => {
                return Err(Trouble::Unreachable(format!(
                    "Redis at {address} accepted no connection within {within:.1?}{}",
                    tls::hint_of_silence(address)
                )));
            }
        };
        let was_closed = error.is_connection_dropped() && !error.is_connection_refusal();
        let was_taken = was_closed || error.kind() == RedisKind::Parse;
        if !was_taken || tls::refusal(&error).is_some() {
            return Err(Trouble::from_connecting(address, &error));
        }
        if let Some(why) = self.why_closed().await {
            return Err(Trouble::untrusted(address, &why));
        }
        let last_word = match &self.maker {
            Maker::Ours(_, server) => last_word(server).await,
            Maker::Theirs(_) => None,
        };
        Err(Trouble::from_greeting(address, &error, last_word))
    }

    /// Why a connection with TLS was closed in the middle of the greeting, if the server says it.
    async fn why_closed(&self) -> Option<String> {
        timeout(LISTEN_FOR, self.listener.as_ref()?.hear())
            .await
            .ok()?
    }
}

/// What redis-rs cannot read.
pub(crate) fn invalid(source: RedisError) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!(
            "the Redis URL cannot be used: {source}; it looks like \
             `redis://127.0.0.1/`, `redis://user:password@host:6379/0` or \
             `redis+unix:///path/to/socket?db=0`"
        ),
    )
    .with_source(source)
}

fn address_of(info: &ConnectionInfo) -> String {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => format!("{host}:{port}"),
        ConnectionAddr::TcpTls { host, port, .. } => format!("{host}:{port}{}", tls::MARK),
        ConnectionAddr::Unix(path) => path.display().to_string(),
        other => other.to_string(),
    }
}
