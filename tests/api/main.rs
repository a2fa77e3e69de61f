//! What the application sees: enqueueing, results, handlers, outcomes, events, dead letters.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod batches;
mod cancelling;
mod codec;
mod dead_letters;
mod editing;
mod enqueueing;
mod events;
mod groups;
mod handlers;
mod history;
mod job_logs;
mod looking;
mod moving;
mod names;
mod oldest;
mod pausing;
mod removal;
mod results;
mod rig;
mod shutdown;
mod snoozing;
mod sweeping;
mod unique;
mod versions;
mod workers;
