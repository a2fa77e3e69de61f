//! Stores how alerts stand, and adds the jobs that tell of it.

use crate::memory::Apply;
use crate::memory::alerts::LastRound;
use crate::memory::enqueue::add;
use crate::memory::state::State;
use crate::store::alert::{Alert, Stored};
use crate::store::enqueue::{Due, NewJob, Novelty};

impl Apply for Alert<'_> {
    fn apply(&self, state: &mut State) -> Stored {
        let now_ms = state.now_ms();
        if let Some(round) = self.round {
            let last = state.alerts.round.map_or(0, |last| last.number);
            if last != round.number {
                return Stored::Over;
            }
        }
        let mut jobs = Vec::new();
        let there: Vec<_> = self
            .changes
            .iter()
            .map(|change| {
                let there = state.alerts.by_name.get(&change.name);
                there.map_or(&[][..], Vec::as_slice) == change.seen
            })
            .collect();
        for (change, _) in self.changes.iter().zip(&there).filter(|(_, same)| **same) {
            if let Some((id, record)) = &change.job {
                jobs.push(NewJob {
                    id: id.clone(),
                    record: record.clone(),
                    due: Due::Now,
                    priority: None,
                    front: false,
                    await_ms: None,
                    callbacks: None,
                });
            }
            let by_name = &mut state.alerts.by_name;
            if change.stands.is_empty() {
                by_name.remove(&change.name);
            } else {
                by_name.insert(change.name.clone(), change.stands.clone());
            }
        }
        add(&jobs.iter().collect::<Vec<_>>(), Novelty::Unsure, state);
        if let Some(round) = self.round {
            let until_ms = now_ms + round.every_ms;
            let number = round.number;
            state.alerts.round = Some(LastRound { number, until_ms });
        }
        Stored::Done { stored: there }
    }
}
