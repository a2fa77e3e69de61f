//! Drops what has been kept long enough, at most `limit` of each kind.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::finish::{ended_at, moves_on};
use crate::memory::state::{Collection, State, moment};
use crate::policy::settings::Stored;
use crate::store::trim::{Trim, Trimmed};

const LANES_PER_CALL: usize = 128;
/// The next page of lanes follows at once if so large a part of the last one was silent.
const WORTH_IT: usize = 8;
/// After so long without an event the wake-up token and the sentinels of a queue that holds nothing are dropped.
const QUIET_MS: u64 = 60_000;
/// So long after the last event the events of a queue that holds nothing are dropped.
const EVENTS_KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

impl Apply for Trim<'_> {
    fn apply(&self, state: &mut State) -> Trimmed {
        let kept = trim_kept(self, state);
        let keep_ms = state.in_force().keep_completed.as_millis();
        let until = moment(state.now_ms()) - moment(keep_ms);
        let expired = state.up_to(Collection::Completed, until, self.limit);
        state.forget(&expired);
        let capped = state.cap_completed(self.limit);
        let dead_dropped = state.cap_dead(self.limit);
        let unread = forget_waiters(self, state);
        let forgotten = state.forget_keys(self.limit);
        let drafts = state.drop_drafts(self.limit);
        drop_what_serves_nothing(self, state);
        let paced = state.look_at_paced(self.limit);
        state.tend_gates(self.limit);
        let (lanes_cursor, more_lanes) = sweep_lanes(self, state);
        let most = expired
            .len()
            .max(kept)
            .max(capped)
            .max(dead_dropped)
            .max(unread)
            .max(forgotten)
            .max(paced)
            .max(drafts);
        Trimmed {
            dropped: (expired.len() + kept + capped) as u64,
            more: more_lanes || most >= self.limit,
            lanes_cursor,
            dead: state.len(Collection::Dead) as u64,
            unreadable: Stored::parse(&state.settings).is_none(),
            dead_dropped: dead_dropped as u64,
        }
    }
}

/// Drops what was kept apart for as long as it had to be, or moves it on.
fn trim_kept(call: &Trim<'_>, state: &mut State) -> usize {
    let page = state.up_to(Collection::Kept, state.kept_until(), call.limit);
    for id in &page {
        let score = state.jobs.get(id).map(|job| job.score);
        match score.filter(|score| moves_on(*score)) {
            Some(score) => state.put(id, Collection::Completed, ended_at(score)),
            None => state.forget([id]),
        }
    }
    page.len()
}

/// Forgets waiters whose time is over.
fn forget_waiters(call: &Trim<'_>, state: &mut State) -> usize {
    let now_ms = state.now_ms();
    let mut over: Vec<(u64, JobId)> = state
        .awaited
        .iter()
        .filter(|(_, until)| **until <= now_ms)
        .map(|(id, until)| (*until, id.clone()))
        .collect();
    over.sort();
    over.truncate(call.limit);
    for (_, id) in &over {
        state.awaited.remove(id);
    }
    over.len()
}

/// In a queue that holds no job and no schedule.
fn drop_what_serves_nothing(call: &Trim<'_>, state: &mut State) {
    if !state.jobs.is_empty() || !state.schedules.is_empty() {
        return;
    }
    let last = state.events.entries.back();
    let last_ms = last.map_or(0, |entry| entry.id.0);
    let quiet_ms = state.now_ms().saturating_sub(last_ms);
    if quiet_ms >= QUIET_MS {
        state.wake = None;
        state.forget_started();
    }
    if quiet_ms >= call.lane_ttl_ms {
        state.finished.drop_all();
    }
    if quiet_ms >= EVENTS_KEPT_MS {
        state.events.drop_all();
    }
}

/// Forgets lanes that have been silent for long, a page at a time. The cursor is the number of
/// lanes looked at; with it, whether the next page should follow at once.
fn sweep_lanes(call: &Trim<'_>, state: &mut State) -> (String, bool) {
    let start: usize = call.lanes_cursor.parse().unwrap_or(0);
    let now_ms = state.now_ms();
    let page = state.calls.iter().skip(start).take(LANES_PER_CALL);
    let silent = page.filter(|(_, last)| now_ms.saturating_sub(last.at_ms) > call.lane_ttl_ms);
    let silent: Vec<String> = silent.map(|(lane, _)| lane.clone()).collect();
    let looked_at = state.calls.len().saturating_sub(start).min(LANES_PER_CALL);
    for lane in &silent {
        state.calls.remove(lane);
    }
    let next = start + LANES_PER_CALL - silent.len();
    if next >= state.calls.len() {
        return ("0".to_owned(), false);
    }
    (next.to_string(), silent.len() * WORTH_IT >= looked_at)
}
