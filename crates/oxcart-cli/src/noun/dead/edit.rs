//! Changing a dead job before it is replayed.

use clap::Args;
use oxcart::JobState;
use oxcart_dashboard::Stored;

use crate::noun::job::{Which, payload, told};
use crate::session::Session;
use crate::text::shape::{differences, keep_secrets};
use crate::trouble::Trouble;

/// It stays dead; `oxcart dead replay` puts it back in line. What is not given stays.
#[derive(Args)]
#[group(id = "dead_change", required = true, multiple = true, args = ["payload", "attempts"])]
pub(crate) struct Edit {
    #[command(flatten)]
    which: Which,
    /// Another payload: JSON, @FILE, or - for stdin
    #[arg(long)]
    payload: Option<String>,
    /// How often it is tried in all
    #[arg(long)]
    attempts: Option<u32>,
    /// Also if a field is missing in the new payload, or is of another kind than before
    #[arg(long, requires = "payload")]
    force: bool,
}

impl Edit {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let payload = self.payload.as_deref().map(payload::read).transpose()?;
        let queue = session.queue(&self.which.queue).await?;
        let job = session.job(&queue, &self.which.id).await?;
        if job.state != JobState::Dead {
            let message = format!("job {} is not dead: it is {}", self.which.id, job.state);
            let hint = format!("oxcart job edit {} {}", self.which.queue, self.which.id);
            return Err(Trouble::error(message).hint(hint));
        }
        let mut edit = queue.edit(&self.which.id);
        let shown = job.payload().map(|Stored(value)| value).ok();
        let name = job.name.clone();
        let before = job.reveal().payload().map(|Stored(value)| value).ok();
        if let Some(mut payload) = payload {
            if let (Some(shown), Some(before)) = (&shown, &before) {
                keep_secrets(shown, before, &mut payload.0);
            }
            // What cannot be read now has no shape to keep.
            if !self.force
                && let Some(before) = before
            {
                let found = differences(&before, &payload.0);
                if !found.is_empty() {
                    let message = format!(
                        "the new payload has another shape than the old one:\n  {}",
                        found.join("\n  ")
                    );
                    let hint = "a handler that reads the old shape may not read it; --force if it is meant";
                    return Err(Trouble::error(message).hint(hint));
                }
            }
            edit = edit.payload(&payload).named(name);
        }
        if let Some(attempts) = self.attempts {
            edit = edit.attempts(attempts);
        }
        let changed = edit.await?;
        told(session, &self.which, "edit", "is changed", changed).await
    }
}
