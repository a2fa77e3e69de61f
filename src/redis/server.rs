//! What a server says of itself: for those who look after it.

use std::time::{Duration, Instant, SystemTime};

use redis::Value;

use crate::error::Error;
use crate::name::Namespace;
use crate::redis::connection::Connector;
use crate::redis::health::{Facts, Saves};
use crate::redis::keys;
use crate::redis::script;
use crate::redis::trouble::Trouble;
use crate::time::Timestamp;

/// Of so many round trips the shortest counts: the others may have waited for something else.
const ROUND_TRIPS: usize = 8;

/// All commands that producers and workers need, as `docs/security.md` lists them, each with arguments from which the
/// server finds its keys; `?` is a key of the namespace.
const NEEDED: &str = "\
    eval x 0, evalsha x 0, client id, client unblock 1, select 0, info, time, \
    bzpopmin ? 0, sadd ? x, smembers ?, srem ? x, xrange ? - +, xread STREAMS ? 0, xrevrange ? + -, xtrim ? MAXLEN 1, \
    del ?, exists ?, hdel ? x, hexists ? x, hget ? x, hgetall ?, hincrby ? x 1, hlen ?, hmget ? x, hscan ? 0, \
    hset ? x x, hsetnx ? x x, hstrlen ? x, persist ?, pexpire ? 1, unlink ?, \
    xadd ? * x x, xinfo stream ?, zadd ? 1 x, zcard ?, zcount ? 0 1, zlexcount ? - +, zmscore ? x, zrange ? 0 1, \
    zrangebyscore ? 0 1, zrank ? x, zrem ? x, zremrangebylex ? - +, zremrangebyrank ? 0 1, zrevrangebyscore ? 1 0, \
    zscan ? 0, zscore ? x";

/// Runs nothing: it asks what the user may run. A command that the server does not have, because it was renamed, is an
/// error of `acl_check_cmd`.
const ASK: &str = "#!lua flags=no-writes
if not redis.acl_check_cmd then return false end
local denied = {}
for number = 2, #ARGV do
  local words = {}
  for word in string.gmatch(ARGV[number], '%S+') do
    words[#words + 1] = word == '?' and ARGV[1] or word
  end
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  if not (known and allowed) then denied[#denied + 1] = ARGV[number] end
end
return denied";

/// A server that speaks the protocol of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Product {
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// What a server keeps on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Persistence {
    /// Each write, in a file to which it only appends (`appendonly yes`).
    AppendOnly,
    /// Everything, from time to time (`save`): a crash loses what was written since.
    Snapshots,
    /// Nothing: a restart loses every job.
    Nothing,
}

/// What a server says of itself; see [`Oxcart::server`](crate::Oxcart::server). What it does not tell this user is `None`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Which server it is.
    pub product: Option<Product>,
    /// Its version, such as `7.0.15`.
    pub version: Option<String>,
    /// What it evicts when its memory is full (`maxmemory-policy`): `noeviction` and names with `volatile-` lose no job.
    pub eviction: Option<String>,
    /// What it keeps on disk.
    pub persistence: Option<Persistence>,
    /// Whether the last write to its disk has failed.
    pub save_failed: Option<bool>,
    /// The memory that it uses, in bytes.
    pub memory: Option<u64>,
    /// The memory that it may use (`maxmemory`), in bytes; `u64::MAX` if there is no limit.
    pub memory_max: Option<u64>,
    /// How long one small command takes from here, the way to the server included: the shortest of eight.
    pub round_trip: Duration,
    /// What the server's clock showed, at [`asked_at`](Self::asked_at).
    pub time: Option<Timestamp>,
    /// What the clock of this computer showed when the server's was read.
    pub asked_at: Timestamp,
    /// Which commands that oxcart needs are denied to this user (ACL), or are not there at all; such as `client unblock`.
    pub denied: Option<Vec<String>>,
}

impl ServerInfo {
    /// Of what is no server, and has a clock.
    pub(crate) fn of_clock(now_ms: u64) -> Self {
        Self {
            time: Some(Timestamp::from_millis(now_ms)),
            ..Self::none()
        }
    }

    fn none() -> Self {
        Self {
            product: None,
            version: None,
            eviction: None,
            persistence: None,
            save_failed: None,
            memory: None,
            memory_max: None,
            round_trip: Duration::ZERO,
            time: None,
            asked_at: SystemTime::now().into(),
            denied: None,
        }
    }

    fn told(facts: &Facts, saves: Saves) -> Self {
        let number = |name| facts.get(name)?.parse().ok();
        let is_aof = facts.get("aof_enabled").map(|value| value == "1");
        let persistence = match (is_aof, saves) {
            (Some(true), _) => Some(Persistence::AppendOnly),
            (Some(false), Saves::Some) => Some(Persistence::Snapshots),
            (Some(false), Saves::None) => Some(Persistence::Nothing),
            _ => None,
        };
        let looked_at: &[&str] = match persistence {
            Some(Persistence::AppendOnly) => {
                &["aof_last_write_status", "aof_last_bgrewrite_status"]
            }
            Some(Persistence::Nothing) => &[],
            _ => &["rdb_last_bgsave_status"],
        };
        let last: Option<Vec<&str>> = looked_at.iter().map(|name| facts.get(name)).collect();
        let valkey = facts.get("valkey_version");
        let of_valkey = valkey.map(|_| Product::Valkey);
        let of_redis = || facts.get("maxmemory_policy").map(|_| Product::Redis);
        Self {
            product: of_valkey.or_else(of_redis),
            version: valkey
                .or_else(|| facts.get("redis_version"))
                .map(str::to_owned),
            eviction: facts.get("maxmemory_policy").map(str::to_owned),
            persistence,
            save_failed: last.map(|last| last.iter().any(|status| *status != "ok")),
            memory: number("used_memory"),
            memory_max: number("maxmemory").map(|bytes| if bytes == 0 { u64::MAX } else { bytes }),
            ..Self::none()
        }
    }

    /// Measures how far away the server is, and reads its clock.
    async fn measure(&mut self, connector: &Connector) -> Result<(), Trouble> {
        let mut shortest = Duration::MAX;
        for _ in 0..ROUND_TRIPS {
            let (asked_at, began) = (SystemTime::now(), Instant::now());
            let answer = connector.request(&redis::cmd("TIME")).await;
            let took = began.elapsed();
            let time = match answer {
                Ok(value) => time_of(value),
                // A refusal is an answer as well.
                Err(Trouble::Refused(..)) => None,
                Err(trouble) => return Err(trouble),
            };
            if took < shortest {
                shortest = took;
                self.time = time;
                self.asked_at = (asked_at + took / 2).into();
            }
        }
        self.round_trip = shortest;
        Ok(())
    }
}

/// Asks the server; fails only if it does not answer.
pub(crate) async fn info(
    connector: &Connector,
    namespace: &Namespace,
) -> Result<ServerInfo, Error> {
    let asked = async {
        let facts = Facts::of(connector).await?;
        let saves = Saves::of(connector, &facts).await;
        let mut info = ServerInfo::told(&facts, saves);
        info.measure(connector).await?;
        info.denied = denied(connector, namespace).await?;
        Ok(info)
    };
    asked
        .await
        .map_err(|trouble: Trouble| trouble.into_error(connector.address()))
}

async fn denied(
    connector: &Connector,
    namespace: &Namespace,
) -> Result<Option<Vec<String>>, Trouble> {
    let key = keys::registry(namespace);
    let args = [&*key].into_iter().chain(NEEDED.split(", "));
    match script::ask(connector, ASK, args).await {
        Ok(Value::Array(denied)) => {
            let name = |value| match value {
                Value::BulkString(bytes) => Some(name_of(&String::from_utf8_lossy(&bytes))),
                _ => None,
            };
            Ok(denied.into_iter().map(name).collect())
        }
        Ok(_) | Err(Trouble::Refused(..)) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// A command without its arguments.
fn name_of(needed: &str) -> String {
    let mut words = needed.split(' ');
    let command = words.next().unwrap_or_default();
    match (command, words.next()) {
        ("client" | "xinfo", Some(second)) => format!("{command} {second}"),
        _ => command.to_owned(),
    }
}

/// Seconds and microseconds.
fn time_of(value: Value) -> Option<Timestamp> {
    let [seconds, micros]: [u64; 2] = redis::from_redis_value::<Vec<u64>>(value)
        .ok()?
        .try_into()
        .ok()?;
    Some(Timestamp::from_millis(seconds * 1_000 + micros / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_what_the_page_on_security_lists() {
        let page = include_str!("../../docs/security.md").replace("\\\n", " ");
        let mut rule = page.lines().filter(|line| line.starts_with("ACL SETUSER"));
        let rule = rule.next_back().unwrap().split_whitespace();
        let mut listed: Vec<_> = rule
            .filter_map(|word| word.strip_prefix('+'))
            .map(|word| word.replace('|', " "))
            .collect();
        let mut needed: Vec<_> = NEEDED.split(", ").map(name_of).collect();
        listed.sort();
        needed.sort();
        assert_eq!(needed, listed);
    }

    #[test]
    fn what_a_server_tells_is_read_and_what_it_does_not_tell_is_unknown() {
        let valkey = Facts::from_info(
            "redis_version:7.2.4\r\nvalkey_version:8.1.0\r\nserver_name:valkey\r\nused_memory:1000\r\nmaxmemory:0\r\n\
             maxmemory_policy:allkeys-lru\r\naof_enabled:0\r\nrdb_last_bgsave_status:err\r\n",
        );
        let info = ServerInfo::told(&valkey, Saves::Some);
        assert_eq!(info.product, Some(Product::Valkey));
        assert_eq!(info.version.as_deref(), Some("8.1.0"));
        assert_eq!(info.eviction.as_deref(), Some("allkeys-lru"));
        assert_eq!((info.memory, info.memory_max), (Some(1000), Some(u64::MAX)));
        assert_eq!(info.persistence, Some(Persistence::Snapshots));
        assert_eq!(info.save_failed, Some(true));
        let aof = Facts::from_info(
            "redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n\
             aof_last_write_status:ok\r\naof_last_bgrewrite_status:ok\r\nrdb_last_bgsave_status:err\r\n",
        );
        let info = ServerInfo::told(&aof, Saves::None);
        assert_eq!(info.product, Some(Product::Redis));
        assert_eq!(info.persistence, Some(Persistence::AppendOnly));
        assert_eq!(info.save_failed, Some(false));
        let silent = ServerInfo::told(&Facts::from_info(""), Saves::Unknown);
        assert!(silent.product.is_none() && silent.version.is_none() && silent.eviction.is_none());
        assert!(silent.persistence.is_none() && silent.save_failed.is_none());
        assert!(silent.memory.is_none() && silent.memory_max.is_none());
    }
}
