//! Schedules and workers.

use oxcart::{Rhythm, ScheduleInfo, TickOutcome, WorkerInfo};

use crate::model::{self, ScheduleLine, Schedules, WorkerLine, Workers};
use crate::reading::details::Details;
use crate::reading::{NotRead, View};

impl Details {
    pub(super) async fn schedules(&self, name: Option<&str>) -> Result<View, NotRead> {
        let (names, left_out, _) = self.names(name, |_| true).await?;
        let mut schedules = Vec::new();
        for name in &names {
            self.budget.borrow(1);
            let found = self.oxcart.queue(name)?.schedules().await?;
            schedules.extend(found.into_iter().map(|schedule| line(name, schedule)));
        }
        schedules.sort_by(|a: &ScheduleLine, b| (&a.queue, &a.name).cmp(&(&b.queue, &b.name)));
        Ok(View::Schedules(Schedules {
            queue: name.map(str::to_owned),
            schedules,
            left_out,
        }))
    }

    pub(super) async fn workers(&self, name: Option<&str>) -> Result<View, NotRead> {
        let (names, left_out, _) = self.names(name, |_| true).await?;
        let mut workers = Vec::new();
        for name in &names {
            self.budget.borrow(2);
            let found = self.oxcart.queue(name)?.workers().await?;
            workers.extend(found.into_iter().map(|worker| worker_line(name, worker)));
        }
        // The workers of a queue stay in the order in which they were started.
        workers.sort_by(|a: &WorkerLine, b| a.queue.cmp(&b.queue));
        Ok(View::Workers(Workers {
            queue: name.map(str::to_owned),
            workers,
            left_out,
        }))
    }
}

fn line(queue: &str, schedule: ScheduleInfo) -> ScheduleLine {
    let rhythm = schedule.rhythm.map(|rhythm| match rhythm {
        Rhythm::Cron {
            expression,
            timezone,
        } => format!("{expression} ({timezone})"),
        Rhythm::Every(interval) => {
            format!("every {}", humantime::format_duration(interval))
        }
        _ => "other".to_owned(),
    });
    let (last_job, last_job_state) = match schedule.last_job {
        Some((id, found)) => (Some(id.to_string()), found),
        None => (None, None),
    };
    ScheduleLine {
        queue: queue.to_owned(),
        name: schedule.name,
        rhythm,
        job: schedule.job,
        next_tick: schedule.next_tick.map(Into::into),
        last_tick: schedule.last_tick.map(|(at, _)| at.into()),
        last_outcome: schedule.last_tick.map(|(_, outcome)| match outcome {
            TickOutcome::Fired => model::TickOutcome::Fired,
            TickOutcome::Overlapped => model::TickOutcome::Overlapped,
            TickOutcome::Missed => model::TickOutcome::Missed,
            _ => model::TickOutcome::Other,
        }),
        last_job,
        last_job_state,
        fired: schedule.fired,
        missed: schedule.missed,
        overlapped: schedule.overlapped,
        paused: schedule.paused,
        unreadable: schedule.unreadable,
    }
}

fn worker_line(queue: &str, worker: WorkerInfo) -> WorkerLine {
    WorkerLine {
        queue: queue.to_owned(),
        id: worker.id,
        host: worker.host,
        process: worker.process,
        version: worker.version,
        concurrency: worker.concurrency,
        handlers: worker.handlers,
        started_at: worker.started_at.into(),
        seen_at: worker.seen_at.into(),
        running: worker.running.len() as u64,
    }
}
