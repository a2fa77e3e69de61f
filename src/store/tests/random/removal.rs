//! Queues that are deleted.

use super::op::SCHEDULES;
use super::schedules::schedule_name;
use super::world::{World, Wrong, same};
use crate::id::JobId;
use crate::memory::COLLECTIONS;
use crate::policy::retention::Retention;
use crate::policy::settings::QueueSettings;
use crate::redis::keys::PLACES;
use crate::store::configure::{By, Configure};
use crate::store::delete::{Answer, Delete};
use crate::store::orphans::{How, Orphans};
use crate::store::recover::{Doubt, Recover};
use crate::store::remove::Remove;
use crate::store::sent::Sent;
use crate::store::trim::Trim;
use crate::store::unschedule::Unschedule;
use crate::store::{BATCH_JOBS, Verb};

/// Longer than any lease, and than the events of a queue are kept that holds nothing.
const OUTLIVED_MS: u64 = 90_000_000;

impl World<'_> {
    /// From now on it is not checked who of those of one priority has waited for longer.
    pub(in crate::store::tests) fn lose_order(&mut self) {
        self.order.lose();
    }

    pub(super) fn delete(&mut self, all: bool) -> Result<(), Wrong> {
        let verb = Delete {
            all,
            lanes_ms: 3_600_000,
        };
        let held = self.redis.dump();
        let redis = self.redis.call(&verb)?;
        same(Delete::script().name, &redis, &self.memory.call(&verb))?;
        // What is wanted, counted once more.
        let ended = held.len("completed") + held.len("kept");
        let wanted = PLACES.iter().map(|part| held.len(part)).sum::<usize>() - ended;
        let wanted = wanted + held.len("schedules") + held.len("outbox");
        match redis {
            Answer::NotEmpty(_) if wanted == 0 || all => Err("nothing of it was wanted".to_owned()),
            Answer::Deleted(_) if wanted > 0 && !all => Err("it was wanted".to_owned()),
            Answer::NotEmpty(_) => Ok(()),
            Answer::Deleted(_) => {
                // The next fences are larger because a moment has passed.
                self.turn_clock(self.now_us + 1_000);
                self.messages.lose();
                let left = self.redis.dump();
                self.invariants.deleted(&left)
            }
        }
    }

    /// A page holds all records here, so that both find them in one order.
    pub(super) fn lose_list(&mut self, place: usize, how: How) -> Result<(), Wrong> {
        self.redis.lose_list(PLACES[place]);
        self.memory.lose_list(COLLECTIONS[place]);
        if PLACES[place] == "kept" {
            self.invariants.lost_what_is_kept();
        }
        if PLACES[place] == "delayed" {
            // It is not known when these were to be ready.
            self.order.lose();
        }
        let verb = Orphans {
            cursor: Orphans::FIRST,
            limit: 10_000,
            how,
            lease_ms: 30_000,
        };
        loop {
            let redis = self.redis.call(&verb)?;
            same(Orphans::script().name, &redis, &self.memory.call(&verb))?;
            if !redis.more {
                return Ok(());
            }
        }
    }

    pub(super) fn outlive(&mut self, max_stalls: u32) -> Result<(), Wrong> {
        for name in (0..SCHEDULES).map(schedule_name) {
            self.both(&Unschedule { name: &name })?;
        }
        let held = self.redis.dump();
        // What waits for other queues has been carried.
        self.messages.take_all(&held)?;
        for target in held.targets() {
            let position = u64::MAX >> 11;
            self.both(&Sent {
                target: &target,
                position,
            })?;
        }
        for part in ["waiting", "suspects", "unhandled", "delayed"] {
            let ids: Vec<JobId> = held
                .names(part)
                .iter()
                .map(|id| JobId::stored(id))
                .collect();
            for ids in ids.chunks(BATCH_JOBS) {
                self.both(&Remove::of(ids))?;
            }
        }
        let nothing_is_kept = QueueSettings::new()
            .max_stalls(max_stalls)
            .keep_completed(Retention::Nothing)
            .keep_at_most(0);
        self.both(&Configure {
            by: By::Operator,
            said: &nothing_is_kept.values(),
        })?;
        self.turn_clock(self.now_us + OUTLIVED_MS * 1_000);
        self.recover(&Recover {
            expected_ms: self.now_us / 1_000,
            tolerance_ms: 1_000,
            limit: BATCH_JOBS,
            lease_ms: 1_000,
            gap_ms: u64::from(u32::MAX),
            quiet_ms: 0,
            doubt: Doubt::None,
        })?;
        self.both(&Trim {
            limit: BATCH_JOBS,
            lane_ttl_ms: 1_000,
            lanes_cursor: "0",
        })?;
        // What the deletion would hide.
        if let Some(difference) = self.redis.dump().difference(&self.memory.dump()) {
            return Err(difference);
        }
        self.delete(false)
    }
}
