//! Finds the job that has waited for longest.

use crate::codec;
use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::order::{place, priority_at};
use crate::memory::state::{Collection, State};
use crate::store::oldest::{Found, Oldest};

impl Apply for Oldest {
    fn apply(&self, state: &mut State) -> Option<Found> {
        let line: Vec<&(i64, JobId)> = state.all(Collection::Waiting).collect();
        let mut priorities: Vec<u16> = line.iter().map(|(score, _)| priority_at(*score)).collect();
        priorities.dedup();
        let mut looked_at: Vec<&JobId> = Vec::new();
        for priority in priorities.into_iter().rev().take(self.priorities) {
            let first = place(priority, 0);
            let back = line.iter().find(|(score, _)| *score >= first);
            let front = line.iter().rfind(|(score, _)| *score < first);
            looked_at.extend(back.into_iter().chain(front).map(|(_, id)| id));
        }
        for apart in [Collection::Suspects, Collection::Unhandled] {
            looked_at.extend(state.all(apart).next().map(|(_, id)| id));
        }
        let enqueued = |id: &JobId| {
            let record = state.jobs.get(id)?.record.get(1..)?;
            codec::split_stamp(record).map(|(ms, _)| ms)
        };
        let oldest = looked_at
            .into_iter()
            .filter_map(|id| Some((enqueued(id)?, id)));
        let (enqueued_ms, id) = oldest.min()?;
        Some(Found {
            id: id.to_string(),
            enqueued_ms,
            now_ms: state.now_ms(),
        })
    }
}
