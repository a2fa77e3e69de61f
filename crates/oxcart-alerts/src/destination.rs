//! A URL to which something is posted: one address, one connection, one request, bounded in time.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::select;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::address::is_public;
use crate::error::{Error, ErrorKind};

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// The head of an answer is no larger.
const HEAD_MAX: usize = 16 * 1024;

/// Headers of a request, beside those that every request has.
pub(crate) type Headers<'a> = &'a [(&'a str, &'a str)];

#[derive(Clone)]
pub(crate) struct Destination {
    host: String,
    port: u16,
    /// What is asked for: the path and the query.
    target: String,
    tls: Option<TlsConnector>,
    addresses: Addresses,
    timeout: Duration,
}

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addresses {
    Public,
    Any,
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls.is_some())
            .field("addresses", &self.addresses)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Destination {
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        let uri: Uri = url.parse().map_err(|error| {
            Error::invalid(format!(
                "the URL cannot be read ({error}); it looks like https://host/path"
            ))
        })?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => {
                return Err(Error::invalid(
                    "the URL begins with neither https:// nor http://",
                ));
            }
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(Error::invalid(
                "the URL has a user or a password in it, which is not supported",
            ));
        }
        let host = uri.host().unwrap_or_default();
        // What is no number is no port to `Uri`: the notification would go to another port of the host.
        let port = authority.strip_prefix(host).unwrap_or_default();
        let port = port.trim_start_matches(':');
        if !port.is_empty() && uri.port_u16().is_none_or(|port| port == 0) {
            return Err(Error::invalid(
                "the port of the URL is no number between 1 and 65535",
            ));
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(Error::invalid("the URL has no host"));
        }
        let tls = is_tls.then(|| connector(trusted()?)).transpose()?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            target: target.to_owned(),
            tls,
            addresses: Addresses::Public,
            timeout: TIMEOUT_DEFAULT,
        })
    }

    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn with_any_address(mut self) -> Self {
        self.addresses = Addresses::Any;
        self
    }

    /// Posts a body of JSON. An answer of 2xx is success.
    pub(crate) async fn post(&self, body: Vec<u8>, headers: Headers<'_>) -> Result<(), Error> {
        let posted = timeout(self.timeout, self.try_to_post(body, headers)).await;
        let late = |_| {
            let (host, limit) = (&self.host, self.timeout);
            let message = format!("{host} has not answered within {limit:?}");
            Error::new(ErrorKind::Timeout, message)
        };
        let status = posted.map_err(late)??;
        if status.is_success() {
            return Ok(());
        }
        let why = match status.is_redirection() {
            true => "; redirects are not followed",
            false => "",
        };
        let message = format!("{} has answered {status}{why}", self.host);
        Err(Error::new(ErrorKind::Status(status.as_u16()), message))
    }

    async fn try_to_post(&self, body: Vec<u8>, headers: Headers<'_>) -> Result<StatusCode, Error> {
        let request = self.request(body, headers)?;
        let stream = self.connect().await?;
        let Some(tls) = &self.tls else {
            return self.exchange(stream, request).await;
        };
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| Error::unreachable(&self.host, error))?;
        let stream = tls.connect(name, stream).await;
        let stream = stream.map_err(|error| Error::unreachable(&self.host, error))?;
        self.exchange(stream, request).await
    }

    fn request(&self, body: Vec<u8>, headers: Headers<'_>) -> Result<Request<Full<Bytes>>, Error> {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        let host = match (self.port, self.tls.is_some()) {
            (443, true) | (80, false) => host,
            (port, _) => format!("{host}:{port}"),
        };
        let mut request = Request::post(&self.target)
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .header(
                USER_AGENT,
                concat!("oxcart-alerts/", env!("CARGO_PKG_VERSION")),
            );
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Error::invalid(format!("the request cannot be made: {error}")))
    }

    /// To one of the addresses of the host that may be used.
    async fn connect(&self) -> Result<TcpStream, Error> {
        let host = &self.host;
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![(address, self.port).into()],
            Err(_) => {
                let found = lookup_host((host.as_str(), self.port)).await;
                let found = found.map_err(|error| Error::unreachable(host, error))?;
                found.collect()
            }
        };
        let mut last = None;
        for address in &found {
            if self.addresses == Addresses::Public && !is_public(address.ip()) {
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(error) => Error::unreachable(host, error),
            None if found.is_empty() => Error::unreachable(host, "it has no address"),
            None => Error::new(
                ErrorKind::Forbidden,
                format!(
                    "{host} has no public address; allow private ones (`allow_private_addresses`) if it is your own"
                ),
            ),
        })
    }

    /// Sends the request, and reads the head of the answer. Whatever follows is not read: the connection is closed.
    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: Request<Full<Bytes>>,
    ) -> Result<StatusCode, Error> {
        let unreachable = |error: hyper::Error| Error::unreachable(&self.host, error);
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(unreachable)?;
        let mut answer = pin!(sender.send_request(request));
        let mut connection = Box::pin(connection);
        let answer = select! {
            biased;
            answer = &mut answer => answer,
            _ = &mut connection => {
                // It has told all that it will: an answer, behind which it may have failed, or none.
                drop(connection);
                answer.await
            }
        };
        answer.map(|answer| answer.status()).map_err(unreachable)
    }
}

/// The CAs that the system trusts, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn trusted() -> Result<RootCertStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(found.certs);
    if trusted.is_empty() {
        return Err(Error::invalid(
            "this system has no certificates of CAs that it trusts: install them (the package `ca-certificates`), or name a \
             file with them in `SSL_CERT_FILE`",
        ));
    }
    Ok(trusted)
}

fn connector(trusted: RootCertStore) -> Result<TlsConnector, Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::invalid(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
#[path = "destination/tests.rs"]
mod tests;
