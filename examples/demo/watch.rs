//! Follows the queue through its events, from any process that cares, and shows what happens.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::StreamExt;
use oxcart::{Event, EventKind, EventStream, JobId, Queue, Timestamp};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::input::{Role, Task};
use crate::screen::{Screen, Tint, duration, shortened};

/// Up to here a delayed job is called on time.
const PUNCTUAL: Duration = Duration::from_millis(250);
/// Redis drops events that were not read for too long; then the counts show whether all is done.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longer than a dead worker's jobs need to come back, by far.
const PATIENCE: u32 = 30;

/// What happened to the jobs, by the clock of Redis.
#[derive(Default)]
pub(crate) struct Chronicle {
    jobs: HashMap<JobId, Story>,
    /// Jobs whose worker died, in the order in which that was found out.
    pub(crate) recovered: Vec<JobId>,
    pub(crate) done: usize,
}

#[derive(Default, Clone, Copy)]
pub(crate) struct Story {
    pub(crate) due: Option<Timestamp>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
}

impl Chronicle {
    pub(crate) fn of(&self, id: &JobId) -> Story {
        self.jobs.get(id).copied().unwrap_or_default()
    }

    fn take_in(&mut self, event: &Event) {
        let Some(id) = event.kind.job_id() else {
            return;
        };
        let story = self.jobs.entry(id.clone()).or_default();
        match &event.kind {
            EventKind::Delayed(_, due) => story.due = Some(*due),
            EventKind::Active(_) => story.started = story.started.or(Some(event.at)),
            EventKind::Completed(_) | EventKind::Dead(..) | EventKind::Cancelled(_) => {
                story.ended = Some(event.at);
                self.done += 1;
            }
            EventKind::Stalled(id) => self.recovered.push(id.clone()),
            _ => {}
        }
    }
}

pub(crate) struct Watcher<'a> {
    pub(crate) queue: &'a Queue,
    pub(crate) screen: &'a Screen,
    pub(crate) tasks: HashMap<&'a JobId, &'a Task>,
    pub(crate) done: watch::Sender<usize>,
}

impl Watcher<'_> {
    /// Follows the queue until every job has ended.
    pub(crate) async fn follow(self, mut events: EventStream) -> Result<Chronicle> {
        let all = self.tasks.len();
        let mut chronicle = Chronicle::default();
        let mut silent = 0;
        while chronicle.done < all {
            match timeout(LOOK_EVERY, events.next()).await {
                Ok(Some(event)) => {
                    silent = 0;
                    chronicle.take_in(&event);
                    self.done.send_replace(chronicle.done);
                    self.show(&event, &chronicle);
                }
                Ok(None) => bail!("the events ended"),
                Err(_) if self.nothing_is_left().await? => break,
                Err(_) if silent == PATIENCE => {
                    bail!("nothing has happened for {PATIENCE} s, but jobs are left");
                }
                Err(_) => silent += 1,
            }
        }
        Ok(chronicle)
    }

    async fn nothing_is_left(&self) -> Result<bool> {
        let counts = self.queue.counts().await?;
        Ok(counts.waiting + counts.delayed + counts.active == 0)
    }

    fn show(&self, event: &Event, chronicle: &Chronicle) {
        let screen = self.screen;
        screen.progress(chronicle.done);
        let Some((id, task)) = event
            .kind
            .job_id()
            .and_then(|id| Some((id, *self.tasks.get(id)?)))
        else {
            return;
        };
        let name = shortened(&task.name, 32);
        match (&event.kind, task.role) {
            (EventKind::Active(_), Role::Delayed(delay)) => {
                let story = chronicle.of(id);
                if let Some(due) = story.due
                    && story.started == Some(event.at)
                {
                    let late = event.at.duration_since(due);
                    // Once it is due it gets in line, behind what waits already.
                    let (delay, waited) = (delay.as_secs(), duration(late));
                    let (what, text) = match late > PUNCTUAL {
                        false => (
                            "on time",
                            format!("due after {delay} s, begun {waited} later"),
                        ),
                        true => (
                            "in line",
                            format!("due after {delay} s, then {waited} in line"),
                        ),
                    };
                    let text = format!("{text}: {name}");
                    screen.note(Tint::Cyan, what, text);
                }
            }
            (EventKind::Retrying(_, next), Role::Flaky { .. } | Role::Unreadable) => {
                let wait = duration(next.duration_since(event.at));
                let text = format!("failed as planned, again in {wait}: {name}");
                screen.note(Tint::Yellow, "retry", text);
            }
            (EventKind::Dead(_, reason), Role::Unreadable) => {
                screen.note(Tint::Red, "dead", format!("{reason}: {name}"));
            }
            (EventKind::Stalled(_), _) if chronicle.recovered.len() == 1 => {
                let text = "its leases ran out; its jobs are back in line";
                screen.note(Tint::Green, "recover", text);
            }
            _ => {}
        }
    }
}
