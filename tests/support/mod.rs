//! What the integration tests share: private servers, a proxy that breaks connections on purpose,
//! worker processes that can be killed, and a ledger that survives them.
//!
//! Everything started here ends with the test that started it, even if that test is killed.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "every test binary compiles this module and uses its own part of it"
)]
#![allow(
    clippy::panic,
    reason = "a helper that cannot do its duty fails the test that asked"
)]

pub mod access;
pub mod books;
pub mod certificates;
pub mod checks;
mod child;
pub mod clusters;
mod eventually;
pub mod everything;
mod example;
pub mod front;
pub mod fronted;
pub mod given_up;
pub mod jobs;
mod ledger;
pub mod pages;
mod port;
mod process;
mod proxy;
mod relay;
pub mod resp;
pub mod road;
pub mod sentinels;
mod server;
mod stepped;
pub mod workers;

pub use child::{child_name, child_of_test, spawn_self};
pub use eventually::{eventually, eventually_async, eventually_blocking};
pub use example::example;
pub use ledger::Ledger;
pub use pages::ids;
pub use port::Port;
pub use process::Process;
pub use proxy::Proxy;
pub use server::{Server, ServerOptions, server_binary};
pub use stepped::SteppedClock;
