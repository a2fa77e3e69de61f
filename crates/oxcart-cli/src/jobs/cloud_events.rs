//! Jobs that leave as CloudEvents, and CloudEvents that are taken from a file.

use std::collections::HashSet;

use oxcart::{CloudEvent, Error, ErrorKind, JobInfo, Queue};
use oxcart_dashboard::Stored;
use serde_json::Value;

use super::json_file::{Entry, Failed, Taken, Words, take_all};
use crate::trouble::Trouble;

pub(crate) type Event = CloudEvent<Value>;

/// The attribute of an event whose secret fields are masked: it says what it is about, but no job can be made of it.
const MASKED: &str = "masked";

/// The job as an event; `None` if JSON cannot say what its payload holds, such as bytes or a number that is none.
pub(crate) fn of(queue: &Queue, job: JobInfo, reveal: bool) -> Result<Option<Event>, Error> {
    let is_masked = !reveal && !job.secret.is_empty();
    let job = if reveal { job.reveal() } else { job };
    let read = queue
        .cloud_event(&job)
        .and_then(|event| Ok((event, job.payload::<Stored>()?)));
    let (mut event, exact): (Event, Stored) = match read {
        Ok(read) => read,
        Err(error) if error.kind() == ErrorKind::Codec => return Ok(None),
        Err(error) => return Err(error),
    };
    // What has no form in JSON is null there, or is missing.
    if event.data.as_ref() != Some(&exact.0) {
        return Ok(None);
    }
    if is_masked {
        event
            .extensions
            .insert(MASKED.to_owned(), "true".to_owned());
    }
    Ok(Some(event))
}

/// Reads events from a file or stdin, and sends them in steps, in their order. `send` says how many of them were new.
pub(crate) async fn take(
    file: &str,
    words: &Words,
    send: impl AsyncFn(Vec<Event>) -> Result<u64, Error>,
) -> Result<Taken, Trouble> {
    take_all(file, words, async |entries| step(entries, &send).await).await
}

async fn step(
    mut entries: Vec<Entry<Event>>,
    send: &impl AsyncFn(Vec<Event>) -> Result<u64, Error>,
) -> Result<Taken, Failed> {
    let masked = entries.iter().position(|entry| is_masked(&entry.value));
    let behind = masked.map(|at| entries.split_off(at));
    let before = together_or_alone(entries, send).await?;
    let Some(masked) = behind.iter().flatten().next() else {
        return Ok(before);
    };
    let (line, id) = (masked.line, &masked.value.id);
    let trouble = Trouble::usage(format!(
        "line {line}: the secret fields of {id:?} are masked"
    ));
    Err(Failed {
        before,
        trouble: trouble.hint("`oxcart job export --reveal` writes them"),
    })
}

fn is_masked(event: &Event) -> bool {
    event.extensions.get(MASKED).is_some_and(|it| it == "true")
}

/// All of them in one request; if one of them is refused, one by one, to see which.
async fn together_or_alone(
    entries: Vec<Entry<Event>>,
    send: &impl AsyncFn(Vec<Event>) -> Result<u64, Error>,
) -> Result<Taken, Failed> {
    let number = entries.len() as u64;
    let taken = |new| Taken {
        new,
        there: number - new,
    };
    if entries.is_empty() {
        return Ok(Taken::default());
    }
    // One request has each id once.
    let mut ids = HashSet::new();
    let once = entries.iter().map(|entry| &entry.value);
    let once = once.filter(|event| ids.insert(event.id.clone()));
    match send(once.cloned().collect()).await {
        Ok(new) => return Ok(taken(new)),
        Err(error) if error.kind() == ErrorKind::Invalid => {}
        Err(error) => return Err(error.into()),
    }
    let mut before = Taken::default();
    for Entry { line, value } in entries {
        match send(vec![value]).await {
            Ok(new) => before.add(Taken {
                new,
                there: 1 - new,
            }),
            Err(error) => {
                let mut trouble = Trouble::from(error);
                trouble.message = format!("line {line}: {}", trouble.message);
                return Err(Failed { before, trouble });
            }
        }
    }
    Ok(before)
}
