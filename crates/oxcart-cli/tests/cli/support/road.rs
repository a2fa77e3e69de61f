//! The road to a server: its plain port.

use std::net::SocketAddr;

pub struct Entrance;

impl Entrance {
    pub fn to(_: SocketAddr, _alone: bool) -> Self {
        Self
    }

    pub fn is_node(&self) -> bool {
        false
    }

    pub fn url(&self, plain: SocketAddr) -> String {
        format!("redis://{plain}/")
    }

    pub fn open_url(&self, plain: SocketAddr) -> String {
        self.url(plain)
    }

    pub fn args(&self, _: SocketAddr) -> Vec<String> {
        Vec::new()
    }
}
