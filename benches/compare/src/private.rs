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

/// The road to the server: plain, for the peers too.
mod road {
    use std::net::SocketAddr;

    pub(super) struct Entrance;

    impl Entrance {
        pub(super) fn to(_: SocketAddr) -> Self {
            Self
        }

        pub(super) fn args(&self) -> Vec<String> {
            Vec::new()
        }

        pub(super) fn address(&self, plain: SocketAddr) -> SocketAddr {
            plain
        }
    }

    pub(super) fn url(address: SocketAddr) -> String {
        open_url(address)
    }

    pub(super) fn open_url(address: SocketAddr) -> String {
        format!("redis://{address}/")
    }
}

pub use server::Server;
