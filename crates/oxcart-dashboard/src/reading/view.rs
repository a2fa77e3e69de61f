//! What was read for a place, and what a viewer sees of it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::Value;

use crate::access::Access;
use crate::model::{
    Alerts, Audit, DeadGroups, JobList, JobView, Moment, Overview, QueueView, Running, Schedules,
    TaskView, Tasks, Workers,
};

/// What a place shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum View {
    Overview(Overview),
    Alerts(Alerts),
    Queue(Box<QueueView>),
    Jobs(JobList),
    Job(Box<JobView>),
    Running(Running),
    Dead(DeadGroups),
    Schedules(Schedules),
    Workers(Workers),
    Audit(Audit),
    Tasks(Tasks),
    Task(TaskView),
}

/// What was read for a place. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) view: Arc<View>,
    /// When, by the clock of the server.
    pub(crate) read_at: Option<Moment>,
    /// Why it could not be read again since, if so.
    pub(crate) lost: Option<String>,
    version: Arc<OnceLock<u64>>,
}

impl Reading {
    pub(crate) fn new(view: View, read_at: Option<Moment>, lost: Option<String>) -> Self {
        Self {
            view: Arc::new(view),
            read_at,
            lost,
            version: Arc::default(),
        }
    }

    /// The same, which could not be read again.
    pub(crate) fn now_lost(&self, why: String) -> Self {
        Self {
            lost: Some(why),
            ..self.clone()
        }
    }

    /// What this viewer sees of it.
    pub(crate) fn seen_by(&self, access: &Access) -> Arc<View> {
        match access.sees_all() {
            true => Arc::clone(&self.view),
            false => Arc::new(self.view.seen_by(access)),
        }
    }

    /// A number that is another one when this viewer sees something else. Most viewers see everything, and share the work.
    pub(crate) fn version_for(&self, access: &Access) -> u64 {
        match access.sees_all() {
            true => *self.version.get_or_init(|| self.view.version()),
            false => self.view.seen_by(access).version(),
        }
    }
}

impl View {
    /// Without what is in queues that the viewer may not see.
    fn seen_by(&self, access: &Access) -> Self {
        let mut view = self.clone();
        let sees = |queue: &str| access.role_in(queue).is_some();
        match &mut view {
            Self::Overview(overview) => {
                overview.queues.retain(|line| sees(&line.queue));
                for line in &mut overview.queues {
                    line.outbox.retain(|outgoing| sees(&outgoing.queue));
                }
                let unread = overview.queues.iter().filter(|line| line.is_unread());
                overview.unread = unread.count() as u64;
            }
            Self::Alerts(alerts) => {
                alerts.alerts.retain(|line| sees(&line.queue));
                alerts.rules.retain(|line| sees(&line.queue));
            }
            Self::Running(running) => {
                running.jobs.retain(|line| sees(&line.queue));
                if running.queue.is_none() {
                    running.active = running.jobs.len() as u64;
                    running.left_out = 0;
                }
            }
            Self::Schedules(schedules) => {
                schedules.schedules.retain(|line| sees(&line.queue));
                schedules.left_out = 0;
            }
            Self::Workers(workers) => {
                workers.workers.retain(|line| sees(&line.queue));
                workers.left_out = 0;
            }
            Self::Tasks(tasks) => tasks.tasks.retain(|line| sees(&line.queue)),
            Self::Queue(view) => view.line.outbox.retain(|line| sees(&line.queue)),
            // These belong to one queue, which the viewer sees.
            Self::Jobs(_) | Self::Job(_) | Self::Dead(_) | Self::Audit(_) | Self::Task(_) => {}
        }
        view
    }

    /// A number that is another one when something else is shown. When it was read does not count.
    fn version(&self) -> u64 {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        without_times_of_reading(&mut value);
        let mut hasher = DefaultHasher::new();
        value.to_string().hash(&mut hasher);
        hasher.finish()
    }
}

fn without_times_of_reading(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("read_at");
            fields.values_mut().for_each(without_times_of_reading);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times_of_reading),
        _ => {}
    }
}
