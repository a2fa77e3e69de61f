//! The proof: every result against a plain, sequential computation without any queue.

use std::path::Path;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use oxcart::{Error, JobHandle, JobId, JobInfo};

use crate::input::{Role, Task};
use crate::job::{MeasureFile, Receipt, measure};
use crate::screen::Screen;
use crate::watch::{Chronicle, Story};

/// So many results are fetched at a time.
const AT_ONCE: usize = 64;

/// What became of one task.
pub(crate) struct Outcome<'a> {
    pub(crate) task: &'a Task,
    pub(crate) result: Result<Receipt, Error>,
    /// What Redis knows of the job, for those with a story to tell.
    pub(crate) info: Option<JobInfo>,
    pub(crate) story: Story,
}

impl Outcome<'_> {
    /// Its worker died while it ran.
    pub(crate) fn is_recovered(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.stalls > 0)
    }

    pub(crate) fn is_recovered_as(&self, id: &JobId) -> bool {
        self.is_recovered() && self.info.as_ref().is_some_and(|info| info.id == *id)
    }
}

/// Asks the queue for every result. All jobs have ended, so nothing is waited for.
pub(crate) async fn collect<'a>(
    tasks: &'a [Task],
    handles: &[JobHandle<MeasureFile>],
    chronicle: &Chronicle,
) -> Result<Vec<Outcome<'a>>> {
    stream::iter(tasks.iter().zip(handles))
        .map(async |(task, handle)| {
            let result = handle.result().await;
            let plain = task.role == Role::Ordinary
                && result.is_ok()
                && !chronicle.recovered.contains(handle.id());
            Ok(Outcome {
                task,
                result,
                info: if plain { None } else { handle.info().await? },
                story: chronicle.of(handle.id()),
            })
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// What the comparison found.
#[derive(Default)]
pub(crate) struct Verdict {
    /// Results that are the same without a queue.
    pub(crate) equal: usize,
    /// Dead letters whose files cannot be read without a queue either.
    pub(crate) dead_rightly: usize,
    pub(crate) wrong: Vec<String>,
}

pub(crate) async fn compare(outcomes: &[Outcome<'_>], screen: &Screen) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    for (done, outcome) in outcomes.iter().enumerate() {
        screen.progress(done);
        let name = &outcome.task.name;
        let path = outcome.task.path.clone();
        let plain = tokio::task::spawn_blocking(move || measure(Path::new(&path))).await?;
        match (&outcome.result, plain) {
            (Ok(receipt), Ok(plain)) if receipt.measured == plain => verdict.equal += 1,
            (Ok(_), Ok(_)) => verdict.wrong.push(format!("{name}: another result")),
            (Ok(_), Err(error)) => verdict.wrong.push(format!("{name}: a result, but {error}")),
            (Err(error), Err(_)) if error.is_dead() => verdict.dead_rightly += 1,
            (Err(error), _) => verdict.wrong.push(format!("{name}: {error}")),
        }
    }
    Ok(verdict)
}
