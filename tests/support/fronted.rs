//! A server behind a front. The front takes clients with TLS and without on one port, and the server announces that port: sentinels, replicas and
//! the other nodes of a cluster come without TLS.

use std::net::SocketAddr;

use tokio_rustls::TlsAcceptor;

use super::front::Front;
use super::port::Port;
use super::server::{Server, ServerOptions};

/// A server, and what stands before it, if something does.
pub struct Fronted {
    pub server: Server,
    front: Option<Front>,
}

impl Fronted {
    /// Without a front, unless there is what a front shows.
    pub fn start(options: ServerOptions, shown: Option<&TlsAcceptor>) -> Self {
        let options = options.alone();
        let Some(acceptor) = shown else {
            let server = options.start();
            return Self {
                server,
                front: None,
            };
        };
        let port = Port::claim();
        let front = Front::for_all(port.address(), acceptor.clone());
        let number = front.address().port().to_string();
        let options = options
            .at(port)
            .arg("--replica-announce-port", &number)
            .arg("--cluster-announce-port", &number);
        Self {
            server: options.start(),
            front: Some(front),
        }
    }

    /// Where it says that it is.
    pub fn address(&self) -> SocketAddr {
        match &self.front {
            Some(front) => front.address(),
            None => self.server.tcp_addr(),
        }
    }

    pub fn port(&self) -> u16 {
        self.address().port()
    }
}
