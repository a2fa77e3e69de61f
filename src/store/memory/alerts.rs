//! Alerts: how each stands, and the round in which they are judged.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::alert_round::{AlertRound, Begun};
use crate::store::alerts::{Alerts, Found};

/// Stands before a name that is a cursor, so that no cursor is equal to [`Alerts::ALL`].
const LAST: char = '>';

#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) by_name: BTreeMap<String, Vec<u8>>,
    pub(crate) round: Option<LastRound>,
}

#[derive(Clone, Copy)]
pub(crate) struct LastRound {
    pub(crate) number: u64,
    pub(crate) until_ms: u64,
}

impl Apply for AlertRound {
    fn apply(&self, state: &mut State) -> Begun {
        let now_ms = state.now_ms();
        let last = state.alerts.round;
        let left_ms = last.map_or(0, |round| round.until_ms.saturating_sub(now_ms));
        if (1..=self.every_ms).contains(&left_ms) {
            return Begun::Later { ms: left_ms };
        }
        let number = last.map_or(0, |round| round.number) + 1;
        let until_ms = now_ms + self.every_ms;
        state.alerts.round = Some(LastRound { number, until_ms });
        Begun::Yes { now_ms, number }
    }
}

impl Apply for Alerts<'_> {
    fn apply(&self, state: &mut State) -> Found {
        if let Some(name) = self.name {
            let found = state.alerts.by_name.get_key_value(name);
            let found = found.map(|(name, stands)| (name.clone(), stands.clone()));
            return Found {
                cursor: Alerts::ALL.to_owned(),
                alerts: found.into_iter().collect(),
            };
        }
        let seen = self.cursor.strip_prefix(LAST);
        let after = seen.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = state
            .alerts
            .by_name
            .range::<str, _>((after, Bound::Unbounded));
        let page = rest.take(self.limit);
        let alerts: Vec<_> = page
            .map(|(name, stands)| (name.clone(), stands.clone()))
            .collect();
        let cursor = match alerts.last() {
            Some((last, _)) if alerts.len() == self.limit => format!("{LAST}{last}"),
            _ => Alerts::ALL.to_owned(),
        };
        Found { cursor, alerts }
    }
}
