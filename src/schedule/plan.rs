//! What to do about one schedule that may be due: which ticks are fired, and what comes next.

use crate::error::Error;
use crate::policy::schedule::Overlap;
use crate::schedule::rule::{Decoded, decode, unreadable};
use crate::store::fire::Entry;
use crate::store::schedules::StoredSchedule;

/// What to do about one schedule; `None` if there is no room for it, or it is not due.
pub(crate) fn entry(
    stored: &StoredSchedule,
    now_ms: u64,
    room: usize,
) -> Result<Option<Entry>, Error> {
    let Decoded {
        rule,
        timing,
        state,
    } = decode(stored)?;
    let Some(tick_ms) = stored.tick_ms else {
        return Err(unreadable("its next tick is no moment"));
    };
    // At its limit it still takes one tick, which makes no job and ends it.
    let left = rule.limit.map(|limit| limit.saturating_sub(state.fired));
    let left = left.map_or(room, |left| usize::try_from(left).unwrap_or(room));
    // Its ticks may have moved when the clock went back.
    let timing = timing.through(tick_ms);
    let Some(plan) = timing.plan(tick_ms, now_ms, rule.missed, room.min(left.max(1))) else {
        return Ok(None);
    };
    let due_ms = |tick: &u64| {
        let jitter = match rule.jitter_ms {
            0 => 0,
            longest => fastrand::u64(0..=longest),
        };
        tick.saturating_add(rule.delay_ms).saturating_add(jitter)
    };
    Ok(Some(Entry {
        name: stored.name.clone(),
        revision: state.revision,
        tick_ms,
        due_ms: plan.fire.iter().map(due_ms).collect(),
        ticks: plan.fire,
        missed: plan.missed,
        last_ms: plan.last,
        next_ms: plan.next,
        limit: rule.limit,
        no_overlap: rule.overlap == Overlap::Skip,
        priority: rule.priority,
        front: rule.front,
    }))
}
