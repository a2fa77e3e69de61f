//! An application's settings for TLS: which certificates to trust, and its own certificate.
//!
//! There are three modules with the same functions (`tls/{rustls,native,absent}.rs`), one for each library that speaks TLS
//! and one for builds without; `lib.rs` chooses. Certificates and keys are read before
//! anything is sent, so that an error names the wrong setting.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo, RedisError};

use crate::error::Error;
use crate::tls_library::{self, Listener};

/// The schemes that mean TLS, as redis-rs knows them.
const SCHEMES: [&str; 2] = ["rediss://", "valkeys://"];

/// What an address ends with in messages, if connections to it are made with TLS.
pub(crate) const MARK: &str = " (TLS)";

/// The settings, as errors name them.
pub(crate) const CA: &str = "the CA";
const CLIENT_CERTIFICATE: &str = "the client certificate";
const CLIENT_KEY: &str = "the key of the client certificate";

pub(crate) const CERTIFICATE_BEGINS: &str = "-----BEGIN CERTIFICATE-----";
const KEY_BEGINS: &str = "PRIVATE KEY-----";

/// Which certificates to trust on a connection by `rediss://`, and with which certificate to sign in: one value for
/// [`OxcartBuilder::tls`](crate::OxcartBuilder::tls).
///
/// Everything is optional. Without it the certificate of Redis must be signed by a CA that the system trusts.
/// Needs the feature `tls-rustls` or `tls-native`.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use oxcart::{Oxcart, Tls};
/// use std::fs::read;
///
/// let tls = Tls::new()
///     .ca(read("ca.pem")?)
///     .client_certificate(read("client.pem")?, read("client.key")?);
/// let oxcart = Oxcart::builder().tls(tls).connect("rediss://redis.internal:6380/").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    pub(crate) ca: Option<Vec<u8>>,
    pub(crate) client: Option<ClientCertificate>,
    pub(crate) names: Names,
}

#[derive(Clone)]
pub(crate) struct ClientCertificate {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

/// For which names a certificate must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Names {
    #[default]
    HostOfTheUrl,
    Any,
}

impl Tls {
    /// Trusts what the system trusts, and shows no certificate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts this CA, or these CAs, in PEM, *instead of* the CAs of the system.
    #[must_use]
    pub fn ca(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.ca = Some(pem.as_ref().to_vec());
        self
    }

    /// The certificate that this process shows to a Redis that wants one, and its private key, both in PEM.
    /// Intermediate certificates follow the first. The key must not be encrypted; PKCS #8 (`BEGIN PRIVATE KEY`)
    /// is understood with either feature.
    #[must_use]
    pub fn client_certificate(mut self, pem: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.client = Some(ClientCertificate {
            chain: pem.as_ref().to_vec(),
            key: key.as_ref().to_vec(),
        });
        self
    }

    /// Accepts a certificate of the given CA for whichever host names, for a Redis that is reached by an
    /// address that does not stand in its certificate, through a tunnel for example.
    ///
    /// Only together with [`ca`](Self::ca): the CAs of the system sign certificates for everybody.
    #[must_use]
    pub fn any_host_name(mut self) -> Self {
        self.names = Names::Any;
        self
    }

    /// Checks that everything looks like PEM; the library checks the rest. (A library may accept a text without
    /// any certificate.)
    fn check_forms(&self) -> Result<(), Error> {
        let chain = self.client.as_ref().map(|client| &client.chain);
        let certificates = [(CA, self.ca.as_ref()), (CLIENT_CERTIFICATE, chain)];
        for (setting, pem) in certificates {
            if pem.is_some_and(|pem| !contains(pem, CERTIFICATE_BEGINS)) {
                let why = format!("there is no certificate in PEM in it (`{CERTIFICATE_BEGINS}`)");
                return Err(unusable(setting, why));
            }
        }
        match &self.client {
            Some(client) if !contains(&client.key, KEY_BEGINS) => Err(unusable(
                CLIENT_KEY,
                "there is no private key in PEM in it (`-----BEGIN PRIVATE KEY-----`)",
            )),
            _ => Ok(()),
        }
    }
}

/// It never shows the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = |given: bool| if given { "given" } else { "none" };
        f.debug_struct("Tls")
            .field("ca", &given(self.ca.is_some()))
            .field("client_certificate", &given(self.client.is_some()))
            .field("names", &self.names)
            .finish()
    }
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len())
        .any(|window| window == part.as_bytes())
}

/// How connections to an address are made.
pub(crate) struct Secured {
    pub(crate) info: ConnectionInfo,
    /// With TLS 1.3 a server says only after the greeting that it does not accept its client, and closes the
    /// connection. If something is written at that moment, the write may fail before the reason is read. The listener
    /// makes a connection on which nothing is written, to read the reason.
    pub(crate) listener: Option<Listener>,
}

/// Whether the URL and the settings go together, and TLS can be spoken if it is asked for.
pub(crate) fn check(url: &str, tls: Option<&Tls>) -> Result<(), Error> {
    let url = url.trim_start();
    let is_scheme = |scheme: &&str| {
        let start = url.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if SCHEMES.iter().any(is_scheme) {
        return tls_library::offered();
    }
    match tls {
        Some(_) => Err(Error::invalid(
            "settings for TLS are given, and the Redis URL means a connection without it: with TLS \
             it begins with `rediss://`",
        )),
        None => Ok(()),
    }
}

/// How connections are made, certificates included, if the address is one with TLS.
pub(crate) fn secured(info: ConnectionInfo, tls: Option<&Tls>) -> Result<Secured, Error> {
    let ConnectionAddr::TcpTls { insecure, .. } = info.addr() else {
        let listener = None;
        return Ok(Secured { info, listener });
    };
    if *insecure && tls.is_some() {
        return Err(Error::invalid(
            "the Redis URL ends in `#insecure`, with which no certificate is looked at, and settings \
             for TLS are given: use one of both",
        ));
    }
    let tls = tls.cloned().unwrap_or_default();
    if tls.names == Names::Any && tls.ca.is_none() {
        return Err(Error::invalid(
            "`Tls::any_host_name` needs `Tls::ca`: the CAs of the system sign certificates for everybody",
        ));
    }
    tls.check_forms()?;
    tls_library::secured(info, &tls)
}

/// What may be wrong with an address that does not answer a greeting.
pub(crate) fn hint_of_silence(address: &str) -> &'static str {
    match address.ends_with(MARK) {
        true => "; does it speak TLS there? Without TLS the URL begins with `redis://`",
        false => "",
    }
}

/// What may be wrong with an address that closes the connection instead of answering a greeting.
pub(crate) fn hint_of_closing(address: &str) -> &'static str {
    match address.ends_with(MARK) {
        true => {
            "; does Redis want another certificate of its clients, or one? (`Tls::client_certificate`)"
        }
        false => "; does it want TLS there? With TLS the URL begins with `rediss://`",
    }
}

/// Why the two sides of a connection with TLS did not agree, if that is what happened.
pub(crate) fn refusal(error: &RedisError) -> Option<String> {
    // redis-rs keeps what happened in an `Arc`, and gives that as the source.
    let cause: &Arc<dyn StdError + Send + Sync> = error.source()?.downcast_ref()?;
    tls_library::refusal(&**cause)
}

/// A setting that cannot be used.
pub(crate) fn unusable(setting: &str, why: impl fmt::Display) -> Error {
    Error::invalid(format!("what is given as {setting} cannot be used: {why}"))
}
