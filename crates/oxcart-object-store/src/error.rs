//! Why there is no store.

use std::error::Error as StdError;
use std::fmt;

/// Why a store could not be made: a wrong URL, prefix or folder. What goes wrong later is an error of the call that needed the store.
pub struct Error {
    what: String,
    source: Box<dyn StdError + Send + Sync>,
}

impl Error {
    pub(crate) fn new(
        what: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            what: what.into(),
            source: source.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

/// Written for people: Rust prints this when `main` returns the error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
