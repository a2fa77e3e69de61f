//! Puts dead jobs back in line.

use crate::codec;
use crate::job::options::{PRIORITY_DEFAULT, PRIORITY_MAX};
use crate::memory::Apply;
use crate::memory::state::{Collection, Later, State};
use crate::store::replay::Replay;

impl Apply for Replay<'_> {
    fn apply(&self, state: &mut State) -> Vec<String> {
        let mut replayed = Vec::new();
        for id in self.ids {
            let Some(job) = state.jobs.get(id) else {
                continue;
            };
            if job.collection != Collection::Dead || replayed.contains(id) {
                continue;
            }
            replayed.push(id.clone());
        }
        for id in &replayed {
            state.fresh_budget(id);
            let priority = state.jobs.get(id).and_then(|job| priority_of(&job.record));
            let later = Later {
                priority: priority.unwrap_or(PRIORITY_DEFAULT),
                front: false,
            };
            state.enter_waiting(id, later);
        }
        if !replayed.is_empty() && !state.is_paused() {
            state.arm(0);
        }
        state.count("replayed", replayed.len());
        state.emit_ids("replayed", &replayed);
        replayed.iter().map(ToString::to_string).collect()
    }
}

/// The priority a job was enqueued with, which stands in its record behind version and time.
fn priority_of(record: &[u8]) -> Option<u16> {
    let (_, rest) = codec::split_stamp(record.get(1..)?)?;
    let bytes: [u8; 2] = rest.get(1..3)?.try_into().ok()?;
    Some(u16::from_be_bytes(bytes)).filter(|priority| *priority <= PRIORITY_MAX)
}
