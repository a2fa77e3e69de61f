//! Private servers, and waiting: those of the library's tests, without what these bring for TLS.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the library's tests use more of it"
)]
#![allow(
    clippy::panic,
    reason = "a helper that cannot do its duty fails the test that asked"
)]

#[path = "../../../../tests/support/eventually.rs"]
mod eventually;
#[path = "../../../../tests/support/port.rs"]
mod port;
#[path = "../../../../tests/support/process.rs"]
mod process;
#[path = "../../../oxcart-cli/tests/cli/support/road.rs"]
mod road;
#[path = "../../../../tests/support/server.rs"]
mod server;

pub use eventually::eventually_async;
pub use process::Process;
pub use server::Server;
