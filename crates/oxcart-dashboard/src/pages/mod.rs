//! How the pages look: one function for each, which makes HTML of what the model says.

mod alerts;
mod audit;
mod bulk;
mod chart;
mod dead;
mod frame;
mod icon;
mod job;
mod job_list;
mod json;
mod links;
mod overview;
mod parts;
mod queue;
mod queue_side;
mod running;
mod schedules;
mod steps;
mod tasks;
#[cfg(test)]
mod tests;
mod text;
mod timeline;
mod words;
mod workers;

pub(crate) use alerts::alerts;
pub(crate) use audit::audit;
pub(crate) use dead::dead_groups;
pub(crate) use frame::{login, trouble};
pub(crate) use job::job;
pub(crate) use job_list::job_list;
pub(crate) use overview::overview;
pub(crate) use queue::queue;
pub(crate) use running::running;
pub(crate) use schedules::schedules;
pub(crate) use tasks::{task, tasks};
pub(crate) use workers::workers;
