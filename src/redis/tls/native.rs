//! TLS by the library of the system, through native-tls.

use std::error::Error as StdError;
use std::io;

use native_tls::{Certificate, Identity, TlsConnector};
use redis::ConnectionInfo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::error::Error;
use crate::redis::tls::{CA, CERTIFICATE_BEGINS, Names, Secured, Tls, unusable};
use crate::tls_advice::{GIVE_CA, GIVE_CLIENT_CERTIFICATE, LOOK, NO_TLS, OTHER_NAME, bad_pair};
use crate::tls_certified::{certified, host_and_port};

pub(crate) fn offered() -> Result<(), Error> {
    Ok(())
}

pub(crate) fn prepare() {}

pub(crate) fn secured(info: ConnectionInfo, tls: &Tls) -> Result<Secured, Error> {
    let Some((host, port)) = host_and_port(&info) else {
        let listener = None;
        return Ok(Secured { info, listener });
    };
    let connector = configured(tls)?;
    let info = certified(info, tls, tls.ca.clone())?;
    let listener = Some(Listener {
        connector: connector.into(),
        host,
        port,
    });
    Ok(Secured { info, listener })
}

/// Hears why a server closes connections.
pub(crate) struct Listener {
    connector: tokio_native_tls::TlsConnector,
    host: String,
    port: u16,
}

impl Listener {
    pub(crate) async fn hear(&self) -> Option<String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        match self.connector.connect(&self.host, stream.ok()?).await {
            Ok(mut open) => refusal(&open.read(&mut [0]).await.err()?),
            Err(failed) => refusal(&failed),
        }
    }
}

/// It finds out whether everything can be used: whether certificate and key belong together, too.
fn configured(tls: &Tls) -> Result<TlsConnector, Error> {
    let mut builder = TlsConnector::builder();
    builder.danger_accept_invalid_hostnames(tls.names == Names::Any);
    if let Some(pem) = &tls.ca {
        builder.disable_built_in_roots(true);
        for ca in certificates(pem)? {
            builder.add_root_certificate(ca);
        }
    }
    if let Some(client) = &tls.client {
        let form = "the key has to be in PKCS #8 (`BEGIN PRIVATE KEY`), and not encrypted";
        let identity = Identity::from_pkcs8(&client.chain, &client.key)
            .map_err(|error| bad_pair(format!("{error}; {form}")).with_source(error))?;
        builder.identity(identity);
    }
    let connector = builder.build();
    connector.map_err(|error| bad_pair(&error).with_source(error))
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, Error> {
    let text = str::from_utf8(pem).map_err(|error| unusable(CA, error))?;
    let each = text.split(CERTIFICATE_BEGINS).skip(1);
    each.map(|rest| {
        let one = format!("{CERTIFICATE_BEGINS}{rest}");
        Certificate::from_pem(one.as_bytes()).map_err(|error| unusable(CA, error))
    })
    .collect()
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
    // Each system's library describes the error in words of its own.
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
