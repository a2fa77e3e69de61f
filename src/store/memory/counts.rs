//! How many jobs are in each state.

use crate::memory::Apply;
use crate::memory::list::COLLECTIONS;
use crate::memory::state::State;
use crate::store::counts::{Counted, Counts};

impl Apply for Counts {
    fn apply(&self, state: &mut State) -> Counted {
        let mut states: Vec<(String, u64)> = Vec::new();
        for collection in COLLECTIONS {
            let (name, n) = (collection.state(), state.len(collection) as u64);
            match states.last_mut() {
                Some((last, sum)) if last == name => *sum += n,
                _ => states.push((name.to_owned(), n)),
            }
        }
        let total = |(name, n): (&&str, &u64)| ((*name).to_owned(), n.to_string());
        let mut meta: Vec<(String, String)> = state.totals.iter().map(total).collect();
        let mut field = |name: &str, text: String| meta.push((name.to_owned(), text));
        if let Some(pause) = state.paused {
            field("paused", pause.text());
        }
        if !state.paused_names.is_empty() {
            field("paused_names", state.paused_names.clone());
        }
        if state.sent > 0 {
            field("sent", state.sent.to_string());
        }
        field("settings", state.settings.clone());
        field("started", state.started.clone());
        let now_ms = state.now_ms();
        Counted {
            now_ms,
            states,
            meta,
        }
    }
}
