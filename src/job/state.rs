//! The life of a job as a table: which step leads from which state to which.

use std::fmt;

/// Where a job is. A job is in exactly one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// In line, to be claimed by the next free worker.
    Waiting,
    /// Not due yet: delayed by its producer, or waiting for its next attempt.
    Delayed,
    /// Claimed by a worker that holds a lease on it.
    Active,
    /// Ended well, or cancelled; kept for as long as its retention says.
    Completed,
    /// On the dead-letter list until it is replayed or removed.
    Dead,
}

impl State {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Delayed,
        Self::Active,
        Self::Completed,
        Self::Dead,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delayed => "delayed",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Dead => "dead",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// What `step` makes of a job in this state; `None` if the step is refused and changes
    /// nothing.
    #[must_use]
    pub fn after(self, step: Step) -> Option<Place> {
        use Place::{Gone, In};
        use State::{Active, Completed, Dead, Delayed, Waiting};
        use Step as S;
        match (self, step) {
            (Waiting, S::Claim) => Some(In(Active)),
            (Delayed, S::Promote) => Some(In(Waiting)),
            (Active, S::Extend | S::Progress) => Some(In(Active)),
            (Active, S::Complete | S::Cancel) => Some(In(Completed)),
            (Active, S::Retry | S::Bounce) => Some(In(Delayed)),
            (Active, S::Release | S::Recover | S::HandBack) => Some(In(Waiting)),
            (Active, S::Die | S::Poison) => Some(In(Dead)),
            (Completed, S::Trim) => Some(Gone),
            (Dead, S::Replay) => Some(In(Waiting)),
            (Waiting | Delayed | Completed | Dead, S::Remove) => Some(Gone),
            _ => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a step makes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The job is in this state.
    In(State),
    /// Nothing is left of the job.
    Gone,
}

/// What can happen to a job that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Its delay is over.
    Promote,
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
    /// No handler here can read it.
    Bounce,
    /// No handler here is for jobs of its name: it waits for a worker that has one.
    HandBack,
    /// Its handler gave it up, or the attempts are spent.
    Die,
    /// Its handler discarded it.
    Cancel,
    /// Its worker hands it back unharmed.
    Release,
    /// Its lease ran out.
    Recover,
    /// Its lease ran out once too often.
    Poison,
    /// It was kept long enough.
    Trim,
    /// Someone puts it back in line.
    Replay,
    /// Someone removes it.
    Remove,
}

impl Step {
    /// All steps.
    pub const ALL: [Self; 16] = [
        Self::Promote,
        Self::Claim,
        Self::Extend,
        Self::Progress,
        Self::Complete,
        Self::Retry,
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
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("limbo"), None);
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
            S::Bounce,
            S::HandBack,
            S::Die,
            S::Cancel,
            S::Release,
            S::Recover,
            S::Poison,
        ];
        for state in State::ALL {
            for step in Step::ALL {
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
