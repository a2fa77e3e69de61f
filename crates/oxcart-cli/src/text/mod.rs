//! Times, values, names and errors as text.

pub(crate) mod bars;
pub(crate) mod duration;
pub(crate) mod log;
pub(crate) mod nearest;
pub(crate) mod place;
pub(crate) mod quoted;
pub(crate) mod rates;
pub(crate) mod redis_cli;
pub(crate) mod shape;
pub(crate) mod when;
pub(crate) mod wrap;
