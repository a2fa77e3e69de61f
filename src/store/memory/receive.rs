//! Takes in messages of other queues, each once.

use crate::memory::Apply;
use crate::memory::enqueue::add;
use crate::memory::state::State;
use crate::store::enqueue::{NewJob, Novelty};
use crate::store::outbox::message::{Message, kind_of};
use crate::store::receive::{NextOne, Receive, Received};

impl Apply for Receive<'_> {
    fn apply(&self, state: &mut State) -> Received {
        let is_new_queue = !state.totals.contains_key("added");
        let last = state.sources.get(self.source).copied().unwrap_or(0);
        let new = self.messages.iter().skip_while(|it| it.position <= last);
        let new: Vec<_> = new.collect();
        let kind = new.first().map_or("", |first| kind_of(&first.message));
        let run = new.iter().map(|numbered| &numbered.message[..]);
        let run: Vec<&[u8]> = run.take_while(|message| kind_of(message) == kind).collect();
        let readable = run.iter().map_while(|message| Message::decode(message));
        let (taken, more) = take(readable.collect(), state);
        let next = match (taken, run.is_empty()) {
            _ if more => NextOne::Again,
            (0, false) => NextOne::Unknown,
            _ => NextOne::Goes,
        };
        let position = match taken.checked_sub(1) {
            Some(at) => new[at].position,
            None => last,
        };
        if taken > 0 {
            state.sources.insert(self.source.to_owned(), position);
        }
        Received {
            position,
            taken: taken as u64,
            next,
            has_sent: state.has_sent,
            is_first: is_new_queue && state.totals.contains_key("added"),
        }
    }
}

/// Does what messages of one kind say; how many of them, and whether there is more to do for the next.
fn take(messages: Vec<Message>, state: &mut State) -> (usize, bool) {
    let mut jobs: Vec<NewJob> = Vec::new();
    let mut forwarded = 0;
    for message in messages {
        match message {
            Message::Job(job) => jobs.push(job),
            Message::Cancel { outcome, ids } => {
                state.cancel(&ids, &outcome);
                return (1, false);
            }
            Message::Forward { target, message } => {
                state.send(&target, message);
                forwarded += 1;
            }
            Message::Expand { draft } => {
                let is_done = state.expand(&draft);
                return (usize::from(is_done), !is_done);
            }
        }
    }
    if !jobs.is_empty() {
        add(&jobs.iter().collect::<Vec<_>>(), Novelty::Unsure, state);
    }
    (forwarded + jobs.len(), false)
}
