//! Jobs that are to be added while another job has their unique key.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::codec;
use crate::id::JobId;
use crate::job::head::{fields_of, split_fields};
use crate::job::options::PRIORITY_DEFAULT;
use crate::job::record::NewPayload;
use crate::job::traits::{ON_DUPLICATE, UNIQUE, UNIQUE_UNTIL, WAIT_AT_MOST, children_in};
use crate::memory::change::Change;
use crate::memory::delayed::due_ms;
use crate::memory::flow::is_of_flow;
use crate::memory::state::{Collection, Later, State};
use crate::store::enqueue::{Met, NewJob, Novelty, There};

/// What becomes of jobs that are to be added.
pub(crate) struct Meeting<'a> {
    /// Those whose key another job has.
    pub(crate) met: BTreeMap<usize, There>,
    /// What all of them are by now: a job that replaces one of the same call takes its position.
    pub(crate) jobs: Vec<Cow<'a, NewJob>>,
    /// The positions of those that are added as successors.
    pub(crate) follow: BTreeSet<usize>,
    /// The positions of those that wait for their children.
    pub(crate) parents: BTreeSet<usize>,
}

/// What becomes of one of them.
enum Meets {
    /// No other job has its key.
    Nobody,
    /// It is added as a successor.
    Follows,
    Duplicate(JobId),
    Replaced(JobId),
}

impl State {
    /// Of jobs that are to be added, another one may have the key. `flows`: which of them are added together, or not at all, by the
    /// position of the first.
    pub(crate) fn meet<'a>(
        &mut self,
        jobs: &[&'a NewJob],
        novelty: Novelty,
        flows: &BTreeMap<usize, Vec<usize>>,
    ) -> Meeting<'a> {
        let mut left: Vec<Cow<'a, NewJob>> = jobs.iter().map(|job| Cow::Borrowed(*job)).collect();
        let (mut met, mut follow) = (BTreeMap::new(), BTreeSet::new());
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        let mut seen = HashSet::new();
        let mut have_left_delayed = false;
        for (position, new) in jobs.iter().enumerate() {
            if let Some(flow) = flows.get(&position) {
                let told = self.meet_flow(flow, jobs, novelty, &seen, &first);
                met.extend(told.into_iter().map(|there| (there.position, there)));
            }
            if met.contains_key(&position) {
                continue;
            }
            let is_known = self.jobs.contains_key(&new.id) || seen.contains(&new.id);
            let name = new.record.field(UNIQUE).map(str::to_owned);
            let Some(name) = name.filter(|_| !is_known || novelty == Novelty::New) else {
                seen.insert(new.id.clone());
                continue;
            };
            let how = new.record.field(ON_DUPLICATE);
            let meets = match first.get(&name) {
                Some(&at) if how.is_some() || !follow.contains(&at) => {
                    let how = how.filter(|_| !is_of_flow(split_fields(&left[at].record.record).0));
                    let other = meet_new(&mut left, at, position, how);
                    match how {
                        Some(_) => Meets::Replaced(other),
                        None => Meets::Duplicate(other),
                    }
                }
                _ => self.meet_owner(&name, new, &mut have_left_delayed),
            };
            let (what, met_job) = match meets {
                Meets::Duplicate(other) => ("duplicates", Met::Duplicate(other)),
                Meets::Replaced(other) => ("replaced", Met::Replaced(other)),
                Meets::Nobody | Meets::Follows => {
                    first.insert(name, position);
                    seen.insert(new.id.clone());
                    follow.extend(matches!(meets, Meets::Follows).then_some(position));
                    continue;
                }
            };
            self.count(what, 1);
            let there = There {
                position,
                met: met_job,
            };
            met.insert(position, there);
        }
        if have_left_delayed {
            self.look_for_due();
        }
        Meeting {
            met,
            jobs: left,
            follow,
            parents: flows
                .values()
                .flatten()
                .copied()
                .filter(|at| children_in(split_fields(&jobs[*at].record.record).0) > 0)
                .collect(),
        }
    }

    /// Another job may have the key.
    fn meet_owner(&mut self, name: &str, new: &NewJob, have_left_delayed: &mut bool) -> Meets {
        let how = new.record.field(ON_DUPLICATE);
        let Some(owner) = self.owner_of_key(name) else {
            return Meets::Nobody;
        };
        let successor = how.and_then(|_| self.successor(name));
        let is_owner = successor.is_none();
        let id = successor.unwrap_or(owner.id);
        let at = self.collection_of(&id);
        let runs = at == Some(Collection::Active);
        let waits = at.is_some_and(Collection::waits);
        let record = self.jobs.get(&id).map(|job| job.record.as_slice());
        let is_of_flow = record.and_then(fields_of).is_some_and(is_of_flow);
        let has_begun = runs || waits && !is_of_flow && self.has_steps(&id);
        if how == Some("latest") && has_begun && owner.until_ms.is_none() {
            return Meets::Follows;
        }
        if let Some(await_ms) = new.await_ms
            && (waits || runs)
        {
            self.await_until(&id, self.now_ms() + await_ms);
        }
        if !waits || has_begun || how.is_none() || is_of_flow {
            return Meets::Duplicate(id);
        }
        *have_left_delayed |= self.replace(&id, new);
        self.forget_expiry(std::slice::from_ref(&id));
        self.expect_first_start(&id);
        if is_owner {
            self.give_key(&id, name, new.record.field(UNIQUE_UNTIL));
        }
        Meets::Replaced(id)
    }

    /// A job that waits becomes what a new one would be. It keeps its id, its history and, if nothing asks for another one, its
    /// place. Returns what `change` does.
    fn replace(&mut self, id: &JobId, new: &NewJob) -> bool {
        let now_ms = self.now_ms();
        let is_debounced = new.record.field(ON_DUPLICATE) == Some("debounce");
        let most_ms = new.record.field(WAIT_AT_MOST).filter(|_| is_debounced);
        let most_ms: Option<u64> = most_ms.and_then(|ms| ms.parse().ok());
        let since_ms = self.jobs.get(id).and_then(|job| {
            let (since_ms, _) = codec::split_stamp(job.record.get(1..)?)?;
            Some(since_ms)
        });
        let latest_ms = since_ms.zip(most_ms).map(|(since, most)| since + most);
        let due_ms = match is_debounced {
            true => Some(due_ms(new, now_ms).min(latest_ms.unwrap_or(u64::MAX)))
                .filter(|due_ms| *due_ms > now_ms),
            false => self.due_of_waiting(id),
        };
        let later = Later {
            priority: new.priority.unwrap_or(PRIORITY_DEFAULT),
            front: new.front,
        };
        let payload = new.record.external_payload.clone();
        let change = Change {
            later,
            due_ms,
            rest: Some(new.record.record.clone()),
            payload: payload.map_or(NewPayload::Inline, NewPayload::Apart),
            enqueued_ms: most_ms.is_none().then_some(now_ms),
            keeps_order: false,
            is_moved: false,
        };
        self.emit_ids("replaced", std::slice::from_ref(id));
        self.change(id, &change)
    }
}

/// The job at position `at` is to be added by the same call. Returns its id.
fn meet_new(left: &mut [Cow<'_, NewJob>], at: usize, with: usize, how: Option<&str>) -> JobId {
    let (before, new) = (
        left[at].clone().into_owned(),
        left[with].clone().into_owned(),
    );
    let await_ms = before.await_ms.max(new.await_ms);
    let id = before.id.clone();
    let kept = match how {
        None => before,
        Some("debounce") => new,
        Some(_) => NewJob {
            due: before.due,
            ..new
        },
    };
    left[at] = Cow::Owned(NewJob {
        id: id.clone(),
        await_ms,
        ..kept
    });
    id
}
