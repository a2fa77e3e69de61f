//! Actions on many jobs, which take a while: begun, counted and stopped here. Nothing of them is stored.

mod run;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oxcart::Oxcart;

use crate::model::{self, JobQuery, JobState, Moment, TaskLine, TaskState, TaskView};
use crate::reading::NotRead;

/// Tasks that are remembered.
const REMEMBERED: usize = 64;
/// Tasks that run at a time.
const RUNNING: usize = 8;

/// What is done to each job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Replay,
    Cancel,
    Promote,
    Remove,
}

impl Action {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Cancel => "cancel",
            Self::Promote => "promote",
            Self::Remove => "remove",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut all = [Self::Replay, Self::Cancel, Self::Promote, Self::Remove].into_iter();
        all.find(|action| action.as_str() == text)
    }

    /// Whether it can be done to jobs in this state.
    fn fits(self, state: JobState) -> bool {
        match self {
            Self::Replay => state == JobState::Dead,
            Self::Cancel => matches!(
                state,
                JobState::Waiting | JobState::Blocked | JobState::Delayed | JobState::Active
            ),
            Self::Promote => state == JobState::Delayed,
            Self::Remove => state != JobState::Active,
        }
    }
}

/// What is to be done to which jobs.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) queue: String,
    pub(crate) action: Action,
    pub(crate) query: JobQuery,
    pub(crate) is_dry: bool,
    pub(crate) per_second: Option<u32>,
    pub(crate) stop_if_failing_percent: Option<u32>,
    pub(crate) operator: String,
}

/// One task: what is told of it, and whether it is to stop.
struct Task {
    line: Mutex<TaskLine>,
    is_to_stop: AtomicBool,
}

impl Task {
    fn line(&self) -> MutexGuard<'_, TaskLine> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_to_stop(&self) -> bool {
        self.is_to_stop.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
pub(crate) struct Tasks {
    numbers: AtomicU64,
    /// The newest first.
    known: Mutex<VecDeque<Arc<Task>>>,
}

impl Tasks {
    fn known(&self) -> MutexGuard<'_, VecDeque<Arc<Task>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: u64) -> Option<Arc<Task>> {
        let known = self.known();
        known.iter().find(|task| task.line().id == id).cloned()
    }

    pub(crate) fn all(&self) -> model::Tasks {
        let lines = self
            .known()
            .iter()
            .map(|task| task.line().clone())
            .collect();
        model::Tasks { tasks: lines }
    }

    pub(crate) fn view(&self, id: u64) -> Option<TaskView> {
        let task = self.find(id)?.line().clone();
        Some(TaskView { task })
    }

    /// Asks it to stop. Says whether there is such a task.
    pub(crate) fn stop(&self, id: u64) -> bool {
        let found = self.find(id);
        if let Some(task) = &found {
            task.is_to_stop.store(true, Ordering::Relaxed);
        }
        found.is_some()
    }

    /// Begins a task, in the background; gives its number.
    pub(crate) fn begin(&self, oxcart: &Oxcart, order: Order, now: Moment) -> Result<u64, NotRead> {
        if !order.action.fits(order.query.state) {
            return Err(NotRead::Wrong(format!(
                "jobs that are {} cannot be changed so: {}",
                order.query.state,
                order.action.as_str()
            )));
        }
        // Only dead letters are found by it: of all others it would be no filter at all.
        if order.query.state != JobState::Dead && !order.query.fingerprint.is_empty() {
            return Err(NotRead::Wrong(
                "`fingerprint` finds dead jobs alone".to_owned(),
            ));
        }
        let mut known = self.known();
        let is_running = |task: &Arc<Task>| task.line().state == TaskState::Running;
        if known.iter().filter(|task| is_running(task)).count() >= RUNNING {
            return Err(NotRead::Wrong(format!(
                "{RUNNING} tasks run already; wait for one to end, or stop one"
            )));
        }
        while known.len() >= REMEMBERED {
            match known.iter().rposition(|task| !is_running(task)) {
                Some(oldest) => drop(known.remove(oldest)),
                None => break,
            }
        }
        let id = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let task = Arc::new(Task {
            line: Mutex::new(first_line(id, &order, now)),
            is_to_stop: AtomicBool::new(false),
        });
        known.push_front(Arc::clone(&task));
        drop(known);
        let oxcart = oxcart.as_operator(&order.operator);
        tokio::spawn(async move { run::run(&oxcart, &order, &task, now).await });
        Ok(id)
    }
}

fn first_line(id: u64, order: &Order, now: Moment) -> TaskLine {
    TaskLine {
        id,
        queue: order.queue.clone(),
        action: order.action.as_str().to_owned(),
        query: order.query.clone(),
        dry_run: order.is_dry,
        per_second: order.per_second,
        stop_if_failing_percent: order.stop_if_failing_percent,
        operator: order.operator.clone(),
        state: TaskState::Running,
        began_at: now,
        ended_at: None,
        seen: 0,
        matching: 0,
        done: 0,
        requested: 0,
        left_alone: 0,
        of: 0,
        trouble: None,
    }
}
