//! The life of a job as a table: which step leads from which state to which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The state of a job. A job is in exactly one. In JSON and its like it is its name, as [`as_str`](Self::as_str) gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// In line, to be claimed by the next free worker.
    Waiting,
    /// Held back: by jobs of its group, by the jobs before it with the same order key, or by the job that has its unique key.
    Blocked,
    /// Not due yet: delayed by its producer, or waiting for its next attempt.
    Delayed,
    /// Claimed by a worker that holds a lease on it.
    Active,
    /// Ended well; kept for as long as its retention says.
    Completed,
    /// Ended because it was no longer wanted, because it expired before it started, or because it is a saga that was undone; kept like a
    /// completed job.
    Cancelled,
    /// On the dead-letter list until it is replayed or removed.
    Dead,
}

impl State {
    /// All states.
    pub const ALL: &'static [Self] = &[
        Self::Waiting,
        Self::Blocked,
        Self::Delayed,
        Self::Active,
        Self::Completed,
        Self::Cancelled,
        Self::Dead,
    ];

    /// The name: `waiting`, `blocked`, `delayed`, `active`, `completed`, `cancelled` or `dead`. It can be parsed back.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Delayed => "delayed",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|state| state.as_str() == name)
    }

    /// What `step` makes of a job in this state; `None` if the step is refused and changes
    /// nothing.
    #[cfg(test)]
    pub(crate) fn after(self, step: Step) -> Option<Place> {
        use Place::{Gone, In};
        use State::{Active, Blocked, Cancelled, Completed, Dead, Delayed, Waiting};
        use Step as S;
        match (self, step) {
            (Waiting, S::Claim) => Some(In(Active)),
            (Blocked, S::Admit) => Some(In(Waiting)),
            (Delayed, S::Promote) => Some(In(Waiting)),
            (Active, S::Extend | S::Progress) => Some(In(Active)),
            (Active, S::Complete) => Some(In(Completed)),
            (Active, S::Cancel) => Some(In(Cancelled)),
            (Active, S::Retry | S::Snooze | S::Bounce) => Some(In(Delayed)),
            (Active, S::Release | S::Recover | S::HandBack) => Some(In(Waiting)),
            (Active, S::Die | S::Poison) => Some(In(Dead)),
            (Completed | Cancelled, S::Trim) => Some(Gone),
            (Dead, S::Replay) => Some(In(Waiting)),
            (Waiting | Blocked | Delayed | Completed | Cancelled | Dead, S::Remove) => Some(Gone),
            _ => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// By its name, as in the address of a page.
impl FromStr for State {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::parse(name).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|state| state.as_str()).collect();
            let all = all.join(", ");
            Error::invalid(format!("{name:?} is no state of a job; these are: {all}"))
        })
    }
}

/// What a step makes of a job.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The job is in this state.
    In(State),
    /// Nothing is left of the job.
    Gone,
}

/// What can happen to a job that exists.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Its delay is over.
    Promote,
    /// Its group or its order lets it get in line.
    Admit,
    /// A worker takes it.
    Claim,
    /// Its worker renews the lease.
    Extend,
    /// Its handler says how far it is.
    Progress,
    /// Its handler succeeded.
    Complete,
    /// Its handler failed and attempts are left. A retry after no time at all leads to
    /// `waiting` straight away.
    Retry,
    /// Its handler puts it off.
    Snooze,
    /// No handler here can read it.
    Bounce,
    /// Its worker has no handler of its name: it waits for a worker that has one.
    HandBack,
    /// Its handler gave it up, or the attempts are spent.
    Die,
    /// Its handler cancelled it.
    Cancel,
    /// Its worker hands it back unharmed.
    Release,
    /// Its lease ran out.
    Recover,
    /// Its lease ran out once too often.
    Poison,
    /// It was kept long enough.
    Trim,
    /// An operator puts it back in line (`replay`).
    Replay,
    /// An operator removes it.
    Remove,
}

#[cfg(test)]
impl Step {
    /// All steps.
    pub(crate) const ALL: &[Self] = &[
        Self::Promote,
        Self::Admit,
        Self::Claim,
        Self::Extend,
        Self::Progress,
        Self::Complete,
        Self::Retry,
        Self::Snooze,
        Self::Bounce,
        Self::HandBack,
        Self::Die,
        Self::Cancel,
        Self::Release,
        Self::Recover,
        Self::Poison,
        Self::Trim,
        Self::Replay,
        Self::Remove,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for state in State::ALL {
            assert_eq!(state.to_string().parse::<State>().unwrap(), *state);
            let json = serde_json::to_string(state).unwrap();
            assert_eq!(json, format!("\"{state}\""));
            assert_eq!(serde_json::from_str::<State>(&json).unwrap(), *state);
        }
        assert!("limbo".parse::<State>().unwrap_err().is_invalid());
    }

    /// Everything a running attempt can end in leaves `active`, and nothing else does.
    #[test]
    fn only_an_attempt_ends_an_attempt() {
        use Step as S;
        let of_an_attempt = [
            S::Extend,
            S::Progress,
            S::Complete,
            S::Retry,
            S::Snooze,
            S::Bounce,
            S::HandBack,
            S::Die,
            S::Cancel,
            S::Release,
            S::Recover,
            S::Poison,
        ];
        for &state in State::ALL {
            for &step in Step::ALL {
                let allowed = state.after(step).is_some();
                if of_an_attempt.contains(&step) {
                    assert_eq!(allowed, state == State::Active, "{state} {step:?}");
                } else if state == State::Active {
                    assert!(!allowed, "{state} {step:?}");
                }
            }
        }
    }
}
