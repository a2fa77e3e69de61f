//! What somebody looks at: the same place is a page, an answer of the API, and a stream that tells of changes.

use std::collections::HashMap;

use axum::http::Uri;
use serde::de::DeserializeOwned;

use crate::model::JobQuery;

/// What somebody looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// All queues.
    Overview,
    /// What is wrong in all queues.
    Alerts,
    /// One queue.
    Queue(String),
    /// Some of its jobs.
    Jobs(String, Box<JobQuery>),
    /// One job of a queue.
    Job(String, String),
    /// What runs in a queue, or in all.
    Running(Option<String>),
    /// What the dead letters of a queue died of.
    Dead(String),
    /// The schedules of a queue, or of all.
    Schedules(Option<String>),
    /// The workers of a queue, or of all.
    Workers(Option<String>),
    /// What operators did to a queue, before the entry of this number.
    Audit(String, Option<u64>),
    /// Actions that take a while.
    Tasks,
    /// One of them.
    Task(u64),
}

impl Place {
    /// The queue that it belongs to; `None` if it belongs to all.
    pub(crate) fn queue(&self) -> Option<&str> {
        match self {
            Self::Queue(queue)
            | Self::Jobs(queue, _)
            | Self::Job(queue, _)
            | Self::Dead(queue)
            | Self::Audit(queue, _) => Some(queue),
            Self::Running(queue) | Self::Schedules(queue) | Self::Workers(queue) => {
                queue.as_deref()
            }
            Self::Overview | Self::Alerts | Self::Tasks | Self::Task(_) => None,
        }
    }
}

/// The parts of a path and the query of a request.
pub(crate) struct Asked<'a> {
    pub(crate) parts: &'a HashMap<String, String>,
    pub(crate) uri: &'a Uri,
}

/// A request that names no place; it says why.
pub(crate) type NoPlace = String;

impl Asked<'_> {
    pub(crate) fn part(&self, name: &str) -> String {
        self.parts.get(name).cloned().unwrap_or_default()
    }

    fn queue(&self) -> String {
        self.part("queue")
    }

    fn query<T: DeserializeOwned>(&self) -> Result<T, NoPlace> {
        let query = axum::extract::Query::<T>::try_from_uri(self.uri);
        query
            .map(|axum::extract::Query(query)| query)
            .map_err(|error| error.body_text())
    }
}

/// From a request to its place.
pub(crate) type Make = fn(&Asked<'_>) -> Result<Place, NoPlace>;

/// Where the places are, below the mount path; the API has them below `/api`, and the streams of changes below `/live`.
pub(crate) const PLACES: [(&str, Make); 16] = [
    ("/overview", |_| Ok(Place::Overview)),
    ("/alerts", |_| Ok(Place::Alerts)),
    ("/running", |_| Ok(Place::Running(None))),
    ("/schedules", |_| Ok(Place::Schedules(None))),
    ("/workers", |_| Ok(Place::Workers(None))),
    ("/tasks", |_| Ok(Place::Tasks)),
    ("/tasks/{task}", |asked| {
        let task = asked.part("task").parse();
        task.map(Place::Task)
            .map_err(|_| "the number of a task has digits alone".to_owned())
    }),
    ("/queues", |_| Ok(Place::Overview)),
    ("/queues/{queue}", |asked| Ok(Place::Queue(asked.queue()))),
    ("/queues/{queue}/jobs", |asked| {
        let query = Box::new(asked.query()?);
        Ok(Place::Jobs(asked.queue(), query))
    }),
    ("/queues/{queue}/jobs/{job}", |asked| {
        Ok(Place::Job(asked.queue(), asked.part("job")))
    }),
    ("/queues/{queue}/running", |asked| {
        Ok(Place::Running(Some(asked.queue())))
    }),
    ("/queues/{queue}/dead", |asked| {
        Ok(Place::Dead(asked.queue()))
    }),
    ("/queues/{queue}/schedules", |asked| {
        Ok(Place::Schedules(Some(asked.queue())))
    }),
    ("/queues/{queue}/workers", |asked| {
        Ok(Place::Workers(Some(asked.queue())))
    }),
    ("/queues/{queue}/audit", |asked| {
        let query: HashMap<String, String> = asked.query()?;
        let before = query.get("before").map(|number| number.parse());
        let before = before.transpose();
        let before = before.map_err(|_| "`before` is a number".to_owned())?;
        Ok(Place::Audit(asked.queue(), before))
    }),
];
