//! All that is known of one job.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::delayed::due_of;
use crate::memory::state::{Collection, State};
use crate::store::get::{Found, Get};

impl Collection {
    /// The state that the jobs in it are in.
    pub(crate) fn state(self) -> &'static str {
        match self {
            Self::Waiting | Self::Suspects | Self::Unhandled => "waiting",
            Self::Delayed => "delayed",
            Self::Active => "active",
            Self::Completed | Self::Kept => "completed",
            Self::Dead => "dead",
            Self::Lost => "lost",
        }
    }

    /// A score as Redis has it.
    pub(crate) fn shown(self, score: i64) -> String {
        match self {
            Self::Kept => (score as f64 / 2.0).to_string(),
            Self::Delayed => due_of(score).to_string(),
            _ => score.to_string(),
        }
    }
}

impl Apply for Get<'_> {
    fn apply(&self, state: &mut State) -> Option<Found> {
        let job = state.jobs.get(&JobId::stored(self.id))?;
        if job.collection == Collection::Lost {
            return None;
        }
        let history = job.history.as_ref();
        Some(Found {
            state: job.collection.state().to_owned(),
            score: job.collection.shown(job.score),
            record: job.record.clone(),
            payload: job.payload.clone(),
            claim: job
                .claim
                .as_ref()
                .map(|claim| claim.receipt.as_str().into()),
            stalls: (job.stalls > 0).then(|| job.stalls.to_string().into_bytes()),
            counters: history.map(|history| history.encode_counters()),
            history: history.map_or_else(Vec::new, |history| {
                history.attempts.iter().cloned().collect()
            }),
            outcome: job.outcome.clone(),
            progress: job.progress.clone(),
        })
    }
}
