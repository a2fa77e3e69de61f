//! The log of a topic, and its subscriptions.

use std::collections::BTreeMap;

use crate::memory::Apply;
use crate::memory::state::State;
use crate::redis::stream::{self, EntryId};
use crate::store::follow::{Event, Follow, Followed, Page};
use crate::store::publish::{Publish, Published};
use crate::store::subscribe::{Begin, Subscribe, Subscribed};
use crate::store::topic::{Found, Standing, Topic};
use crate::store::unsubscribe::{Removed, Unsubscribe};

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

    /// Drops the oldest events, but for those from this position on.
    fn drop_old(&mut self, first: u64, oldest_us: u64, keep_bytes: u64, most: usize) -> bool {
        let mut bytes = self.bytes();
        let mut dropped = 0;
        while let Some(entry) = self.events.first_entry()
            && dropped < most
            && *entry.key() < first
            && (*entry.key() < oldest_us || bytes > keep_bytes)
        {
            self.dropped = *entry.key();
            bytes -= entry.remove().bytes.len() as u64;
            dropped += 1;
        }
        dropped > 0
    }
}

/// So many are dropped in one call: a script looks at one, and then at pages of 16.
fn dropped_at_most(added: usize) -> usize {
    let left = 2 * added + 16;
    1 + (left - 1).div_ceil(16) * 16
}

impl Apply for Publish<'_> {
    fn apply(&self, state: &mut State) -> Published {
        let (now_us, topic) = (state.now_us, &mut state.topic);
        let is_first = !topic.is_there;
        let mut first = u64::MAX;
        let mut place = |(id, bytes): &(&str, &[u8])| {
            let mut known = topic.events.iter();
            if let Some((position, _)) = known.find(|(_, entry)| entry.id == *id) {
                return *position;
            }
            topic.position = now_us.max(topic.position + 1);
            topic.number += 1;
            first = first.min(topic.position);
            let entry = Entry {
                number: topic.number,
                id: (*id).to_owned(),
                bytes: bytes.to_vec(),
            };
            topic.events.insert(topic.position, entry);
            topic.position
        };
        let positions = self.events.iter().map(&mut place).collect();
        let oldest_us = now_us.saturating_sub(self.keep_ms * 1_000);
        let most = dropped_at_most(self.events.len());
        let dropped = topic.drop_old(first, oldest_us, self.keep_bytes, most);
        topic.is_there |= first < u64::MAX || dropped;
        Published {
            positions,
            is_first,
        }
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
                is_first: false,
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
        let is_first = !topic.is_there;
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
            is_first,
        }
    }
}

impl Apply for Unsubscribe<'_> {
    fn apply(&self, state: &mut State) -> Option<Removed> {
        let removed = state.topic.subscriptions.remove(self.name)?;
        Some(Removed {
            since: removed.since,
            queue: removed.queue,
        })
    }
}

impl Apply for Follow<'_> {
    fn apply(&self, state: &mut State) -> Followed {
        let topic = &mut state.topic;
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
        let events = fitting.map(|(position, entry)| Event {
            position: *position,
            number: entry.number,
            bytes: entry.bytes.clone(),
        });
        let events: Vec<Event> = events.collect();
        if self.after > it.position {
            it.position = self.after;
            it.number = it.number.max(self.number);
        }
        if self.after > topic.position {
            topic.position = self.after;
            topic.is_there = true;
        }
        let mut missed = 0;
        if topic.dropped > self.after {
            let first = events
                .first()
                .map_or(topic.number + 1, |event| event.number);
            missed = (first - 1).saturating_sub(it.number);
            it.number += missed;
            it.missed += missed;
        }
        Followed::Page(Page {
            missed,
            last: topic.position,
            last_number: topic.number,
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
            next: next_from(it.position + 1),
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
