//! Rules that depend on nothing but their inputs.

pub(crate) mod backoff;
pub(crate) mod retention;
