//! TLS by the library of the system, through native-tls.

use std::error::Error as StdError;
use std::io;

use native_tls::{Certificate, Identity, TlsConnector};
use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};

use crate::error::Error;
use crate::redis::tls::{CA, Names, Tls, unusable};
use crate::tls_advice::{GIVE_CA, GIVE_CLIENT_CERTIFICATE, LOOK, NO_TLS, OTHER_NAME, bad_pair};

const CERTIFICATE_BEGINS: &str = "-----BEGIN CERTIFICATE-----";

pub(crate) fn offered() -> Result<(), Error> {
    Ok(())
}

pub(crate) fn prepare() {}

pub(crate) fn secured(info: ConnectionInfo, tls: &Tls) -> Result<ConnectionInfo, Error> {
    if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
        return Ok(info);
    }
    if let Some(ca) = &tls.ca {
        check_ca(ca)?;
    }
    if let Some(client) = &tls.client {
        let form = "the key has to be in PKCS #8 (`BEGIN PRIVATE KEY`), and not encrypted";
        // Whether the two belong together shows only in the second step.
        Identity::from_pkcs8(&client.chain, &client.key)
            .map_err(|error| bad_pair(format!("{error}; {form}")).with_source(error))
            .and_then(|identity| {
                let connector = TlsConnector::builder().identity(identity).build();
                connector.map_err(|error| bad_pair(&error).with_source(error))
            })?;
    }
    let certificates = TlsCertificates {
        root_cert: tls.ca.clone(),
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

fn check_ca(pem: &[u8]) -> Result<(), Error> {
    let text = str::from_utf8(pem).map_err(|error| unusable(CA, error))?;
    for rest in text.split(CERTIFICATE_BEGINS).skip(1) {
        let one = format!("{CERTIFICATE_BEGINS}{rest}");
        Certificate::from_pem(one.as_bytes()).map_err(|error| unusable(CA, error))?;
    }
    Ok(())
}

/// Why the two sides did not agree, if that is what happened.
pub(crate) fn refusal(error: &(dyn StdError + 'static)) -> Option<String> {
    let text = match error.downcast_ref::<native_tls::Error>() {
        Some(failed) if was_cut(failed) => return None,
        Some(failed) => failed.to_string(),
        // Since TLS 1.3 a server says only after the greeting that it does not accept its client.
        None => {
            let failed: &io::Error = error.downcast_ref()?;
            let text = failed.get_ref()?.to_string();
            text.contains("alert").then_some(text)?
        }
    };
    // The system's library says in words what it is, and each one in its own.
    let hints: [(&str, &str); 6] = [
        ("certificate required", GIVE_CLIENT_CERTIFICATE),
        ("handshake failure", GIVE_CLIENT_CERTIFICATE),
        ("mismatch", OTHER_NAME),
        ("issuer", GIVE_CA),
        ("self-signed", GIVE_CA),
        ("wrong version number", NO_TLS),
    ];
    let hint = hints.iter().find(|(words, _)| text.contains(words));
    let hint = hint.map_or(LOOK, |(_, hint)| hint);
    Some(format!("no connection with TLS: {text}; {hint}"))
}

/// Whether the connection broke while the two sides spoke.
fn was_cut(error: &native_tls::Error) -> bool {
    let mut next = error.source();
    while let Some(source) = next {
        if source.is::<io::Error>() {
            return true;
        }
        next = source.source();
    }
    false
}
