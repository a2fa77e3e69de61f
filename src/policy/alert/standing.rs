//! How an alert stands, and what a judgement makes of it.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::policy::alert::condition::{AlertUnit, Readings, Test};
use crate::policy::alert::window::Sample;

/// The state of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AlertState {
    /// The condition has held for as long as the rule says, and has not cleared since.
    Firing,
    /// The condition holds, and not yet for as long as the rule says.
    Pending,
    /// All is well.
    Ok,
    /// A state that a newer version wrote.
    #[serde(other)]
    Other,
}

/// What a notification tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AlertEvent {
    /// The alert fires.
    Fired,
    /// The alert still fires, and nobody has acknowledged it.
    Repeated,
    /// The alert fires no more.
    Resolved,
    /// An event of which a newer version tells.
    #[serde(other)]
    Other,
}

/// An alert as it is stored; scripts do not read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) state: AlertState,
    /// Since when it is in this state; of one that fires, since when the condition holds.
    pub(crate) since_ms: u64,
    /// When it was last judged.
    pub(crate) judged_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<f64>,
    pub(crate) threshold: f64,
    pub(crate) unit: AlertUnit,
    /// In plain words.
    pub(crate) condition: String,
    /// While it fires: when this was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) told_ms: Option<u64>,
    /// While it fires: who knows of it, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<Acknowledged>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acknowledged {
    pub(crate) by: String,
    pub(crate) at_ms: u64,
}

/// What a rule says beside its condition, and when alerts are told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) lasting_ms: u64,
    pub(crate) repeat_ms: u64,
}

impl Standing {
    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode_plain(self)
    }

    /// None for what another program, or a much newer version, wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        codec::decode_plain("an alert", bytes).ok()
    }

    /// How the alert stands after it was judged, and what is to be told.
    pub(crate) fn judged(
        before: Option<Self>,
        test: &Test,
        pace: Pace,
        readings: &Readings,
        now_ms: u64,
    ) -> (Self, Option<AlertEvent>) {
        let condition = test.to_string();
        let mut now = before.unwrap_or_else(|| Self {
            state: AlertState::Ok,
            since_ms: now_ms,
            judged_ms: now_ms,
            value: None,
            threshold: test.above(),
            unit: test.unit(),
            condition: String::new(),
            told_ms: None,
            acknowledged: None,
            samples: Vec::new(),
        });
        if now.condition != condition {
            // The rule was changed: what is remembered may be of another measure.
            now.samples.clear();
            (now.threshold, now.unit, now.condition) = (test.above(), test.unit(), condition);
        }
        // If the clock was set back, nothing lasts since a moment that is to come.
        now.since_ms = now.since_ms.min(now_ms);
        now.told_ms = now.told_ms.map(|told_ms| told_ms.min(now_ms));
        now.judged_ms = now_ms;
        let Some(value) = test.value(readings, &mut now.samples, now_ms) else {
            return (now, None);
        };
        now.value = Some(value);
        let event = now.step(test, pace, value, now_ms);
        (now, event)
    }

    fn step(&mut self, test: &Test, pace: Pace, value: f64, now_ms: u64) -> Option<AlertEvent> {
        if self.state == AlertState::Firing {
            if test.is_clear(value) {
                self.is(AlertState::Ok, now_ms);
                return Some(AlertEvent::Resolved);
            }
            let told_ms = self.told_ms.unwrap_or(0);
            let is_due = self.acknowledged.is_none() && told_ms + pace.repeat_ms <= now_ms;
            return is_due.then(|| {
                self.told_ms = Some(now_ms);
                AlertEvent::Repeated
            });
        }
        if !test.is_broken(value) {
            if self.state != AlertState::Ok {
                self.is(AlertState::Ok, now_ms);
            }
            return None;
        }
        if self.state != AlertState::Pending {
            self.is(AlertState::Pending, now_ms);
        }
        if self.since_ms + pace.lasting_ms > now_ms {
            return None;
        }
        self.state = AlertState::Firing;
        self.told_ms = Some(now_ms);
        Some(AlertEvent::Fired)
    }

    fn is(&mut self, state: AlertState, now_ms: u64) {
        (self.state, self.since_ms) = (state, now_ms);
        (self.told_ms, self.acknowledged) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::alert::condition::Condition;

    const PACE: Pace = Pace {
        lasting_ms: 2_000,
        repeat_ms: 5_000,
    };

    /// One judgement a second, of so many waiting jobs.
    fn events(
        test: &Test,
        waiting: &[u64],
        acknowledged: Option<usize>,
    ) -> Vec<(usize, AlertEvent)> {
        let (mut standing, mut events) = (None, Vec::new());
        for (second, waiting) in waiting.iter().enumerate() {
            let readings = Readings {
                waiting: *waiting,
                ..Readings::default()
            };
            let now_ms = 1_000_000 + second as u64 * 1_000;
            let (mut after, event) = Standing::judged(standing, test, PACE, &readings, now_ms);
            events.extend(event.map(|event| (second, event)));
            if acknowledged == Some(second) {
                let by = "ann".to_owned();
                after.acknowledged = Some(Acknowledged { by, at_ms: now_ms });
            }
            // Through its stored form.
            standing = Standing::decode(&after.encode());
            assert_eq!(standing.as_ref(), Some(&after));
        }
        events
    }

    #[test]
    fn it_fires_when_the_condition_has_lasted_and_resolves() {
        use AlertEvent::{Fired, Resolved};
        let test = Condition::waiting_above(10).test;
        // The first time it does not last.
        let waiting = [11, 11, 10, 11, 12, 13, 11, 10, 10];
        assert_eq!(events(&test, &waiting, None), [(5, Fired), (7, Resolved)]);
        assert_eq!(events(&test, &[10; 20], None), []);
    }

    #[test]
    fn a_value_that_swings_around_the_threshold_fires_once() {
        let test = Condition::waiting_above(10).clears_below(5).test;
        let mut waiting = vec![20, 20, 20];
        waiting.extend([9, 12].repeat(2));
        waiting.extend([4, 4]);
        let told = events(&test, &waiting, None);
        assert_eq!(told, [(2, AlertEvent::Fired), (7, AlertEvent::Resolved)]);
    }

    #[test]
    fn it_is_repeated_until_it_is_acknowledged_and_anew_when_it_fires_again() {
        use AlertEvent::{Fired, Repeated, Resolved};
        let test = Condition::waiting_above(10).test;
        let mut waiting = vec![11; 20];
        waiting.push(0);
        waiting.extend([11; 9]);
        let told = events(&test, &waiting, Some(9));
        let expected = [
            (2, Fired),
            (7, Repeated),
            (20, Resolved),
            (23, Fired),
            (28, Repeated),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up() {
        let test = Condition::waiting_above(10).test;
        let readings = Readings {
            waiting: 11,
            ..Readings::default()
        };
        let judged = |before, now_ms| Standing::judged(before, &test, PACE, &readings, now_ms);
        let (standing, _) = judged(None, 9_000_000);
        let (standing, event) = judged(Some(standing), 1_000);
        assert_eq!((event, standing.since_ms), (None, 1_000));
        let (_, event) = judged(Some(standing), 3_000);
        assert_eq!(event, Some(AlertEvent::Fired));
    }
}
