//! What can go wrong between us and Redis, by what it means for the call.
//!
//! Callers need to know one thing: did the call run? After a refusal or a failed connection it did not; after a
//! lost answer it cannot be known.

use std::fmt;
use std::time::Duration;

use redis::{ErrorKind as RedisKind, RedisError};

use crate::error::{Error, ErrorKind};
use crate::redis::last_word::LastWord;
pub(crate) use crate::redis::refusal::Refusal;
use crate::redis::tls;

/// Where an error says in which line of a script it arose.
const IN_SCRIPT: &str = "@user_script:";
/// What it says of a script that an operator has ended.
const KILLED: &str = "Script killed by user";

/// Why a call brought no answer.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// No connection could be made; nothing was sent.
    Unreachable(String),
    /// The provider of credentials gave none; nothing was sent.
    NoCredentials(String),
    /// The connection was found closed before anything was sent on it.
    Closed,
    /// What answered the greeting is no Redis; nothing was sent.
    Stranger(String),
    /// No Redis is where it is said to be: what is asked for it does not know it; nothing was sent.
    Misplaced(String),
    /// The TLS certificate of the server is not trusted, or the server does not trust ours; nothing was sent.
    Untrusted(String),
    /// The server said no before anything was written.
    Refused(Refusal, String),
    /// The server said no to a command in the middle of a script: what the script wrote before stays.
    Stopped(Refusal, String),
    /// It was sent, and no answer came: it ran, or it did not.
    Unanswered(String),
    /// It was sent, and the connection was closed instead of an answer: it ran, or it did not. A
    /// server or a proxy that does not accept the call may do this each time.
    Cut {
        why: String,
        /// The connection had not been used for a while: it may have been closed before the call.
        was_idle: bool,
    },
    /// An answer came that makes no sense: a broken invariant, here or in Redis.
    Garbled(String),
}

impl Trouble {
    /// Whether the call may have run.
    pub(crate) fn may_have_run(&self) -> bool {
        matches!(
            self,
            Self::Unanswered(_) | Self::Cut { .. } | Self::Garbled(_) | Self::Stopped(..)
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

    /// Whether Redis as a whole was away, as far as one call can tell.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::NoCredentials(_)
                | Self::Stranger(_)
                | Self::Misplaced(_)
                | Self::Untrusted(_)
                | Self::Unanswered(_)
                | Self::Closed
                | Self::Cut { .. }
        ) || matches!(self, Self::Refused(refusal, _) if refusal.passes())
    }

    /// Whether the connection is of no further use. A server that is not the writable one any
    /// more may have been replaced behind its address. Rights that are given later hold for connections that are there.
    ///
    /// A slot that is on its way says nothing of the connection: it is `ASK` or `TRYAGAIN` until the slot is at one node. A connection that others
    /// share, for other slots, is left whatever a node says of one.
    pub(crate) fn wants_new_connection(&self, is_shared: bool) -> bool {
        match self {
            Self::Refused(Refusal::Cluster, _) if is_shared => false,
            Self::Refused(Refusal::Cluster, words) => {
                !words.starts_with("ASK ") && !words.starts_with("TRYAGAIN")
            }
            Self::Refused(Refusal::NoWrites | Refusal::UnknownScript | Refusal::NoCommand, _) => {
                false
            }
            Self::Refused(Refusal::NotAllowed { .. }, words) => !words.starts_with("NOPERM"),
            _ => true,
        }
    }

    pub(crate) fn untrusted(address: &str, why: &str) -> Self {
        Self::Untrusted(format!("Redis at {address}: {why}"))
    }

    pub(crate) fn from_connecting(address: &str, error: &RedisError) -> Self {
        if let Some(why) = tls::refusal(error) {
            return Self::untrusted(address, &why);
        }
        match refusal(error) {
            Some(refusal) => Self::Refused(refusal, words(error)),
            None if error.kind() == RedisKind::Parse => Self::Stranger(format!(
                "what answers at {address} does not speak Redis's protocol"
            )),
            None => {
                let hint = match error.is_timeout() {
                    true => tls::hint_of_silence(address),
                    false => "",
                };
                Self::Unreachable(format!(
                    "cannot connect to Redis at {address}: {error}{hint}"
                ))
            }
        }
    }

    /// The server took the connection and gave no answer that can be read: it closed it at once, or said something else.
    pub(crate) fn from_greeting(address: &str, error: &RedisError, word: Option<LastWord>) -> Self {
        let refused = |words: String| {
            let (code, detail) = words.split_once(' ').unwrap_or((&words, ""));
            Some(Self::Refused(Refusal::of(code, detail)?, words))
        };
        let told = match word {
            Some(LastWord::Tls) => Some(Self::Stranger(format!(
                "what listens at {address} speaks TLS, and the Redis URL means a connection without it: with TLS \
                 it begins with `rediss://`"
            ))),
            Some(LastWord::Error(words)) => refused(words),
            None => None,
        };
        told.unwrap_or_else(|| match error.is_connection_dropped() {
            false => Self::from_connecting(address, error),
            true => Self::Unreachable(format!(
                "what listens at {address} closed the connection at once ({error}): a Redis does that when it \
                 has no room for another client (`maxclients`) or is in protected mode, and a proxy when there \
                 is no Redis behind it{}",
                tls::hint_of_closing(address)
            )),
        })
    }

    pub(crate) fn from_calling(error: &RedisError) -> Self {
        if let Some(refusal) = refusal(error) {
            let words = words(error);
            // Redis does not kill a script that has written.
            let in_its_middle = words.contains(IN_SCRIPT) && !words.contains(KILLED);
            return match in_its_middle {
                true => Self::Stopped(refusal, words),
                false => Self::Refused(refusal, words),
            };
        }
        match error.kind() {
            RedisKind::Io if !error.is_timeout() => Self::Cut {
                why: error.to_string(),
                was_idle: false,
            },
            RedisKind::Io | RedisKind::Parse | RedisKind::Client => {
                Self::Unanswered(error.to_string())
            }
            _ => Self::Garbled(words(error)),
        }
    }

    /// The same, for a script of which it is known until which lines it writes nothing.
    pub(crate) fn in_script(self, writes_nothing_at: impl Fn(usize) -> bool) -> Self {
        match self {
            Self::Stopped(refusal, words) if line_of(&words).is_some_and(writes_nothing_at) => {
                Self::Refused(refusal, words)
            }
            trouble => trouble,
        }
    }

    /// The same, from a node of a cluster that was asked as such.
    pub(crate) fn in_cluster(self) -> Self {
        match self {
            Self::Refused(refusal, words) => Self::Refused(refusal.in_cluster(), words),
            Self::Stopped(refusal, words) => Self::Stopped(refusal.in_cluster(), words),
            trouble => trouble,
        }
    }

    /// The error for a caller that asked the Redis at `address`.
    pub(crate) fn into_error(self, address: &str) -> Error {
        let kind = self.kind();
        let text = match &self {
            Self::Unreachable(text)
            | Self::NoCredentials(text)
            | Self::Stranger(text)
            | Self::Misplaced(text)
            | Self::Untrusted(text) => text.clone(),
            Self::Refused(_, words) => format!("Redis at {address} refused: {words}"),
            trouble => format!("Redis at {address}: {trouble}"),
        };
        Error::new(kind, format!("{text}; {}", self.hint()))
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable(_) | Self::NoCredentials(_) | Self::Closed => ErrorKind::Unreachable,
            Self::Stranger(_) | Self::Misplaced(_) | Self::Untrusted(_) => ErrorKind::Unsuitable,
            Self::Refused(refusal, _) | Self::Stopped(refusal, _) => refusal.kind(),
            Self::Unanswered(_) | Self::Cut { .. } => ErrorKind::Unknown,
            Self::Garbled(_) => ErrorKind::Incompatible,
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "check that it runs and that the address is right",
            Self::NoCredentials(_) => "it is asked again with the next connection",
            Self::Closed => "try again",
            Self::Stranger(_) => "check that it is a Redis that listens there",
            Self::Misplaced(_) => "check the names and addresses that are given",
            Self::Untrusted(_) => "check the certificates of both sides, and the settings for TLS",
            Self::Refused(refusal, _) | Self::Stopped(refusal, _) => refusal.hint(),
            Self::Unanswered(_) | Self::Cut { .. } => "what was asked may have been done",
            Self::Garbled(_) => {
                "look at its log, and whether somebody else writes to oxcart's keys"
            }
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
            | Self::NoCredentials(text)
            | Self::Stranger(text)
            | Self::Misplaced(text)
            | Self::Untrusted(text)
            | Self::Unanswered(text)
            | Self::Cut { why: text, .. } => f.write_str(text),
            Self::Closed => f.write_str("the connection was closed before"),
            Self::Refused(_, words) => write!(f, "Redis refused: {words}"),
            Self::Stopped(_, words) => write!(
                f,
                "Redis stopped a script in its middle, and what it wrote before stays: {words}"
            ),
            Self::Garbled(text) => write!(f, "Redis gave an answer that makes no sense: {text}"),
        }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        Self::new(trouble.kind(), format!("{trouble}; {}", trouble.hint()))
    }
}

fn refusal(error: &RedisError) -> Option<Refusal> {
    match error.kind() {
        RedisKind::AuthenticationFailed => Some(Refusal::NotAllowed { in_cluster: false }),
        RedisKind::RESP3NotSupported => Some(Refusal::NoCommand),
        _ => Refusal::of(error.code()?, error.detail().unwrap_or_default()),
    }
}

/// What the server said, as it said it. redis-rs does not pass on what it says to `AUTH`.
fn words(error: &RedisError) -> String {
    if error.kind() == RedisKind::AuthenticationFailed {
        return "it does not accept this user and password (WRONGPASS, or it knows no password)"
            .to_owned();
    }
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.to_string(),
    }
}

/// The line of the script in which an error arose.
fn line_of(words: &str) -> Option<usize> {
    let (_, line) = words.rsplit_once(IN_SCRIPT)?;
    let digits = line.find(|c: char| !c.is_ascii_digit());
    line[..digits.unwrap_or(line.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_in_which_a_script_was_stopped_is_found() {
        let of_redis_7 = "ERR The user executing the script can't run this command or subcommand script: \
                          c925918949758ede702260e1193e14ac01f06cc2, on @user_script:21.";
        let of_valkey = "ERR ACL failure in script: User app has no permissions to run the 'time' command \
                         script: on @user_script:21.";
        for words in [of_redis_7, of_valkey] {
            assert_eq!(line_of(words), Some(21));
            let stopped =
                || Trouble::Stopped(Refusal::NotAllowed { in_cluster: false }, words.to_owned());
            assert!(!stopped().in_script(|line| line == 21).may_have_run());
            assert!(stopped().in_script(|line| line == 20).may_have_run());
        }
        assert_eq!(line_of("NOPERM no"), None);
    }

    #[test]
    fn what_it_said_stands_in_the_error() {
        let error =
            redis::make_extension_error("BUSY".to_owned(), Some("a script runs".to_owned()));
        let error = Trouble::from_calling(&error).into_error("there:6379");
        assert_eq!(error.kind(), ErrorKind::Refused);
        let text = error.to_string();
        assert!(
            text.starts_with("Redis at there:6379 refused: BUSY a script runs;"),
            "{text}"
        );
    }
}
