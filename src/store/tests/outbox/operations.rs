//! What random sequences do with messages: the queue sends to itself and to another one, relays are late, and meet one another.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::store::tests::random::op::{IDS, Op, Operation};
use crate::store::tests::random::world::{World, Wrong, names, same};

/// More than one page.
const MANY: usize = 300;
const KEEP_MS: u64 = 60_000;

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A job that is followed; and one of those that there are few of.
    Job {
        bytes: usize,
        delay_ms: Option<u64>,
    },
    Other(u8),
    Cancel(u8),
    /// To the queue itself, by way of the queue itself; or to another one.
    Forward {
        back: bool,
    },
    /// To another queue.
    Elsewhere,
    Unknown,
    Garbled,
}

/// Messages go out, by way of a draft or at once.
#[derive(Debug)]
enum Out {
    Stage {
        draft: u8,
        kinds: Vec<Kind>,
        gap: bool,
    },
    Flood {
        draft: u8,
    },
    Commit {
        draft: u8,
        jobs: Vec<u8>,
        key: Option<&'static str>,
        part: bool,
    },
    /// From a queue elsewhere: positions that rise by so much.
    In {
        kinds: Vec<Kind>,
        from: u64,
        step: u64,
    },
}

/// What a relay does, one call at a time.
#[derive(Debug, Clone)]
enum Carry {
    Read {
        from: &'static str,
        limit: usize,
        bytes: usize,
    },
    Deliver {
        hand: u8,
    },
    Confirm {
        hand: u8,
    },
    Whole,
}

fn kind() -> impl Strategy<Value = Kind> {
    let bytes = select(&[1, 1, 3_000][..]);
    let delay_ms = option::weighted(0.2, Just(900));
    prop_oneof![
        6 => (bytes, delay_ms).prop_map(|(bytes, delay_ms)| Kind::Job { bytes, delay_ms }),
        2 => (0..IDS).prop_map(Kind::Other),
        1 => (0..IDS).prop_map(Kind::Cancel),
        1 => any::<bool>().prop_map(|back| Kind::Forward { back }),
        2 => Just(Kind::Elsewhere),
    ]
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![8 => kind(), 1 => Just(Kind::Unknown), 1 => Just(Kind::Garbled)]
}

pub(in crate::store::tests) fn operation() -> impl Strategy<Value = Op> {
    let draft = || 0..2u8;
    let key = option::weighted(0.3, select(&["x", "y"][..]));
    prop_oneof![
        5 => (draft(), vec(kind(), 1..5), prop::bool::weighted(0.1))
            .prop_map(|(draft, kinds, gap)| Out::Stage { draft, kinds, gap }),
        1 => draft().prop_map(|draft| Out::Flood { draft }),
        5 => (draft(), vec(0..IDS, 0..2), key, prop::bool::weighted(0.15))
            .prop_map(|(draft, jobs, key, part)| Out::Commit { draft, jobs, key, part }),
        2 => (vec(any_kind(), 1..5), 0..6u64, 1..3u64)
            .prop_map(|(kinds, from, step)| Out::In { kinds, from, step }),
    ]
    .prop_map(|out| Op::Other(Arc::new(out)))
}

pub(in crate::store::tests) fn carry() -> impl Strategy<Value = Op> {
    let from = select(&["", "other", "p", "z"][..]);
    let limit = select(&[0, 1, 2, 256][..]);
    let bytes = select(&[1, 200, BATCH_BYTES][..]);
    let hand = || 0..4u8;
    prop_oneof![
        3 => (from, limit, bytes).prop_map(|(from, limit, bytes)| Carry::Read { from, limit, bytes }),
        3 => hand().prop_map(|hand| Carry::Deliver { hand }),
        3 => hand().prop_map(|hand| Carry::Confirm { hand }),
        4 => Just(Carry::Whole),
    ]
    .prop_map(|carry| Op::Other(Arc::new(carry)))
}

/// The target and the message, and the number by which it is followed.
fn message(kind: Kind, world: &mut World<'_>) -> (String, Vec<u8>, Option<u64>) {
    let followed = |world: &mut World<'_>, bytes, delay_ms: Option<u64>| {
        let (number, id) = world.messages.mark();
        let payload = vec![0xc0; bytes];
        let record = EncodedRecord::new("test", payload, &JobOptions::new(), Vec::new());
        let due = delay_ms.map_or(Due::Now, |ms| Due::After { ms });
        let job = NewJob {
            record,
            due,
            ..job(&id)
        };
        (Message::Job(job).encode(), Some(number))
    };
    let here = |(message, number)| (RIG.to_owned(), message, number);
    match kind {
        Kind::Job { bytes, delay_ms } => here(followed(world, bytes, delay_ms)),
        Kind::Elsewhere => {
            let (message, number) = followed(world, 1, None);
            ("other".to_owned(), message, number)
        }
        Kind::Other(id) => {
            let id = names(&[id]).remove(0);
            here((Message::Job(job(id.as_str())).encode(), None))
        }
        Kind::Cancel(id) => here((cancel(&names(&[id])).remove(0), None)),
        Kind::Forward { back } => {
            let (message, number) = followed(world, 1, None);
            let target = if back { RIG } else { "other" }.to_owned();
            here((Message::Forward { target, message }.encode(), number))
        }
        Kind::Unknown => here((b"newer than this".to_vec(), None)),
        Kind::Garbled => here((b"job \0\0\0\xff".to_vec(), None)),
    }
}

fn draft(number: u8, world: &World<'_>) -> String {
    format!("draft-{number}-{}", world.messages.named)
}

impl Operation for Out {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        match self {
            Self::Stage {
                draft: number,
                kinds,
                gap,
            } => {
                let draft = draft(*number, world);
                let made = kinds.iter().map(|kind| message(*kind, world)).collect();
                stage(world, &draft, made, *gap)
            }
            Self::Flood { draft: number } => {
                let draft = draft(*number, world);
                let kind = Kind::Job {
                    bytes: 1,
                    delay_ms: None,
                };
                let made = (0..MANY).map(|_| message(kind, world)).collect();
                stage(world, &draft, made, false)
            }
            Self::Commit {
                draft: number,
                jobs,
                key,
                part,
            } => {
                let draft = draft(*number, world);
                let options = key.map_or_else(JobOptions::new, |key| {
                    JobOptions::new().unique(Unique::by(key))
                });
                let jobs = names(jobs);
                let jobs: Vec<_> = jobs.iter().map(|id| with(id.as_str(), &options)).collect();
                let jobs: Vec<&NewJob> = jobs.iter().collect();
                let known = staged(world, &draft);
                let verb = Commit {
                    queue: RIG,
                    draft: &draft,
                    total: known.unwrap_or(0) + u64::from(*part),
                    keep_ms: KEEP_MS,
                    jobs: &jobs,
                };
                let redis = world.redis.call(&verb)?;
                same("commit", &redis, &world.memory.call(&verb))?;
                if let Committed::Done { .. } = redis {
                    world.messages.commit(&draft);
                    if known.is_some() {
                        // The next drafts are others.
                        world.messages.named += 1;
                    }
                }
                Ok(())
            }
            Self::In { kinds, from, step } => {
                let made: Vec<_> = kinds.iter().map(|kind| message(*kind, world).1).collect();
                let messages = made.into_iter().enumerate().map(|(at, message)| Numbered {
                    position: 1 + from + at as u64 * step,
                    message,
                });
                let messages = &messages.collect::<Vec<_>>()[..];
                let source = "elsewhere";
                world.both(&Receive { source, messages })
            }
        }
    }
}

/// How many messages a draft has that is not committed.
fn staged(world: &World<'_>, draft: &str) -> Option<u64> {
    let text = world.last.get("staged", draft)?;
    let text = String::from_utf8_lossy(text).into_owned();
    let (_, total) = text.split_once(' ')?;
    total.parse().ok()
}

fn stage(
    world: &mut World<'_>,
    draft: &str,
    made: Vec<(String, Vec<u8>, Option<u64>)>,
    gap: bool,
) -> Result<(), Wrong> {
    let known = staged(world, draft);
    if known.is_none() {
        world.messages.drafts.remove(draft);
    }
    let first = known.unwrap_or(0) + u64::from(gap);
    let numbers: Vec<u64> = made.iter().filter_map(|(.., number)| *number).collect();
    let messages = made
        .into_iter()
        .map(|(target, message, _)| (target, message));
    let verb = Stage {
        draft,
        first,
        messages: &messages.collect::<Vec<_>>(),
        keep_ms: KEEP_MS,
    };
    let redis = world.redis.call(&verb)?;
    same("stage", &redis, &world.memory.call(&verb))?;
    if redis == Staged::Done {
        let draft = world.messages.drafts.entry(draft.to_owned());
        draft.or_default().extend(numbers);
    }
    Ok(())
}

impl Operation for Carry {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        match self {
            Self::Read { from, limit, bytes } => read(world, from, *limit, *bytes),
            Self::Deliver { hand } => deliver(world, *hand),
            Self::Confirm { hand } => confirm(world, *hand),
            Self::Whole => {
                for target in ["other", RIG] {
                    read(world, target, BATCH_JOBS, BATCH_BYTES)?;
                    let hand = world.messages.hands.len().saturating_sub(1) as u8;
                    deliver(world, hand)?;
                    confirm(world, hand)?;
                }
                Ok(())
            }
        }
    }
}

fn read(world: &mut World<'_>, from: &str, limit: usize, bytes: usize) -> Result<(), Wrong> {
    const HANDS: usize = 4;
    let verb = Outbox { from, limit, bytes };
    let redis = world.redis.call(&verb)?;
    same("outbox", &redis, &world.memory.call(&verb))?;
    if let Some(waiting) = redis.filter(|waiting| !waiting.messages.is_empty()) {
        let hands = &mut world.messages.hands;
        if hands.len() == HANDS {
            hands.remove(0);
        }
        hands.push((waiting, None));
    }
    Ok(())
}

/// The queue takes in what is for it; what is for another one is taken there.
fn deliver(world: &mut World<'_>, hand: u8) -> Result<(), Wrong> {
    let Some((waiting, _)) = world.messages.hands.get(usize::from(hand)).cloned() else {
        return Ok(());
    };
    let last = waiting.messages.last().map(|last| last.position);
    if waiting.target != RIG {
        world.messages.hands[usize::from(hand)].1 = last;
        return Ok(());
    }
    let verb = Receive {
        source: RIG,
        messages: &waiting.messages,
    };
    let held = world.redis.dump();
    let before = held.get("sources", RIG);
    let before = before.map_or(0, |text| String::from_utf8_lossy(text).parse().unwrap());
    let redis = world.redis.call(&verb)?;
    same("receive", &redis, &world.memory.call(&verb))?;
    let new = waiting.messages.iter().filter(|it| it.position > before);
    for taken in new.take(redis.taken as usize) {
        // What is to be sent on is on its way now.
        if kind_of(&taken.message) == "job" {
            world.messages.take(&taken.message)?;
        }
    }
    let position = last.map(|last| last.min(redis.position));
    world.messages.hands[usize::from(hand)].1 = position;
    Ok(())
}

fn confirm(world: &mut World<'_>, hand: u8) -> Result<(), Wrong> {
    let Some((waiting, Some(position))) = world.messages.hands.get(usize::from(hand)).cloned()
    else {
        // A relay that comes late confirms what is gone.
        let (target, position) = ("other", 0);
        return world.both(&Sent { target, position });
    };
    let target = &waiting.target[..];
    if target != RIG {
        let held = world.redis.dump();
        let gone = held
            .outbox()
            .filter(|(of, at, _)| *of == target && *at <= position);
        for (.., message) in gone {
            world.messages.take(message)?;
        }
    }
    world.both(&Sent { target, position })
}
