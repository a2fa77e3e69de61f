//! The real program, against a real Redis, as a person and as a script use it.
#![allow(
    clippy::panic,
    reason = "a helper that cannot do its duty fails the test that asked"
)]

mod alerts;
mod bench;
mod breakers;
mod changes;
mod cloud_events;
mod dead_letters;
mod doctor;
mod durable;
mod events;
mod exits;
mod json;
mod left_out;
mod long_work;
mod other_clock;
mod rig;
mod sagas;
mod scale;
mod screen;
mod secrets;
mod serve;
mod support;
mod terminal;
mod top;
mod topics;
