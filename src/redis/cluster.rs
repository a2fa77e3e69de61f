//! A Redis Cluster: which node has a slot, as the nodes say it.
//!
//! All nodes that are known are asked at once. The answer of more than half of them is taken at once; if there is none, the
//! answer that most of them give. A node that was cut off from the others may still give an answer of the past.
//!
//! The map is made anew when a node cannot be reached, or refuses because of a slot. A `MOVED` names the new owner of one
//! slot, which is taken from it. While a slot is on its way from one node to another (`ASK`, `TRYAGAIN`), calls
//! for its queues wait: a script needs all keys of its queue, and these are at two nodes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

use crate::error::Error;
use crate::redis::answer::ask;
use crate::redis::connection::Connector;
use crate::redis::credentials::{Credentials, PROVIDE_WITHIN, SignIn, SignedIn};
use crate::redis::node::{Address, CONNECT_TIMEOUT};
use crate::redis::of_process::OfProcess;
use crate::redis::place::{Access, ClusterNodes};
use crate::redis::slots::{self, SLOTS, Told};
use crate::redis::trouble::{Refusal, Trouble};
use crate::runtime;

/// How long the nodes may take to say who has which slots.
const ASK_FOR: Duration = Duration::from_secs(2);
/// They are not asked more often than this.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) struct Cluster {
    seeds: Vec<Address>,
    /// How connections to nodes are made.
    access: Access,
    known: OfProcess<Known>,
}

/// What this process knows of the cluster.
#[derive(Default)]
struct Known {
    map: Mutex<Map>,
    /// Held by who asks the nodes: when the last who did so began, and what came of it.
    asking: tokio::sync::Mutex<Option<(Instant, Result<(), Trouble>)>>,
}

#[derive(Default)]
struct Map {
    told: Told,
    /// New owners of single slots, as nodes have said since.
    moved: BTreeMap<u16, Address>,
    /// Something has shown that it is not true any more.
    is_stale: bool,
    nodes: BTreeMap<Address, Connector>,
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seeds: Vec<String> = self.seeds.iter().map(slots::shown).collect();
        write!(f, "the cluster of {}", seeds.join(", "))
    }
}

impl Cluster {
    pub(crate) fn new(nodes: &ClusterNodes, sign_in: SignIn<'_>) -> Result<Self, Error> {
        let (access, seeds) = nodes.access(sign_in)?;
        // Bad settings are an error now, and not with the first connection.
        for (host, port) in &seeds {
            access.node(host, *port)?;
        }
        Ok(Self {
            seeds,
            access,
            known: OfProcess::default(),
        })
    }

    /// A connection to the node that has the slot.
    pub(crate) async fn connect(&self, slot: u16) -> Result<SignedIn, Trouble> {
        let began = Instant::now();
        let connecting = async {
            let (address, owner) = self.owner(slot).await?;
            let trouble = match connected(&owner, began).await {
                Ok(connection) => return Ok(connection),
                Err(trouble) => trouble,
            };
            if !shows_a_change(&trouble) {
                return Err(trouble);
            }
            self.is_stale();
            // Another node may have taken its place.
            match self.owner(slot).await {
                Ok((other, owner)) if other != address => connected(&owner, began).await,
                _ => Err(trouble),
            }
        };
        let in_time = timeout(CONNECT_TIMEOUT, connecting).await;
        in_time.unwrap_or_else(|_| {
            self.is_stale();
            let why = format!("{self} accepted no connection within {CONNECT_TIMEOUT:.1?}");
            Err(Trouble::Unreachable(why))
        })
    }

    /// The node that has the slot. Its clones share one connection for single calls.
    pub(crate) async fn owner(&self, slot: u16) -> Result<(Address, Connector), Trouble> {
        let known = self.known.get();
        let is_known = {
            let map = known.lock();
            !map.is_stale && !map.told.is_empty()
        };
        if !is_known {
            self.look(&known, Instant::now()).await?;
        }
        let Some(address) = known.lock().owner(slot) else {
            known.lock().is_stale = true;
            let words = format!("no node of {self} has the slot {slot}");
            return Err(Trouble::Refused(Refusal::Moving, words));
        };
        let node = self.node(&known, &address)?;
        Ok((address, node))
    }

    /// All nodes that have slots, and how many slots nobody has. They are asked on the library's runtime: the caller's may be
    /// blocked for longer than the nodes have time to answer.
    pub(crate) async fn owners(self: &Arc<Self>) -> Result<(Vec<Connector>, usize), Trouble> {
        let known = self.known.get();
        let (cluster, looked_at) = (Arc::clone(self), Arc::clone(&known));
        runtime::run(async move { cluster.look(&looked_at, Instant::now()).await }).await?;
        let (owners, covered) = {
            let map = known.lock();
            (map.told.owners(), map.told.covered())
        };
        let nodes = owners.iter().map(|address| self.node(&known, address));
        let nodes = nodes.collect::<Result<_, _>>()?;
        Ok((nodes, SLOTS as usize - covered))
    }

    /// Looks at what a request ended with: what a node says of its slots is no error of the caller's, and passes.
    pub(crate) fn learned<T>(&self, slot: u16, answer: Result<T, Trouble>) -> Result<T, Trouble> {
        let trouble = match answer {
            Ok(answer) => return Ok(answer),
            Err(trouble) => trouble,
        };
        match trouble {
            Trouble::Refused(Refusal::Cluster, words) if !words.starts_with("CROSSSLOT") => {
                match slots::moved(&words) {
                    Some((moved, address)) if moved == slot && is_known(&address.0) => {
                        let known = self.known.get();
                        known.lock().moved.insert(slot, address);
                    }
                    _ => self.is_stale(),
                }
                Err(Trouble::Refused(Refusal::Moving, words))
            }
            trouble => {
                if shows_a_change(&trouble) {
                    self.is_stale();
                }
                Err(trouble.in_cluster())
            }
        }
    }

    fn is_stale(&self) {
        self.known.get().lock().is_stale = true;
    }

    /// The node at this address, which is made once: settings for TLS are read from files.
    fn node(&self, known: &Known, address: &Address) -> Result<Connector, Trouble> {
        if let Some(node) = known.lock().nodes.get(address) {
            return Ok(node.clone());
        }
        let node = self.access.node(&address.0, address.1);
        let node = node.map_err(|error| Trouble::Misplaced(error.to_string()))?;
        let node = Connector::of_node(node);
        let mut map = known.lock();
        Ok(map.nodes.entry(address.clone()).or_insert(node).clone())
    }

    /// Makes the map anew, unless that was done after `since`, or a moment ago: while a node is away, each call of each queue asks for it.
    async fn look(&self, known: &Known, since: Instant) -> Result<(), Trouble> {
        let mut asking = known.asking.lock().await;
        if let Some((began, answer)) = &*asking
            && (*began >= since || began.elapsed() < LOOK_AGAIN)
        {
            return answer.clone();
        }
        let began = Instant::now();
        let answer = self.ask_all(known).await;
        let answer = answer.map(|told| {
            let mut map = known.lock();
            map.nodes.retain(|address, _| {
                told.nodes().contains(address) || self.seeds.contains(address)
            });
            map.moved.clear();
            map.is_stale = false;
            map.told = told;
        });
        *asking = Some((began, answer.clone()));
        answer
    }

    async fn ask_all(&self, known: &Known) -> Result<Told, Trouble> {
        let mut nodes = known.lock().told.nodes().clone();
        nodes.extend(self.seeds.iter().cloned());
        // All nodes have the same users, so the provider is asked once.
        let credentials = match &self.access.provider {
            Some(provider) => Some(provider.ask(&self.to_string(), PROVIDE_WITHIN).await?),
            None => None,
        };
        let credentials = credentials.as_ref();
        let asking = nodes
            .iter()
            .map(|address| self.ask_one(known, address, credentials));
        let mut asking: FuturesUnordered<_> = asking.collect();
        let mut votes: BTreeMap<Told, usize> = BTreeMap::new();
        let mut troubles = Vec::new();
        while let Some(answer) = asking.next().await {
            match answer {
                Ok(told) => {
                    let count = votes.entry(told.clone()).or_default();
                    *count += 1;
                    if *count * 2 > nodes.len() {
                        return Ok(told);
                    }
                }
                Err(trouble) => troubles.push(trouble),
            }
        }
        let most = votes
            .into_iter()
            .max_by_key(|(told, count)| (*count, told.covered()));
        most.map(|(told, _)| told)
            .ok_or_else(|| self.none_answers(troubles))
    }

    async fn ask_one(
        &self,
        known: &Known,
        address: &Address,
        credentials: Option<&Credentials>,
    ) -> Result<Told, Trouble> {
        let asking = async {
            let node = self.node(known, address)?;
            let node = node.node().ok_or_else(no_address)?;
            let mut connection = node.connect_as(credentials, ASK_FOR).await?.connection;
            let answer = ask(&mut connection, redis::cmd("CLUSTER").arg("SLOTS")).await;
            match answer {
                Ok(value) => slots::read(value, &address.0).ok_or_else(|| {
                    Trouble::Garbled("a node gives a map that cannot be read".to_owned())
                }),
                Err(trouble) if trouble.to_string().contains("cluster support disabled") => {
                    Err(Trouble::Misplaced(format!(
                        "what answers at {} is no node of a cluster: its URL begins with `redis://` or `rediss://`",
                        node.address()
                    )))
                }
                Err(trouble) => Err(trouble),
            }
        };
        let in_time = timeout(ASK_FOR, asking).await;
        in_time.unwrap_or_else(|_| Err(Trouble::timed_out(ASK_FOR)))
    }

    /// What is wrong if no node says anything: what can be mended goes first.
    fn none_answers(&self, troubles: Vec<Trouble>) -> Trouble {
        let can_be_mended = |trouble: &&Trouble| {
            matches!(
                trouble,
                Trouble::Refused(..)
                    | Trouble::Misplaced(_)
                    | Trouble::Untrusted(_)
                    | Trouble::Stranger(_)
            )
        };
        if let Some(trouble) = troubles.iter().find(can_be_mended) {
            return trouble.clone().in_cluster();
        }
        let first = troubles.first().map(Trouble::to_string);
        let why = first.unwrap_or_default();
        Trouble::Unreachable(format!("no node of {self} answers ({why})"))
    }
}

impl Map {
    fn owner(&self, slot: u16) -> Option<Address> {
        let owner = self.moved.get(&slot);
        owner.or_else(|| self.told.owner(slot)).cloned()
    }
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connected(owner: &Connector, began: Instant) -> Result<SignedIn, Trouble> {
    let left = CONNECT_TIMEOUT.saturating_sub(began.elapsed());
    match owner.node() {
        Some(node) => node.connect(left).await.map_err(Trouble::in_cluster),
        None => Err(no_address()),
    }
}

fn no_address() -> Trouble {
    Trouble::Misplaced("a node has no address".to_owned())
}

fn is_known(host: &str) -> bool {
    !host.is_empty() && host != slots::UNKNOWN
}

/// Whether another node may have taken the place of one. A node that is full, or does not let this user in, is the same as before.
fn shows_a_change(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::Unreachable(_) | Trouble::Refused(Refusal::Replica | Refusal::Moving, _)
    )
}

/// One slot of a cluster.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) number: u16,
}
