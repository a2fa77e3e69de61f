//! The log of a topic, and its subscriptions.

use std::collections::BTreeMap;

use crate::memory::Apply;
use crate::memory::state::State;
use crate::redis::stream::{self, EntryId};
use crate::store::follow::{Event, Follow, Followed, Page};
use crate::store::publish::{Place, Publish};
use crate::store::subscribe::{Begin, Subscribe, Subscribed};
use crate::store::topic::{Found, Standing, Topic};
use crate::store::unsubscribe::{Removed, Unsubscribe};

/// A queue that stands further ahead than this has another clock.
const DAY_US: u64 = 86_400_000_000;

#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Something was ever stored.
    pub(crate) is_there: bool,
    /// Position and number of the last event.
    pub(crate) position: u64,
    pub(crate) number: u64,
    /// The position of the last event that was dropped.
    pub(crate) dropped: u64,
    /// The number of the last subscription.
    pub(crate) since: u64,
    /// By position.
    pub(crate) events: BTreeMap<u64, Entry>,
    /// Each by its name.
    pub(crate) subscriptions: BTreeMap<String, Standing>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) bytes: Vec<u8>,
}

impl Kept {
    pub(crate) fn bytes(&self) -> u64 {
        let sizes = self.events.values().map(|entry| entry.bytes.len() as u64);
        sizes.sum()
    }

    pub(crate) fn youngest(&self) -> Option<EntryId> {
        let (position, entry) = self.events.last_key_value()?;
        Some((*position, entry.number))
    }

    /// Those behind this place, without what is in them.
    pub(crate) fn behind(&self, after: EntryId, count: usize) -> Vec<stream::Entry> {
        let all = self.events.range(after.0..);
        let ids = all.map(|(position, entry)| (*position, entry.number));
        let behind = ids.filter(|id| *id > after).take(count);
        let fields = Vec::new;
        behind
            .map(|id| stream::Entry {
                id,
                fields: fields(),
            })
            .collect()
    }

    /// Drops the oldest events, which have those bytes more, as a script does it page by page.
    fn drop_old(&mut self, added: u64, oldest_us: u64, keep_bytes: u64, mut left: i64) -> bool {
        let mut bytes = self.bytes() + added;
        let (mut read, mut largest, mut step, mut any) = (0, 0, 1, false);
        while left > 0 && read < DROPPED_BYTES_MAX {
            let found = self.events.len().min(step);
            left = if found > 0 { left - found as i64 } else { 0 };
            for _ in 0..found {
                let Some(entry) = self.events.first_entry() else {
                    break;
                };
                if *entry.key() >= oldest_us && bytes <= keep_bytes {
                    left = 0;
                    break;
                }
                self.dropped = *entry.key();
                let size = entry.remove().bytes.len() as u64;
                (bytes, read, largest) = (bytes - size, read + size, largest.max(size));
                any = true;
            }
            step = at_once(DROPPED_BYTES_MAX.saturating_sub(read), largest);
        }
        any
    }
}

/// One call drops no more once it has read so many bytes.
const DROPPED_BYTES_MAX: u64 = 1024 * 1024;

/// How many events a script reads next (`lua/lib/topic_log.lua`).
fn at_once(bytes: u64, largest: u64) -> usize {
    (bytes / largest.max(1)).clamp(1, 32) as usize
}

impl Apply for Publish<'_> {
    fn apply(&self, state: &mut State) -> Vec<Place> {
        let (now_us, topic) = (state.now_us, &mut state.topic);
        let mut new = BTreeMap::new();
        let mut place = |(id, bytes): &(&str, &[u8])| {
            let mut known = topic.events.iter();
            if let Some((position, _)) = known.find(|(_, entry)| entry.id == *id) {
                return Place {
                    position: *position,
                    is_new: false,
                };
            }
            topic.position = now_us.max(topic.position + 1);
            topic.number += 1;
            let entry = Entry {
                number: topic.number,
                id: (*id).to_owned(),
                bytes: bytes.to_vec(),
            };
            new.insert(topic.position, entry);
            Place {
                position: topic.position,
                is_new: true,
            }
        };
        let places = self.events.iter().map(&mut place).collect();
        let added = new.values().map(|entry| entry.bytes.len() as u64).sum();
        let oldest_us = now_us.saturating_sub(self.keep_ms * 1_000);
        let left = 2 * self.events.len() as i64 + 16;
        let dropped = topic.drop_old(added, oldest_us, self.keep_bytes, left);
        topic.is_there |= dropped || !new.is_empty();
        topic.events.append(&mut new);
        places
    }
}

impl Apply for Subscribe<'_> {
    fn apply(&self, state: &mut State) -> Subscribed {
        let (now_us, topic) = (state.now_us, &mut state.topic);
        if let Some(known) = topic.subscriptions.get_mut(self.name) {
            if known.queue != self.queue {
                return Subscribed::Other(known.queue.clone());
            }
            known.wants = self.wants.to_vec();
            return Subscribed::Done {
                since: known.since,
                position: known.position,
                is_new: false,
            };
        }
        if topic.subscriptions.len() >= self.most {
            return Subscribed::Full;
        }
        let from = match self.start {
            Begin::Now => u64::MAX,
            Begin::Kept => 0,
            Begin::From(position) => position,
        };
        let first = topic.events.range(from..).next();
        let (position, number) = first
            .map_or((topic.position, topic.number), |(position, entry)| {
                (position - 1, entry.number - 1)
            });
        topic.since = now_us.max(topic.since + 1);
        topic.is_there = true;
        let standing = Standing {
            name: self.name.to_owned(),
            since: topic.since,
            queue: self.queue.to_owned(),
            position,
            number,
            missed: 0,
            wants: self.wants.to_vec(),
            next: None,
        };
        topic.subscriptions.insert(self.name.to_owned(), standing);
        Subscribed::Done {
            since: topic.since,
            position,
            is_new: true,
        }
    }
}

impl Apply for Unsubscribe<'_> {
    fn apply(&self, state: &mut State) -> Option<Removed> {
        let known = state.topic.subscriptions.get(self.name)?;
        if self.since.is_some_and(|since| since != known.since) {
            return None;
        }
        let removed = state.topic.subscriptions.remove(self.name)?;
        Some(Removed {
            since: removed.since,
            queue: removed.queue,
        })
    }
}

impl Apply for Follow<'_> {
    fn apply(&self, state: &mut State) -> Followed {
        let (now_us, topic) = (state.now_us, &mut state.topic);
        let known = topic.subscriptions.get_mut(self.name);
        let Some(it) = known.filter(|it| it.since == self.since) else {
            return Followed::Gone;
        };
        let mut bytes = 0;
        let behind = topic.events.range(self.after + 1..).take(self.limit);
        let fitting = behind.take_while(|(_, entry)| {
            let fits = bytes < self.bytes;
            bytes += entry.bytes.len();
            fits
        });
        let found: Vec<(&u64, &Entry)> = fitting.collect();
        let next = found
            .first()
            .map_or(topic.number + 1, |(_, entry)| entry.number);
        let events = found.into_iter().map(|(position, entry)| Event {
            position: *position,
            bytes: entry.bytes.clone(),
        });
        let events = events.collect();
        it.position = it.position.max(self.after);
        if self.after > topic.position && self.after <= now_us + DAY_US {
            topic.position = self.after;
            topic.is_there = true;
        }
        let mut missed = 0;
        if topic.dropped > self.after {
            missed = (next - 1).saturating_sub(it.number);
            it.number += missed;
            it.missed += missed;
        } else if self.after >= it.position {
            it.number = next - 1;
        }
        Followed::Page(Page {
            missed,
            last: topic.position,
            wants: it.wants.clone(),
            events,
        })
    }
}

impl Apply for Topic {
    fn apply(&self, state: &mut State) -> Found {
        let topic = &state.topic;
        let next_from = |position| {
            let mut behind = topic.events.range(position..);
            behind.next().map(|(position, _)| *position)
        };
        let subscriptions = topic.subscriptions.values().map(|it| Standing {
            next: next_from(it.position + 1).filter(|_| it.position < topic.position),
            ..it.clone()
        });
        Found {
            now_ms: state.now_ms(),
            is_there: topic.is_there,
            last: topic.position,
            last_number: topic.number,
            bytes: topic.bytes(),
            kept: topic.events.len() as u64,
            first: next_from(0),
            subscriptions: subscriptions.collect(),
        }
    }
}
