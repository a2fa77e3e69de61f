//! What the handlers of a job have said.

use std::time::Duration;

use clap::Args;
use oxcart::{JobState, LogLine};
use serde::Serialize;

use crate::noun::job::Which;
use crate::session::Session;
use crate::term::look::Tint;
use crate::trouble::Trouble;

/// How often it looks for what is new.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    which: Which,
    /// Go on with what is said from now on, until the job has ended or Ctrl-C is pressed
    #[arg(long, short)]
    follow: bool,
    /// Only lines with a higher number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
}

/// See `schema/log-line.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    id: &'a str,
    number: u64,
    at: String,
    attempt: u32,
    text: &'a str,
}

impl Logs {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let Which { queue: name, id } = &self.which;
        let queue = session.queue(name).await?;
        let mut last = self.after;
        let mut is_known = false;
        loop {
            // The state first: what was said before the end is there when the job has ended.
            let state = match queue.job(id).await? {
                Some(job) => Some(job.state),
                None if is_known => None,
                None => return Err(session.no_job(&queue, id).await),
            };
            is_known = true;
            for line in queue.logs(id).after(last).await? {
                last = line.number;
                self.print(session, &line)?;
            }
            session.out.flush()?;
            let has_ended = matches!(
                state,
                None | Some(JobState::Completed | JobState::Cancelled | JobState::Dead)
            );
            if !self.follow || has_ended {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = tokio::signal::ctrl_c() => break,
            }
        }
        if last == self.after && !session.out.json {
            session.out.note(format_args!("job {id} has said nothing"));
        }
        Ok(())
    }

    fn print(&self, session: &mut Session, line: &LogLine) -> Result<(), Trouble> {
        let out = &mut session.out;
        if out.json {
            return out.json(&View {
                queue: &self.which.queue,
                id: self.which.id.as_str(),
                number: line.number,
                at: line.at.to_string(),
                attempt: line.attempt,
                text: &line.text,
            });
        }
        let at = line.at.to_string();
        let at = out.paint(Tint::Faint, at.get(..23).unwrap_or(&at));
        // What a handler says moves no cursor, and begins no line.
        let text = crate::term::table::one_line(&line.text);
        out.line(format_args!("{at}  {}  {text}", line.attempt))
    }
}
