//! The operations on schedules: what a client read before, it takes from the queue in memory.

use super::op::{Ask, Change, Ticks};
use super::world::{World, Wrong, same};
use crate::job::options::JobOptions;
use crate::job::record::EncodedRecord;
use crate::store::fire::{Entry, Fire};
use crate::store::schedule::{Definition, NextTick, Schedule, SeenTick};
use crate::store::schedules::{Found, Schedules};
use crate::store::tend::{Tend, Tended};

/// More than there are.
const PAGE: usize = 64;

impl World<'_> {
    pub(super) fn schedule(&mut self, change: &Change) -> Result<(), Wrong> {
        let name = schedule_name(change.name);
        let (revision, seen_ms) = self.seen(&name);
        let job = EncodedRecord::new("tick", vec![0; change.bytes], &JobOptions::new(), vec![]);
        let rule = format!("every {} bytes", change.bytes);
        let tick = match change.tick_ms {
            _ if change.keep_tick => NextTick::Keep,
            None => NextTick::None,
            Some(ms) => NextTick::At {
                ms: (self.now_us / 1_000).saturating_add_signed(ms),
            },
        };
        let seen = change.compare.map(|same| match (seen_ms, same) {
            (Some(ms), true) => SeenTick::At { ms },
            (Some(ms), false) => SeenTick::At { ms: ms + 1 },
            (None, true) => SeenTick::None,
            (None, false) => SeenTick::At { ms: 1 },
        });
        let define = Definition {
            rule: rule.as_bytes(),
            job: &job,
        };
        self.both(&Schedule {
            name: &name,
            revision: revision + u64::from(change.stale),
            paused: change.paused,
            tick,
            seen,
            define: (change.define || revision == 0).then_some(define),
        })
    }

    pub(super) fn fire(
        &mut self,
        worker: u8,
        hold: bool,
        ticks: &[Ticks],
        pass: bool,
    ) -> Result<(), Wrong> {
        let entries: Vec<Entry> = ticks.iter().map(|ticks| self.entry(ticks)).collect();
        self.both(&Fire {
            worker: &self.worker(worker),
            hold,
            entries: &entries,
            passed_ms: pass.then_some(self.now_us / 1_000),
        })
    }

    pub(super) fn tend(&mut self, worker: u8, hold: bool, name: u8) -> Result<(), Wrong> {
        let verb = Tend {
            worker: &self.worker(worker),
            hold,
            names: &[&schedule_name(name)],
            cursor: Schedules::ALL,
            limit: PAGE,
        };
        let in_order = |mut tended: Tended| {
            tended.lost.sort_unstable();
            tended
        };
        let redis = in_order(self.redis.call(&verb)?);
        same("tend", &redis, &in_order(self.memory.call(&verb)))
    }

    pub(super) fn schedules(&mut self, ask: Ask) -> Result<(), Wrong> {
        match ask {
            Ask::Named { name } => self.both(&Schedules::Named {
                name: &schedule_name(name),
            }),
            Ask::Due { offset, limit } => self.both(&Schedules::due(offset, limit)),
            Ask::All => {
                // On which page, and in what order, is for each to choose.
                let mut redis = self.redis.call(&some(Schedules::ALL))?;
                while redis.cursor != Schedules::ALL {
                    let more = self.redis.call(&some(&redis.cursor))?;
                    redis.schedules.extend(more.schedules);
                    redis.cursor = more.cursor;
                }
                let memory = self.memory.call(&some(Schedules::ALL));
                same("schedules", &by_name(redis), &by_name(memory))
            }
        }
    }

    /// The revision and the next tick of a schedule.
    fn seen(&self, name: &str) -> (u64, Option<u64>) {
        self.memory.seen(name)
    }

    fn entry(&self, ticks: &Ticks) -> Entry {
        let name = schedule_name(ticks.name);
        let (revision, tick_ms) = self.seen(&name);
        let tick_ms = tick_ms.unwrap_or(self.now_us / 1_000);
        let every_ms = ticks.every_ms.unwrap_or(1_000);
        let fired: Vec<u64> = (0..ticks.ticks).map(|n| tick_ms + n * every_ms).collect();
        let last_ms = fired.last().copied().unwrap_or(tick_ms);
        Entry {
            revision: revision - u64::from(ticks.stale && revision > 0),
            tick_ms: tick_ms - u64::from(ticks.other_tick),
            due_ms: fired.iter().map(|tick| tick + ticks.delay_ms).collect(),
            ticks: fired,
            missed: ticks.missed,
            last_ms,
            next_ms: ticks.every_ms.map(|every_ms| last_ms + every_ms),
            limit: ticks.limit,
            no_overlap: ticks.no_overlap,
            priority: ticks.priority,
            front: ticks.front,
            name,
        }
    }
}

fn some(cursor: &str) -> Schedules<'_> {
    Schedules::Some {
        cursor,
        limit: PAGE,
    }
}

fn by_name(mut found: Found) -> Found {
    found.schedules.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

pub(super) fn schedule_name(number: u8) -> String {
    format!("schedule-{number}")
}
