//! Children: jobs for which another one, their parent, waits. The parent is blocked, and its gate does not know it yet.

use std::collections::BTreeMap;

use crate::codec;
use crate::id::JobId;
use crate::job::head::{field_of, fields_of};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::{DeadReason, Ending};
use crate::job::record::name_of;
use crate::job::traits::{ORDER, child_of, children_in};
use crate::memory::Apply;
use crate::memory::leave::{Goes, Leaving};
use crate::memory::order::{place, priority_at};
use crate::memory::state::{Collection, Later, State};
use crate::policy::flow::{ChildOf, KnownChild, OnDeath, Standing};
use crate::store::children::{Children as ReadChildren, Known};
use crate::store::enqueue::{Callback, Callbacks, NewJob};
use crate::store::import::Beside;
use crate::store::outbox::message::{ExpectedChild, Message};

/// Children of which their parent will hear nothing, and how many of the others are surely open.
pub(crate) type Missing = (Vec<(u32, JobId)>, u32);

/// What a job knows of its children.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Children {
    pub(crate) total: u32,
    /// How many have not ended; one that is dead has not, unless the parent goes on without it.
    pub(crate) open: u32,
    pub(crate) known: BTreeMap<u32, KnownChild>,
    /// What is to be added then; and how many of them have neither ended nor died.
    pub(crate) callbacks: Option<(Callbacks, u32)>,
}

impl Children {
    /// The numbers, as they are stored.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> String {
        let left = self.callbacks.as_ref();
        let left = left.map_or(String::new(), |(_, left)| format!(" {left}"));
        format!("{} {}{left}", self.total, self.open)
    }
}

/// Who is touched by news of children.
#[derive(Default)]
pub(crate) struct Told {
    /// Parents that die with them.
    pub(crate) died: Vec<Leaving>,
    /// Parents that may go on, because a step of theirs waits no more.
    pub(crate) woken: Vec<JobId>,
}

/// News of a child for its parent.
pub(crate) struct News {
    pub(crate) child: JobId,
    pub(crate) of: ChildOf,
    pub(crate) standing: Standing,
    pub(crate) at_ms: u64,
    pub(crate) ending: Vec<u8>,
}

impl News {
    /// As it is sent to another queue.
    fn into_message(self) -> Message {
        Message::Child {
            parent: self.of.parent,
            number: self.of.number,
            id: self.child,
            standing: self.standing,
            on_death: self.of.on_death,
            ended_ms: self.at_ms,
            ending: self.ending,
        }
    }
}

impl Children {
    /// As Redis holds it.
    pub(crate) fn stored(beside: &Beside) -> Self {
        let counted = beside
            .field("children")
            .and_then(|it| std::str::from_utf8(it).ok());
        let (_, open) = counted
            .and_then(|it| it.split_once(' '))
            .unwrap_or_default();
        let known = beside.numbered("child");
        let known = known.filter_map(|(number, it)| Some((number, KnownChild::decode(it).ok()?)));
        Self {
            total: u32::try_from(beside.children).unwrap_or(u32::MAX),
            open: open.parse().unwrap_or(0),
            known: known.collect(),
            callbacks: None,
        }
    }
}

/// News of a child, the first or not: what is to be added now.
fn heard(callbacks: &mut Option<(Callbacks, u32)>, is_first: bool, is_dead: bool) -> Vec<Callback> {
    let mut sent = Vec::new();
    if let Some((callbacks, left)) = callbacks.as_mut().filter(|_| is_first) {
        *left = left.saturating_sub(1);
        if is_dead {
            sent.extend(callbacks.on_failure.take());
        }
        if *left == 0 {
            sent.extend(callbacks.on_complete.take());
        }
    }
    sent
}

fn parent_of(record: &[u8]) -> Option<ChildOf> {
    child_of(fields_of(record)?)
}

impl State {
    pub(crate) fn children_of(&mut self, id: &JobId) -> Option<&mut Children> {
        let history = self.jobs.get_mut(id)?.history.as_mut()?;
        Some(&mut history.children).filter(|children| children.total > 0)
    }

    pub(crate) fn waits_for_children(&self, id: &JobId) -> bool {
        let history = self.jobs.get(id).and_then(|job| job.history.as_ref());
        history.is_some_and(|history| history.children.open > 0)
    }

    /// A job was stored. Parents know of their children from now on.
    pub(crate) fn note_children(&mut self, new: &NewJob) {
        let id = &new.id;
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        let total = fields_of(&job.record).map_or(0, children_in);
        if total > 0 {
            let callbacks = new.callbacks.as_deref().cloned();
            let children = Children {
                total,
                open: total,
                known: BTreeMap::new(),
                callbacks: callbacks.map(|callbacks| (callbacks, total)),
            };
            job.history.get_or_insert_default().children = children;
        }
        let name = name_of(&job.record).map(|name| String::from_utf8_lossy(name).into_owned());
        let Some(child) = parent_of(&job.record) else {
            return;
        };
        if child.queue.is_some() {
            self.far = true;
            return;
        }
        let known = KnownChild {
            standing: Standing::Open,
            queue: None,
            id: id.clone(),
            name: name.unwrap_or_else(|| "?".to_owned()),
            ended_ms: 0,
            ending: Vec::new(),
        };
        if let Some(children) = self.children_of(&child.parent) {
            children.known.entry(child.number).or_insert(known);
        }
    }

    /// Jobs leave what they were: their parents are told of those that have ended.
    pub(crate) fn tell_parents(&mut self, jobs: &[Leaving]) -> Told {
        let mut told = Told::default();
        for job in jobs {
            let died = self.tell_parent(job, &mut told.woken);
            told.died.extend(died);
        }
        let mut at = 0;
        while at < told.died.len() {
            let next = self.tell_parent(&told.died[at], &mut told.woken);
            told.died.extend(next);
            at += 1;
        }
        told
    }

    fn tell_parent(&mut self, job: &Leaving, woken: &mut Vec<JobId>) -> Option<Leaving> {
        let standing = match job.to {
            Goes::Ended => Standing::Ended,
            Goes::Dead => Standing::Dead,
            Goes::Removed => Standing::Removed,
            Goes::Waiting | Goes::Delayed | Goes::Moved => return None,
        };
        let of = parent_of(&job.record)?;
        let had_ended = matches!(job.from, Collection::Completed | Collection::Kept);
        if of.queue.is_some() && had_ended {
            return None;
        }
        let news = News {
            child: job.id.clone(),
            of,
            standing,
            at_ms: self.now_ms(),
            ending: job.ending.clone(),
        };
        self.tell(news, woken)
    }

    /// A parent in another queue is sent a message. Returns the parent if it dies.
    fn tell(&mut self, mut news: News, woken: &mut Vec<JobId>) -> Option<Leaving> {
        let Some(queue) = news.of.queue.take() else {
            return self.hear_one(news, woken);
        };
        let route = news.of.route.take();
        let message = news.into_message().encode();
        match route {
            Some(route) => {
                let target = queue;
                self.send(&route, Message::Forward { target, message }.encode());
            }
            None => self.send(&queue, message),
        }
        None
    }

    /// News of a job that the parent does not know, or knows to have ended, changes nothing.
    fn hear_one(&mut self, news: News, woken: &mut Vec<JobId>) -> Option<Leaving> {
        let News {
            child,
            of,
            standing,
            at_ms,
            ending,
        } = news;
        let children = self.children_of(&of.parent)?;
        let known = children.known.get_mut(&of.number)?;
        let has_news = matches!(known.standing, Standing::Open | Standing::Dead);
        if known.id != child || !has_news {
            return None;
        }
        let goes_on = of.on_death == OnDeath::GoOn;
        let was_open = known.standing == Standing::Open || !goes_on;
        let is_open = standing == Standing::Dead && !goes_on;
        let is_first = known.standing == Standing::Open;
        let (has_ended, fails) = (
            was_open && !is_open,
            is_open && of.on_death == OnDeath::Fail,
        );
        known.standing = standing;
        known.ended_ms = at_ms;
        known.ending.clone_from(&ending);
        if let Some(step) = of.of_step {
            let goes_on = self.tell_step(&of.parent, step, of.number, has_ended, fails);
            woken.extend(goes_on.then_some(of.parent));
            return None;
        }
        children.open -= u32::from(has_ended);
        let is_last = has_ended && children.open == 0;
        let has_failed = matches!(standing, Standing::Dead | Standing::Refused);
        let sent = heard(&mut children.callbacks, is_first, has_failed);
        self.call_back(sent);
        if standing == Standing::Refused && !goes_on {
            let why = String::from_utf8_lossy(&ending);
            let why = format!("its child {child} could not be added: {why}");
            return self.fail_parent(&of.parent, why);
        }
        if fails {
            return self.fail_parent(&of.parent, format!("its child {child} died"));
        }
        if is_last {
            self.let_parent_go(&of.parent);
        }
        None
    }

    /// News that came from other queues, or of children that could not be added.
    pub(crate) fn hear(&mut self, all: Vec<News>) {
        let mut woken = Vec::new();
        let died = all
            .into_iter()
            .filter_map(|news| self.tell(news, &mut woken));
        let died: Vec<Leaving> = died.collect();
        let more = self.tell_parents(&died);
        self.leave_gates(died.iter().chain(&more.died));
        woken.extend(more.woken);
        self.wake_parents(&woken);
    }

    /// Which children a job has, also those that are not there yet; those that are known stay as they are.
    pub(crate) fn expect_children(&mut self, parent: &JobId, expected: Vec<ExpectedChild>) {
        let Some(children) = self.children_of(parent) else {
            return;
        };
        let total = children.total;
        for ExpectedChild {
            number,
            queue,
            id,
            name,
        } in expected.into_iter().filter(|child| child.number < total)
        {
            let known = KnownChild {
                standing: Standing::Open,
                queue,
                id,
                name,
                ended_ms: 0,
                ending: Vec::new(),
            };
            children.known.entry(number).or_insert(known);
        }
    }

    /// Children of which a job will hear nothing: their records are gone, or it was not there when they completed. Their numbers and ids,
    /// and how many of the others for which the job itself waits are surely open. `far`: those in other queues are missing, too.
    pub(crate) fn missing_children(&self, parent: &JobId, far: bool) -> Missing {
        let history = self.jobs.get(parent).and_then(|job| job.history.as_ref());
        let known = history.map(|history| &history.children.known);
        let (mut missing, mut open) = (Vec::new(), 0);
        let own = self.own_children(parent);
        for (number, child) in known.into_iter().flatten() {
            let is_open = child.standing == Standing::Open;
            if !is_open && child.standing != Standing::Dead {
                continue;
            }
            let job = self.jobs.get(&child.id).filter(|job| {
                let has_ended = matches!(job.collection, Collection::Completed | Collection::Kept);
                let names = parent_of(&job.record);
                let names = names.is_some_and(|it| {
                    it.queue.is_none() && it.parent == *parent && it.number == *number
                });
                names && !has_ended
            });
            let job = job.filter(|_| child.queue.is_none());
            let goes_on = || {
                let of = job.and_then(|job| parent_of(&job.record));
                of.is_some_and(|of| of.on_death == OnDeath::GoOn)
            };
            if job.is_none() && (far || child.queue.is_none()) {
                missing.push((*number, child.id.clone()));
            } else if *number < own && (is_open || job.is_some() && !goes_on()) {
                open += 1;
            }
        }
        (missing, open)
    }

    /// For how many children a job waits before it first runs: their numbers are the first. The others were added while it ran.
    fn own_children(&self, parent: &JobId) -> u32 {
        let job = self.jobs.get(parent);
        let own = job.and_then(|job| Some(children_in(fields_of(&job.record)?)));
        own.unwrap_or(0)
    }

    /// Notes of these children that they were removed. Returns how many the job itself still waits for. Appends the parent to `told` if one of
    /// its steps waits for nothing any more.
    pub(crate) fn drop_children(
        &mut self,
        parent: &JobId,
        missing: &[(u32, JobId)],
        surely_open: u32,
        told: &mut Vec<JobId>,
    ) -> u32 {
        let (now_ms, own) = (self.now_ms(), self.own_children(parent));
        let of_steps = missing.iter().filter(|(number, _)| *number >= own);
        let goes_on = of_steps.fold(false, |goes_on, (number, _)| {
            let step = self.step_of_child(parent, *number);
            let is_over =
                step.is_some_and(|step| self.tell_step(parent, step, *number, true, false));
            goes_on || is_over
        });
        told.extend(goes_on.then(|| parent.clone()));
        let Some(children) = self.children_of(parent) else {
            return 0;
        };
        let (mut sent, mut dropped) = (Vec::new(), 0);
        for (number, _) in missing {
            if let Some(child) = children.known.get_mut(number) {
                if *number < own {
                    dropped += 1;
                    let was_open = child.standing == Standing::Open;
                    sent.extend(heard(&mut children.callbacks, was_open, false));
                }
                (child.standing, child.ended_ms) = (Standing::Removed, now_ms);
                child.ending.clear();
            }
        }
        children.open = children.open.saturating_sub(dropped).max(surely_open);
        let open = children.open;
        self.call_back(sent);
        open
    }

    /// Jobs that were to be added now.
    fn call_back(&mut self, callbacks: Vec<Callback>) {
        for (target, message) in callbacks.iter().filter_map(Callback::read) {
            self.send(&target, message);
        }
    }

    /// All that it waited for has ended: it gets in line, at its place.
    pub(crate) fn let_parent_go(&mut self, id: &JobId) {
        if self.collection_of(id) == Some(Collection::Blocked) {
            let place = self.place_of(id);
            self.go_on(id, place);
        }
    }

    /// A job that was blocked waits for nothing else any more: it gets in line at this place, or is delayed.
    pub(crate) fn go_on(&mut self, id: &JobId, given: i64) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let due_ms = job.score.unsigned_abs();
        let is_ordered = field_of(&job.record, ORDER).is_some();
        self.put(id, Collection::Lost, 0);
        self.look_for_blocked();
        let due_ms = Some(due_ms).filter(|due_ms| *due_ms > self.now_ms());
        let priority = priority_at(given);
        let front = given < place(priority, 0);
        let is_placed = due_ms.is_none() || is_ordered;
        self.line_up(id, given, Later { priority, front }, due_ms, is_placed);
        if due_ms.is_none() && !self.is_paused() {
            self.arm_for_new_job();
        }
    }

    fn fail_parent(&mut self, id: &JobId, why: String) -> Option<Leaving> {
        let job = self.jobs.get(id)?;
        if job.collection != Collection::Blocked {
            return None;
        }
        let died = Leaving {
            id: id.clone(),
            record: job.record.clone(),
            from: Collection::Blocked,
            to: Goes::Dead,
            ending: codec::encode_plain(&Ending::Dead(DeadReason::ChildDied)),
        };
        let entry = AttemptEntry::new(AttemptKind::ChildDied, why);
        self.record_attempt(id, self.now_ms(), &codec::encode_plain(&entry), false);
        self.bury(&[(id.clone(), DeadReason::ChildDied)]);
        self.look_for_blocked();
        self.free_keys(std::slice::from_ref(&died));
        self.forget_expiry(std::slice::from_ref(id));
        Some(died)
    }

    /// Whether a dead job holds up its parent, which waits for it; if that is in another queue, it may.
    pub(crate) fn holds_its_parent(&self, id: &JobId) -> bool {
        let child = self.jobs.get(id).and_then(|job| parent_of(&job.record));
        let Some(child) = child.filter(|child| child.on_death != OnDeath::GoOn) else {
            return false;
        };
        if child.queue.is_some() {
            return true;
        }
        let waits = match self.collection_of(&child.parent) {
            Some(Collection::Blocked) => true,
            // It may do something else before it waits for children that it has added.
            Some(Collection::Delayed) => child.of_step.is_some(),
            _ => false,
        };
        let parent = self.jobs.get(&child.parent);
        let history = parent.and_then(|job| job.history.as_ref());
        let known = history.and_then(|history| history.children.known.get(&child.number));
        waits && known.is_some_and(|known| known.standing == Standing::Dead && known.id == *id)
    }
}

impl Apply for ReadChildren<'_> {
    fn apply(&self, state: &mut State) -> Known {
        const AT_MOST: u32 = 256;
        let children = state.children_of(&JobId::stored(self.id));
        let children = children.cloned().unwrap_or_default();
        let (mut read, mut bytes, mut next) = (Vec::new(), 0, self.from);
        while next < children.total && next < self.from + AT_MOST && bytes < self.max_bytes {
            if let Some(known) = children.known.get(&next) {
                let known = known.encode();
                bytes += known.len();
                read.push((u64::from(next), known));
            }
            next += 1;
        }
        Known {
            total: u64::from(children.total),
            open: u64::from(children.open),
            next: u64::from(next),
            children: read,
        }
    }
}
