//! The one call of a busy worker: ends attempts, promotes due jobs, claims new ones.

use crate::job::head::has_traits;
use crate::memory::Apply;
use crate::memory::claim::Taken;
use crate::memory::once::{Begun, StoredAnswer};
use crate::memory::state::{Collection, Pause, State};
use crate::policy::retention::Retention;
use crate::store::advance::{Advance, Advanced, Answer, Claimed};

const PROMOTED_AT_LEAST: usize = 64;
const PROMOTED_AT_MOST: usize = 256;
const TRIMMED_AT_MOST: usize = 256;
const EXPIRED_AT_MOST: usize = 256;
const LOOKED_AT_AT_MOST: usize = 256;

impl Apply for Advance<'_> {
    fn apply(&self, state: &mut State) -> Answer {
        match state.begin_call(self.lane, self.call, self.ask) {
            Begun::Superseded => Answer::Superseded,
            Begun::Asked => Answer::Asked,
            Begun::New => Answer::Advanced(first_time(self, state)),
            Begun::Repeated(answer) => Answer::Advanced(once_more(self, state, answer)),
        }
    }
}

fn first_time(call: &Advance<'_>, state: &mut State) -> Advanced {
    state.end_hold();
    let (refused, overruled) = state.settle(call.settle);
    let is_over = |state: &State| {
        state
            .expiring()
            .is_some_and(|at_ms| at_ms <= state.now_ms())
    };
    let mut expired = 0;
    if call.is_full() {
        expired = state.expire(EXPIRED_AT_MOST);
    }
    let now_ms = state.now_ms();
    let opens = state.gates.any_blocked && state.paced().is_some_and(|at_ms| at_ms <= now_ms);
    let is_due = !state.is_paused() && state.due.is_some_and(|due| due <= state.now_ms());
    if opens && call.is_full() {
        state.look_at_paced(LOOKED_AT_AT_MOST);
    }
    let needs_all =
        !state.paused_names.is_empty() || opens || is_due && state.gates.expected_ms.is_some();
    let is_too_plain = is_over(state) || needs_all && !call.is_full();
    let mut claim = call.claim;
    if is_due && !is_too_plain {
        let limit = (2 * call.claim).clamp(PROMOTED_AT_LEAST, PROMOTED_AT_MOST);
        let (_, in_line) = state.promote(limit);
        // What is due and not promoted yet may be the next. What gates hold back stops no others.
        if in_line > 0 && state.due.is_some_and(|due| due <= state.now_ms()) {
            claim = claim.min(in_line);
        }
    }
    if call.again && !state.is_paused() {
        state.tell_again();
    }
    let taken = if claim > 0 && !state.is_paused() && !is_too_plain {
        state.claim(call, claim)
    } else {
        Taken::default()
    };
    let drained = nothing_left(state) && taken.ids.is_empty();
    let Outlook {
        more,
        next_at_ms,
        held,
    } = outlook(call, state, &taken);
    let claimed = claimed(state, &taken);
    let traits = taken.meets_traits
        || is_too_plain
        || !state.paused_names.is_empty()
        || meets_traits(call, &claimed);
    let unhandled = pass_on_news(call, state);
    let suspects = state.len(Collection::Suspects) as u64;
    if more || (suspects > 0 && !held && state.offers_suspects(call, taken.suspects)) {
        state.arm(0);
    }
    if call.settle.len() > refused.len() || expired > 0 {
        if state.in_force().keep_completed != Retention::Nothing {
            state.cap_completed(TRIMMED_AT_MOST);
        }
        if drained && state.len(Collection::Active) == 0 {
            state.emit_value("drained", b"");
        }
    }
    let answer = StoredAnswer::Advanced {
        refused: refused.clone(),
        first_fence: taken.first_fence,
        receipt: taken.receipt.clone(),
        ids: taken.ids.clone(),
    };
    state.end_call(call.lane, call.call, answer);
    Advanced {
        repeated: false,
        now_ms: state.now_ms(),
        refused,
        overruled,
        claimed,
        more: more || (taken.offers_left && !held),
        traits,
        held,
        next_at_ms,
        tick_ms: state.hold_tick(call.worker, call.hold),
        suspects,
        unhandled,
        has_sent: state.has_sent,
    }
}

/// The first answer once more, without jobs that the worker does not hold any more. The leases of the others
/// begin anew, because no attempt has begun.
fn once_more(call: &Advance<'_>, state: &mut State, answer: StoredAnswer) -> Advanced {
    let (refused, taken) = match answer {
        StoredAnswer::Advanced {
            refused,
            first_fence,
            receipt,
            ids,
        } => {
            let taken = Taken {
                ids,
                first_fence,
                receipt,
                ..Taken::default()
            };
            (refused, taken)
        }
        // The lane belongs to a producer: nothing was claimed.
        StoredAnswer::Enqueued { .. } | StoredAnswer::Asked => (Vec::new(), Taken::default()),
    };
    let mut still_held = Vec::new();
    for claimed in claimed(state, &taken) {
        if state.held(&claimed.id, &claimed.receipt).is_some() {
            state.renew(&claimed.id, call.lease_ms);
            still_held.push(claimed);
        }
    }
    let ids = still_held.iter().map(|claimed| claimed.id.clone());
    let again = Taken {
        ids: ids.collect(),
        ..Taken::default()
    };
    let Outlook {
        more,
        next_at_ms,
        held,
    } = outlook(call, state, &again);
    let traits = !state.paused_names.is_empty() || meets_traits(call, &still_held);
    let unhandled = pass_on_news(call, state);
    let suspects = state.len(Collection::Suspects) as u64;
    if more || (suspects > 0 && !held && state.offers_suspects(call, 0)) {
        state.arm(0);
    }
    Advanced {
        repeated: true,
        now_ms: state.now_ms(),
        refused,
        overruled: Vec::new(),
        claimed: still_held,
        more,
        traits,
        held,
        next_at_ms,
        tick_ms: state.hold_tick(call.worker, call.hold),
        suspects,
        unhandled,
        has_sent: state.has_sent,
    }
}

/// Whether the next call is to ask for jobs with traits, because this one has claimed some.
fn meets_traits(call: &Advance<'_>, claimed: &[Claimed]) -> bool {
    call.is_full() && claimed.iter().any(|job| has_traits(&job.record))
}

/// The news of unhandled jobs. A worker that hears it for the first time wakes another worker.
fn pass_on_news(call: &Advance<'_>, state: &mut State) -> u64 {
    let news = state.news_of_unhandled().filter(|_| !state.is_paused());
    let news = news.unwrap_or(0);
    if news > 0 && news != call.heard {
        state.arm(0);
    }
    news
}

fn nothing_left(state: &State) -> bool {
    [
        Collection::Waiting,
        Collection::Suspects,
        Collection::Unhandled,
        Collection::Blocked,
        Collection::Delayed,
    ]
    .into_iter()
    .all(|collection| state.len(collection) == 0)
}

/// What an answer tells of work that is left.
struct Outlook {
    /// More can be claimed right now.
    more: bool,
    /// If not, when this caller has to be back.
    next_at_ms: Option<u64>,
    /// Limits of the queue hold back what waits.
    held: bool,
}

fn outlook(call: &Advance<'_>, state: &mut State, taken: &Taken) -> Outlook {
    if !call.hold {
        state.leave_timer_to_others(call.worker);
    }
    let opens_ms = state.paced().filter(|_| state.gates.any_blocked);
    let due_ms = [state.due, state.expiring(), opens_ms];
    let due_ms = due_ms.into_iter().flatten().min();
    let more = taken.meets_traits
        || state.len(Collection::Waiting) > 0
        || due_ms.is_some_and(|due_ms| due_ms <= state.now_ms())
        || !state.paused_names.is_empty()
            && !call.is_full()
            && state.len(Collection::Suspects) > 0
            && call.suspects.at_most > 0;
    let weight = taken.too_heavy.unwrap_or(1);
    let (opens_ms, held) = match state.pause() {
        Some(Pause::Since(_)) => (None, false),
        Some(Pause::Until { until_ms, .. }) => (Some(until_ms), false),
        None => match state.opening(weight) {
            Some(opens_ms) => (opens_ms, true),
            None => {
                // The limits held back unhandled jobs from a worker that has handlers for them, and do not any more: all
                // workers are told.
                let news = state.news_of_unhandled();
                if news.is_some() && !more && std::mem::take(&mut state.offers_held) {
                    state.tell_of_unhandled();
                }
                let due_ms = due_ms.filter(|_| !more);
                return Outlook {
                    more,
                    next_at_ms: due_ms.and_then(|due_ms| state.hold_timer(call, due_ms)),
                    held: false,
                };
            }
        },
    };
    state.offers_held |= held && taken.offers_left && state.news_of_unhandled().is_some();
    let waits = more || state.len(Collection::Suspects) > 0 || state.news_of_unhandled().is_some();
    let is_busy = taken.ids.len() >= call.claim;
    let expiring = state.expiring();
    // For what has expired by now, a caller that does not ask for jobs with traits calls again at once, and does.
    let has_expired = expiring.is_some_and(|at_ms| at_ms <= state.now_ms());
    let calls_again = has_expired && !call.is_full() && !is_busy;
    // A heavy job waits, and what becomes due may be lighter and more urgent.
    let lighter_ms = due_ms
        .filter(|due_ms| held && *due_ms > state.now_ms())
        .zip(state.rate_window())
        .map(|(due_ms, window)| window.opens_at(1).max(due_ms));
    let at_ms = match (opens_ms, due_ms) {
        (Some(opens_ms), _) if waits => Some(lighter_ms.unwrap_or(opens_ms).min(opens_ms)),
        (Some(opens_ms), Some(due_ms)) => Some(opens_ms.max(due_ms)),
        (None, _) if held && !calls_again => expiring,
        _ => None,
    };
    // What is not to start any more ends also while nothing may start.
    let at_ms = at_ms.map(|at_ms| at_ms.min(expiring.unwrap_or(u64::MAX)));
    let next_at_ms = match at_ms {
        Some(at_ms) if is_busy && call.hold => {
            state.leave_timer(at_ms, Some(call.worker));
            None
        }
        Some(at_ms) => state.hold_timer(call, at_ms),
        None => None,
    };
    Outlook {
        more: false,
        next_at_ms,
        held,
    }
}

fn claimed(state: &State, taken: &Taken) -> Vec<Claimed> {
    let Some(receipt) = &taken.receipt else {
        return Vec::new();
    };
    (taken.first_fence..)
        .zip(&taken.ids)
        .filter_map(|(fence, id)| state.deliver(id, fence, receipt))
        .collect()
}
