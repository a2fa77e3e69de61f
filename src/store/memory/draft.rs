//! Drafts: messages that are collected in several calls and go out together, or not at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::JobId;
use crate::job::traits::UNIQUE;
use crate::memory::Apply;
use crate::memory::enqueue::add;
use crate::memory::messages::Drafts;
use crate::memory::state::State;
use crate::store::commit::{Commit, Committed};
use crate::store::enqueue::Novelty;
use crate::store::outbox::message::Message;
use crate::store::stage::{Stage, Staged};
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// So many drafts are looked at by one call that drops some.
const DROPPED_AT_MOST: usize = 16;

impl Apply for Stage<'_> {
    fn apply(&self, state: &mut State) -> Staged {
        let drafts = &mut state.drafts;
        let is_new = self.first == 0 && !drafts.until_ms.contains_key(self.draft);
        if is_new {
            drafts.staged.entry(self.draft.to_owned()).or_default();
        }
        let Some(draft) = drafts.staged.get_mut(self.draft) else {
            return Staged::Gone;
        };
        if draft.is_sent || draft.next() > 0 || self.first > draft.total {
            return Staged::Gone;
        }
        for (number, message) in (self.first..).zip(self.messages) {
            draft.messages.insert(number, message.clone());
        }
        draft.total = draft.messages.len() as u64;
        let until_ms = state.now_us / 1_000 + self.keep_ms;
        state
            .drafts
            .until_ms
            .insert(self.draft.to_owned(), until_ms);
        Staged::Done
    }
}

impl Apply for Commit<'_> {
    fn apply(&self, state: &mut State) -> Committed {
        let is_remembered = state.drafts.until_ms.contains_key(self.draft);
        match state.drafts.staged.get(self.draft) {
            None if is_remembered => return Committed::Done { is_first: false },
            Some(draft) if draft.is_sent && is_remembered => {
                return Committed::Done { is_first: false };
            }
            Some(draft) if !draft.is_sent && draft.next() == 0 && draft.total == self.total => {}
            _ => return Committed::Gone,
        }
        if let Some((position, id)) = self.meet(state) {
            return Committed::Met { position, id };
        }
        let is_first = !state.totals.contains_key("added") && !self.jobs.is_empty();
        if !self.jobs.is_empty() {
            add(self.jobs, Novelty::New, state);
        }
        let until_ms = state.now_ms() + self.keep_ms;
        if let Some(draft) = state.drafts.staged.get_mut(self.draft) {
            draft.is_sent = true;
        }
        state
            .drafts
            .until_ms
            .insert(self.draft.to_owned(), until_ms);
        let draft = self.draft.to_owned();
        state.send(self.queue, Message::Expand { draft }.encode());
        Committed::Done { is_first }
    }
}

impl Commit<'_> {
    /// The first job that cannot be added, and which job is in its way.
    fn meet(&self, state: &mut State) -> Option<(usize, JobId)> {
        let (mut ids, mut names) = (BTreeSet::new(), BTreeMap::new());
        for (position, job) in self.jobs.iter().enumerate() {
            let name = job.record.field(UNIQUE);
            let mut other = None;
            if let Some(name) = name {
                other = match names.get(name) {
                    Some(id) => Some(JobId::clone(id)),
                    None => state.owner_of_key(name).map(|owner| owner.id),
                };
            }
            if state.jobs.contains_key(&job.id) || ids.contains(&job.id) {
                other = Some(job.id.clone());
            }
            if let Some(other) = other {
                return Some((position, other));
            }
            ids.insert(job.id.clone());
            names.extend(name.map(|name| (name, job.id.clone())));
        }
        None
    }
}

impl State {
    /// Puts a page of a draft that was committed into the outbox; whether it was the last one.
    pub(crate) fn expand(&mut self, id: &str) -> bool {
        let Some(draft) = self.drafts.staged.get_mut(id) else {
            return true;
        };
        let (mut page, mut bytes) = (Vec::new(), 0);
        while page.len() < BATCH_JOBS && bytes < BATCH_BYTES {
            let Some((_, (target, message))) = draft.messages.pop_first() else {
                break;
            };
            bytes += target.len() + 1 + message.len();
            page.push((target, message));
        }
        let is_last = draft.messages.is_empty();
        if is_last {
            self.drafts.staged.remove(id);
        }
        for (target, message) in page {
            self.send(&target, message);
        }
        is_last
    }

    /// Drops drafts that were not committed in time, up to `limit` messages in all; how many these were, or the limit if there may be more.
    pub(crate) fn drop_drafts(&mut self, limit: usize) -> usize {
        let now_ms = self.now_ms();
        let Drafts { staged, until_ms } = &mut self.drafts;
        let over = until_ms.iter().filter(|(_, until_ms)| **until_ms <= now_ms);
        let mut over: Vec<(u64, String)> =
            over.map(|(id, until_ms)| (*until_ms, id.clone())).collect();
        over.sort();
        over.truncate(DROPPED_AT_MOST);
        let mut dropped = 0;
        for (_, id) in &over {
            if let Some(draft) = staged.get_mut(id).filter(|draft| !draft.is_sent) {
                while dropped < limit && draft.messages.pop_first().is_some() {
                    dropped += 1;
                }
                if !draft.messages.is_empty() {
                    continue;
                }
                staged.remove(id);
            }
            until_ms.remove(id);
        }
        match over.len() {
            DROPPED_AT_MOST => limit,
            _ => dropped,
        }
    }
}
