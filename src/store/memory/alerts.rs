//! Alerts: how each stands, and the round in which they are judged.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::memory::Apply;
use crate::memory::enqueue::add;
use crate::memory::state::State;
use crate::store::alert::{Alert, Stored};
use crate::store::alert_round::{AlertRound, Begun};
use crate::store::alerts::{Alerts, Found};
use crate::store::enqueue::{Due, NewJob, Novelty};

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

impl Apply for Alert<'_> {
    fn apply(&self, state: &mut State) -> Stored {
        let now_ms = state.now_ms();
        if let Some(round) = self.round {
            let last = state.alerts.round.map_or(0, |last| last.number);
            if last != round.number {
                return Stored::Over;
            }
        }
        let mut jobs = Vec::new();
        let there: Vec<_> = self
            .changes
            .iter()
            .map(|change| {
                let there = state.alerts.by_name.get(&change.name);
                there.map_or(&[][..], Vec::as_slice) == change.seen
            })
            .collect();
        for (change, _) in self.changes.iter().zip(&there).filter(|(_, same)| **same) {
            if let Some((id, record)) = &change.job {
                jobs.push(NewJob {
                    id: id.clone(),
                    record: record.clone(),
                    due: Due::Now,
                    priority: None,
                    front: false,
                    await_ms: None,
                });
            }
            let by_name = &mut state.alerts.by_name;
            if change.stands.is_empty() {
                by_name.remove(&change.name);
            } else {
                by_name.insert(change.name.clone(), change.stands.clone());
            }
        }
        add(&jobs.iter().collect::<Vec<_>>(), Novelty::Unsure, state);
        if let Some(round) = self.round {
            let until_ms = now_ms + round.every_ms;
            let number = round.number;
            state.alerts.round = Some(LastRound { number, until_ms });
        }
        Stored::Done { stored: there }
    }
}
