//! What can go wrong between us and Redis, by what it means for the call.
//!
//! The one question that decides everything: did the call run? A refusal and a failed
//! connection say no; a lost answer says nobody knows.

use std::fmt;
use std::time::Duration;

use redis::{ErrorKind as RedisKind, RedisError, ServerErrorKind};

use crate::error::{Error, ErrorKind};
use crate::redis::tls;

/// Why a call brought no answer.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// No connection could be made; nothing was sent.
    Unreachable(String),
    /// The connection was found closed before anything was sent on it.
    Closed,
    /// What answered the greeting is no Redis; nothing was sent.
    Stranger(String),
    /// It is not the one that we trust, or does not trust us, by the rules of TLS; nothing was sent.
    Untrusted(String),
    /// The server said no before anything ran.
    Refused(Refusal, String),
    /// It was sent, and no answer came: it ran, or it did not.
    Unanswered(String),
    /// It was sent, and the connection was closed instead of an answer: it ran, or it did not. A
    /// server or a proxy that does not take the call may show in this way, too, each time.
    Cut {
        why: String,
        /// The connection had not been used for a while: it may have been closed in its sleep.
        was_idle: bool,
    },
    /// An answer came that makes no sense: a broken invariant, here or in Redis.
    Garbled(String),
}

/// Why the server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Loading, busy, failing over, replica: it passes by itself.
    NotNow,
    /// Out of memory, persistence failing, too few replicas: somebody has to act.
    NoWrites,
    /// Password, user or permission.
    NotAllowed,
    /// The script is not cached there.
    UnknownScript,
    /// Something in the request is larger than the server reads. It did not run, and will not as
    /// it is.
    Unread,
}

impl Trouble {
    /// Whether the call may have run.
    pub(crate) fn may_have_run(&self) -> bool {
        matches!(
            self,
            Self::Unanswered(_) | Self::Cut { .. } | Self::Garbled(_)
        )
    }

    /// Whether the connection was closed instead of an answer.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self, Self::Cut { .. })
    }

    /// Whether the connection was closed before it was used again. That says nothing of the call, nor of
    /// the server.
    pub(crate) fn was_idle(&self) -> bool {
        matches!(self, Self::Closed | Self::Cut { was_idle: true, .. })
    }

    /// Whether Redis as a whole was away, for everybody, as far as one call can tell.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Stranger(_)
                | Self::Untrusted(_)
                | Self::Unanswered(_)
                | Self::Closed
                | Self::Cut { .. }
                | Self::Refused(Refusal::NotNow, _)
        )
    }

    /// Whether the connection is of no further use. A server that is not the writable one any
    /// more may have been replaced behind its address.
    pub(crate) fn wants_new_connection(&self) -> bool {
        !matches!(
            self,
            Self::Refused(Refusal::NoWrites | Refusal::UnknownScript, _)
        )
    }

    pub(crate) fn untrusted(address: &str, why: &str) -> Self {
        Self::Untrusted(format!("Redis at {address}: {why}"))
    }

    pub(crate) fn from_connecting(address: &str, error: &RedisError) -> Self {
        if let Some(why) = tls::refusal(error) {
            return Self::untrusted(address, &why);
        }
        match refusal(error) {
            Some(refusal) => Self::Refused(refusal, error.to_string()),
            None if error.kind() == RedisKind::Parse => Self::Stranger(format!(
                "what answers at {address} does not speak Redis's protocol"
            )),
            None => {
                let hint = match error.is_connection_dropped() && !error.is_connection_refusal() {
                    _ if error.is_timeout() => tls::hint_of_silence(address),
                    true => tls::hint_of_closing(address),
                    false => "",
                };
                Self::Unreachable(format!(
                    "cannot connect to Redis at {address}: {error}{hint}"
                ))
            }
        }
    }

    pub(crate) fn from_calling(error: &RedisError) -> Self {
        if let Some(refusal) = refusal(error) {
            return Self::Refused(refusal, error.to_string());
        }
        match error.kind() {
            RedisKind::Io if !error.is_timeout() => Self::Cut {
                why: error.to_string(),
                was_idle: false,
            },
            RedisKind::Io | RedisKind::Parse | RedisKind::Client => {
                Self::Unanswered(error.to_string())
            }
            _ => Self::Garbled(error.to_string()),
        }
    }

    pub(crate) fn timed_out(after: Duration) -> Self {
        Self::Unanswered(format!("no answer within {after:.1?}"))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(text)
            | Self::Stranger(text)
            | Self::Untrusted(text)
            | Self::Unanswered(text)
            | Self::Cut { why: text, .. } => f.write_str(text),
            Self::Closed => f.write_str("the connection was closed before"),
            Self::Refused(_, text) => write!(f, "Redis refused: {text}"),
            Self::Garbled(text) => write!(f, "Redis gave an answer that makes no sense: {text}"),
        }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        let kind = match &trouble {
            Trouble::Unreachable(_) | Trouble::Closed => ErrorKind::Unreachable,
            Trouble::Stranger(_)
            | Trouble::Untrusted(_)
            | Trouble::Refused(Refusal::NotAllowed, _) => ErrorKind::Unsuitable,
            Trouble::Refused(..) => ErrorKind::Refused,
            Trouble::Unanswered(_) | Trouble::Cut { .. } => ErrorKind::Unknown,
            Trouble::Garbled(_) => ErrorKind::Incompatible,
        };
        Self::new(kind, trouble.to_string())
    }
}

fn refusal(error: &RedisError) -> Option<Refusal> {
    match error.kind() {
        RedisKind::AuthenticationFailed => return Some(Refusal::NotAllowed),
        RedisKind::Server(ServerErrorKind::NoScript) => return Some(Refusal::UnknownScript),
        _ => {}
    }
    match error.code()? {
        "LOADING" | "BUSY" | "MASTERDOWN" | "READONLY" | "TRYAGAIN" | "CLUSTERDOWN" | "MOVED"
        | "ASK" | "UNBLOCKED" => Some(Refusal::NotNow),
        "OOM" | "MISCONF" | "NOREPLICAS" => Some(Refusal::NoWrites),
        "NOAUTH" | "WRONGPASS" | "NOPERM" => Some(Refusal::NotAllowed),
        "NOSCRIPT" => Some(Refusal::UnknownScript),
        "ERR" => refusal_in_words(error.detail()?),
        _ => None,
    }
}

/// A refusal that has no code of its own.
fn refusal_in_words(detail: &str) -> Option<Refusal> {
    // The server has no room for another client; it passes.
    if detail.contains("max number of clients") {
        return Some(Refusal::NotNow);
    }
    // With this the server refuses what it has read of a request, and closes the connection.
    let what = detail.strip_prefix("Protocol error")?;
    // A client without a password may send only little, whatever it is.
    match what.contains("unauthenticated") {
        true => Some(Refusal::NotAllowed),
        false => Some(Refusal::Unread),
    }
}
