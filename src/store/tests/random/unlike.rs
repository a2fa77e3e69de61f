//! What workers do that have handlers for different jobs.

use std::sync::Arc;

use proptest::prelude::*;

use super::op::{End, How, Op, Operation, Turn, WORKERS};
use super::world::{CLAIMS_IN_REACH, World, Wrong};
use crate::store::promote::Promote;

/// Another program deletes the news of unhandled jobs, and a worker looks after what waits.
#[derive(Debug)]
struct LoseNews(u8);

pub(super) fn lose_news() -> impl Strategy<Value = Op> {
    (0..WORKERS).prop_map(|worker| Op::Other(Arc::new(LoseNews(worker))))
}

impl Operation for LoseNews {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        world.redis.lose_news();
        world.memory.lose_news();
        world.both(&Promote {
            limit: 5,
            worker: &world.worker(self.0),
            hold: true,
        })
    }
}

impl World<'_> {
    /// A worker has a handler for none of the last jobs that were claimed.
    pub(super) fn hand_all_back(
        &mut self,
        worker: u8,
        name: &'static str,
        after_ms: u64,
    ) -> Result<(), Wrong> {
        let all = (0..CLAIMS_IN_REACH as u8).map(|claim| End {
            claim,
            stale: false,
            how: How::HandBack { name, after_ms },
            keep_ms: None,
            is_requested: false,
        });
        let settle = all.filter_map(|end| self.settlement(&end)).collect();
        self.turn(Turn::settling(worker), settle)
    }

    /// A worker has a slot for one job of a name; some time later somebody looks after the others.
    pub(super) fn busy(&mut self, worker: u8, name: &'static str, ms: u64) -> Result<(), Wrong> {
        let turn = Turn {
            claim: 1,
            handlers: Some(vec![name]),
            ..Turn::settling(worker)
        };
        self.turn(turn, Vec::new())?;
        // What falls due afterwards was not left behind by this claim.
        self.claimed.clear();
        self.turn_clock(self.now_us + ms * 1_000);
        let worker = self.worker(worker);
        self.both(&Promote {
            limit: 100,
            worker: &worker,
            hold: true,
        })
    }
}
