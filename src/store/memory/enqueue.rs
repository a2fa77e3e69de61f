//! Adds jobs.

use std::collections::BTreeSet;

use crate::id::JobId;
use crate::job::head::{EXTERNAL_PAYLOAD, WITH_TRAITS};
use crate::job::options::PRIORITY_DEFAULT;
use crate::job::record::{EncodedRecord, VERSION};
use crate::job::traits::{UNIQUE, UNIQUE_UNTIL};
use crate::memory::Apply;
use crate::memory::attempts::stamp;
use crate::memory::delayed::due_ms;
use crate::memory::duplicate::Meeting;
use crate::memory::flow::flows_among;
use crate::memory::once::{Begun, StoredAnswer};
use crate::memory::order::place;
use crate::memory::state::{Collection, Job, Later, State};
use crate::store::enqueue::{Enqueue, Enqueued, Met, NewJob, Novelty, There};

impl Apply for Enqueue<'_> {
    fn apply(&self, state: &mut State) -> Enqueued {
        match state.begin_call(self.lane, self.call, self.jobs.is_empty()) {
            Begun::Superseded => return Enqueued::Superseded,
            Begun::Asked => return Enqueued::Asked,
            Begun::Repeated(answer) => {
                state.end_call(self.lane, self.call, answer.clone());
                let there = match answer {
                    StoredAnswer::Enqueued { there } => there,
                    // The lane belongs to a worker: nothing was added.
                    StoredAnswer::Advanced { .. } | StoredAnswer::Asked => Vec::new(),
                };
                return Enqueued::Added {
                    there,
                    replaced: 0,
                    is_first: false,
                };
            }
            Begun::New => {}
        }
        let is_first = !state.totals.contains_key("added");
        let (there, replaced) = add(self.jobs, self.novelty, state);
        let answer = StoredAnswer::Enqueued {
            there: there.clone(),
        };
        state.end_call(self.lane, self.call, answer);
        Enqueued::Added {
            there,
            replaced,
            is_first: is_first && replaced == 0,
        }
    }
}

/// Those that were not added, and how many jobs were replaced: new ids that
/// are not new are found before anything is written if they come alone, and afterwards if not.
pub(crate) fn add(jobs: &[&NewJob], novelty: Novelty, state: &mut State) -> (Vec<There>, u64) {
    let apart = false;
    add_as(jobs, novelty, apart, state)
}

/// The same. `apart`: no job is refused because another one of its flow is.
pub(crate) fn add_as(
    jobs: &[&NewJob],
    novelty: Novelty,
    apart: bool,
    state: &mut State,
) -> (Vec<There>, u64) {
    let meeting = state.meet(jobs, novelty, &flows_among(jobs, apart));
    add_met(meeting, novelty, state)
}

/// The same for jobs of which is known what becomes of them.
pub(crate) fn add_met(
    meeting: Meeting<'_>,
    novelty: Novelty,
    state: &mut State,
) -> (Vec<There>, u64) {
    let now_ms = state.now_ms();
    let due = |new: &NewJob| due_ms(new, now_ms);
    let Meeting {
        mut met,
        jobs,
        follow,
        parents,
    } = meeting;
    // A job with an order takes its place there now, whenever it is due; one that waits for others that in line.
    let is_placed =
        |at: usize| follow.contains(&at) || parents.contains(&at) || jobs[at].record.is_ordered();
    let is_delayed = |at: usize| due(&jobs[at]) > now_ms && !is_placed(at);
    let met_at: BTreeSet<usize> = met.keys().copied().collect();
    let is_alone = |position: usize| {
        let others = (0..jobs.len()).filter(|at| !met_at.contains(at));
        let mut like_it = others.filter(|at| is_delayed(*at) == is_delayed(position));
        like_it.nth(1).is_none()
    };
    let mut replaced = 0;
    let (mut there, mut waiting, mut delayed, mut of_groups) = (vec![], vec![], vec![], vec![]);
    for (position, new) in jobs.iter().enumerate() {
        if let Some(met) = met.remove(&position) {
            there.push(met);
            continue;
        }
        let later = Later {
            priority: new.priority.unwrap_or(PRIORITY_DEFAULT),
            front: new.front,
        };
        let due_ms = due(new);
        if state.jobs.contains_key(&new.id) {
            if novelty == Novelty::New {
                state.count("clashed", 1);
            }
            if novelty == Novelty::Unsure || is_alone(position) {
                let met = Met::Itself;
                there.push(There { position, met });
                if novelty == Novelty::New && !is_delayed(position) {
                    // It had been given its place by then.
                    state.next_place(later);
                }
                continue;
            }
            replaced += 1;
            state.forget([&new.id]);
        }
        // A delayed job has no place yet: its record holds the first one of its priority.
        let given = if is_delayed(position) {
            delayed.push((new.id.clone(), due_ms, later));
            of_groups.extend(new.record.traits.then_some(due_ms));
            place(later.priority, 0)
        } else {
            let given = state.next_place(later);
            waiting.push((new.id.clone(), given, due_ms));
            given
        };
        state.insert(new.id.clone(), stored(new, now_ms, given));
        let name = new.record.field(UNIQUE);
        if let Some(name) = name.filter(|_| follow.contains(&position)) {
            state.successors.insert(name.to_owned(), new.id.clone());
        } else if let Some(name) = name {
            state.give_key(&new.id, name, new.record.field(UNIQUE_UNTIL));
        }
        state.expect_expiry(std::slice::from_ref(&new.id));
        state.note_children(new);
        if let Some(await_ms) = new.await_ms {
            state.await_until(&new.id, now_ms + await_ms);
        }
    }
    let ids: Vec<JobId> = waiting.iter().map(|(id, ..)| id.clone()).collect();
    state.count("added", waiting.len() + delayed.len());
    state.emit_ids("added", &ids);
    if !waiting.is_empty() {
        state.enter_or_hold(waiting);
        if !state.is_paused() {
            state.arm_for_new_job();
        }
    }
    state.enter_delayed(&delayed);
    for due_ms in of_groups {
        state.expect_group(due_ms);
    }
    let ids: Vec<String> = delayed.iter().map(|(id, ..)| id.to_string()).collect();
    state.emit("added", &ids);
    let tokens = delayed.iter().map(|(id, due, _)| format!("{id}:{due}"));
    state.emit("delayed", &tokens.collect::<Vec<_>>());
    (there, replaced)
}

/// A record as Redis holds it.
pub(crate) fn stored_record(sent: &EncodedRecord, at_ms: u64, given: i64) -> Vec<u8> {
    let version = if sent.traits { WITH_TRAITS } else { VERSION };
    let version = match sent.external_payload {
        Some(_) => version | EXTERNAL_PAYLOAD,
        None => version,
    };
    let place = format!("{given} ");
    [
        &[version],
        &stamp(at_ms)[..],
        place.as_bytes(),
        &sent.record,
    ]
    .concat()
}

/// A job at its place in line, where it stays unless it is delayed.
fn stored(new: &NewJob, now_ms: u64, given: i64) -> Job {
    Job {
        record: stored_record(&new.record, now_ms, given),
        payload: new.record.external_payload.clone(),
        collection: Collection::Waiting,
        score: given,
        given,
        moved: None,
        claim: None,
        stalls: 0,
        history: None,
        request: None,
        outcome: None,
        progress: None,
        name: None,
    }
}
