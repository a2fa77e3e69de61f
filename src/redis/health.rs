//! What a Redis must be, checked once when connecting: new enough, the primary, and willing to run
//! scripts; and a node of a cluster if, and only if, that is what was asked for. What only endangers jobs is warned about, because it may be meant.

use redis::Value;
use tracing::{debug, warn};

use crate::error::{Error, ErrorKind};
use crate::name::Namespace;
use crate::redis::answer::{pairs, text};
use crate::redis::connection::Connector;
use crate::redis::keys;
use crate::redis::registry;
use crate::redis::script;
use crate::redis::trouble::{Refusal, Trouble};

const REDIS_MIN: (u64, u64) = (7, 0);

/// Connects, and looks at what answers: in a cluster at every node that has slots.
pub(crate) async fn check(connector: &Connector, namespace: &Namespace) -> Result<(), Error> {
    let of_registry = connector.of_key(&keys::registry(namespace));
    match connector.slot() {
        None => check_one(connector, false).await?,
        Some(slot) => {
            let owners = slot.cluster.owners().await;
            let (owners, uncovered) = owners.map_err(|trouble| not_usable(connector, trouble))?;
            if uncovered > 0 {
                let words = format!("{uncovered} slots have no node");
                return Err(not_usable(
                    connector,
                    Trouble::Refused(Refusal::Moving, words),
                ));
            }
            for owner in owners {
                reach(connector, &owner).await?;
                check_one(&owner, true).await?;
            }
        }
    }
    warn_of_no_rights(&of_registry, namespace).await;
    Ok(())
}

/// A node is where it says that it is, and not where we have found the cluster.
async fn reach(cluster: &Connector, node: &Connector) -> Result<(), Error> {
    match node.shared().connect().await {
        Err(Trouble::Unreachable(why)) => {
            let why = format!(
                "{} announces {}, which cannot be reached from here ({why}); see `cluster-announce-ip` and \
                 `cluster-announce-hostname`",
                cluster.address(),
                node.address()
            );
            Err(Trouble::Unreachable(why).into_error(cluster.address()))
        }
        _ => Ok(()),
    }
}

async fn check_one(connector: &Connector, in_cluster: bool) -> Result<(), Error> {
    let not_usable = |trouble: Trouble| match in_cluster {
        true => not_usable(connector, trouble.in_cluster()),
        false => not_usable(connector, trouble),
    };
    let facts = Facts::of(connector).await.map_err(not_usable)?;
    facts.check(connector.address(), in_cluster)?;
    // A user may be allowed to look and nothing else.
    let allowed = script::try_one(connector).await;
    allowed.map_err(not_usable)?;
    warn_of_eviction(connector, &facts);
    warn_of_no_persistence(connector, &facts).await;
    Ok(())
}

/// What a server says of itself, as lines `name:value`.
pub(crate) struct Facts {
    text: String,
    from: Source,
}

#[derive(PartialEq)]
enum Source {
    Info,
    /// Version, mode and role.
    Hello,
    /// The user may use neither. Then it is only known whether scripts run, which no server before 7.0 can do.
    Nothing,
}

impl Facts {
    /// A user without `INFO` can work; `HELLO` tells each user the version and the role.
    pub(crate) async fn of(connector: &Connector) -> Result<Self, Trouble> {
        let facts = |text, from| Ok(Self { text, from });
        let trouble = match connector.request(redis::cmd("INFO").arg("all")).await {
            Ok(value) => return facts(text(&value).unwrap_or_default(), Source::Info),
            Err(trouble) => trouble,
        };
        if !is_denied(&trouble) {
            return Err(trouble);
        }
        match connector.request(&redis::cmd("HELLO")).await {
            Ok(value) => {
                debug!(address = connector.address(), %trouble, "how it is set up cannot be seen");
                facts(facts_of_hello(value), Source::Hello)
            }
            Err(Trouble::Refused(Refusal::NoCommand, _)) => facts(String::new(), Source::Nothing),
            // The server asks for a password.
            Err(Trouble::Refused(Refusal::NotAllowed { .. }, _)) => Err(trouble),
            Err(trouble) => Err(trouble),
        }
    }

    #[cfg(test)]
    pub(crate) fn from_info(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            from: Source::Info,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    fn check(&self, address: &str, in_cluster: bool) -> Result<(), Error> {
        if self.from == Source::Nothing {
            return Ok(());
        }
        let unsuitable = |text: String| Err(Error::new(ErrorKind::Unsuitable, text));
        let Some(version) = self.get("redis_version") else {
            return unsuitable(format!(
                "what answers at {address} does not say that it is a Redis; oxcart needs Redis 7.0 or newer, or \
                 Valkey 7.2 or newer"
            ));
        };
        if parse_version(version) < Some(REDIS_MIN) {
            return unsuitable(format!(
                "the Redis at {address} has version {version}; oxcart needs Redis 7.0 or newer, or Valkey 7.2 \
                 or newer"
            ));
        }
        match self.get("redis_mode").or_else(|| self.get("server_mode")) {
            Some("sentinel") => return unsuitable(self.of_sentinel(address)),
            Some("cluster") if !in_cluster => {
                return unsuitable(format!(
                    "the Redis at {address} is a node of a cluster; {}",
                    Refusal::Cluster.hint()
                ));
            }
            _ => {}
        }
        // In a cluster its own answers lead to the primary.
        if !in_cluster && matches!(self.get("role"), Some("slave" | "replica")) {
            return unsuitable(self.of_replica(address));
        }
        if self.get("loading") == Some("1") {
            let left = self.get("loading_eta_seconds");
            let left = left.map_or(String::new(), |seconds| {
                format!(", for about {seconds} s more")
            });
            let words = format!("LOADING it reads its data from disk{left}");
            return Err(Trouble::Refused(Refusal::NotNow, words).into_error(address));
        }
        Ok(())
    }

    fn of_sentinel(&self, address: &str) -> String {
        // master0:name=main,status=ok,address=10.0.0.5:6379,slaves=1,sentinels=3
        let primary = self.get("master0").and_then(|line| {
            let address = line
                .split(',')
                .find_map(|field| field.strip_prefix("address="))?;
            Some(format!(", {address}"))
        });
        format!(
            "what answers at {address} is a sentinel, which watches over a Redis and holds no jobs; connect to the \
             primary that it watches{}, or let the sentinels say where that is (`redis+sentinel://..`)",
            primary.unwrap_or_default()
        )
    }

    fn of_replica(&self, address: &str) -> String {
        let primary = match (self.get("master_host"), self.get("master_port")) {
            (Some(host), Some(port)) => format!(", {host}:{port}"),
            _ => String::new(),
        };
        format!(
            "the Redis at {address} is a replica, to which nothing can be written; connect to its primary{primary}"
        )
    }
}

/// A command is denied to this user, or to everybody.
fn is_denied(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::Refused(Refusal::NotAllowed { .. } | Refusal::NoCommand, _)
    )
}

/// The same lines as `INFO` has.
fn facts_of_hello(value: Value) -> String {
    let line = |(name, value): (Value, Value)| {
        let (name, value) = (text(&name)?, text(&value)?);
        let name = match name.as_str() {
            "version" => "redis_version",
            "mode" => "redis_mode",
            "role" => "role",
            _ => return None,
        };
        Some(format!("{name}:{value}\n"))
    };
    pairs(value).into_iter().filter_map(line).collect()
}

/// Policies that begin with `volatile-` evict only keys that expire. Of oxcart's these are streams of queues that hold
/// nothing, and the last calls of deleted queues (`lib/idle.lua`, `delete.lua`): no job is lost with them. When nothing
/// else is left to evict, Redis refuses to write, as with `noeviction`.
fn warn_of_eviction(connector: &Connector, facts: &Facts) {
    if let Some(policy) = facts.get("maxmemory_policy")
        && policy.starts_with("allkeys-")
    {
        warn!(
            address = connector.address(),
            maxmemory = facts.get("maxmemory"),
            policy,
            "Redis may evict keys when its memory is full, and jobs with them; set \
             `maxmemory-policy noeviction`"
        );
    }
}

/// Warns of a user who may only read, because that may be on purpose. It tries to take a queue with an empty name off the
/// list of queues; there is no such queue.
async fn warn_of_no_rights(connector: &Connector, namespace: &Namespace) {
    let removal = registry::removal(&keys::registry(namespace), "");
    let tried = connector.request(&removal).await;
    if let Err(Trouble::Refused(refusal @ Refusal::NotAllowed { .. }, words)) = tried {
        warn!(
            address = connector.address(),
            %namespace,
            words,
            "this user may not write: enqueueing will fail, and workers cannot work; {}",
            refusal.hint()
        );
    }
}

async fn warn_of_no_persistence(connector: &Connector, facts: &Facts) {
    if facts.get("aof_enabled") != Some("1")
        && matches!(Saves::of(connector, facts).await, Saves::None)
    {
        warn!(
            address = connector.address(),
            "Redis keeps nothing on disk: a restart loses every job; set `appendonly yes`"
        );
    }
}

/// Whether the server writes snapshots.
pub(crate) enum Saves {
    Some,
    None,
    Unknown,
}

impl Saves {
    /// Many hosted servers forbid `CONFIG`; then it is unknown.
    pub(crate) async fn of(connector: &Connector, facts: &Facts) -> Self {
        if facts.from != Source::Info {
            return Self::Unknown;
        }
        let snapshots = connector
            .request(redis::cmd("CONFIG").arg("GET").arg("save"))
            .await;
        let pair = match snapshots {
            Ok(Value::Array(pair)) => pair,
            Ok(Value::Map(pairs)) => pairs.into_iter().flat_map(|(k, v)| [k, v]).collect(),
            _ => return Self::Unknown,
        };
        match pair.get(1).and_then(text) {
            Some(save) if save.is_empty() => Self::None,
            Some(_) => Self::Some,
            None => Self::Unknown,
        }
    }
}

/// Nothing was asked for yet that could have happened or not.
fn not_usable(connector: &Connector, trouble: Trouble) -> Error {
    let address = connector.address();
    match trouble {
        Trouble::Closed | Trouble::Unanswered(_) | Trouble::Cut { .. } => {
            let why = format!("Redis at {address} cannot be used: {trouble}");
            Trouble::Unreachable(why).into_error(address)
        }
        Trouble::Garbled(_) => {
            let why = format!("Redis at {address} cannot be used: {trouble}");
            Trouble::Stranger(why).into_error(address)
        }
        trouble => trouble.into_error(address),
    }
}

fn parse_version(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(parse_version("6.2.14") < Some(REDIS_MIN));
        assert!(parse_version("7.0.0") >= Some(REDIS_MIN));
        assert!(parse_version("10.1") >= Some(REDIS_MIN));
        assert!(parse_version("what") < Some(REDIS_MIN));
    }

    #[test]
    fn what_a_server_says_of_itself_is_told_with_the_address_to_use() {
        let cases = [
            ("redis_version:6.2.14", ErrorKind::Unsuitable, "6.2.14"),
            (
                "redis_version:7.0.15\r\nredis_mode:cluster",
                ErrorKind::Unsuitable,
                "node of a cluster",
            ),
            (
                "redis_version:9.1.2\r\nserver_mode:sentinel\r\n\
                 master0:name=main,status=ok,address=10.0.0.5:6379,slaves=1,sentinels=3",
                ErrorKind::Unsuitable,
                "primary that it watches, 10.0.0.5:6379",
            ),
            (
                "redis_version:7.0.15\r\nrole:slave\r\nmaster_host:10.0.0.5\r\nmaster_port:6380",
                ErrorKind::Unsuitable,
                "its primary, 10.0.0.5:6380",
            ),
            (
                "redis_version:7.0.15\r\nrole:replica",
                ErrorKind::Unsuitable,
                "connect to its primary",
            ),
            (
                "redis_version:7.0.15\r\nrole:master\r\nloading:1\r\nloading_eta_seconds:7",
                ErrorKind::Refused,
                "for about 7 s more",
            ),
        ];
        for (info, kind, says) in cases {
            let facts = Facts::from_info(info);
            let error = facts.check("there:6379", false).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.to_string().contains("there:6379"), "{error}");
        }
    }
}
