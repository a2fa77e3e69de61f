//! What both libraries need for connections with certificates.

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};

use crate::error::Error;
use crate::redis::tls::{Names, Tls, unusable};

/// Host and port of an address whose certificate is checked; `None` with `#insecure`.
pub(crate) fn host_and_port(info: &ConnectionInfo) -> Option<(String, u16)> {
    match info.addr() {
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            ..
        } => Some((host.clone(), *port)),
        _ => None,
    }
}

/// The same address with the settings for TLS. `root`: the CAs to trust, in PEM; if `None`, the CAs that the library
/// trusts by itself.
pub(crate) fn certified(
    info: ConnectionInfo,
    tls: &Tls,
    root: Option<Vec<u8>>,
) -> Result<ConnectionInfo, Error> {
    let certificates = TlsCertificates {
        root_cert: root,
        client_tls: tls.client.clone().map(|client| ClientTlsConfig {
            client_cert: client.chain,
            client_key: client.key,
        }),
    };
    let client = Client::build_with_tls(info, certificates)
        .map_err(|error| unusable("settings for TLS", &error).with_source(error))?;
    let info = client.get_connection_info().clone();
    let mut addr = info.addr().clone();
    addr.set_danger_accept_invalid_hostnames(tls.names == Names::Any);
    Ok(info.set_addr(addr))
}
