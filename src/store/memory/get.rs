//! All that is known of one job.

use crate::id::JobId;
use crate::job::outcome::Ending;
use crate::memory::Apply;
use crate::memory::delayed::due_of;
use crate::memory::state::{Collection, Job, State};
use crate::store::get::{Found, Get};

impl Collection {
    /// The state that the jobs in it are in.
    pub(crate) fn state(self) -> &'static str {
        match self {
            Self::Waiting | Self::Suspects | Self::Unhandled => "waiting",
            Self::Blocked => "blocked",
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
            Self::Delayed => due_of(score).to_string(),
            _ => self.written(score),
        }
    }

    /// The same, without the part that a line adds.
    pub(crate) fn written(self, score: i64) -> String {
        match self {
            Self::Kept => (score as f64 / 2.0).to_string(),
            _ => score.to_string(),
        }
    }

    /// The score that is written so.
    pub(crate) fn read(self, score: &str) -> i64 {
        let score: f64 = score.parse().unwrap_or_default();
        match self {
            Self::Kept => (score * 2.0) as i64,
            _ => score as i64,
        }
    }
}

impl Job {
    /// The state in which it is shown.
    pub(crate) fn shown_state(&self) -> &'static str {
        let outcome = self.outcome.as_deref().map(Ending::decode);
        match (self.collection.state(), outcome) {
            (
                "completed",
                Some(Ok((_, Ending::Cancelled(_) | Ending::Compensated(_) | Ending::Expired))),
            ) => "cancelled",
            (state, _) => state,
        }
    }

    /// All that is known of it.
    pub(crate) fn described(&self) -> Found {
        let history = self.history.as_ref();
        let claim = self.claim.as_ref();
        Found {
            state: self.shown_state().to_owned(),
            score: self.collection.shown(self.score),
            record: self.record.clone(),
            payload: self.payload.clone(),
            claim: claim.map(|claim| claim.receipt.as_str().into()),
            stalls: (self.stalls > 0).then(|| self.stalls.to_string().into_bytes()),
            counters: history.map(|history| history.encode_counters()),
            history: history.map_or_else(Vec::new, |history| {
                history.attempts.iter().cloned().collect()
            }),
            outcome: self.outcome.clone(),
            progress: self.progress.clone(),
            position: None,
        }
    }
}

impl Apply for Get<'_> {
    fn apply(&self, state: &mut State) -> Option<Found> {
        let job = state.jobs.get(&JobId::stored(self.id))?;
        if job.collection == Collection::Lost {
            return None;
        }
        let mut found = job.described();
        if job.collection == Collection::Waiting {
            let mut line = state.all(Collection::Waiting);
            let position = line.position(|(_, id)| id.as_str() == self.id);
            found.position = position.map(|position| position.to_string().into_bytes());
        }
        Some(found)
    }
}
