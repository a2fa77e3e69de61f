//! One address of a Redis, and how connections to it are made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::Manager as _;
use deadpool_redis::Manager;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind as RedisKind, RedisError,
};
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};
use crate::redis::credentials::{self, Credentials, Provider, Renewal, SignIn, SignedIn};
use crate::redis::last_word::last_word;
use crate::redis::pool::Pool;
use crate::redis::tls::{self, Secured};
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
/// No connection is silent for as long as this: firewalls and load balancers forget those that are, the strictest after 5 s. The
/// kernels exchange these packets, and Redis does not hear of them.
pub(crate) const SILENT_MAX: Duration = Duration::from_millis(4_500);
/// A silent peer is noticed after this, and then so many probes at this interval.
const KEEPALIVE: Duration = Duration::from_secs(4);
const KEEPALIVE_PROBE: Duration = Duration::from_secs(4);
const KEEPALIVE_PROBES: u32 = 5;

/// Makes connections to one address.
#[derive(Clone)]
pub(crate) struct Node {
    maker: Maker,
    address: Arc<str>,
    listener: Option<Arc<Listener>>,
    provider: Option<Provider>,
}

#[derive(Clone)]
enum Maker {
    Ours(Arc<Ours>),
    /// A pool of the application: it says how connections are made; no connection is taken out of it.
    Theirs(Pool),
}

struct Ours {
    manager: Manager,
    /// Without TLS, as it was given.
    server: ConnectionAddr,
    /// What the manager was made of.
    info: ConnectionInfo,
}

impl Maker {
    fn manager(&self) -> &Manager {
        match self {
            Self::Ours(ours) => &ours.manager,
            Self::Theirs(pool) => pool.manager(),
        }
    }
}

impl Node {
    pub(crate) fn at(info: ConnectionInfo, sign_in: SignIn<'_>) -> Result<Self, Error> {
        let settings = info.redis_settings();
        sign_in.check(settings.username().is_some() || settings.password().is_some())?;
        let address = address_of(&info);
        let server = info.addr().clone();
        let Secured { info, listener } = tls::secured(info, sign_in.tls)?;
        let info = info.set_tcp_settings(
            TcpSettings::default().set_nodelay(true).set_keepalive(
                TcpKeepalive::new()
                    .with_time(KEEPALIVE)
                    .with_interval(KEEPALIVE_PROBE)
                    .with_retries(KEEPALIVE_PROBES),
            ),
        );
        let manager = manager_of(info.clone()).map_err(invalid)?;
        let ours = Ours {
            manager,
            server,
            info,
        };
        Ok(Self {
            maker: Maker::Ours(Arc::new(ours)),
            address: address.into(),
            listener: listener.map(Arc::new),
            provider: sign_in.provider.cloned(),
        })
    }

    pub(crate) fn of_pool(pool: Pool) -> Self {
        // The connections of the pool may be with TLS; the pool does not say it.
        tls_library::prepare();
        Self {
            maker: Maker::Theirs(pool),
            address: "the given pool".into(),
            listener: None,
            provider: None,
        }
    }

    /// For messages; it never holds a password.
    pub(crate) fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// A new connection, driven by the runtime on which this is awaited.
    pub(crate) async fn connect(&self, within: Duration) -> Result<SignedIn, Trouble> {
        let began = Instant::now();
        let credentials = match &self.provider {
            Some(provider) => Some(provider.ask(&self.address, within).await?),
            None => None,
        };
        let left = within.saturating_sub(began.elapsed());
        self.connect_as(credentials.as_ref(), left).await
    }

    /// The same, with what a provider gave.
    pub(crate) async fn connect_as(
        &self,
        credentials: Option<&Credentials>,
        within: Duration,
    ) -> Result<SignedIn, Trouble> {
        let made = self.make(credentials, within).await;
        match (&self.provider, credentials) {
            (Some(provider), Some(credentials)) => Ok(SignedIn {
                connection: made.map_err(credentials::judged)?,
                renewal: Some(Renewal::new(provider, &self.address, credentials)),
            }),
            _ => made.map(SignedIn::from),
        }
    }

    async fn make(
        &self,
        credentials: Option<&Credentials>,
        within: Duration,
    ) -> Result<MultiplexedConnection, Trouble> {
        let address = &self.address;
        let creating = async {
            match (&self.maker, credentials) {
                (Maker::Ours(ours), Some(credentials)) => {
                    let settings = credentials.signed(ours.info.redis_settings().clone());
                    let info = ours.info.clone().set_redis_settings(settings);
                    manager_of(info)?.create().await
                }
                (maker, _) => maker.manager().create().await,
            }
        };
        let error = match timeout(within, creating).await {
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
            Maker::Ours(ours) => last_word(&ours.server).await,
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

fn manager_of(info: ConnectionInfo) -> Result<Manager, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    Manager::new_with_config(info, config)
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
