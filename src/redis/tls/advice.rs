//! What to do when the two sides of a connection do not trust each other.

use crate::error::Error;
use crate::redis::tls::unusable;

pub(crate) const GIVE_CA: &str = "give the CA that signed it with `Tls::ca`";
pub(crate) const OTHER_NAME: &str =
    "connect by a name that stands in it, or use `Tls::any_host_name`";
pub(crate) const GIVE_CLIENT_CERTIFICATE: &str =
    "does Redis want a certificate of its clients? Give one with `Tls::client_certificate`";
pub(crate) const NO_TLS: &str = "does TLS listen there? Without it the URL begins with `redis://`";
pub(crate) const LOOK: &str = "look at the certificates of both sides, and at their clocks";

/// The client certificate and its key.
pub(crate) fn bad_pair(why: impl std::fmt::Display) -> Error {
    unusable("the client certificate and its key", why)
}
