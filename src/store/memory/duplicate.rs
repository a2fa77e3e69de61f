//! Jobs that are to be added while another job has their unique key.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use crate::id::JobId;
use crate::job::options::PRIORITY_DEFAULT;
use crate::job::traits::{ON_DUPLICATE, UNIQUE, UNIQUE_UNTIL, gate_of};
use crate::memory::delayed::due_of;
use crate::memory::enqueue::{due_ms, stored_record};
use crate::memory::gate::Goes;
use crate::memory::order::{place, priority_at};
use crate::memory::state::{Collection, Later, State};
use crate::store::enqueue::{Met, NewJob, Novelty, There};

impl State {
    /// Of jobs that are to be added, returns those whose key another job has, and what the others are by then: a job that
    /// replaces one of the same call takes its position.
    pub(crate) fn meet<'a>(
        &mut self,
        jobs: &[&'a NewJob],
        novelty: Novelty,
    ) -> (BTreeMap<usize, There>, Vec<Cow<'a, NewJob>>) {
        let mut left: Vec<Cow<'a, NewJob>> = jobs.iter().map(|job| Cow::Borrowed(*job)).collect();
        let mut met = BTreeMap::new();
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        let (mut seen, mut replaced) = (HashSet::new(), Vec::new());
        for (position, new) in jobs.iter().enumerate() {
            let is_known = self.jobs.contains_key(&new.id) || seen.contains(&new.id);
            let name = new.record.field(UNIQUE).map(str::to_owned);
            let Some(name) = name.filter(|_| !is_known || novelty == Novelty::New) else {
                seen.insert(new.id.clone());
                continue;
            };
            let how = new.record.field(ON_DUPLICATE);
            let (other, is_replaced) = match first.get(&name) {
                Some(&at) => (Some(meet_new(&mut left, at, position)), how.is_some()),
                None => self.meet_owner(&name, new, &mut replaced),
            };
            let Some(other) = other else {
                first.insert(name, position);
                seen.insert(new.id.clone());
                continue;
            };
            let what = if is_replaced {
                "replaced"
            } else {
                "duplicates"
            };
            self.count(what, 1);
            let met_job = match is_replaced {
                true => Met::Replaced(other),
                false => Met::Duplicate(other),
            };
            let there = There {
                position,
                met: met_job,
            };
            met.insert(position, there);
        }
        self.emit_ids("replaced", &replaced);
        (met, left)
    }

    /// Another job may have the key: which, and whether it is replaced.
    fn meet_owner(
        &mut self,
        name: &str,
        new: &NewJob,
        replaced: &mut Vec<JobId>,
    ) -> (Option<JobId>, bool) {
        let Some(id) = self.owner_of_key(name) else {
            return (None, false);
        };
        let at = self.collection_of(&id);
        let waits = at.is_some_and(Collection::waits);
        if let Some(await_ms) = new.await_ms
            && (waits || at == Some(Collection::Active))
        {
            self.await_until(&id, self.now_ms() + await_ms);
        }
        let is_replaced = waits && new.record.field(ON_DUPLICATE).is_some();
        if is_replaced {
            self.replace(&id, new);
            self.forget_expiry(std::slice::from_ref(&id));
            self.expect_expiry(std::slice::from_ref(&id));
            self.give_key(&id, name, new.record.field(UNIQUE_UNTIL));
            replaced.push(id.clone());
        }
        (Some(id), is_replaced)
    }

    /// When a job that waits is due; none for now.
    fn current_due(&self, id: &JobId) -> Option<u64> {
        let job = self.jobs.get(id)?;
        let due_ms = match job.collection {
            Collection::Delayed => due_of(job.score),
            Collection::Blocked => job.score.unsigned_abs(),
            _ => 0,
        };
        (due_ms > self.now_ms()).then_some(due_ms)
    }

    /// A job that waits gets the payload and the options of a new one. It keeps its place if nothing asks for another one.
    fn replace(&mut self, id: &JobId, new: &NewJob) {
        let now_ms = self.now_ms();
        let current = self.current_due(id);
        let due = match new.record.field(ON_DUPLICATE) {
            Some("debounce") => Some(due_ms(new, now_ms)).filter(|due_ms| *due_ms > now_ms),
            _ => current,
        };
        let later = Later {
            priority: new.priority.unwrap_or(PRIORITY_DEFAULT),
            front: new.front,
        };
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let (given, old) = (job.given, job.record.clone());
        let record = stored_record(&new.record, now_ms, given);
        let stays = due == current
            && gate_of(&old) == gate_of(&record)
            && priority_at(self.place_of(id)) == later.priority;
        if stays {
            self.rewrite(id, record, new, given);
        } else {
            self.move_replaced(id, new, due, later);
        }
    }

    fn rewrite(&mut self, id: &JobId, record: Vec<u8>, new: &NewJob, given: i64) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.record = record;
            job.payload = new.record.external_payload.clone();
            job.given = given;
        }
    }

    /// Out of where it waits, to where a new job would go.
    fn move_replaced(&mut self, id: &JobId, new: &NewJob, due: Option<u64>, later: Later) {
        let now_ms = self.now_ms();
        let from = self.collection_of(id);
        let leaving = self.leaving(id, Goes::Ended);
        if from == Some(Collection::Blocked) {
            self.leave_blocked(id);
        }
        self.put(id, Collection::Lost, 0);
        match from {
            Some(Collection::Unhandled) => self.left_unhandled(std::slice::from_ref(id)),
            Some(Collection::Blocked) => self.left_blocked(),
            _ => {}
        }
        self.leave(leaving.as_slice());
        if from == Some(Collection::Delayed) {
            self.look_for_due();
        }
        if let Some(job) = self.jobs.get_mut(id) {
            job.moved = None;
            job.stalls = 0;
        }
        let delayed = due.filter(|_| !new.record.is_ordered());
        let given = match delayed {
            Some(_) => place(later.priority, 0),
            None => self.next_place(later),
        };
        let record = stored_record(&new.record, now_ms, given);
        self.rewrite(id, record, new, given);
        match delayed {
            Some(due_ms) => {
                self.enter_delayed(&[(id.clone(), due_ms, later)]);
                self.expect_group(due_ms);
                self.emit("delayed", &[format!("{id}:{due_ms}")]);
            }
            None => {
                self.enter_or_hold(vec![(id.clone(), given, due.unwrap_or(0))]);
                if !self.is_paused() {
                    self.arm(0);
                }
            }
        }
    }
}

/// The job at position `at` is to be added by the same call. Returns its id.
fn meet_new(left: &mut [Cow<'_, NewJob>], at: usize, with: usize) -> JobId {
    let (before, new) = (
        left[at].clone().into_owned(),
        left[with].clone().into_owned(),
    );
    let await_ms = before.await_ms.max(new.await_ms);
    let id = before.id.clone();
    let kept = match new.record.field(ON_DUPLICATE) {
        None => before,
        Some("replace") => NewJob {
            due: before.due,
            ..new
        },
        Some(_) => new,
    };
    left[at] = Cow::Owned(NewJob {
        id: id.clone(),
        await_ms,
        ..kept
    });
    id
}
