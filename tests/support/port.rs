//! Loopback ports that two tests never share, not even tests in different processes.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};

/// Below the ports that systems give to outgoing connections. Among those, a server that is down
/// for a moment could find its port taken by a client, and a client that reconnects could be
/// connected to itself.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// A TCP port kept for its owner, also while nothing listens on it: what it holds is the UDP port
/// of the same number, which the system frees by itself when the process ends.
pub struct Port {
    number: u16,
    _claim: UdpSocket,
}

impl Port {
    /// Claims a free port.
    pub fn claim() -> Self {
        let span = u64::from(RANGE.end - RANGE.start);
        (0..1_000)
            .map(|attempt| RandomState::new().hash_one(attempt) % span)
            .map(|offset| {
                RANGE.start + u16::try_from(offset).expect("an offset within a range of u16")
            })
            .find_map(Self::try_claim)
            .expect("one loopback port in a thousand is free")
    }

    /// Claims a certain port, which must be free.
    pub fn claim_this(number: u16) -> Self {
        Self::try_claim(number).unwrap_or_else(|| panic!("port {number} is taken"))
    }

    fn try_claim(number: u16) -> Option<Self> {
        let claim = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        // Not by listening there: a child that is being started at that moment by another thread
        // would hold the port for a little longer than we do.
        let taken = TcpStream::connect((Ipv4Addr::LOCALHOST, number)).is_ok();
        (!taken).then(|| Self {
            number,
            _claim: claim,
        })
    }

    pub fn number(&self) -> u16 {
        self.number
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}
