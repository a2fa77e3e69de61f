//! One file for each noun: its verbs, and what they print.

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod dead;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod group;
pub(crate) mod job;
pub(crate) mod queue;
pub(crate) mod schedule;
pub(crate) mod shell;
pub(crate) mod worker;

use serde::Serialize;

/// A pause or its end; see `schema/pause.json`.
#[derive(Serialize)]
pub(crate) struct Pause<'a> {
    pub(crate) queue: &'a str,
    /// The group, the schedule, or the name of the jobs, if it is not the whole queue.
    pub(crate) name: Option<&'a str>,
    pub(crate) paused: bool,
    /// Whether it was otherwise before.
    pub(crate) changed: bool,
}
