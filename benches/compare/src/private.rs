//! The private Redis of the tests, used here as it is.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the tests use more of it than the comparison does"
)]

#[path = "../../../tests/support/port.rs"]
mod port;
#[path = "../../../tests/support/process.rs"]
mod process;
#[path = "../../../tests/support/server.rs"]
mod server;

pub use server::Server;
