//! What went wrong with a job so far: counters, and the last twenty attempts.

use std::collections::VecDeque;

use crate::codec;
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind, Counters};
use crate::memory::children::Children;
use crate::memory::log::Said;
use crate::memory::saga::Saga;
use crate::memory::state::State;
use crate::memory::steps::Kept;
use crate::store::import::Beside;

const ATTEMPTS_KEPT: usize = 20;

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) counters: Counters,
    /// It was snoozed once: what is stored has counters for that.
    was_snoozed: bool,
    /// Each: when it began, when it ended, and what the worker sent of it.
    pub(crate) attempts: VecDeque<Vec<u8>>,
    /// Its log.
    pub(crate) said: Said,
    /// Once it has begun a step of a saga.
    pub(crate) saga: Option<Saga>,
    /// What it knows of its children.
    pub(crate) children: Children,
    /// Its steps.
    pub(crate) kept: Kept,
    /// Its replies, the first one first.
    pub(crate) replies: Vec<Vec<u8>>,
}

impl History {
    /// One that was stored elsewhere.
    pub(crate) fn imported(counters: &[u8], attempts: &[Vec<u8>], beside: &Beside) -> Self {
        const WITHOUT_SNOOZES: usize = 4;
        let stored: Vec<u64> = codec::decode_plain("counters", counters).unwrap_or_default();
        Self {
            counters: Counters::decode(counters).unwrap_or_default(),
            was_snoozed: stored.len() > WITHOUT_SNOOZES,
            attempts: attempts.iter().cloned().collect(),
            said: Said::default(),
            saga: beside.field("undo").map(Saga::stored),
            children: Children::stored(beside),
            kept: Kept::stored(beside),
            replies: Vec::new(),
        }
    }

    /// Whether a handler has begun an attempt: such attempts are recorded, unless they were released, and snoozes are counted. A
    /// job that died because no handler could take it has only attempts that did not begin.
    pub(crate) fn has_begun(&self) -> bool {
        let began = |attempt: &Vec<u8>| {
            let entry = attempt.get(2 * stamp(0).len()..).unwrap_or_default();
            let kind = codec::decode_plain::<AttemptEntry>("an attempt", entry);
            !kind.is_ok_and(|entry| {
                matches!(
                    entry.kind,
                    AttemptKind::UnknownName | AttemptKind::Undecodable | AttemptKind::ChildDied
                )
            })
        };
        let has_more = self.attempts.len() < self.counters.recorded as usize;
        let Counters {
            snoozes,
            snoozed_since_ms,
            ..
        } = self.counters;
        // With children the other counters are there in any case.
        let of_children = self.children.total > 0 && self.replies.is_empty();
        let was_snoozed = match of_children {
            true => snoozes > 0 || snoozed_since_ms > 0,
            false => self.was_snoozed,
        };
        let has_steps = self.kept.last.is_some_and(|last| !of_children || last > 0);
        let has_said = was_snoozed || self.said.logged > 0 || has_steps;
        has_more || has_said || self.attempts.iter().any(began)
    }

    /// As Redis holds the counters.
    pub(crate) fn encode_counters(&self) -> Vec<u8> {
        let Counters {
            failed,
            bounces,
            bounced_since_ms,
            recorded,
            snoozes,
            snoozed_since_ms,
            has_steps: _,
            replies: _,
            reply_bytes: _,
        } = self.counters;
        let mut counters = vec![
            u64::from(failed),
            u64::from(bounces),
            bounced_since_ms,
            recorded,
        ];
        let (logged, last) = (self.said.logged, self.kept.last);
        let total = u64::from(self.children.total);
        let last = last.or((total > 0).then_some(0));
        if self.was_snoozed || logged > 0 || last.is_some() {
            counters.extend([u64::from(snoozes), snoozed_since_ms]);
        }
        if logged > 0 || last.is_some() {
            counters.push(logged);
        }
        counters.extend(last.map(u64::from));
        let replies = self.replies.len() as u64;
        counters.extend((total > 0 || replies > 0).then_some(total));
        if replies > 0 {
            let bytes: usize = self.replies.iter().map(Vec::len).sum();
            counters.extend([replies, bytes as u64]);
        }
        rmp_serde::to_vec(&counters).expect("plain data always encodes into memory")
    }
}

/// A moment as Redis holds it before a stored value: MessagePack uint64.
pub(crate) fn stamp(ms: u64) -> [u8; 9] {
    let mut stamp = [0xcf; 9];
    stamp[1..].copy_from_slice(&ms.to_be_bytes());
    stamp
}

impl State {
    fn history(&mut self, id: &JobId) -> Option<&mut History> {
        let job = self.jobs.get_mut(id)?;
        Some(job.history.get_or_insert_default())
    }

    /// Appends an attempt; `burns` says whether it costs one of the budget. A handler that
    /// failed could take the job: it does not bounce any more.
    pub(crate) fn record_attempt(&mut self, id: &JobId, since_ms: u64, blob: &[u8], burns: bool) {
        let now_ms = self.now_ms();
        let Some(history) = self.history(id) else {
            return;
        };
        let counters = &mut history.counters;
        if burns {
            counters.failed += 1;
            (counters.bounces, counters.bounced_since_ms) = (0, 0);
        }
        counters.recorded += 1;
        let attempt = [&stamp(since_ms), &stamp(now_ms), blob].concat();
        history.attempts.push_back(attempt);
        if history.attempts.len() > ATTEMPTS_KEPT {
            history.attempts.pop_front();
        }
    }

    pub(crate) fn record_bounce(&mut self, id: &JobId) {
        let now_ms = self.now_ms();
        let Some(history) = self.history(id) else {
            return;
        };
        history.counters.bounces += 1;
        if history.counters.bounced_since_ms == 0 {
            history.counters.bounced_since_ms = now_ms;
        }
    }

    /// How often the job was snoozed by now.
    pub(crate) fn record_snooze(&mut self, id: &JobId) -> u32 {
        let now_ms = self.now_ms();
        let Some(history) = self.history(id) else {
            return 0;
        };
        history.was_snoozed = true;
        history.counters.snoozes += 1;
        if history.counters.snoozed_since_ms == 0 {
            history.counters.snoozed_since_ms = now_ms;
        }
        history.counters.snoozes
    }

    /// A new budget of attempts and stalls; what happened stays known.
    pub(crate) fn fresh_budget(&mut self, id: &JobId) {
        let Some(history) = self.history(id) else {
            return;
        };
        history.counters = Counters {
            recorded: history.counters.recorded,
            ..Counters::default()
        };
        if let Some(job) = self.jobs.get_mut(id) {
            job.stalls = 0;
            job.outcome = None;
            job.progress = None;
        }
    }
}
