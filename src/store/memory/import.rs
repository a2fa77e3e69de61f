//! Puts jobs on the dead-letter list that were exported from one.

use crate::memory::Apply;
use crate::memory::attempts::{History, stamp};
use crate::memory::enqueue::stored_record;
use crate::memory::order::place;
use crate::memory::state::{Collection, Job, State, moment};
use crate::store::import::{Import, Imported};

impl Apply for Import<'_> {
    fn apply(&self, state: &mut State) -> Imported {
        let (mut imported, mut there, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        for job in self.jobs {
            if state.jobs.contains_key(&job.id) {
                there.push(job.id.to_string());
                continue;
            }
            let died_ms = job.died_ms.min(state.now_ms());
            let given = place(job.priority, 0);
            let stored = Job {
                record: stored_record(&job.record, job.enqueued_ms, given),
                payload: job.record.external_payload.clone(),
                collection: Collection::Dead,
                score: moment(died_ms),
                given,
                moved: None,
                claim: None,
                stalls: job.stalls,
                history: job
                    .counters
                    .as_ref()
                    .map(|counters| History::imported(counters, &job.history, &job.beside)),
                request: None,
                outcome: Some([&stamp(died_ms)[..], &job.ending].concat()),
                progress: None,
                name: None,
            };
            state.insert(job.id.clone(), stored);
            imported.push(job.id.clone());
            tokens.push(format!("{}:{}", job.id, job.reason));
        }
        for id in &imported {
            let (missing, open) = state.missing_children(id, true);
            if !missing.is_empty() {
                state.drop_children(id, &missing, open, &mut Vec::new());
            }
        }
        state.count("added", imported.len());
        state.count("dead", imported.len());
        state.emit_ids("added", &imported);
        state.emit("dead", &tokens);
        let imported = imported.iter().map(ToString::to_string).collect();
        Imported { imported, there }
    }
}
