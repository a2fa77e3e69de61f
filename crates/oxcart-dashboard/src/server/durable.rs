//! What a person does about the steps of a job: gives the signal that it waits for, and leaves out an undo.

use oxcart::{ErrorKind, JobId, Signalled};
use serde_json::Value;

use crate::chrome::path_part;
use crate::server::acting::{Acting, Done};
use crate::server::answer::Refusal;
use crate::value::cut;

/// Longest name in an answer, in characters.
const NAME_MAX: usize = 80;

fn job_page(acting: &Acting<'_>, id: &JobId) -> String {
    acting.page(&format!("/jobs/{}", path_part(id.as_str())))
}

/// What stands in the way is the state of the job.
fn refusal(error: oxcart::Error) -> Refusal {
    match error.kind() {
        ErrorKind::NotWaiting | ErrorKind::Invalid => Refusal::Conflict(error.to_string()),
        _ => error.into(),
    }
}

/// The value of the field `payload`, JSON, for the signal of the field `name`.
pub(super) async fn signal(acting: &Acting<'_>, id: &JobId) -> Result<Done, Refusal> {
    let name = acting.fields.get("name");
    let typed = match acting.fields.get("payload").trim() {
        "" => "null",
        typed => typed,
    };
    let value: Value = serde_json::from_str(typed)
        .map_err(|error| Refusal::Wrong(format!("the value is no JSON: {error}")))?;
    let queue = acting.queue()?;
    let name_shown = cut(name, NAME_MAX);
    match queue.signal(id, name, &value).await.map_err(refusal)? {
        Signalled::Stored => {
            let text = format!("The job has its signal {name_shown}.");
            Ok(Done::new(text, job_page(acting, id)))
        }
        _ => Err(Refusal::Conflict(format!(
            "The job had its signal {name_shown} before, and keeps that value."
        ))),
    }
}

/// The undo of the step of the field `step`.
pub(super) async fn skip(acting: &Acting<'_>, id: &JobId) -> Result<Done, Refusal> {
    let step = acting.fields.get("step");
    let queue = acting.queue()?;
    queue.saga(id).skip_undo(step).await.map_err(refusal)?;
    let text = format!(
        "The undo of {} is left out. The saga goes on when somebody lets it.",
        cut(step, NAME_MAX)
    );
    Ok(Done::new(text, job_page(acting, id)))
}
