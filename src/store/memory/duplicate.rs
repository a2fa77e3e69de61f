//! Jobs that are to be added while another job has their unique key.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use crate::id::JobId;
use crate::job::options::PRIORITY_DEFAULT;
use crate::job::record::NewPayload;
use crate::job::traits::{ON_DUPLICATE, UNIQUE, UNIQUE_UNTIL};
use crate::memory::change::Change;
use crate::memory::enqueue::due_ms;
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
        let mut seen = HashSet::new();
        let mut have_left_delayed = false;
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
                None => self.meet_owner(&name, new, &mut have_left_delayed),
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
        if have_left_delayed {
            self.look_for_due();
        }
        (met, left)
    }

    /// Another job may have the key: which, and whether it is replaced.
    fn meet_owner(
        &mut self,
        name: &str,
        new: &NewJob,
        have_left_delayed: &mut bool,
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
            *have_left_delayed |= self.replace(&id, new);
            self.forget_expiry(std::slice::from_ref(&id));
            self.expect_first_start(&id);
            self.give_key(&id, name, new.record.field(UNIQUE_UNTIL));
        }
        (Some(id), is_replaced)
    }

    /// A job that waits becomes what a new one would be. It keeps its id, its history and, if nothing asks for another one, its
    /// place. Returns what `change` does.
    fn replace(&mut self, id: &JobId, new: &NewJob) -> bool {
        let now_ms = self.now_ms();
        let due_ms = match new.record.field(ON_DUPLICATE) {
            Some("debounce") => Some(due_ms(new, now_ms)).filter(|due_ms| *due_ms > now_ms),
            _ => self.due_of_waiting(id),
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
            enqueued_ms: Some(now_ms),
        };
        self.emit_ids("replaced", std::slice::from_ref(id));
        self.change(id, &change)
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
