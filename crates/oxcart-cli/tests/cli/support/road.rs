//! The road to a server: its plain port.

use std::net::SocketAddr;

pub fn url(address: SocketAddr) -> String {
    format!("redis://{address}/")
}

pub fn open_url(address: SocketAddr) -> String {
    url(address)
}

pub struct Entrance;

impl Entrance {
    pub fn to(_: SocketAddr) -> Self {
        Self
    }

    pub fn args(&self) -> Vec<String> {
        Vec::new()
    }

    pub fn address(&self, plain: SocketAddr) -> SocketAddr {
        plain
    }
}
