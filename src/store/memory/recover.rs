//! Takes back jobs whose lease ran out.

use crate::codec;
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::{DeadReason, Ending};
use crate::memory::Apply;
use crate::memory::leave::Goes;
use crate::memory::saga::died;
use crate::memory::state::{Collection, State, moment};
use crate::store::recover::{Doubt, Recover, Recovered, ToCarry};

/// Workers in trouble put judging off for this long, and no longer.
const PUT_OFF_AT_MOST_MS: u64 = 30_000;

/// What all workers know of recovery; moments in ms.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Watch {
    /// When a worker last looked.
    pub(crate) looked_ms: u64,
    /// No worker judges before this moment.
    pub(crate) from_ms: u64,
    /// The longest lease in use, and when that is forgotten.
    pub(crate) longest_ms: u64,
    pub(crate) until_ms: u64,
    /// When leases were last judged.
    pub(crate) judged_ms: u64,
}

/// What came of a look: whether leases may be judged, and how many were pulled back.
struct Look {
    sure: bool,
    from_ms: u64,
    pulled: usize,
}

fn look(call: &Recover, state: &mut State) -> Look {
    let now_ms = state.now_ms();
    let known = state.recovery;
    let mut watch = known.unwrap_or_default();
    watch.judged_ms = watch.judged_ms.min(now_ms);
    if call.lease_ms >= watch.longest_ms || now_ms > watch.until_ms {
        watch.longest_ms = call.lease_ms;
        watch.until_ms = now_ms + call.lease_ms;
    }
    watch.until_ms = watch.until_ms.min(now_ms + watch.longest_ms);

    // Leases cannot end later than this, whenever they were set.
    let latest = moment(now_ms + watch.longest_ms + call.tolerance_ms);
    let too_far: Vec<JobId> = state
        .all(Collection::Active)
        .rev()
        .take_while(|(until, _)| *until > latest)
        .take(call.limit)
        .map(|(_, id)| id.clone())
        .collect();
    for id in &too_far {
        state.renew(id, watch.longest_ms);
    }

    let stepped_back = watch.looked_ms > now_ms + call.tolerance_ms;
    let nobody_looked = now_ms > watch.looked_ms.saturating_add(call.gap_ms);
    let quiet_until = now_ms + call.quiet_ms;
    let put_off = now_ms - watch.judged_ms < PUT_OFF_AT_MOST_MS;
    match call.doubt {
        _ if stepped_back || nobody_looked || !too_far.is_empty() => {
            (watch.from_ms, watch.judged_ms) = (quiet_until, now_ms);
        }
        Doubt::Jumped => (watch.from_ms, watch.judged_ms) = (quiet_until, now_ms),
        Doubt::Away if put_off => watch.from_ms = quiet_until,
        Doubt::Away | Doubt::None => {}
    }
    watch.from_ms = watch.from_ms.min(quiet_until);
    watch.looked_ms = now_ms;
    let as_expected = now_ms.abs_diff(call.expected_ms) <= call.tolerance_ms;
    let sure = as_expected && now_ms >= watch.from_ms;
    if sure {
        watch.judged_ms = now_ms;
    }
    state.recovery = Some(watch);
    Look {
        sure,
        from_ms: watch.from_ms,
        pulled: too_far.len(),
    }
}

impl Apply for Recover {
    fn apply(&self, state: &mut State) -> Recovered {
        let now_ms = state.now_ms();
        let Look {
            sure,
            from_ms,
            pulled,
        } = look(self, state);
        if !sure {
            return Recovered::Unsure {
                now_ms,
                from_ms,
                pulled,
                to_carry: to_carry(state),
            };
        }
        let over = moment(now_ms.saturating_sub(self.tolerance_ms));
        let expired = state.up_to(Collection::Active, over, self.limit);
        let max_stalls = state.in_force().max_stalls;
        let (mut stalled, mut dead, mut leaving) = (Vec::new(), Vec::new(), Vec::new());
        let mut cancelled: Vec<(JobId, Vec<u8>)> = Vec::new();
        for id in &expired {
            let request = state.take_request(id);
            stall(state, id);
            let times = state.jobs.get(id).map_or(0, |job| job.stalls);
            let is_saga = state.saga(id).is_some();
            let why = request
                .clone()
                .or((times > max_stalls).then(|| died(times)));
            if let Some(why) = why.filter(|_| is_saga) {
                state.begin_undo(id, why);
            }
            // A saga may stall as often once more while it is undone.
            let most = match is_saga {
                true => max_stalls.saturating_mul(2).saturating_add(1),
                false => max_stalls,
            };
            if let Some(request) = request.filter(|_| !is_saga) {
                let job = state.leaving(id, Goes::Ended);
                leaving.extend(job.map(|job| job.ended(&request)));
                cancelled.push((id.clone(), request));
            } else if times > most {
                let ending = codec::encode_plain(&Ending::Dead(DeadReason::Poisoned));
                let job = state.leaving(id, Goes::Dead);
                leaving.extend(job.map(|job| job.ended(&ending)));
                dead.push((id.clone(), DeadReason::Poisoned));
            } else {
                leaving.extend(state.leaving(id, Goes::Waiting));
                stalled.push(id.clone());
            }
        }
        let ended: Vec<String> = cancelled.iter().map(|(id, _)| id.to_string()).collect();
        state.bury(&dead);
        state.end_cancelled(cancelled);
        for id in &stalled {
            state.enter_line(id, state.place_of(id));
        }
        state.leave(&leaving);
        if !expired.is_empty() && !state.is_paused() {
            state.arm(0);
        }
        state.count("stalled", expired.len());
        state.emit_ids("stalled", &stalled);
        if !(dead.is_empty() && ended.is_empty()) {
            state.say_if_drained();
        }
        Recovered::Done {
            now_ms,
            stalled: stalled.iter().map(JobId::to_string).collect(),
            dead: dead.iter().map(|(id, _)| id.to_string()).collect(),
            cancelled: ended,
            to_carry: to_carry(state),
        }
    }
}

/// Counts a stall and records it.
fn stall(state: &mut State, id: &JobId) {
    let Some(job) = state.jobs.get_mut(id) else {
        return;
    };
    job.stalls += 1;
    let Some(since_ms) = job.claim.as_ref().map(|claim| claim.since_ms) else {
        return;
    };
    let entry = AttemptEntry::new(AttemptKind::Stalled, String::new());
    state.record_attempt(id, since_ms, &codec::encode_plain(&entry), false);
}

fn to_carry(state: &State) -> ToCarry {
    ToCarry {
        messages: !state.outbox.is_empty(),
        events: !state.subscribed.is_empty(),
    }
}
