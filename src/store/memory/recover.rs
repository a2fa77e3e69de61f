//! Takes back jobs whose lease ran out.

use crate::codec;
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::DeadReason;
use crate::memory::Apply;
use crate::memory::state::{Collection, State, moment};
use crate::store::recover::{Recover, Recovered};

impl Apply for Recover {
    fn apply(&self, state: &mut State) -> Recovered {
        let now_ms = state.now_ms();
        if now_ms.abs_diff(self.expected_ms) > self.tolerance_ms {
            return Recovered::Unsure { now_ms };
        }
        let expired = state.up_to(Collection::Active, moment(now_ms), self.limit);
        let (mut stalled, mut dead) = (Vec::new(), Vec::new());
        for id in &expired {
            stall(state, id);
            if state
                .jobs
                .get(id)
                .is_some_and(|job| job.stalls > self.max_stalls)
            {
                dead.push((id.clone(), DeadReason::Poisoned));
            } else {
                stalled.push(id.clone());
            }
        }
        state.bury(&dead);
        for id in &stalled {
            state.enter_line(id, state.place_of(id));
        }
        if !expired.is_empty() && !state.is_paused() {
            state.arm(0);
        }
        state.count("stalled", expired.len());
        state.emit_ids("stalled", &stalled);
        Recovered::Done {
            now_ms,
            stalled: stalled.iter().map(JobId::to_string).collect(),
            dead: dead.iter().map(|(id, _)| id.to_string()).collect(),
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
