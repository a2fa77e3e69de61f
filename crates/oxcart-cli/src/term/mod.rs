//! The terminal: colours, width, tables, questions, progress.

pub(crate) mod confirm;
pub(crate) mod interrupt;
pub(crate) mod look;
pub(crate) mod out;
pub(crate) mod progress;
pub(crate) mod table;
