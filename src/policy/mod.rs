//! Rules that depend on nothing but their inputs.

pub(crate) mod about;
pub(crate) mod alert;
pub(crate) mod backoff;
pub(crate) mod breaker;
pub(crate) mod durability;
pub(crate) mod event_filter;
pub(crate) mod expiry;
pub(crate) mod flow;
pub(crate) mod histogram;
pub(crate) mod job_names;
pub(crate) mod key;
pub(crate) mod limits;
pub(crate) mod minute;
pub(crate) mod order;
pub(crate) mod pace;
pub(crate) mod pauses;
pub(crate) mod retention;
pub(crate) mod schedule;
pub(crate) mod settings;
pub(crate) mod silence;
pub(crate) mod steps;
pub(crate) mod tally;
pub(crate) mod unique;
