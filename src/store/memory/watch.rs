//! Asks for a job's outcome, and has it announced and kept if it is not there yet.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::state::{Collection, State};
use crate::store::watch::{Watch, Watched};

impl State {
    /// A caller waits, at least until then.
    pub(crate) fn await_until(&mut self, id: &JobId, until_ms: u64) {
        let until = self.awaited.entry(id.clone()).or_insert(until_ms);
        *until = until_ms.max(*until);
    }
}

impl Apply for Watch<'_> {
    fn apply(&self, state: &mut State) -> Watched {
        let id = JobId::stored(self.id);
        let Some(job) = state.jobs.get(&id) else {
            return Watched::Missing;
        };
        let ended = matches!(
            job.collection,
            Collection::Completed | Collection::Kept | Collection::Dead
        );
        if let Some(outcome) = job.outcome.clone().filter(|_| ended) {
            let history = job.history.as_ref();
            let last_attempt = history.and_then(|history| history.attempts.back().cloned());
            return Watched::Finished {
                outcome,
                last_attempt,
            };
        }
        state.await_until(&id, state.now_ms() + self.await_ms);
        Watched::Pending
    }
}
