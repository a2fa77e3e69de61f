//! How the rules of the application stand.

use oxcart::{AlertInfo, AlertState, AlertUnit};

use crate::model::{Alerts, RuleLine, RuleState};
use crate::reading::details::Details;
use crate::reading::{NotRead, View};

impl Details {
    pub(super) async fn rules(&self) -> Result<View, NotRead> {
        let alerts = oxcart::Alerts::new(&self.oxcart, &self.alerts)?;
        let rules = alerts.list().await?.into_iter().map(line).collect();
        Ok(View::Alerts(Alerts {
            alerts: Vec::new(),
            rules,
        }))
    }
}

fn line(known: AlertInfo) -> RuleLine {
    RuleLine {
        state: match known.state {
            AlertState::Firing => RuleState::Firing,
            AlertState::Pending => RuleState::Pending,
            AlertState::Ok => RuleState::Ok,
            _ => RuleState::Other,
        },
        unit: match known.unit {
            AlertUnit::Jobs => "jobs",
            AlertUnit::Stalls => "stalls",
            AlertUnit::Seconds => "seconds",
            AlertUnit::Ratio => "ratio",
            _ => "other",
        },
        rule: known.rule,
        queue: known.queue,
        condition: known.condition,
        value: known.value,
        threshold: known.threshold,
        since: known.since.into(),
        judged_at: known.judged_at.into(),
        acknowledged_by: known.acknowledged_by,
    }
}
