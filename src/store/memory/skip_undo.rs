//! The undo of one step of a stuck saga is left out.

use crate::memory::Apply;
use crate::memory::state::{Collection, State};
use crate::policy::steps::StepKind;
use crate::store::skip_undo::{SkipUndo, Skipped};

impl Apply for SkipUndo<'_> {
    fn apply(&self, state: &mut State) -> Skipped {
        let now_ms = state.now_ms();
        let Some(job) = state.jobs.get_mut(self.id) else {
            return Skipped::Missing;
        };
        match job.collection {
            Collection::Lost => return Skipped::Missing,
            Collection::Dead => {}
            _ => return Skipped::InState(job.shown_state().to_owned()),
        }
        let Some(history) = job
            .history
            .as_mut()
            .filter(|history| history.saga.is_some())
        else {
            return Skipped::NoStep;
        };
        let found = history.kept.named(self.step);
        match found {
            None => Skipped::NoStep,
            Some((number, mut step)) if matches!(step.kind, StepKind::Done | StepKind::Begun) => {
                step.kind = match step.kind {
                    StepKind::Done => StepKind::Skipped,
                    _ => StepKind::Failed,
                };
                step.at_ms = now_ms;
                history.kept.write(number, &step);
                Skipped::Yes
            }
            Some((_, step)) => Skipped::Is(step.kind),
        }
    }
}
