//! Durable steps: what a job's handler has done, and what it waits for.

use std::collections::BTreeMap;

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::delayed::due_of;
use crate::memory::order::priority_at;
use crate::memory::saga::Saga;
use crate::memory::state::{Collection, Later, State};
use crate::policy::flow::StepChildren;
use crate::policy::steps::{StepKind, StoredStep, encode_name};
use crate::store::import::Beside;
use crate::store::signal::{Signal, Signalled};
use crate::store::step::{Step, Stored, What};
use crate::store::steps::{Page, Steps};

/// What is stored of a job's steps.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The number of the last one; none: nothing of it was ever stored.
    pub(crate) last: Option<u32>,
    /// By their numbers, each as it is stored.
    pub(crate) steps: BTreeMap<u32, Vec<u8>>,
    pub(crate) cursor: Option<Vec<u8>>,
    pub(crate) waits: Option<Waits>,
}

/// What a job waits for.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// Until when (ms) it is put aside, 0 until it is told; none: it is not.
    pub(crate) aside: Option<u64>,
    waits: Vec<(u32, Wait, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Open,
    Answered,
    Over,
}

impl Waits {
    /// As Redis holds it.
    fn stored(text: &str) -> Self {
        let mut words = text.split(' ');
        let aside = words.next().and_then(|word| word.parse().ok());
        let waits = words.filter_map(|word| {
            let at = word.find([':', '=', '!'])?;
            let (number, name) = word.split_at(at);
            let mark = match name.as_bytes()[0] {
                b':' => Wait::Open,
                b'=' => Wait::Answered,
                _ => Wait::Over,
            };
            Some((number.parse().ok()?, mark, name[1..].to_owned()))
        });
        let waits = waits.collect();
        Self { aside, waits }
    }

    /// As it is stored.
    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        let aside = self.aside.map_or("-".to_owned(), |ms| ms.to_string());
        let waits = self.waits.iter().map(|(number, wait, name)| {
            let mark = match wait {
                Wait::Open => ':',
                Wait::Answered => '=',
                Wait::Over => '!',
            };
            format!(" {number}{mark}{name}")
        });
        std::iter::once(aside).chain(waits).collect()
    }
}

impl Kept {
    /// As Redis holds it.
    pub(crate) fn stored(beside: &Beside) -> Self {
        let waits = beside
            .field("waits")
            .and_then(|text| std::str::from_utf8(text).ok());
        let steps = beside.numbered("step");
        Self {
            last: beside
                .last
                .map(|last| u32::try_from(last).unwrap_or(u32::MAX)),
            steps: steps
                .map(|(number, step)| (number, step.to_vec()))
                .collect(),
            cursor: beside.field("cursor").map(<[u8]>::to_vec),
            waits: waits.map(Waits::stored),
        }
    }

    pub(crate) fn step(&self, number: u32) -> Option<StoredStep> {
        StoredStep::decode(self.steps.get(&number)?).ok()
    }

    pub(crate) fn write(&mut self, number: u32, step: &StoredStep) {
        let due_ms = step.due_ms.unwrap_or(0);
        let (kind, name) = (step.kind.as_str(), encode_name(&step.name));
        let head = format!("{kind} {} {due_ms} {name} ", step.at_ms);
        let stored = [head.as_bytes(), &step.value].concat();
        self.steps.insert(number, stored);
        self.last = self.last.max(Some(number));
    }

    /// The first step of this name.
    pub(crate) fn named(&self, name: &str) -> Option<(u32, StoredStep)> {
        let steps = self
            .steps
            .keys()
            .filter_map(|number| Some((*number, self.step(*number)?)));
        let mut named = steps.filter(|(_, step)| step.name == name);
        named.next()
    }

    fn mark(&mut self, number: u32, mark: Wait) {
        let waits = &mut self.waits.get_or_insert_default().waits;
        if let Some(wait) = waits.iter_mut().find(|(known, ..)| *known == number) {
            wait.1 = mark;
        }
    }

    fn store(&mut self, number: u32, mut new: StoredStep) -> Stored {
        let now_ms = new.at_ms;
        let stored = self.steps.get(&number).cloned();
        let ended = self.step(number).filter(|known| {
            let is_due = known.due_ms.is_some_and(|due_ms| due_ms <= now_ms);
            let ends = new.kind == StepKind::Over && known.kind == StepKind::Wait;
            ends && is_due && known.name == new.name
        });
        let follows =
            |known: &StoredStep| known.name == new.name && new.kind.follows() == Some(known.kind);
        let goes_on = self.step(number).is_some_and(|known| follows(&known));
        match (stored.filter(|_| !goes_on), ended) {
            (Some(stored), None) => return Stored::There { now_ms, stored },
            (_, Some(known)) => {
                self.mark(number, Wait::Over);
                new.due_ms = known.due_ms;
            }
            (None, None) if new.kind == StepKind::Wait => {
                let wait = (number, Wait::Open, encode_name(&new.name));
                self.waits.get_or_insert_default().waits.push(wait);
            }
            (None, None) => {}
        }
        self.write(number, &new);
        Stored::Yes { now_ms }
    }

    /// The step of this name that waits, or one that has its value.
    fn wait_named(&self, name: &str) -> Option<(u32, Wait)> {
        let waits = &self.waits.as_ref()?.waits;
        let named = |mark| {
            let mut named = waits.iter().filter(move |(_, _, known)| known == name);
            named.find(move |(_, known, _)| *known == mark)
        };
        let found = named(Wait::Open).or_else(|| named(Wait::Answered))?;
        Some((found.0, found.1))
    }

    /// When the first of these steps is due: never, or now, if one of them has its answer.
    fn first_due(&self, steps: &[u32], now_ms: u64) -> Option<u64> {
        let steps = steps.iter().map(|number| match self.step(*number) {
            Some(step) if matches!(step.kind, StepKind::Wait | StepKind::Sleep) => step.due_ms,
            Some(step) if step.kind == StepKind::Children && !is_over(&step) => None,
            _ => Some(now_ms),
        });
        let steps: Vec<Option<u64>> = steps.collect();
        let is_there = steps.contains(&Some(now_ms));
        is_there
            .then_some(now_ms)
            .or(steps.into_iter().flatten().min())
    }
}

/// Whether a step waits for its children no more.
fn is_over(step: &StoredStep) -> bool {
    StepChildren::decode(&step.value).is_ok_and(|children| children.is_over())
}

impl Apply for Step<'_> {
    fn apply(&self, state: &mut State) -> Stored {
        if state.held(self.id, self.receipt).is_none() {
            state.count("refused", 1);
            return Stored::LeaseLost;
        }
        let now_ms = state.now_ms();
        let Some(job) = state.jobs.get_mut(self.id) else {
            return Stored::LeaseLost;
        };
        let history = job.history.get_or_insert_default();
        match self.what {
            What::Checkpoint => {
                history.kept.cursor = Some(self.value.to_vec());
                history.kept.last.get_or_insert(0);
                Stored::Yes { now_ms }
            }
            What::Step {
                number,
                kind,
                name,
                after_ms,
            } => {
                let step = StoredStep {
                    kind,
                    at_ms: now_ms,
                    due_ms: after_ms.map(|after_ms| now_ms + after_ms),
                    name: name.to_owned(),
                    value: self.value.to_vec(),
                };
                let stored = history.kept.store(number, step);
                match kind {
                    StepKind::Begun if matches!(stored, Stored::Yes { .. }) => {
                        history.saga.get_or_insert(Saga::Owed);
                    }
                    StepKind::Undone if matches!(stored, Stored::Yes { .. }) => {
                        history.counters.failed = 0;
                    }
                    _ => {}
                }
                stored
            }
        }
    }
}

impl Apply for Steps<'_> {
    fn apply(&self, state: &mut State) -> Page {
        let mut page = Page {
            now_ms: state.now_ms(),
            ..Page::default()
        };
        let Some(job) = state.jobs.get(&JobId::stored(self.id)) else {
            return page;
        };
        let kept = job.history.as_ref().map(|history| &history.kept);
        let cut = |value: &[u8]| {
            let sent = self.cut.map_or(value.len(), |cut| cut.min(value.len()));
            (value[..sent].to_vec(), value.len() as u64)
        };
        if self.from == 1 {
            let cursor = kept.and_then(|kept| kept.cursor.as_deref());
            if let Some((cursor, size)) = cursor.map(cut) {
                (page.cursor, page.cursor_size) = (Some(cursor), size);
            }
            page.request = job.request.as_deref().map(|request| cut(request).0);
            let saga = job
                .history
                .as_ref()
                .and_then(|history| history.saga.as_ref());
            page.undo = saga.map(|saga| cut(&saga.encode()).0);
        }
        page.last = kept.and_then(|kept| kept.last).unwrap_or(0);
        let mut bytes = 0;
        let steps = kept.map(|kept| kept.steps.range(self.from..));
        let mut steps = steps.into_iter().flatten().peekable();
        for number in self.from..=page.last {
            if bytes >= self.bytes {
                page.next = Some(number);
                break;
            }
            if let Some((_, stored)) = steps.next_if(|(known, _)| **known == number) {
                let (sent, size) = cut(stored);
                bytes += sent.len();
                page.steps.push((number, sent, size));
            }
        }
        page
    }
}

impl Apply for Signal<'_> {
    fn apply(&self, state: &mut State) -> Signalled {
        let now_ms = state.now_ms();
        let Some(job) = state.jobs.get_mut(self.id) else {
            return Signalled::Missing;
        };
        let collection = job.collection;
        match collection {
            Collection::Lost => return Signalled::Missing,
            Collection::Completed | Collection::Kept => {
                return Signalled::Ended(job.shown_state().to_owned());
            }
            _ => {}
        }
        let Some(kept) = job.history.as_mut().map(|history| &mut history.kept) else {
            return Signalled::NotWaiting;
        };
        let found = kept.wait_named(&encode_name(self.name));
        let step = found.and_then(|(number, _)| kept.step(number));
        let (Some((number, mark)), Some(mut step)) = (found, step) else {
            return Signalled::NotWaiting;
        };
        if mark == Wait::Answered {
            return Signalled::Already;
        }
        step.kind = StepKind::Signal;
        (step.at_ms, step.value) = (now_ms, self.value.to_vec());
        kept.write(number, &step);
        kept.mark(number, Wait::Answered);
        if state.suspended_until(self.id).is_some() {
            state.wake(self.id, collection);
        }
        Signalled::Yes
    }
}

impl State {
    /// A job that was put aside, or is delayed, gets in line, as far as its gate lets it.
    pub(crate) fn wake(&mut self, id: &JobId, from: Collection) {
        let history = self.jobs.get_mut(id).and_then(|job| job.history.as_mut());
        if let Some(waits) = history.and_then(|history| history.kept.waits.as_mut()) {
            waits.aside = None;
        }
        if from == Collection::Blocked {
            self.leave_blocked(id);
        }
        self.put(id, Collection::Lost, 0);
        match from {
            Collection::Blocked => self.look_for_blocked(),
            _ => self.look_for_due(),
        }
        let later = Later::back(priority_at(self.place_of(id)));
        let place = self.next_place(later);
        let line = self.enter_at_or_hold(vec![(id.clone(), place)]);
        self.emit_ids("waiting", &line);
        if !self.is_paused() {
            self.arm_for_new_job();
        }
    }

    /// A job waits for these of its steps: when the first of them is due, or now, if it has an answer; none: until it is told.
    pub(crate) fn suspend(&mut self, id: &JobId, steps: &[u32]) -> Option<u64> {
        let now_ms = self.now_ms();
        let kept = self.jobs.get_mut(id)?.history.get_or_insert_default();
        let kept = &mut kept.kept;
        kept.last.get_or_insert(0);
        let due_ms = kept.first_due(steps, now_ms);
        let waits = kept.waits.get_or_insert_default();
        waits.aside = match due_ms {
            None => Some(0),
            Some(due_ms) => Some(due_ms).filter(|due_ms| *due_ms > now_ms),
        };
        due_ms
    }

    /// They are blocked, and by no gate.
    pub(crate) fn block_until_told(&mut self, ids: &[JobId]) {
        for id in ids {
            self.put(id, Collection::Blocked, 0);
        }
        self.gates.any_blocked |= !ids.is_empty();
    }

    /// Until when a job is put aside, 0 until it is told; none: it waits where it is for something else.
    pub(crate) fn suspended_until(&self, id: &JobId) -> Option<u64> {
        let job = self.jobs.get(id)?;
        let aside = job.history.as_ref()?.kept.waits.as_ref()?.aside?;
        let moment = match job.collection {
            Collection::Blocked => 0,
            Collection::Delayed => due_of(job.score),
            _ => return None,
        };
        (aside == moment).then_some(aside)
    }

    /// It stands where this moment puts it; none: it is put aside no more.
    pub(crate) fn suspend_until(&mut self, id: &JobId, due_ms: Option<u64>) {
        let history = self.jobs.get_mut(id).and_then(|job| job.history.as_mut());
        if let Some(waits) = history.and_then(|history| history.kept.waits.as_mut()) {
            waits.aside = due_ms;
        }
    }

    /// Whether a job has stored a step, or a checkpoint.
    pub(crate) fn has_steps(&self, id: &JobId) -> bool {
        let history = self.jobs.get(id).and_then(|job| job.history.as_ref());
        history.is_some_and(|history| history.kept.last.is_some())
    }

    /// Whether a blocked job waits until it is told something.
    pub(crate) fn is_untold(&self, id: &JobId) -> bool {
        let history = self.jobs.get(id).and_then(|job| job.history.as_ref());
        let waits = history.and_then(|history| history.kept.waits.as_ref());
        waits.is_some_and(|waits| waits.aside == Some(0))
    }
}
