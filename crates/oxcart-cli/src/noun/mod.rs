//! One file for each noun: its verbs, and what they print.

pub(crate) mod alert;
pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod breaker;
pub(crate) mod dead;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod flow;
pub(crate) mod group;
pub(crate) mod job;
pub(crate) mod outbox;
pub(crate) mod queue;
pub(crate) mod saga;
pub(crate) mod schedule;
pub(crate) mod serve;
pub(crate) mod shell;
pub(crate) mod signal;
pub(crate) mod top;
pub(crate) mod topic;
pub(crate) mod worker;

use std::fmt::Display;

use serde::Serialize;

use crate::session::Session;
use crate::trouble::Trouble;

/// A pause or its end; see `schema/pause.json`. Without a group, a schedule or a name it is the whole queue.
#[derive(Serialize, Default)]
pub(crate) struct Pause<'a> {
    pub(crate) queue: &'a str,
    pub(crate) group: Option<&'a str>,
    pub(crate) schedule: Option<&'a str>,
    /// The name of the jobs.
    pub(crate) name: Option<&'a str>,
    pub(crate) paused: bool,
    /// Whether it was otherwise before.
    pub(crate) changed: bool,
}

impl Pause<'_> {
    pub(crate) fn tell(&self, session: &mut Session, text: impl Display) -> Result<(), Trouble> {
        match self.changed {
            true => session.out.done(self, text),
            false => session.out.nothing(self, text),
        }
    }
}
