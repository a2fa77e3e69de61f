//! CloudEvents that are published.

use std::time::Duration;

use clap::Args;
use indicatif::HumanCount;
use serde::Serialize;

use super::find;
use crate::jobs::cloud_events;
use crate::jobs::json_file::Words;
use crate::session::Session;
use crate::trouble::{Exit, Trouble};

/// As much as a topic can keep. What is too old for the application goes when the application publishes.
const KEEP: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
const KEEP_BYTES: u64 = 1 << 50;

/// An event whose id is in the log already is left alone: a file can be published twice. Nobody checks that the data is what events of this type
/// have. No older event is dropped from the log to make room.
#[derive(Args)]
pub(crate) struct Publish {
    topic: String,
    /// A file with a CloudEvent in each line, or with one JSON array of them, or - for stdin
    file: String,
    /// The topic may be one that does not exist yet
    #[arg(long)]
    new_topic: bool,
}

/// See `schema/published.json`.
#[derive(Serialize)]
struct Done<'a> {
    topic: &'a str,
    events: u64,
    new: u64,
    there: u64,
}

impl Publish {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let name = &*self.topic;
        let topic = match self.new_topic {
            true => session.oxcart.topic(name)?,
            false => find(session, name).await.map_err(|trouble| {
                let is_new = trouble.exit == Exit::NotFound && trouble.nearest.is_none();
                match is_new {
                    true => trouble.hint("--new-topic makes it"),
                    false => trouble,
                }
            })?,
        };
        let topic = topic.keep(KEEP, KEEP_BYTES)?;
        let words = Words {
            value: "CloudEvent",
            action: "publish",
            past: "published",
            number: events,
        };
        let taken = cloud_events::take(&self.file, &words, async |events| {
            let requests = events.into_iter().map(|event| topic.publish_event(event));
            let published = topic.publish_many(requests).await?;
            Ok(published.iter().filter(|event| event.is_new).count() as u64)
        });
        let taken = taken.await?;
        let done = Done {
            topic: name,
            events: taken.all(),
            new: taken.new,
            there: taken.there,
        };
        let mut text = format!("{} published in `{name}`", events(taken.new));
        if taken.there > 0 {
            text += &format!("; {} there already, and left alone", events(taken.there));
        }
        match taken.new {
            0 => session.out.nothing(&done, text),
            _ => session.out.done(&done, text),
        }
    }
}

/// So many events, for people.
fn events(number: u64) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} event{s}", HumanCount(number))
}
