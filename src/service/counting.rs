//! What this worker counts of its attempts until it is reported: bounded, whatever runs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::job::outcome::Outcome;
use crate::policy::tally::{End, Tallies};

/// What could not be reported is reported once more, and then lost: later nobody knows any more whether it was counted.
const TRIES: u32 = 2;

#[derive(Default)]
pub(crate) struct Counting {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tallies: Tallies,
    /// The number of the last report that carried anything.
    number: u64,
    /// What it carried, as long as it is not answered; and how often it was sent.
    sent: Option<(String, u32)>,
}

impl Counting {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt of a job of this name has ended.
    pub(crate) fn ended(
        &self,
        name: &str,
        outcome: &Outcome,
        waited: Option<Duration>,
        ran: Duration,
    ) {
        let end = match outcome {
            Outcome::Completed(_) => End::Completed,
            Outcome::Retry { .. } => End::Retried,
            Outcome::Dead { .. } => End::Dead,
            Outcome::Cancelled(_) | Outcome::Compensated(_) => End::Cancelled,
            _ => return,
        };
        self.lock().tallies.of(name).record(end, waited, ran);
    }

    /// What the next report carries, and under which number.
    pub(crate) fn next(&self) -> (u64, String) {
        let mut state = self.lock();
        state.sent.take_if(|(_, times)| *times >= TRIES);
        if state.sent.is_none() {
            let lines = std::mem::take(&mut state.tallies).lines();
            if lines.is_empty() {
                return (state.number, lines);
            }
            state.number += 1;
            state.sent = Some((lines, 0));
        }
        let number = state.number;
        let sent = state.sent.as_mut().map(|(lines, times)| {
            *times += 1;
            lines.clone()
        });
        (number, sent.unwrap_or_default())
    }

    /// The last report was answered. Whether there is more to report.
    pub(crate) fn reported(&self) -> bool {
        let mut state = self.lock();
        state.sent = None;
        !state.tallies.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn end(counting: &Counting) {
        counting.ended("mail", &Outcome::Cancelled("moot".into()), None, MS);
    }

    #[test]
    fn what_is_not_answered_is_sent_again_once_under_its_number() {
        let counting = Counting::default();
        assert_eq!(counting.next(), (0, String::new()));
        end(&counting);
        let first = counting.next();
        assert!(
            first.0 == 1 && first.1.starts_with("0 0 0 1 - "),
            "{first:?}"
        );
        end(&counting);
        assert_eq!(counting.next(), first);
        // Lost: what came since is sent.
        let second = counting.next();
        assert_eq!(second, (2, first.1));
        assert!(!counting.reported());
        assert_eq!(counting.next(), (2, String::new()));
    }

    #[test]
    fn what_is_put_off_or_released_is_not_counted() {
        let counting = Counting::default();
        let after = MS;
        for outcome in [Outcome::Released, Outcome::Snoozed { after }] {
            counting.ended("mail", &outcome, None, MS);
        }
        assert!(!counting.reported());
    }
}
