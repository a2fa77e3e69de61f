//! TLS by rustls.
//!
//! redis-rs makes a configuration of rustls for each connection, with the default crypto provider of the process.
//! Without a default it panics if rustls cannot guess the provider, which it cannot if two are compiled in. So a default
//! is installed first, unless the application has installed one.
//!
//! The CAs that the system trusts are read once, here. redis-rs would read them again for each connection, while other
//! tasks wait on the same thread; would refuse all of them because of one file that cannot be read; and, if native-tls is
//! compiled in as well, would trust no CA.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use redis::ConnectionInfo;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tracing::debug;

use crate::error::Error;
use crate::redis::tls::{CA, ClientCertificate, Names, Secured, Tls, unusable};
use crate::tls_advice::{GIVE_CA, GIVE_CLIENT_CERTIFICATE, LOOK, NO_TLS, OTHER_NAME, bad_pair};
use crate::tls_certified::{certified, host_and_port};

pub(crate) fn offered() -> Result<(), Error> {
    Ok(())
}

/// Makes sure of a crypto provider.
pub(crate) fn prepare() {
    if CryptoProvider::get_default().is_none() {
        // It fails if other code was quicker; then the provider of that code is used.
        let _ = ring::default_provider().install_default();
    }
}

pub(crate) fn secured(info: ConnectionInfo, tls: &Tls) -> Result<Secured, Error> {
    prepare();
    let Some((host, port)) = host_and_port(&info) else {
        let listener = None;
        return Ok(Secured { info, listener });
    };
    let (trusted, pem) = match &tls.ca {
        Some(pem) => (given(pem)?, pem.clone()),
        None => trusted_by_the_system()?,
    };
    let config = configured(trusted, tls.client.as_ref())?;
    let info = certified(info, tls, Some(pem))?;
    let listener = Listener {
        config: Arc::new(config),
        host,
        port,
    };
    Ok(Secured {
        info,
        // The listener checks host names, so it is not used if any name is accepted.
        listener: (tls.names == Names::HostOfTheUrl).then_some(listener),
    })
}

/// Hears why a server closes connections.
pub(crate) struct Listener {
    config: Arc<ClientConfig>,
    host: String,
    port: u16,
}

impl Listener {
    pub(crate) async fn hear(&self) -> Option<String> {
        let name = ServerName::try_from(self.host.clone()).ok()?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let failed = match connector.connect(name, stream.ok()?).await {
            Ok(mut open) => open.read(&mut [0]).await.err()?,
            Err(failed) => failed,
        };
        refusal(&failed)
    }
}

fn given(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unusable(CA, error))?;
        let added = trusted.add(certificate);
        added.map_err(|error| unusable(CA, &error).with_source(error))?;
    }
    Ok(trusted)
}

/// It finds out whether certificate and key belong together.
fn configured(
    trusted: RootCertStore,
    client: Option<&ClientCertificate>,
) -> Result<ClientConfig, Error> {
    let config = ClientConfig::builder().with_root_certificates(trusted);
    let Some(client) = client else {
        return Ok(config.with_no_client_auth());
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&client.chain).collect();
    let chain = chain.map_err(bad_pair)?;
    let key = PrivateKeyDer::from_pem_slice(&client.key).map_err(|error| {
        bad_pair(format!(
            "{error}; the key has to be in PEM, and not encrypted"
        ))
    })?;
    let config = config.with_client_auth_cert(chain, key);
    config.map_err(|error| bad_pair(&error).with_source(error))
}

/// What can be read of it; and the same in PEM, for redis-rs.
fn trusted_by_the_system() -> Result<(RootCertStore, Vec<u8>), Error> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        debug!(%error, "some certificates of CAs that the system trusts cannot be read");
    }
    let mut trusted = RootCertStore::empty();
    let mut pem = String::new();
    for certificate in found.certs {
        if trusted.add(certificate.clone()).is_ok() {
            let text = BASE64_STANDARD.encode(&certificate);
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            pem.push_str(&text);
            pem.push_str("\n-----END CERTIFICATE-----\n");
        }
    }
    if trusted.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})"));
        return Err(Error::invalid(format!(
            "this system has no certificates of CAs that it trusts{}: install them (the package \
             `ca-certificates`), name a file with them in `SSL_CERT_FILE`, or give the CA of Redis with \
             `Tls::ca`",
            why.unwrap_or_default()
        )));
    }
    Ok((trusted, pem.into_bytes()))
}

/// Why the two sides did not agree, if that is what happened.
pub(crate) fn refusal(error: &(dyn StdError + 'static)) -> Option<String> {
    let failed: &io::Error = error.downcast_ref()?;
    let failed: &rustls::Error = failed.get_ref()?.downcast_ref()?;
    let hint = match failed {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => GIVE_CA,
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => OTHER_NAME,
        // Servers without TLS 1.3 send the second alert.
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure,
        ) => GIVE_CLIENT_CERTIFICATE,
        rustls::Error::InvalidMessage(_) => NO_TLS,
        _ => LOOK,
    };
    Some(format!("no connection with TLS: {failed}; {hint}"))
}
