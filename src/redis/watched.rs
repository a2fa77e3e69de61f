//! A master that sentinels watch over: they are asked where it is, for each connection anew.
//!
//! All sentinels are asked at once. The address that more than half of them name is taken at once; if fewer answer, the
//! address that most of them name, or, if several are named as often, the first of these at which there is a master. A sentinel that was cut off from the others may still name a master of the past. So
//! the server at that address is asked for its role before anything else goes over a connection.
//!
//! Many connections are made anew at once after a failover. They share an answer that was asked for after they began.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Error;
use crate::redis::answer::{ask, pairs, text};
use crate::redis::credentials::{SignIn, SignedIn};
use crate::redis::node::{Address, CONNECT_TIMEOUT, Node};
use crate::redis::of_process::OfProcess;
use crate::redis::place::{Access, Sentinels};
use crate::redis::trouble::{Refusal, Trouble};

/// How long the sentinels may take to answer. The rest of the time for a connection is the master's.
const ASK_FOR: Duration = Duration::from_secs(1);

/// The master of this name.
pub(crate) struct Watched {
    name: String,
    sentinels: Vec<Node>,
    /// How connections to the master are made.
    access: Access,
    asked: OfProcess<Mutex<Asked>>,
}

/// What the sentinels said last, and when they were asked.
#[derive(Default)]
struct Asked {
    last: Option<(Instant, Result<Vec<Node>, Trouble>)>,
    /// Settings for TLS are read from files, so a node is kept as long as its address is named.
    nodes: BTreeMap<Address, Node>,
}

/// What one sentinel says.
enum Answer {
    Master(String, u16),
    /// It watches over no master of this name.
    Unknown,
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<&str> = self
            .sentinels
            .iter()
            .map(|node| &**node.address())
            .collect();
        write!(
            f,
            "the master `{}` of the sentinels {}",
            self.name,
            addresses.join(", ")
        )
    }
}

impl Watched {
    pub(crate) fn new(sentinels: &Sentinels, sign_in: SignIn<'_>) -> Result<Self, Error> {
        let (access, of_sentinels, addresses) = sentinels.access(sign_in)?;
        let nodes = addresses
            .iter()
            .map(|(host, port)| of_sentinels.node(host, *port));
        Ok(Self {
            name: sentinels.name.clone(),
            sentinels: nodes.collect::<Result<_, _>>()?,
            access,
            asked: OfProcess::default(),
        })
    }

    /// A connection to the master, whose role was asked for.
    pub(crate) async fn connect(&self) -> Result<SignedIn, Trouble> {
        let began = Instant::now();
        let connecting = async {
            let masters = self.masters(began).await?;
            let mut answer = Err(self.none_answers(Vec::new()));
            for (before, master) in masters.iter().enumerate() {
                let left = CONNECT_TIMEOUT.saturating_sub(began.elapsed());
                let share = (masters.len() - before) as u32;
                answer = self.connect_to(master, left / share).await;
                if answer.is_ok() {
                    break;
                }
            }
            answer
        };
        timeout(CONNECT_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| {
                let why = format!("{self} accepted no connection within {CONNECT_TIMEOUT:.1?}");
                Err(Trouble::Unreachable(why))
            })
    }

    async fn connect_to(&self, master: &Node, within: Duration) -> Result<SignedIn, Trouble> {
        let mut made = master.connect(within).await?;
        self.check(&mut made.connection, master.address()).await?;
        Ok(made)
    }

    /// Where the master is, as the sentinels say when they are asked not before `since`; several places if they do not agree.
    async fn masters(&self, since: Instant) -> Result<Vec<Node>, Trouble> {
        let asked: Arc<Mutex<Asked>> = self.asked.get();
        let mut asked = asked.lock().await;
        if let Some((began, answer)) = &asked.last
            && *began >= since
        {
            return answer.clone();
        }
        let began = Instant::now();
        let answer = match self.ask().await {
            Ok(places) => self.nodes_at(&mut asked, places),
            Err(trouble) => Err(trouble),
        };
        asked.last = Some((began, answer.clone()));
        answer
    }

    fn nodes_at(&self, asked: &mut Asked, places: Vec<Address>) -> Result<Vec<Node>, Trouble> {
        asked.nodes.retain(|place, _| places.contains(place));
        for place in &places {
            if !asked.nodes.contains_key(place) {
                let node = self.access.node(&place.0, place.1);
                let node = node.map_err(|error| Trouble::Misplaced(error.to_string()))?;
                asked.nodes.insert(place.clone(), node);
            }
        }
        Ok(asked.nodes.values().cloned().collect())
    }

    async fn ask(&self) -> Result<Vec<Address>, Trouble> {
        let mut asking: FuturesUnordered<_> = self
            .sentinels
            .iter()
            .map(|sentinel| self.ask_one(sentinel))
            .collect();
        let mut votes: BTreeMap<Address, usize> = BTreeMap::new();
        let (mut unknown, mut troubles) = (0, Vec::new());
        while let Some(answer) = asking.next().await {
            match answer {
                Ok(Answer::Master(host, port)) => {
                    let place = (host, port);
                    let count = votes.entry(place.clone()).or_default();
                    *count += 1;
                    if *count * 2 > self.sentinels.len() {
                        return Ok(vec![place]);
                    }
                }
                Ok(Answer::Unknown) => unknown += 1,
                Err(trouble) => troubles.push(trouble),
            }
        }
        match votes.values().max().copied() {
            Some(most) => {
                let named = votes.into_iter().filter(|(_, count)| *count == most);
                Ok(named.map(|(place, _)| place).collect())
            }
            None if unknown > 0 => Err(Trouble::Misplaced(format!(
                "no sentinel that answers watches over a master of the name `{}` (this is {self})",
                self.name
            ))),
            None => Err(self.none_answers(troubles)),
        }
    }

    async fn ask_one(&self, sentinel: &Node) -> Result<Answer, Trouble> {
        let asking = async {
            let mut connection = sentinel.connect(ASK_FOR).await?.connection;
            let mut command = redis::cmd("SENTINEL");
            command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
            match ask(&mut connection, &command).await {
                Ok(value) => answer_in(value).ok_or_else(|| {
                    Trouble::Garbled("a sentinel names no address that can be read".to_owned())
                }),
                Err(Trouble::Refused(Refusal::NoCommand, _)) => Err(Trouble::Misplaced(format!(
                    "what answers at {} is no sentinel",
                    sentinel.address()
                ))),
                Err(trouble) => Err(trouble),
            }
        };
        let in_time = timeout(ASK_FOR, asking).await;
        in_time.unwrap_or_else(|_| Err(Trouble::timed_out(ASK_FOR)))
    }

    /// What is wrong if none of them names a master: what can be mended goes first.
    fn none_answers(&self, troubles: Vec<Trouble>) -> Trouble {
        let mut told = troubles.iter().filter_map(|trouble| match trouble {
            Trouble::Refused(refusal, words) => {
                let words = format!("{words} (a sentinel said it)");
                Some(Trouble::Refused(*refusal, words))
            }
            Trouble::Misplaced(_) | Trouble::Untrusted(_) | Trouble::Stranger(_) => {
                Some(trouble.clone())
            }
            _ => None,
        });
        told.next().unwrap_or_else(|| {
            let first = troubles.first().map(Trouble::to_string);
            let why = first.unwrap_or_default();
            Trouble::Unreachable(format!("no sentinel answers ({why}); this is {self}"))
        })
    }

    /// `ROLE` is not for every user; `HELLO` is.
    async fn check(
        &self,
        connection: &mut MultiplexedConnection,
        address: &str,
    ) -> Result<(), Trouble> {
        let role = match ask(connection, &redis::cmd("ROLE")).await {
            Err(Trouble::Refused(Refusal::NotAllowed { .. } | Refusal::NoCommand, _)) => {
                match ask(connection, &redis::cmd("HELLO")).await {
                    // Nothing is known; a replica will refuse to write.
                    Err(Trouble::Refused(Refusal::NotAllowed { .. } | Refusal::NoCommand, _)) => {
                        return Ok(());
                    }
                    answer => role_in_hello(answer?),
                }
            }
            answer => match answer? {
                Value::Array(values) => values.first().and_then(text),
                _ => None,
            },
        };
        match role.as_deref() {
            Some("master") => Ok(()),
            _ => Err(Trouble::Refused(
                Refusal::Replica,
                format!(
                    "the sentinels name {address} the master of `{}`, and it is a replica: a failover may be under \
                     way",
                    self.name
                ),
            )),
        }
    }
}

fn answer_in(value: Value) -> Option<Answer> {
    match value {
        Value::Nil => Some(Answer::Unknown),
        Value::Array(parts) => match &parts[..] {
            [host, port] => {
                let port = text(port)?.parse().ok()?;
                Some(Answer::Master(text(host)?, port))
            }
            _ => None,
        },
        _ => None,
    }
}

fn role_in_hello(value: Value) -> Option<String> {
    let named = pairs(value);
    let role = named
        .iter()
        .find(|(name, _)| text(name).as_deref() == Some("role"))?;
    text(&role.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn what_a_sentinel_says_is_read() {
        let named = answer_in(Value::Array(vec![bulk("10.0.0.5"), bulk("6379")]));
        assert!(matches!(named, Some(Answer::Master(host, 6379)) if host == "10.0.0.5"));
        assert!(matches!(answer_in(Value::Nil), Some(Answer::Unknown)));
        for nonsense in [
            Value::Array(vec![bulk("10.0.0.5")]),
            Value::Array(vec![bulk("10.0.0.5"), bulk("65536")]),
            Value::Int(1),
        ] {
            assert!(answer_in(nonsense).is_none());
        }
    }

    #[test]
    fn the_role_is_read_in_both_protocols() {
        let pair = || (bulk("role"), bulk("replica"));
        let flat = vec![bulk("proto"), Value::Int(2), pair().0, pair().1];
        for hello in [Value::Map(vec![pair()]), Value::Array(flat)] {
            assert_eq!(role_in_hello(hello).as_deref(), Some("replica"));
        }
        assert_eq!(role_in_hello(Value::Nil), None);
    }
}
