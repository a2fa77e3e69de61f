//! How attempts end.

use std::time::Duration;

use super::names::name_of;
use super::op::{End, How, NAMES};
use super::world::World;
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::{DeadReason, Outcome, Output};
use crate::job::traits::EndTraits;
use crate::policy::retention::Retention;
use crate::store::advance::Settlement;

impl World<'_> {
    pub(in crate::store::tests) fn settlement(&self, end: &End) -> Option<Settlement> {
        let (id, fence, receipt) = self.claim(end.claim, end.stale)?;
        let stalled = self.last.get("stalls", id.as_str()).is_some();
        let entry = || AttemptEntry::new(AttemptKind::Error, "Broken".into());
        let after = Duration::from_millis;
        let outcome = match end.how {
            How::Complete => Outcome::Completed(Output::new(vec![0xc0])),
            How::Cancel => Outcome::Cancelled("moot".into()),
            How::Retry { after_ms } => Outcome::Retry {
                after: after(after_ms),
                entry: entry(),
            },
            // A worker never snoozes a job for no time at all.
            How::Snooze { after_ms } => Outcome::Snoozed {
                after: after(after_ms.max(1)),
            },
            How::Die => Outcome::Dead {
                reason: DeadReason::Declared,
                entry: entry(),
            },
            How::Release => Outcome::Released,
            // A worker never bounces a job for no time at all, nor hands back a suspect.
            How::HandBack { name, after_ms } if !stalled => {
                // Jobs that have one of these names are handed back by it.
                let own = name_of(&self.last, id.as_str());
                let own = own.filter(|own| NAMES.contains(&own.as_str()));
                let name = own.unwrap_or_else(|| name.to_owned());
                Outcome::Bounced {
                    after: after(after_ms.max(1)),
                    entry: AttemptEntry::new(AttemptKind::UnknownName, format!("no `{name}`")),
                    name: Some(name),
                }
            }
            How::Bounce { after_ms } | How::HandBack { after_ms, .. } => Outcome::Bounced {
                after: after(after_ms.max(1)),
                entry: entry(),
                name: None,
            },
        };
        let traits = self.end_traits(&id);
        Some(Settlement {
            traits,
            id,
            fence,
            receipt,
            keep: end.keep_ms.map(Retention::from_millis),
            is_requested: end.is_requested,
            outcome,
        })
    }

    /// What a worker has read in the record that it claimed.
    pub(in crate::store::tests) fn end_traits(&self, id: &JobId) -> EndTraits {
        let record = self.last.get("jobs", id.as_str());
        record.map_or(EndTraits::None, |record| EndTraits::of(record))
    }
}
