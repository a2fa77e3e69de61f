//! Making connections to Redis, and the connection that all single calls of a process share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, IntoConnectionInfo, Value};

use crate::error::Error;
use crate::redis::address;
use crate::redis::cluster::{Cluster, Slot};
use crate::redis::credentials::{SignIn, SignedIn};
use crate::redis::node::{CONNECT_TIMEOUT, Node, RESPONSE_TIMEOUT, invalid};
use crate::redis::place::{self, ClusterNodes, Sentinels};
use crate::redis::pool::Pool;
use crate::redis::reconnecting::{BYTES_PER_SECOND, Reconnecting, SharedConnection, bytes_of};
use crate::redis::repeat::Repeat;
use crate::redis::slots;
use crate::redis::tls;
use crate::redis::trouble::Trouble;
use crate::redis::watched::Watched;
use crate::runtime;

/// A single call takes no longer than this, and a large one as much longer as its bytes take.
pub(crate) const CALL_MAX: Duration = CONNECT_TIMEOUT.saturating_add(RESPONSE_TIMEOUT);
/// A larger request goes through a connection of its own: on the shared connection all other callers would
/// wait for it, and would be cut off with it if the server does not take it.
const SHARED_BYTES: usize = 64 * 1024;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    place: Place,
    address: Arc<str>,
    /// The connection for single calls.
    shared: SharedConnection,
}

/// Where connections go to.
#[derive(Clone)]
enum Place {
    /// Always to this address.
    Node(Arc<Node>),
    /// To the master that sentinels name; they are asked for each connection.
    Watched(Arc<Watched>),
    /// To the node of a cluster that has this slot.
    Cluster(Slot),
}

impl Connector {
    /// From a URL as redis-rs reads it: `redis://[user:password@]host[:port][/db]`,
    /// the same with `rediss://` over TLS, `redis+unix:///path`; or `redis+sentinel://` and `redis+cluster://`, with several hosts.
    pub(crate) fn from_url(url: &str, sign_in: SignIn<'_>) -> Result<Self, Error> {
        if let Some(sentinels) = place::sentinels_in(url)? {
            return Self::from_sentinels(&sentinels, sign_in);
        }
        if let Some(nodes) = place::cluster_in(url)? {
            return Self::from_cluster(&nodes, sign_in);
        }
        tls::check(url, sign_in.tls)?;
        address::check(url)?;
        let info = url.trim().into_connection_info().map_err(invalid)?;
        Ok(Self::of_node(Node::at(info, sign_in)?))
    }

    pub(crate) fn from_pool(pool: Pool) -> Self {
        Self::of_node(Node::of_pool(pool))
    }

    pub(crate) fn from_sentinels(
        sentinels: &Sentinels,
        sign_in: SignIn<'_>,
    ) -> Result<Self, Error> {
        let watched = Watched::new(sentinels, sign_in)?;
        let address = watched.to_string().into();
        Ok(Self::new(Place::Watched(Arc::new(watched)), address))
    }

    pub(crate) fn from_cluster(nodes: &ClusterNodes, sign_in: SignIn<'_>) -> Result<Self, Error> {
        let cluster = Arc::new(Cluster::new(nodes, sign_in)?);
        let address = cluster.to_string().into();
        let number = 0;
        Ok(Self::new(Place::Cluster(Slot { cluster, number }), address))
    }

    /// The same for the key: in a cluster each has its own node.
    pub(crate) fn of_key(&self, key: &str) -> Self {
        let mut connector = self.clone();
        if let Place::Cluster(slot) = &mut connector.place {
            slot.number = slots::of_key(key);
        }
        connector
    }

    /// The address, if connections always go to one.
    pub(crate) fn node(&self) -> Option<&Node> {
        match &self.place {
            Place::Node(node) => Some(node),
            Place::Watched(_) | Place::Cluster(_) => None,
        }
    }

    /// The slot, if it is one of a cluster.
    pub(crate) fn slot(&self) -> Option<&Slot> {
        match &self.place {
            Place::Cluster(slot) => Some(slot),
            Place::Node(_) | Place::Watched(_) => None,
        }
    }

    pub(crate) fn of_node(node: Node) -> Self {
        let address = Arc::clone(node.address());
        Self::new(Place::Node(Arc::new(node)), address)
    }

    fn new(place: Place, address: Arc<str>) -> Self {
        Self {
            place,
            address,
            shared: SharedConnection::default(),
        }
    }

    /// For messages; it never holds a password.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A new connection, driven by the library's runtime. It has no time limit for answers: each caller sets its own.
    pub(crate) async fn connect(&self) -> Result<SignedIn, Trouble> {
        // The task that drives a connection runs on the runtime on which the connection was made.
        let place = self.place.clone();
        let connecting = runtime::run(async move {
            match place {
                Place::Node(node) => node.connect(CONNECT_TIMEOUT).await,
                Place::Watched(watched) => watched.connect().await,
                Place::Cluster(slot) => slot.cluster.connect(slot.number).await,
            }
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
