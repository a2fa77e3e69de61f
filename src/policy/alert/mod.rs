//! Alerts: what a condition measures, and how an alert gets from one state into another.

pub(crate) mod condition;
pub(crate) mod standing;
pub(crate) mod window;
