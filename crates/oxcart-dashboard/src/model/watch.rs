//! What operators did, and what somebody should look at.

use serde::Serialize;

use crate::model::Moment;

/// What operators did to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The queue.
    pub queue: String,
    /// The entries, the last first.
    pub entries: Vec<AuditLine>,
    /// The number before which the next page begins; `None` if this is the last one.
    pub next: Option<u64>,
}

/// One thing that an operator did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// Counts up from 1.
    pub number: u64,
    /// When.
    pub at: Moment,
    /// Who.
    pub operator: String,
    /// What: `replay`, `remove`, `pause`, ..
    pub action: String,
    /// To what.
    pub target: String,
    /// `asked`, `began`, `ended` or `other`.
    pub phase: &'static str,
    /// How many jobs it has changed.
    pub jobs: Option<u64>,
}

/// What is wrong at the moment: the problems of all queues, and how the rules of the application stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alerts {
    /// The alerts, the gravest first.
    pub alerts: Vec<AlertLine>,
    /// The rules of the application, each about one queue; those that fire first.
    pub rules: Vec<RuleLine>,
}

/// A rule of the application about one queue, and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleLine {
    /// The name of the rule.
    pub rule: String,
    /// The queue.
    pub queue: String,
    /// How it stands.
    pub state: RuleState,
    /// When it holds, in plain words.
    pub condition: String,
    /// What was measured last, in `unit`.
    pub value: Option<f64>,
    /// Above which value it holds.
    pub threshold: f64,
    /// `jobs`, `stalls`, `seconds`, `ratio` or `other`.
    pub unit: &'static str,
    /// Since when it stands so; of a rule that fires, since when its condition holds.
    pub since: Moment,
    /// When it was last judged.
    pub judged_at: Moment,
    /// Who has acknowledged that it fires.
    pub acknowledged_by: Option<String>,
}

/// How a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleState {
    /// Its condition has held for as long as the rule says.
    Firing,
    /// Its condition holds, and not yet for as long as the rule says.
    Pending,
    /// All is well.
    Ok,
    /// What this version does not know.
    Other,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertLine {
    /// The queue.
    pub queue: String,
    /// What is wrong.
    pub text: String,
    /// Since when, if it is known.
    pub since: Option<Moment>,
}
