//! How a job gets in line, or waits until it is due.

use crate::id::JobId;
use crate::memory::delayed::delayed_score;
use crate::memory::order::priority_at;
use crate::memory::state::{Collection, Later, State};

impl State {
    /// At its place: suspects among themselves, all others in `waiting`.
    pub(crate) fn enter_line(&mut self, id: &JobId, score: i64) {
        let stalled = self.jobs.get(id).is_some_and(|job| job.stalls > 0);
        let collection = if stalled {
            Collection::Suspects
        } else {
            Collection::Waiting
        };
        self.put(id, collection, score);
    }

    /// New jobs at their places, of which some may have a gate, some may be due later, and some may be successors or parents, which do
    /// not come to their gates yet.
    pub(crate) fn enter_or_hold(&mut self, jobs: Vec<(JobId, i64, u64)>) {
        let now_ms = self.now_ms();
        let (mut delayed, mut tokens) = (Vec::new(), Vec::new());
        let (following, jobs): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .partition(|(id, ..)| self.is_successor(id) || self.waits_for_children(id));
        let following = following
            .into_iter()
            .map(|(id, _, due_ms)| (None, id, due_ms));
        self.hold(&following.collect::<Vec<_>>());
        let (line, open) = self.enter_gates(jobs);
        for (id, place, due_ms) in line {
            if due_ms > now_ms {
                tokens.push(format!("{id}:{due_ms}"));
                delayed.push((id, due_ms, Later::back(priority_at(place))));
            } else {
                self.put(&id, Collection::Waiting, place);
            }
        }
        self.enter_delayed(&delayed);
        self.emit("delayed", &tokens);
        if !open.is_empty() {
            self.admit(&open);
        }
    }

    /// Jobs at places that they did not have before, of which some may have a gate, and some wait for their children. Returns those that are in line.
    pub(crate) fn enter_at_or_hold(&mut self, jobs: Vec<(JobId, i64)>) -> Vec<JobId> {
        for (id, place) in &jobs {
            self.move_to(id, *place);
        }
        let (parents, jobs): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .partition(|(id, _)| self.waits_for_children(id));
        let parents = parents.into_iter().map(|(id, _)| (None, id, 0));
        self.hold(&parents.collect::<Vec<_>>());
        let jobs = jobs.into_iter().map(|(id, place)| (id, place, 0)).collect();
        let (line, open) = self.enter_gates(jobs);
        for (id, place, _) in &line {
            self.enter_line(id, *place);
        }
        if !open.is_empty() {
            self.admit(&open);
        }
        line.into_iter().map(|(id, ..)| id).collect()
    }

    /// To a new place, at the back of its priority or before everything of it.
    pub(crate) fn enter_anew(&mut self, id: &JobId, options: Later) {
        let place = self.next_place(options);
        self.enter_at(id, place);
    }

    /// To a place that it did not have before.
    pub(crate) fn enter_at(&mut self, id: &JobId, place: i64) {
        self.move_to(id, place);
        self.enter_line(id, place);
    }

    /// From now on this is its place.
    pub(crate) fn move_to(&mut self, id: &JobId, place: i64) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.moved = Some(place);
        }
    }

    /// All of them at once: the wake-up is armed when the next one is due earlier than it was.
    pub(crate) fn enter_delayed(&mut self, jobs: &[(JobId, u64, Later)]) {
        for (id, due_ms, later) in jobs {
            self.put(id, Collection::Delayed, delayed_score(*later, *due_ms));
        }
        let earliest = jobs.iter().map(|(_, due_ms, _)| *due_ms).min();
        if let Some(earliest) = earliest
            && self.due.is_none_or(|due| earliest < due)
        {
            self.due = Some(earliest);
            self.arm(earliest);
        }
    }

    /// To where a new job would go, though it was there before. `is_placed`: this is its place in line, or among the jobs of its
    /// order; otherwise it is due later, and gets one then.
    pub(crate) fn line_up(
        &mut self,
        id: &JobId,
        given: i64,
        later: Later,
        due_ms: Option<u64>,
        is_placed: bool,
    ) {
        if is_placed {
            let (line, open) = self.enter_gates(vec![(id.clone(), given, due_ms.unwrap_or(0))]);
            if line.is_empty() {
                if !open.is_empty() {
                    self.admit(&open);
                }
                return;
            }
        }
        let Some(due_ms) = due_ms else {
            self.enter_line(id, given);
            return self.emit_ids("waiting", std::slice::from_ref(id));
        };
        self.enter_delayed(&[(id.clone(), due_ms, later)]);
        if !is_placed && self.gate_of(id).is_some() {
            self.expect_group(due_ms);
        }
        self.emit("delayed", &[format!("{id}:{due_ms}")]);
    }
}
