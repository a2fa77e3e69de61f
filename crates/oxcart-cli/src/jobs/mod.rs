//! What several nouns do with jobs.

pub(crate) mod cloud_events;
pub(crate) mod durable;
pub(crate) mod filter;
pub(crate) mod json_file;
pub(crate) mod listing;
pub(crate) mod scan;
pub(crate) mod steps;
pub(crate) mod story;
pub(crate) mod view;
