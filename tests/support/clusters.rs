//! A Redis Cluster of this test's own.

use std::time::{Duration, Instant};

use redis::Value;
use tokio_rustls::TlsAcceptor;

use super::fronted::Fronted;
use super::port::Port;
use super::server::{Server, ServerOptions};
use super::{eventually, eventually_blocking};

/// From the death of a node until another one has its slots and all agree; mostly 3 s.
const LIMIT: Duration = Duration::from_secs(60);

/// A node, with a bus of its own.
pub struct ClusterNode {
    entrance: Fronted,
    bus: Port,
}

impl ClusterNode {
    pub fn start(options: ServerOptions) -> Self {
        Self::behind(options, None)
    }

    fn behind(options: ServerOptions, shown: Option<&TlsAcceptor>) -> Self {
        let bus = Port::claim();
        let options = options.cluster(&bus).arg("--cluster-node-timeout", "1000");
        let entrance = Fronted::start(options, shown);
        Self { entrance, bus }
    }

    pub fn server(&self) -> &Server {
        &self.entrance.server
    }

    /// Where it says that it is.
    pub fn address(&self) -> String {
        self.entrance.address().to_string()
    }

    fn port(&self) -> u16 {
        self.entrance.port()
    }

    fn id(&self) -> String {
        self.server().ask(&["CLUSTER", "MYID"])
    }

    /// One field of `CLUSTER INFO`; nothing if it does not answer.
    fn knows(&self, field: &str) -> Option<String> {
        let info = self.server().try_cli(&["CLUSTER", "INFO"]).ok()?;
        let info: String = redis::from_redis_value(info).ok()?;
        let value = info
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        Some(value.trim().to_owned())
    }

    fn is_well(&self) -> bool {
        self.knows("cluster_state").as_deref() == Some("ok")
    }

    /// The port of the node that has this slot, as this node knows it.
    fn owner(&self, slot: u16) -> Option<u16> {
        let answer = self.server().try_cli(&["CLUSTER", "SLOTS"]).ok()?;
        let Value::Array(ranges) = answer else {
            return None;
        };
        ranges.into_iter().find_map(|range| {
            let Value::Array(parts) = range else {
                return None;
            };
            let (Value::Int(first), Value::Int(last), Value::Array(node)) =
                (parts.first()?, parts.get(1)?, parts.get(2)?)
            else {
                return None;
            };
            match node.get(1)? {
                Value::Int(port) if (*first..=*last).contains(&i64::from(slot)) => {
                    u16::try_from(*port).ok()
                }
                _ => None,
            }
        })
    }
}

/// Three masters, and a replica of each.
pub struct Cluster {
    pub nodes: Vec<ClusterNode>,
}

impl Cluster {
    /// Returns once all nodes agree that all is well.
    pub fn start() -> Self {
        Self::of(Server::options, None)
    }

    /// The same, for clients that come with TLS.
    pub fn behind(shown: &TlsAcceptor, options: impl Fn() -> ServerOptions) -> Self {
        Self::of(options, Some(shown))
    }

    fn of(options: impl Fn() -> ServerOptions, shown: Option<&TlsAcceptor>) -> Self {
        let start = |_| ClusterNode::behind(options(), shown);
        let nodes: Vec<ClusterNode> = (0..6).map(start).collect();
        for (n, (first, last)) in [("0", "5460"), ("5461", "10922"), ("10923", "16383")]
            .into_iter()
            .enumerate()
        {
            nodes[n]
                .server()
                .cli(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
        }
        for (n, node) in nodes.iter().enumerate() {
            let epoch = (n + 1).to_string();
            node.server().cli(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
        }
        for node in &nodes[1..] {
            let (port, bus) = (node.port().to_string(), node.bus.number().to_string());
            nodes[0]
                .server()
                .cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let all = |field: &str, value: &str| {
            let is_so = |node: &ClusterNode| node.knows(field).as_deref() == Some(value);
            nodes.iter().all(is_so)
        };
        eventually_blocking(LIMIT, || {
            all("cluster_known_nodes", "6") && all("cluster_state", "ok")
        });
        for n in 0..3 {
            let master = nodes[n].id();
            let replica = nodes[n + 3].server();
            let becomes = || replica.try_cli(&["CLUSTER", "REPLICATE", &master]).is_ok();
            eventually_blocking(LIMIT, becomes);
        }
        let follows = |node: &ClusterNode| node.server().info("master_link_status").trim() == "up";
        eventually_blocking(LIMIT, || {
            nodes[3..].iter().all(follows) && all("cluster_size", "3")
        });
        Self { nodes }
    }

    /// Two of them, one of which may be away.
    pub fn seeds(&self) -> Vec<String> {
        self.nodes[..2].iter().map(ClusterNode::address).collect()
    }

    pub fn url(&self) -> String {
        format!("redis+cluster://{}", self.seeds().join(","))
    }

    pub fn slot_of(&self, key: &str) -> u16 {
        let node = self.nodes.iter().find(|node| node.is_well());
        node.expect("a node is well")
            .server()
            .ask(&["CLUSTER", "KEYSLOT", key])
    }

    /// The node that has the slot, if all that answer agree.
    pub fn owner(&self, slot: u16) -> Option<&ClusterNode> {
        let mut said: Vec<_> = self
            .nodes
            .iter()
            .filter_map(|node| node.owner(slot))
            .collect();
        said.dedup();
        match said[..] {
            [port] => self.nodes.iter().find(|node| node.port() == port),
            _ => None,
        }
    }

    /// Kills the owner of the slot, waits until another node has it, and brings the old one back as its replica. Answers when the new
    /// owner first said that the slot is its own.
    pub async fn fail_over(&self, slot: u16) -> Instant {
        let old = self.owner(slot).expect("the nodes agree");
        old.server().kill();
        let others = || self.nodes.iter().filter(|node| node.port() != old.port());
        let has_it = |node: &ClusterNode| node.owner(slot) == Some(node.port()) && node.is_well();
        eventually(LIMIT, || others().any(has_it)).await;
        let moment = Instant::now();
        eventually(LIMIT, || {
            let new = self.owner(slot).is_some_and(|new| new.port() != old.port());
            new && others().all(ClusterNode::is_well)
        })
        .await;
        tokio::task::block_in_place(|| old.server().restart());
        let is_back = || {
            old.server().info("role").trim() == "slave"
                && old.server().info("master_link_status").trim() == "up"
                && self.owner(slot).is_some()
        };
        eventually(LIMIT, is_back).await;
        moment
    }

    /// Moves the slot, with all of its keys, to a node that has others.
    pub fn move_slot(&self, slot: u16) {
        let (from, number) = (self.owner(slot).expect("the nodes agree"), slot.to_string());
        let is_another = |slot: &u16| self.owner(*slot).is_some_and(|to| to.port() != from.port());
        let elsewhere = [0_u16, 8_000, 16_000]
            .into_iter()
            .filter(|n| n.abs_diff(slot) > 100);
        let to = elsewhere
            .into_iter()
            .find(is_another)
            .expect("there are three masters");
        let to = self.owner(to).expect("the nodes agree");
        let (source, target) = (from.id(), to.id());
        let set = |node: &ClusterNode, how: &[&str]| {
            let command = [&["CLUSTER", "SETSLOT", &number], how].concat();
            node.server().cli(&command);
        };
        set(to, &["IMPORTING", &source]);
        set(from, &["MIGRATING", &target]);
        let port = to.port().to_string();
        loop {
            let keys: Vec<String> = from
                .server()
                .ask(&["CLUSTER", "GETKEYSINSLOT", &number, "7"]);
            if keys.is_empty() {
                break;
            }
            let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            let keys = keys.iter().map(String::as_str);
            let command: Vec<&str> = migrate.into_iter().chain(keys).collect();
            from.server().cli(&command);
        }
        set(to, &["NODE", &target]);
        set(from, &["NODE", &target]);
        let has_it = || {
            self.owner(slot)
                .is_some_and(|owner| owner.port() == to.port())
        };
        eventually_blocking(LIMIT, has_it);
    }
}
