//! Takes back jobs whose lease ran out.

use crate::codec;
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::DeadReason;
use crate::memory::Apply;
use crate::memory::state::{Collection, State};
use crate::store::recover::{Recover, Recovered};

impl Apply for Recover {
    fn apply(&self, state: &mut State) -> Recovered {
        let now_ms = state.now_ms();
        if now_ms.abs_diff(self.expected_ms) > self.tolerance_ms {
            return Recovered::Unsure { now_ms };
        }
        let expired = state.up_to(Collection::Active, now_ms, self.limit);
        let (mut stalled, mut dead) = (Vec::new(), Vec::new());
        for id in &expired {
            let Some(place) = stall(state, id) else {
                continue;
            };
            if state
                .jobs
                .get(id)
                .is_some_and(|job| job.stalls > self.max_stalls)
            {
                dead.push((id.clone(), DeadReason::Poisoned));
            } else {
                stalled.push((id.clone(), place));
            }
        }
        state.bury(&dead);
        for (id, place) in &stalled {
            state.enter_line(id, *place);
        }
        if !expired.is_empty() && !state.is_paused() {
            state.arm(0);
        }
        state.count("stalled", expired.len());
        let stalled: Vec<JobId> = stalled.into_iter().map(|(id, _)| id).collect();
        state.emit_ids("stalled", &stalled);
        Recovered::Done {
            now_ms,
            stalled: stalled.iter().map(JobId::to_string).collect(),
            dead: dead.iter().map(|(id, _)| id.to_string()).collect(),
        }
    }
}

/// Counts a stall and records it; the place that the job was taken from.
fn stall(state: &mut State, id: &JobId) -> Option<u64> {
    let job = state.jobs.get_mut(id)?;
    job.stalls += 1;
    let claim = job.claim.as_ref()?;
    let (place, since_ms) = (claim.place, claim.since_ms);
    let entry = AttemptEntry::new(AttemptKind::Stalled, String::new());
    state.record_attempt(id, since_ms, &codec::encode_plain(&entry), false);
    Some(place)
}
