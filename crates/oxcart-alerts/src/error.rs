//! What can go wrong with a delivery.

use std::error::Error as StdError;
use std::fmt;

/// Why nothing was delivered. Its message names the host, and no other part of the URL.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The URL or a setting makes no sense. Nothing was sent.
    Invalid,
    /// The host has no address that may be used: see [`Webhook::allow_private_addresses`](crate::Webhook::allow_private_addresses). Nothing was sent.
    Forbidden,
    /// The host cannot be reached, or has closed the connection before it answered: it may have got the notification.
    Unreachable,
    /// It took too long. The host may have got the notification.
    Timeout,
    /// The host has answered with this status, which is not 2xx.
    Status(u16),
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn unreachable(
        host: &str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        Self {
            kind: ErrorKind::Unreachable,
            message: format!("{host} cannot be reached: {}", chain(&*source)),
            source: Some(source),
        }
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// An error with its causes.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
