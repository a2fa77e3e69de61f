//! What random sequences do to topics, and to queues that are subscribed to them.

use std::sync::Arc;

use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::MOST;
use crate::store::attach::{Attach, source_of_topic};
use crate::store::feed::Feed;
use crate::store::follow::Follow;
use crate::store::publish::Publish;
use crate::store::subscribe::{Begin, Subscribe};
use crate::store::subscribed;
use crate::store::tests::job;
use crate::store::tests::random::op::{Op, Operation};
use crate::store::tests::random::world::{World, Wrong};
use crate::store::tests::subject::START_US;
use crate::store::topic::Topic;
use crate::store::unsubscribe::Unsubscribe;

/// Something that is done to a topic, or to a queue that is subscribed to one.
#[derive(Debug, Clone)]
enum OnTopic {
    Publish {
        ids: Vec<u8>,
        keep_ms: u64,
        keep_bytes: u64,
    },
    Subscribe {
        name: &'static str,
        queue: &'static str,
        start: Option<u64>,
        wants: u8,
    },
    Unsubscribe {
        name: &'static str,
    },
    /// What comes next for a subscription that is there, or was.
    Follow {
        subscription: u8,
        stale: bool,
        ahead: u64,
        limit: usize,
        bytes: usize,
    },
    Attach {
        topic: &'static str,
        since: u64,
        name: &'static str,
        start: Option<u64>,
    },
    Subscribed {
        worker: Option<&'static str>,
        hold_ms: u64,
    },
    FeedFrom {
        topic: &'static str,
        since: u64,
        positions: Vec<u64>,
        after: u64,
        upto: u64,
    },
}

pub(in crate::store::tests) fn operation() -> impl Strategy<Value = Op> {
    let name = || select(&["x", "y"][..]);
    let topic = || select(&["t", "u"][..]);
    let publish = (
        btree_set(0..12u8, 1..6),
        select(&[0, 1_000, 90_000_000][..]),
        select(&[0, 9, 1_000][..]),
    )
        .prop_map(|(ids, keep_ms, keep_bytes)| OnTopic::Publish {
            ids: ids.into_iter().collect(),
            keep_ms,
            keep_bytes,
        });
    let start = select(
        &[
            None,
            Some(0),
            Some(START_US + 2),
            Some(START_US + 2_000_000),
        ][..],
    );
    let subscribe = (name(), select(&["q", "q", "r"][..]), start, any::<u8>()).prop_map(
        |(name, queue, start, wants)| OnTopic::Subscribe {
            name,
            queue,
            start,
            wants,
        },
    );
    let follow = (
        (any::<u8>(), prop::bool::weighted(0.1)),
        select(&[0, 0, 0, 1, 2, 7, 5_000_000][..]),
        select(&[1, 3, 256][..]),
        select(&[1, 4, 1_000][..]),
    )
        .prop_map(
            |((subscription, stale), ahead, limit, bytes)| OnTopic::Follow {
                subscription,
                stale,
                ahead,
                limit,
                bytes,
            },
        );
    let attach = (topic(), 1..4u64, name(), option::weighted(0.7, 0..9u64)).prop_map(
        |(topic, since, name, start)| OnTopic::Attach {
            topic,
            since,
            name,
            start,
        },
    );
    let subscribed = (
        option::weighted(0.8, select(&["v", "w"][..])),
        select(&[0, 900, 3_000][..]),
    )
        .prop_map(|(worker, hold_ms)| OnTopic::Subscribed { worker, hold_ms });
    let feed = (
        (topic(), 1..4u64),
        btree_set(0..20u64, 0..3),
        0..12u64,
        20..24u64,
    )
        .prop_map(
            |((topic, since), positions, after, upto)| OnTopic::FeedFrom {
                topic,
                since,
                positions: positions.into_iter().collect(),
                after,
                upto,
            },
        );
    prop_oneof![
        5 => publish,
        3 => subscribe,
        1 => name().prop_map(|name| OnTopic::Unsubscribe { name }),
        6 => follow,
        3 => attach,
        3 => subscribed,
        3 => feed,
    ]
    .prop_map(|what| Op::Other(Arc::new(what)))
}

impl Operation for OnTopic {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        match self.clone() {
            Self::Publish {
                ids,
                keep_ms,
                keep_bytes,
            } => {
                let ids: Vec<String> = ids.iter().map(|id| format!("event-{id}")).collect();
                let events: Vec<_> = ids
                    .iter()
                    .map(|id| (&id[..], &id.as_bytes()[4..]))
                    .collect();
                world.both(&Publish {
                    events: &events,
                    keep_ms,
                    keep_bytes,
                })?;
            }
            Self::Subscribe {
                name,
                queue,
                start,
                wants,
            } => {
                let start = match start {
                    None => Begin::Now,
                    Some(0) => Begin::Kept,
                    Some(position) => Begin::From(position),
                };
                world.both(&Subscribe {
                    name,
                    queue,
                    start,
                    wants: &[wants, 0, b' '],
                    most: 2,
                })?;
            }
            Self::Unsubscribe { name } => world.both(&Unsubscribe { name, since: None })?,
            Self::Follow {
                subscription,
                stale,
                ahead,
                limit,
                bytes,
            } => {
                let known = world.memory.call(&Topic).subscriptions;
                if known.is_empty() {
                    return world.both(&Follow {
                        name: "x",
                        since: 1,
                        after: 0,
                        limit,
                        bytes,
                    });
                }
                let it = &known[usize::from(subscription) % known.len()];
                let behind = it.next.filter(|_| ahead < 9).unwrap_or(it.position);
                let after = match ahead {
                    7 => it.position.saturating_sub(1),
                    ahead => behind + ahead,
                };
                world.both(&Follow {
                    name: &it.name,
                    since: it.since + u64::from(stale),
                    after,
                    limit,
                    bytes,
                })?;
            }
            Self::Attach {
                topic,
                since,
                name,
                start,
            } => world.both(&Attach {
                topic,
                since,
                name,
                start,
                most: 2,
            })?,
            Self::Subscribed { worker, hold_ms } => {
                let without = if hold_ms == 900 {
                    vec!["t".to_owned()]
                } else {
                    Vec::new()
                };
                world.both(&subscribed::Subscribed {
                    worker,
                    hold_ms,
                    without: &without,
                    most: 1,
                })?;
            }
            Self::FeedFrom {
                topic,
                since,
                positions,
                after,
                upto,
            } => {
                let jobs: Vec<_> = positions
                    .iter()
                    .map(|at| job(&format!("fed-{at}")))
                    .collect();
                world.both(&Feed {
                    source: &source_of_topic(topic, since),
                    positions: &positions,
                    after: Some(after),
                    upto: Some(upto),
                    token: &format!("t{after}"),
                    most: MOST,
                    jobs: &jobs.iter().collect::<Vec<_>>(),
                })?;
            }
        }
        world.both(&Topic)
    }
}
