//! Flows over several queues in the random sequences: what other queues send to this one.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::random::op::{IDS, Op, Operation};
use super::super::random::world::{World, Wrong, names};
use super::super::{outbox, with};
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::policy::flow::{ChildOf, KnownChild, OnDeath, Standing};
use crate::store::outbox::Numbered;
use crate::store::outbox::message::{ExpectedChild, Message};
use crate::store::receive::Receive;
use crate::store::tests::random::world::same;

/// The queue that sends them, and how many children each parent has.
const SOURCE: &str = "films";
const CHILDREN: u8 = 3;

/// What is sent of the family of one parent.
#[derive(Debug, Clone, Copy)]
enum What {
    Parent {
        is_far: bool,
    },
    Children,
    /// A child, whose parent is here or elsewhere.
    Child {
        number: u8,
        is_far: bool,
        has_key: bool,
    },
    News {
        number: u8,
        standing: Standing,
    },
}

#[derive(Debug)]
struct Sent {
    parent: u8,
    what: Vec<What>,
    /// The relay is late: it brings what was taken before.
    again: bool,
}

fn id_of(number: u8) -> JobId {
    names(&[number]).remove(0)
}

fn child_id(parent: u8, number: u8) -> JobId {
    id_of((3 * parent + number + 1) % IDS)
}

/// What the death of a child means follows from its number.
pub(in crate::store::tests) fn meaning(number: u64) -> OnDeath {
    [OnDeath::Hold, OnDeath::Fail, OnDeath::GoOn][number as usize % 3]
}

fn child_of(parent: u8, number: u8, is_far: bool) -> ChildOf {
    ChildOf {
        queue: is_far.then(|| "home".to_owned()),
        // Some were sent by this queue.
        route: (is_far && number > 0).then(|| SOURCE.to_owned()),
        parent: id_of(parent),
        number: number.into(),
        on_death: meaning(number.into()),
        of_step: None,
    }
}

/// What the parent knows of this child, if it is one of those that are sent here.
fn known(world: &World<'_>, parent: u8, number: u8) -> Option<KnownChild> {
    let field = format!("{}#child{number}", id_of(parent));
    let known = KnownChild::decode(world.last.get("attempts", &field)?).ok()?;
    (known.queue.is_some() && known.id == child_id(parent, number)).then_some(known)
}

fn message(world: &World<'_>, parent: u8, what: What) -> Option<Message> {
    Some(match what {
        What::Parent { is_far } => {
            let options = JobOptions {
                children: CHILDREN.into(),
                child_of: is_far.then(|| child_of(parent ^ 1, 1, true)),
                ..JobOptions::new()
            };
            Message::Job(with(id_of(parent).as_str(), &options))
        }
        What::Children => Message::Children {
            parent: id_of(parent),
            children: (0..CHILDREN)
                .map(|number| ExpectedChild {
                    number: number.into(),
                    queue: Some("there".to_owned()),
                    id: child_id(parent, number),
                    name: "test".to_owned(),
                })
                .collect(),
        },
        What::Child {
            number,
            is_far,
            has_key,
        } => {
            // No other queue has sent it to a parent that knows nothing of it.
            known(world, parent, number)
                .filter(|_| !is_far)
                .map(drop)
                .or(is_far.then_some(()))?;
            let options = match has_key {
                true => JobOptions::new().unique("x"),
                false => JobOptions::new(),
            };
            let options = JobOptions {
                child_of: Some(child_of(parent, number, is_far)),
                ..options
            };
            Message::Job(with(child_id(parent, number).as_str(), &options))
        }
        What::News { number, standing } => {
            known(world, parent, number)?;
            Message::Child {
                parent: id_of(parent),
                number: number.into(),
                id: child_id(parent, number),
                standing,
                on_death: meaning(number.into()),
                ended_ms: 17,
                ending: match standing {
                    Standing::Refused => b"taken".to_vec(),
                    _ => vec![0xc0],
                },
            }
        }
    })
}

impl Operation for Sent {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let messages = self
            .what
            .iter()
            .filter_map(|what| message(world, self.parent, *what));
        let messages = messages.map(|message| message.encode()).collect();
        let last = world.last.get("sources", SOURCE);
        let last = last.map_or(0, |text| String::from_utf8_lossy(text).parse().unwrap());
        let first = if self.again {
            last.max(2) - 1
        } else {
            last + 1
        };
        let mut left: Vec<Numbered> = outbox::numbered(first, messages);
        while !left.is_empty() {
            let verb = Receive {
                source: SOURCE,
                messages: &left,
            };
            let redis = world.redis.call(&verb)?;
            same("receive", &redis, &world.memory.call(&verb))?;
            left.retain(|it| it.position > redis.position);
            if redis.taken == 0 {
                break;
            }
        }
        Ok(())
    }
}

pub(in crate::store::tests) fn operation() -> impl Strategy<Value = Op> {
    let standings = vec![
        Standing::Ended,
        Standing::Ended,
        Standing::Dead,
        Standing::Removed,
        Standing::Refused,
    ];
    let what = prop_oneof![
        2 => any::<bool>().prop_map(|is_far| What::Parent { is_far }),
        2 => Just(What::Children),
        3 => (0..CHILDREN, any::<bool>(), prop::bool::weighted(0.3))
            .prop_map(|(number, is_far, has_key)| What::Child { number, is_far, has_key }),
        5 => (0..CHILDREN, select(standings))
            .prop_map(|(number, standing)| What::News { number, standing }),
    ];
    let together = Just(vec![What::Parent { is_far: false }, What::Children]);
    let what = prop_oneof![3 => vec(what, 1..5), 1 => together];
    (0..4u8, what, prop::bool::weighted(0.1)).prop_map(|(parent, what, again)| {
        Op::Other(Arc::new(Sent {
            parent,
            what,
            again,
        }))
    })
}
