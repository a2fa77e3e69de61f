//! One reader for all viewers. What somebody looks at is read once for all who look at it, at most once a second, and all of it together
//! stays within a number of commands a second.

mod all;
mod budget;
mod clock;
mod details;
pub(crate) mod job;
mod kept;
mod others;
mod problems;
mod queue;
mod rules;
mod view;

use std::sync::Arc;
use std::time::Duration;

use oxcart::{Error, ErrorKind, Oxcart};

use crate::model::{AlertLine, Alerts, Moment, RuleLine};
use crate::place::Place;
use crate::reading::all::All;
use crate::reading::clock::Clock;
use crate::reading::details::Details;
use crate::tasks::Tasks;
pub(crate) use details::{age, wanted};
pub(crate) use view::{Reading, View};

/// How long an answer of Redis is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Longest text of an error.
const ERROR_MAX: usize = 500;

/// Why there is nothing to show.
#[derive(Debug, Clone)]
pub(crate) enum NotRead {
    /// It is not there.
    Missing(String),
    /// It was asked for in a wrong way.
    Wrong(String),
    /// Redis does not answer, and nothing was read before.
    Lost(String),
    /// Something in Redis cannot be read.
    Broken(String),
    /// So much is asked for that it would come late.
    Crowded,
}

/// What is said of it.
const CROWDED: &str =
    "So many pages are asked for that this one would come late. Reload it in some seconds.";

impl NotRead {
    pub(crate) fn no_task(id: u64) -> Self {
        Self::Missing(format!(
            "there is no task {id}: it ended long ago, or another process runs it"
        ))
    }

    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Missing(text) | Self::Wrong(text) | Self::Lost(text) | Self::Broken(text) => text,
            Self::Crowded => CROWDED.to_owned(),
        }
    }
}

impl From<Error> for NotRead {
    fn from(error: Error) -> Self {
        let text = said(&error);
        match error.kind() {
            ErrorKind::Invalid => Self::Wrong(text),
            ErrorKind::NotFound => Self::Missing(text),
            ErrorKind::Codec | ErrorKind::Incompatible | ErrorKind::Internal => Self::Broken(text),
            _ => Self::Lost(text),
        }
    }
}

/// An error with its causes, cut.
pub(crate) fn said(error: &Error) -> String {
    crate::value::cut(&error.to_string(), ERROR_MAX)
}

pub(crate) struct Reader {
    all: Arc<All>,
    details: Details,
    tasks: Arc<Tasks>,
    clock: Arc<Clock>,
}

impl Reader {
    /// `alerts` is the queue that tells of the alerts of the application.
    pub(crate) fn new(oxcart: &Oxcart, alerts: String, tasks: Arc<Tasks>) -> Self {
        let clock = Arc::new(Clock::default());
        let all = Arc::new(All::new(oxcart.clone(), Arc::clone(&clock)));
        Self {
            details: Details::new(oxcart.clone(), alerts, Arc::clone(&all), Arc::clone(&clock)),
            all,
            tasks,
            clock,
        }
    }

    /// Now, by the clock of the server, as far as it is known.
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// What the place shows; what was read less than a second ago is not read again.
    pub(crate) async fn read(&self, place: &Place) -> Result<Reading, NotRead> {
        match place {
            Place::Overview => self.overview().await,
            Place::Alerts => self.alerts().await,
            Place::Tasks => Ok(self.here(View::Tasks(self.tasks.all()))),
            Place::Task(id) => {
                let task = self.tasks.view(*id);
                let task = task.ok_or_else(|| NotRead::no_task(*id))?;
                Ok(self.here(View::Task(task)))
            }
            place => self.details.read(place).await,
        }
    }

    /// Somebody has changed something in this queue, and is to see it.
    pub(crate) async fn changed(&self, queue: &str) {
        self.details.forget();
        self.all.again(queue).await;
    }

    /// What is known without Redis.
    fn here(&self, view: View) -> Reading {
        Reading::new(view, Some(self.now()), None)
    }

    async fn overview(&self) -> Result<Reading, NotRead> {
        let reading = self.all.look().await;
        match (reading.read_at, &reading.lost) {
            (None, Some(why)) => Err(NotRead::Lost(why.clone())),
            _ => Ok(reading),
        }
    }

    /// How the rules of the application stand; none if they cannot be read, which the overview tells then.
    async fn rules(&self) -> Vec<RuleLine> {
        match self.details.read(&Place::Alerts).await {
            Ok(reading) => match &*reading.view {
                View::Alerts(known) => known.rules.clone(),
                _ => Vec::new(),
            },
            Err(_) => Vec::new(),
        }
    }

    /// The problems of all queues: those of a queue stand in the order of their weight.
    async fn alerts(&self) -> Result<Reading, NotRead> {
        let known = self.overview().await?;
        let mut alerts = Vec::new();
        if let View::Overview(overview) = &*known.view {
            let mut ranked: Vec<_> = overview
                .queues
                .iter()
                .flat_map(|line| {
                    let problems = line.problems.iter().enumerate();
                    problems.map(|(rank, text)| (rank, &line.queue, text))
                })
                .collect();
            ranked.sort_by_key(|(rank, ..)| *rank);
            let lines = ranked.into_iter().map(|(_, queue, text)| AlertLine {
                queue: queue.clone(),
                text: text.clone(),
                since: None,
            });
            alerts.extend(lines);
        }
        let rules = self.rules().await;
        let view = View::Alerts(Alerts { alerts, rules });
        Ok(Reading::new(view, known.read_at, known.lost))
    }
}
