//! What does not work: how long to wait, and how often to say it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::OnTrouble;
use crate::error::{Error, ErrorKind};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
/// The same trouble is logged again after this time.
const SILENCE: Duration = Duration::from_secs(60);

/// What does not pass by itself.
pub(super) fn is_final(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotMigrated
            | ErrorKind::NewerSchema
            | ErrorKind::Unsuitable
            | ErrorKind::Invalid
    )
}

/// What is not about one queue, or one duty: the relay begins anew, or ends.
pub(super) fn ends_all(error: &Error) -> bool {
    is_final(error) || matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::ReadOnly)
}

/// Pauses between tries: each twice as long as the one before, up to 2 s, less up to a fifth.
pub(super) struct Pause(Duration);

impl Pause {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0.mul_f64(1.0 - 0.2 * fastrand::f64());
        self.0 = (self.0 * 2).min(LONGEST);
        pause
    }
}

/// Tells of troubles.
pub(super) struct Troubles<'a> {
    hook: Option<&'a OnTrouble>,
    /// By what they are about: when each was logged last.
    logged: HashMap<String, Instant>,
}

impl<'a> Troubles<'a> {
    pub(super) fn new(hook: Option<&'a OnTrouble>) -> Self {
        let logged = HashMap::new();
        Self { hook, logged }
    }

    pub(super) fn tell(&mut self, about: &str, error: &Error) {
        if let Some(hook) = self.hook {
            hook(error);
        }
        let now = Instant::now();
        let last = self.logged.get(about);
        if last.is_none_or(|last| now.duration_since(*last) >= SILENCE) {
            self.logged.insert(about.to_owned(), now);
            tracing::warn!(about, %error, "the relay of the outbox has trouble; it tries again");
        }
    }

    /// The error, if all has to begin anew because of it.
    pub(super) fn tell_or_end(&mut self, about: &str, error: Error) -> Result<(), Error> {
        match ends_all(&error) {
            true => Err(error),
            false => {
                self.tell(about, &error);
                Ok(())
            }
        }
    }

    pub(super) fn is_well(&mut self, about: &str) {
        if self.logged.remove(about).is_some() {
            tracing::info!(about, "the relay of the outbox has this trouble no more");
        }
    }
}
