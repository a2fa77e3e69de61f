//! Takes in messages of other queues, each once.

use crate::job::head::{field_of, split_fields};
use crate::job::traits::{PARENT, child_of};
use crate::memory::Apply;
use crate::memory::children::News;
use crate::memory::enqueue::add_as;
use crate::memory::state::{Collection, State};
use crate::policy::flow::{ChildOf, Standing};
use crate::store::enqueue::{Met, NewJob, Novelty, There};
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
    let mut news: Vec<News> = Vec::new();
    let (mut forwarded, mut expected) = (0, 0);
    for message in messages {
        match message {
            Message::Job(job) => jobs.push(job),
            Message::Cancel { outcome, ids } => {
                state.cancel(&ids, &outcome);
                return (1, false);
            }
            Message::Child {
                parent,
                number,
                id,
                standing,
                on_death,
                ended_ms,
                ending,
            } => news.push(News {
                child: id,
                of: ChildOf {
                    queue: None,
                    route: None,
                    parent,
                    number,
                    on_death,
                    of_step: None,
                },
                standing,
                at_ms: ended_ms,
                ending,
            }),
            Message::Children { parent, children } => {
                state.expect_children(&parent, children);
                expected += 1;
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
    let taken = forwarded + expected + jobs.len() + news.len();
    state.hear(news);
    if !jobs.is_empty() {
        receive_jobs(&jobs, state);
    }
    (taken, false)
}

/// A job that is a child, and cannot be added, would be waited for for ever: its parent is told. One that is there, and is this child, is no news: it
/// tells when it ends. One that has ended told an earlier parent of the same id, and tells nobody again.
fn receive_jobs(jobs: &[NewJob], state: &mut State) {
    let apart = true;
    let (there, _) = add_as(
        &jobs.iter().collect::<Vec<_>>(),
        Novelty::Unsure,
        apart,
        state,
    );
    let mut refused = Vec::new();
    for There { position, met } in there {
        let job = &jobs[position];
        let Some(parent) = job.record.field(PARENT) else {
            continue;
        };
        let stored = state.jobs.get(&job.id);
        let is_this = stored.is_some_and(|job| {
            let has_ended = matches!(
                job.collection,
                Collection::Completed | Collection::Kept | Collection::Dead
            );
            field_of(&job.record, PARENT) == Some(parent) && !has_ended
        });
        let why = match met {
            Met::Duplicate(owner) => format!("job {owner} has its unique key"),
            _ if is_this => continue,
            _ => "another job has its id".to_owned(),
        };
        let Some(of) = child_of(split_fields(&job.record.record).0) else {
            continue;
        };
        refused.push(News {
            child: job.id.clone(),
            of,
            standing: Standing::Refused,
            at_ms: state.now_ms(),
            ending: why.into_bytes(),
        });
    }
    state.hear(refused);
}
