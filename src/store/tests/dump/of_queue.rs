//! What a queue in memory holds beside its jobs.

use super::Dump;
use crate::memory::{State, encode_state};

impl Dump {
    pub(super) fn workers(&mut self, state: &State) {
        for (worker, standing) in &state.workers {
            let said = &standing.said;
            self.score("workers", worker, standing.until_ms as f64);
            let moments = format!("{} {} {} ", said.since_ms, said.at_ms, said.number);
            self.set(
                "about",
                worker.as_str(),
                [moments.as_bytes(), &said.about].concat(),
            );
        }
    }

    pub(super) fn counted(&mut self, state: &State) {
        for (slot, minute) in &state.counted.minutes {
            self.set("history", slot.to_string(), minute.text());
        }
        if !state.counted.last.is_empty() {
            self.set("history", "last", state.counted.last.as_str());
        }
    }

    pub(super) fn alerts(&mut self, state: &State) {
        for (name, stands) in &state.alerts.by_name {
            self.set("alerts", name.as_str(), stands.clone());
        }
        if let Some(round) = state.alerts.round {
            let text = format!("{} {}", round.number, round.until_ms);
            self.set("alerts", "round", text);
        }
    }

    pub(super) fn schedules(&mut self, state: &State) {
        for (name, kept) in &state.schedules {
            let tick = kept.tick_ms.map_or(f64::INFINITY, |ms| ms as f64);
            if !kept.lost {
                self.score("ticks", name, tick);
            }
            self.set("schedules", name.as_str(), kept.rule.clone());
            self.set(
                "schedules",
                format!("{name}#state"),
                encode_state(&kept.state),
            );
            if let Some(job) = &kept.job {
                self.set("schedules", format!("{name}#job"), job.record.clone());
                if let Some(payload) = &job.external_payload {
                    self.set("schedules", format!("{name}#payload"), payload.clone());
                }
            }
        }
    }
}
