//! Connections over TLS: which servers and clients are trusted, what an error says, and that everything works.
//!
//! A server that was built without TLS gets a TLS proxy of the tests' own in front, so that nothing of this is
//! ever passed over.

#[path = "../support/mod.rs"]
mod support;

#[cfg(not(any(feature = "tls-rustls", feature = "tls-native")))]
mod absent;
#[cfg(any(feature = "tls-rustls", feature = "tls-native"))]
mod processes;
#[cfg(any(feature = "tls-rustls", feature = "tls-native"))]
mod rig;
#[cfg(any(feature = "tls-rustls", feature = "tls-native"))]
mod settings;
#[cfg(any(feature = "tls-rustls", feature = "tls-native"))]
mod trust;
#[cfg(any(feature = "tls-rustls", feature = "tls-native"))]
mod work;
