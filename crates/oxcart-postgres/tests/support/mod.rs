//! Private servers, PostgreSQL among them, and worker processes that can be killed.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "every test binary compiles this module and uses its own part of it"
)]
#![allow(
    clippy::panic,
    reason = "a helper that cannot do its duty fails the test that asked"
)]

#[path = "../../../../tests/support/child.rs"]
mod child;
#[path = "../../../../tests/support/eventually.rs"]
mod eventually;
#[path = "../../../../tests/support/example.rs"]
mod example;
#[path = "../../../../tests/support/port.rs"]
mod port;
mod postgres;
#[path = "../../../../tests/support/process.rs"]
mod process;
#[path = "../../../oxcart-cli/tests/cli/support/road.rs"]
mod road;
#[path = "../../../../tests/support/server.rs"]
mod server;

pub use child::{child_of_test, spawn_self};
pub use eventually::{eventually, eventually_async, eventually_blocking};
pub use example::example;
pub use port::Port;
pub use postgres::{Database, Postgres, database, is_full};
pub use process::Process;
pub use server::Server;
