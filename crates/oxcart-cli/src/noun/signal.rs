//! Giving a job the value that it waits for.

use clap::Args;
use oxcart::{ErrorKind, JobId, Signalled};
use serde::Serialize;

use crate::noun::job::{id, payload};
use crate::session::Session;
use crate::text::nearest::nearest;
use crate::trouble::Trouble;

/// The handler of the job waits for it, by its name (`Context::wait_for`); `oxcart job show` tells for which. The first value stays.
/// Nobody checks that the value is what the handler expects: if it is not, the job ends as a dead letter.
#[derive(Args)]
pub(crate) struct Signal {
    queue: String,
    #[arg(value_parser = id)]
    id: JobId,
    /// The name of the signal
    name: String,
    /// The value: JSON, @FILE, or - for stdin
    #[arg(default_value = "null")]
    payload: String,
}

/// See `schema/signalled.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    id: &'a str,
    signal: &'a str,
    /// Otherwise it had a value before, which stays.
    changed: bool,
}

pub(crate) async fn run(signal: Signal, session: &mut Session) -> Result<(), Trouble> {
    let Signal {
        queue: queue_name,
        id,
        name,
        payload,
    } = &signal;
    let payload::AnyJob(value) = payload::read(payload)?;
    let queue = session.queue(queue_name).await?;
    let view = |changed| View {
        queue: queue_name,
        id: id.as_str(),
        signal: name,
        changed,
    };
    match queue.signal(id, name, &value).await {
        Ok(Signalled::Stored) => {
            let text = format!("job {id} has its signal `{name}`");
            session.out.done(&view(true), text)
        }
        Ok(_) => {
            let text = format!("job {id} had its signal `{name}` already, and keeps that value");
            session.out.nothing(&view(false), text)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(session.no_job(&queue, id).await),
        Err(error) if error.kind() == ErrorKind::NotWaiting => {
            let steps = queue.steps(id).info().await?;
            let names = steps.waits().map(|step| &*step.name);
            let hint = format!("`oxcart job show {queue_name} {id}` tells what it waits for");
            let nearest = nearest(name, names);
            Err(Trouble::from(error).hint(hint).nearest(nearest))
        }
        Err(error) => Err(error.into()),
    }
}
