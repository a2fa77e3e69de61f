//! What a verb is asked that it cannot do, and what is at the limit of what it can: both
//! implementations answer the same, and hold the same afterwards; what is refused is written
//! nowhere. The types of the callers keep most of this away; here they are passed by.

mod garbage;
mod limits;
mod refused;
mod types;

use std::fmt::Debug;
use std::time::Duration;

use super::subject::{InMemory, InRedis};
use super::{completed, job, settlement, there};
use crate::id::{JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::{JobOptions, PRIORITY_MAX};
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::record::EncodedRecord;
use crate::memory::Apply;
use crate::store::advance::{Advance, Advanced, Answer, Settlement, Suspects};
use crate::store::enqueue::{Due, Enqueue, Enqueued, NewJob, Novelty};
use crate::store::extend::Extend;
use crate::store::fire::{Entry, Fire};
use crate::store::get::Get;
use crate::store::list::{Direction, List, Listed, Place};
use crate::store::pause::Pause;
use crate::store::progress::{Progress, Stored};
use crate::store::promote::Promote;
use crate::store::recover::{Doubt, Recover, Recovered};
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::resume::Resume;
use crate::store::schedule::{Definition, NextTick, Schedule};
use crate::store::schedules::Schedules;
use crate::store::trim::Trim;
use crate::store::unschedule::Unschedule;
use crate::store::watch::{Watch, Watched};
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// A day before the clock of these tests, in ms, and the time it shows.
pub(super) const PAST: u64 = 1_699_913_600_000;
pub(super) const NOW: u64 = 1_700_000_000_000;
/// The largest whole number that every number up to it has a neighbour of.
const WHOLE_MAX: u64 = (1 << 53) - 1;

/// Both implementations, side by side, with a job in each state: `held` is active, the others
/// are named after theirs.
struct Both {
    redis: InRedis,
    memory: InMemory,
    /// Of `held`, and, before they ended, of `completed` and `dead`.
    receipt: Receipt,
}

impl Both {
    fn start() -> Self {
        let mut both = Self {
            redis: InRedis::start(None),
            memory: InMemory::new(),
            receipt: Receipt::new(""),
        };
        let mut delayed = job("delayed");
        delayed.due = Due::After { ms: 3_600_000 };
        let jobs = [
            job("held"),
            job("completed"),
            job("dead"),
            job("waiting"),
            delayed,
        ];
        assert_eq!(both.enqueue("producer", 1, &jobs), Some(vec![]));
        let claimed = both.advance("worker", 1, &[], 3).unwrap().claimed;
        both.receipt = claimed[0].receipt.clone();
        let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
        let reason = DeadReason::Declared;
        let ended = [
            both.ended("completed", completed()),
            both.ended("dead", Outcome::Dead { reason, entry }),
        ];
        assert!(
            both.advance("worker", 2, &ended, 0)
                .unwrap()
                .refused
                .is_empty()
        );
        let tick = NextTick::At { ms: PAST };
        assert!(both.define("nightly", 0, tick));
        both
    }

    /// The answer, which is the same.
    fn call<V: Apply<Answer: Debug + PartialEq>>(&mut self, verb: &V) -> V::Answer {
        let name = V::script().name;
        let redis = self.redis.call(verb).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(redis, self.memory.call(verb), "{name}: Redis, memory");
        let difference = self.redis.dump().difference(&self.memory.dump());
        assert_eq!(difference, None, "after {name}");
        redis
    }

    /// The same, for a call that changes nothing but these parts.
    fn changes<V: Apply<Answer: Debug + PartialEq>>(
        &mut self,
        parts: &[&str],
        verb: &V,
    ) -> V::Answer {
        let before = self.redis.dump();
        let answer = self.call(verb);
        let mut changed = self.redis.dump().parts_unlike(&before);
        changed.retain(|part| !parts.contains(part));
        assert!(
            changed.is_empty(),
            "{} changed {changed:?}",
            V::script().name
        );
        answer
    }

    fn leaves<V: Apply<Answer: Debug + PartialEq>>(&mut self, verb: &V) -> V::Answer {
        self.changes(&[], verb)
    }

    fn enqueue(&mut self, lane: &str, call: u64, jobs: &[NewJob]) -> Option<Vec<usize>> {
        let jobs: Vec<&NewJob> = jobs.iter().collect();
        let answer = self.call(&Enqueue {
            lane,
            call,
            jobs: &jobs,
            novelty: Novelty::Unsure,
        });
        there(answer)
    }

    fn advance(
        &mut self,
        lane: &str,
        call: u64,
        settle: &[Settlement],
        claim: usize,
    ) -> Option<Advanced> {
        match self.call(&advance(lane, call, settle, claim)) {
            Answer::Advanced(advanced) => Some(advanced),
            Answer::Superseded | Answer::Asked => None,
        }
    }

    fn define(&mut self, name: &str, revision: u64, tick: NextTick) -> bool {
        let job = EncodedRecord::new("test", vec![0xc0], &JobOptions::new(), Vec::new());
        let (rule, job) = (&b"rule"[..], &job);
        self.call(&Schedule {
            name,
            revision,
            paused: false,
            tick,
            seen: None,
            define: Some(Definition { rule, job }),
        })
    }

    fn ended(&self, id: &str, outcome: Outcome) -> Settlement {
        settlement(&JobId::stored(id), &self.receipt, outcome)
    }

    fn refused(&mut self) -> u64 {
        let refused = self.redis.dump().get("meta", "refused").cloned();
        refused.map_or(0, |n| String::from_utf8(n).unwrap().parse().unwrap())
    }
}

pub(super) fn advance<'a>(
    lane: &'a str,
    call: u64,
    settle: &'a [Settlement],
    claim: usize,
) -> Advance<'a> {
    Advance {
        lane,
        call,
        worker: "worker",
        settle,
        claim,
        claim_bytes: BATCH_BYTES,
        suspects: Suspects {
            at_most: 1,
            alone: true,
        },
        lease_ms: 60_000,
        hold: true,
        handlers: None,
        heard: 0,
        again: false,
        traits: false,
        ask: false,
    }
}

fn every_outcome() -> Vec<Outcome> {
    let entry = || AttemptEntry::new(AttemptKind::Error, "broken".into());
    let after = Duration::from_secs(1);
    let reason = DeadReason::AttemptsSpent;
    vec![
        completed(),
        Outcome::Cancelled("moot".into()),
        Outcome::Retry {
            after,
            entry: entry(),
        },
        Outcome::Bounced {
            after,
            entry: entry(),
            name: None,
        },
        Outcome::Bounced {
            after,
            entry: entry(),
            name: Some("other".to_owned()),
        },
        Outcome::Released,
        Outcome::Dead {
            reason,
            entry: entry(),
        },
    ]
}
