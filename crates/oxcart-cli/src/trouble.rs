//! What went wrong, told to a person or a program, and the exit code that goes with it.

use std::io;

use oxcart::{Error, ErrorKind};
use serde::Serialize;

/// The exit codes, as `docs/command-line.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nobody reads what is printed any more, as in `oxcart .. | head`. No error.
    PipeClosed = 0,
    Error = 1,
    Usage = 2,
    NotFound = 3,
    Unreachable = 4,
    /// The doctor has found a problem.
    Problem = 5,
    Interrupted = 130,
}

/// The shape of an error with `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Trouble {
    /// The kind of the library's error, if it is one.
    pub(crate) kind: Option<String>,
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// The name that was perhaps meant.
    pub(crate) nearest: Option<String>,
    #[serde(serialize_with = "number")]
    pub(crate) exit: Exit,
}

fn number<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(*exit as u8)
}

impl Trouble {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            kind: None,
            message: message.into(),
            hint: None,
            nearest: None,
            exit,
        }
    }

    /// All that is to be said was printed already.
    pub(crate) fn told(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn nearest(mut self, name: Option<String>) -> Self {
        self.nearest = name;
        self
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Invalid => Exit::Usage,
            ErrorKind::NotFound => Exit::NotFound,
            ErrorKind::Unreachable
            | ErrorKind::Refused
            | ErrorKind::NotSent
            | ErrorKind::Unknown
            | ErrorKind::Timeout => Exit::Unreachable,
            _ => Exit::Error,
        };
        Self {
            kind: Some(format!("{:?}", error.kind())),
            ..Self::new(exit, error.to_string())
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::PipeClosed, "nobody reads any more"),
            _ => Self::error(format!("cannot write the output: {error}")),
        }
    }
}
