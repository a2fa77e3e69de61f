//! What is known of an alert.

use std::time::Duration;

use crate::policy::alert::condition::AlertUnit;
use crate::policy::alert::standing::{AlertState, Standing};
use crate::time::Timestamp;

/// An alert: a rule about one queue, and how it stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AlertInfo {
    /// The name of the rule.
    pub rule: String,
    /// The queue.
    pub queue: String,
    /// How it stands.
    pub state: AlertState,
    /// Since when it is pending or well; of an alert that fires, since when the condition holds.
    pub since: Timestamp,
    /// When it was last judged: long ago if no process judges any more.
    pub judged_at: Timestamp,
    /// The condition in plain words.
    pub condition: String,
    /// The value that was measured last, in [`unit`](Self::unit); none if nothing can be told yet.
    pub value: Option<f64>,
    /// Above which value the condition holds.
    pub threshold: f64,
    /// The unit of the value and the threshold.
    pub unit: AlertUnit,
    /// While it fires: when this was last told.
    pub told_at: Option<Timestamp>,
    /// While it fires: who has acknowledged it.
    pub acknowledged_by: Option<String>,
    /// And when, to the round.
    pub acknowledged_at: Option<Timestamp>,
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the alert may not fire any more"]
#[non_exhaustive]
pub enum Acknowledge {
    /// The alert is acknowledged.
    Done,
    /// Somebody else has acknowledged it before.
    Already {
        /// Who it was.
        by: String,
    },
    /// The alert does not fire, or there is no such alert.
    NotFiring,
}

/// The name of an alert: neither part has a space in it.
pub(crate) fn name_of(rule: &str, queue: &str) -> String {
    format!("{rule} {queue}")
}

impl AlertInfo {
    /// None for a name that is no name of an alert.
    pub(crate) fn new(name: &str, standing: Standing) -> Option<Self> {
        let (rule, queue) = name.split_once(' ')?;
        let (by, at) = match standing.acknowledged {
            Some(known) => (Some(known.by), Some(Timestamp::from_millis(known.at_ms))),
            None => (None, None),
        };
        Some(Self {
            rule: rule.to_owned(),
            queue: queue.to_owned(),
            state: standing.state,
            since: Timestamp::from_millis(standing.since_ms),
            judged_at: Timestamp::from_millis(standing.judged_ms),
            condition: standing.condition,
            value: standing.value,
            threshold: standing.threshold,
            unit: standing.unit,
            told_at: standing.told_ms.map(Timestamp::from_millis),
            acknowledged_by: by,
            acknowledged_at: at,
        })
    }

    /// For how long it is in this state, as of the last judgement.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        self.judged_at.duration_since(self.since)
    }
}
