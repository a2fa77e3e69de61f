//! The one call of a busy worker: ends attempts, promotes due jobs, claims new ones.

use crate::id::{Fence, JobId};
use crate::memory::Apply;
use crate::memory::claim::Taken;
use crate::memory::once::{Begun, StoredAnswer};
use crate::memory::state::{Collection, State};
use crate::store::advance::{Advance, Advanced, Answer, Claimed};

const PROMOTED_AT_LEAST: usize = 64;
const PROMOTED_AT_MOST: usize = 256;
const TRIMMED_AT_MOST: usize = 256;

impl Apply for Advance<'_> {
    fn apply(&self, state: &mut State) -> Answer {
        match state.begin_call(self.lane, self.call) {
            Begun::Superseded => Answer::Superseded,
            Begun::New => Answer::Advanced(first_time(self, state)),
            Begun::Repeated(answer) => Answer::Advanced(once_more(self, state, answer)),
        }
    }
}

fn first_time(call: &Advance<'_>, state: &mut State) -> Advanced {
    let refused = state.settle(call.settle, call.keep);
    let taken = if state.is_paused() {
        Taken {
            more: true,
            ..Taken::default()
        }
    } else {
        take(call, state)
    };
    let nothing_left = nothing_left(state) && taken.ids.is_empty();
    let (more, next_at_ms) = outlook(call, state, taken.more);
    let suspects = state.len(Collection::Suspects) as u64;
    // Suspects are offered on only by a caller that took one.
    if more || (taken.suspect && suspects > 0) {
        state.arm(0);
    }
    if call.settle.len() > refused.len() {
        state.cap_completed(call.keep_count, TRIMMED_AT_MOST);
        if nothing_left && state.len(Collection::Active) == 0 {
            state.emit_value("drained", b"");
        }
    }
    let answer = StoredAnswer::Advanced {
        refused: refused.clone(),
        first_fence: taken.first_fence,
        ids: taken.ids.clone(),
    };
    state.end_call(call.lane, call.call, answer);
    Advanced {
        now_ms: state.now_ms(),
        refused,
        claimed: claimed(state, &taken.ids, taken.first_fence),
        more,
        next_at_ms,
        suspects,
    }
}

/// What was answered before, as far as it still holds: the claims whose fence is still theirs.
/// Their leases begin anew, for nobody has run them yet.
fn once_more(call: &Advance<'_>, state: &mut State, answer: StoredAnswer) -> Advanced {
    let (refused, first_fence, ids) = match answer {
        StoredAnswer::Advanced {
            refused,
            first_fence,
            ids,
        } => (refused, first_fence, ids),
        // The lane belongs to a producer: nothing was claimed.
        StoredAnswer::Enqueued { .. } => (Vec::new(), 0, Vec::new()),
    };
    let mut held = Vec::new();
    for (fence, id) in (first_fence..).zip(&ids) {
        if state.held(id, Fence(fence)).is_some() {
            state.renew(id, call.lease_ms);
            held.extend(state.deliver(id, fence));
        }
    }
    let (more, next_at_ms) = outlook(call, state, true);
    if more {
        state.arm(0);
    }
    Advanced {
        now_ms: state.now_ms(),
        refused,
        claimed: held,
        more,
        next_at_ms,
        suspects: state.len(Collection::Suspects) as u64,
    }
}

fn take(call: &Advance<'_>, state: &mut State) -> Taken {
    if state.next_due().is_some_and(|due| due <= state.now_ms()) {
        state.promote((2 * call.claim).clamp(PROMOTED_AT_LEAST, PROMOTED_AT_MOST));
    }
    if call.claim == 0 {
        return Taken {
            more: true,
            ..Taken::default()
        };
    }
    state.claim(call)
}

fn nothing_left(state: &State) -> bool {
    [
        Collection::Waiting,
        Collection::Suspects,
        Collection::Delayed,
    ]
    .into_iter()
    .all(|collection| state.len(collection) == 0)
}

/// Whether more can be claimed right now; if not, when this caller has to be back.
fn outlook(call: &Advance<'_>, state: &mut State, more: bool) -> (bool, Option<u64>) {
    let due_ms = state.next_due();
    let more = (more && state.len(Collection::Waiting) > 0)
        || due_ms.is_some_and(|due_ms| due_ms <= state.now_ms());
    match due_ms {
        _ if state.is_paused() => (false, None),
        Some(due_ms) if !more => (false, hold_timer(call, state, due_ms)),
        _ => (more, None),
    }
}

/// One idle worker keeps the timer for the next due job; the others need not wake for it.
fn hold_timer(call: &Advance<'_>, state: &mut State, due_ms: u64) -> Option<u64> {
    if !call.hold {
        state.arm(due_ms);
        return None;
    }
    if let Some((held_ms, holder)) = &state.timer
        && *held_ms == due_ms
        && holder != call.worker
    {
        return None;
    }
    state.timer = Some((due_ms, call.worker.to_owned()));
    Some(due_ms)
}

fn claimed(state: &State, ids: &[JobId], first_fence: u64) -> Vec<Claimed> {
    (first_fence..)
        .zip(ids)
        .filter_map(|(fence, id)| state.deliver(id, fence))
        .collect()
}
