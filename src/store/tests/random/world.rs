//! Both implementations side by side. After each step both must have answered the same and hold
//! the same, and the invariants must hold.

use std::collections::HashMap;
use std::fmt::Debug;

use super::invariants::Invariants;
use super::names;
use super::op::{IDS, Op, PRODUCERS, Turn, WORKERS};
use super::order::Order;
use super::schedules::schedule_name;
use crate::id::{Fence, JobId, Receipt};
use crate::job::state::State;
use crate::memory::Apply;
use crate::store::advance::{Advance, Answer, Claimed, Settlement};
use crate::store::configure::Configure;
use crate::store::enqueue::{Enqueue, NewJob, Novelty};
use crate::store::extend::Extend;
use crate::store::list::Place;
use crate::store::pause::Pause;
use crate::store::progress::Progress;
use crate::store::promote::Promote;
use crate::store::recover::Recover;
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::resume::Resume;
use crate::store::settings::Settings;
use crate::store::tests::dump::Dump;
use crate::store::tests::limits::operations::Ledger;
use crate::store::tests::outbox::ledger::Messages;
use crate::store::tests::subject::{InMemory, InRedis, Lost, START_US};
use crate::store::trim::Trim;
use crate::store::unschedule::Unschedule;
use crate::store::watch::Watch;

/// What went wrong.
pub(crate) type Wrong = String;

/// Claims that an operation can mean: the last so many, of which some are stale by then.
pub(in crate::store::tests) const CLAIMS_IN_REACH: usize = 8;

pub(crate) struct World<'a> {
    pub(in crate::store::tests) redis: &'a mut InRedis,
    pub(in crate::store::tests) memory: InMemory,
    pub(super) now_us: u64,
    lanes: Vec<Lane>,
    /// Every claim that was ever answered.
    claims: Vec<(JobId, Fence, Receipt)>,
    /// The last news of jobs that were handed back, and whether the last call of a worker left any
    /// that it asked for.
    news: u64,
    all_taken: bool,
    pub(super) flooded: usize,
    pub(super) invariants: Invariants,
    pub(super) order: Order,
    pub(in crate::store::tests) starts: Ledger,
    pub(in crate::store::tests) messages: Messages,
    /// The names for which the last call of a worker asked.
    asked: Vec<&'static str>,
    /// What the step under way has claimed.
    pub(super) claimed: Vec<String>,
    /// Where the last page of each state ended.
    pub(super) pages: HashMap<State, Place>,
    pub(in crate::store::tests) last: Dump,
}

/// A lane, its last number and what it called with that.
struct Lane {
    name: String,
    number: u64,
    last: Option<LastCall>,
}

#[derive(Clone)]
pub(super) enum LastCall {
    Enqueue(Vec<NewJob>),
    Advance(Turn, Vec<Settlement>),
}

impl<'a> World<'a> {
    pub(crate) fn new(redis: &'a mut InRedis) -> Self {
        redis.clear();
        let lane = |number| Lane {
            name: format!("lane-{number}"),
            number: 0,
            last: None,
        };
        Self {
            redis,
            memory: InMemory::new(),
            now_us: START_US,
            lanes: (0..PRODUCERS + WORKERS).map(lane).collect(),
            claims: Vec::new(),
            news: 0,
            all_taken: false,
            flooded: 0,
            invariants: Invariants::default(),
            order: Order::default(),
            starts: Ledger::default(),
            messages: Messages::default(),
            asked: Vec::new(),
            claimed: Vec::new(),
            pages: HashMap::new(),
            last: Dump::default(),
        }
    }

    /// One operation, and everything that must hold after it.
    pub(crate) fn step(&mut self, op: &Op) -> Result<(), Wrong> {
        self.run(op)?;
        let held = self.redis.dump();
        if let Some(difference) = held.difference(&self.memory.dump()) {
            return Err(difference);
        }
        self.invariants.check(&held)?;
        self.invariants.kept(&held, self.now_us / 1_000)?;
        let claimed = std::mem::take(&mut self.claimed);
        names::check(&claimed, &self.asked, &self.last, &held)?;
        self.order.check(&claimed, &held, self.now_us / 1_000)?;
        self.starts.check(&claimed, &held, self.now_us / 1_000)?;
        self.messages.check(&held)?;
        self.last = held;
        Ok(())
    }

    fn run(&mut self, op: &Op) -> Result<(), Wrong> {
        match op {
            Op::Enqueue { lane, jobs } => {
                let jobs = jobs.iter().map(|new| self.job(new)).collect();
                self.new_call(*lane, LastCall::Enqueue(jobs))
            }
            Op::Flood {
                lane,
                jobs,
                delay_ms,
                priority,
                gate,
            } => {
                let new = |_| self.flooding(*delay_ms, *priority, *gate);
                let jobs = (0..*jobs).map(new).collect();
                self.new_call(*lane, LastCall::Enqueue(jobs))
            }
            Op::Advance(turn) => {
                let settle = turn.settle.iter().filter_map(|end| self.settlement(end));
                let mut settle: Vec<_> = settle.collect();
                Advance::sort(&mut settle);
                self.all_taken = false;
                self.turn(turn.clone(), settle)?;
                let held = self.redis.dump();
                self.invariants.asked_by_name(&held, turn, self.all_taken)
            }
            Op::HandAllBack {
                worker,
                name,
                after_ms,
            } => self.hand_all_back(*worker, name, *after_ms),
            Op::Busy { worker, name, ms } => self.busy(*worker, name, *ms),
            Op::Repeat { lane } => self.call_again(*lane, 0),
            Op::Question { lane, lost } => self.question(*lane, *lost),
            Op::Late { lane } => self.call_again(*lane, 1),
            Op::Pop => {
                let (redis, memory) = (self.redis.pop_token(), self.memory.pop_token());
                same("popping the token", &redis, &memory)
            }
            Op::Pass { ms } => {
                self.turn_clock(self.now_us + ms * 1_000 + 137);
                Ok(())
            }
            Op::Back { ms } => {
                self.order.lose();
                self.invariants.clock_went_back();
                self.turn_clock(self.now_us.saturating_sub(ms * 1_000));
                Ok(())
            }
            Op::Schedule(change) => self.schedule(change),
            Op::Unschedule { name } => self.both(&Unschedule {
                name: &schedule_name(*name),
            }),
            Op::Fire {
                worker,
                hold,
                entries,
                pass,
            } => self.fire(*worker, *hold, entries, *pass),
            Op::Schedules { ask } => self.schedules(*ask),
            Op::Lose { name, other } => {
                let name = name.map(schedule_name);
                let lost = match (&name, other) {
                    (Some(name), _) => Lost::Of(name),
                    (None, false) => Lost::First,
                    (None, true) => Lost::Misplaced,
                };
                self.redis.lose_tick(lost);
                self.memory.lose_tick(lost);
                Ok(())
            }
            Op::Other(operation) => operation.run(self),
            Op::Tend { worker, hold, name } => self.tend(*worker, *hold, *name),
            _ => self.run_verb(op),
        }
    }

    /// The operations that are one verb of no lane.
    fn run_verb(&mut self, op: &Op) -> Result<(), Wrong> {
        match op {
            Op::Extend {
                claims,
                stale,
                lease_ms,
            } => {
                let leases = claims.iter().filter_map(|claim| self.claim(*claim, *stale));
                let leases: Vec<_> = leases.map(|(id, _, receipt)| (id, receipt)).collect();
                if leases.is_empty() {
                    return Ok(());
                }
                let lease_ms = *lease_ms;
                let leases = &leases[..];
                self.both(&Extend { leases, lease_ms })
            }
            Op::Progress {
                claim,
                stale,
                bytes,
            } => {
                let Some((id, _, receipt)) = self.claim(*claim, *stale) else {
                    return Ok(());
                };
                self.both(&Progress {
                    id: &id,
                    receipt: &receipt,
                    value: &vec![7; *bytes],
                })
            }
            Op::Recover {
                limit,
                lease_ms,
                off_ms,
                gap_ms,
                quiet_ms,
                doubt,
            } => self.recover(&Recover {
                expected_ms: self.now_us / 1_000 - off_ms,
                tolerance_ms: 1_000,
                limit: *limit,
                lease_ms: *lease_ms,
                gap_ms: *gap_ms,
                quiet_ms: *quiet_ms,
                doubt: *doubt,
            }),
            Op::Promote {
                limit,
                worker,
                hold,
            } => self.both(&Promote {
                limit: *limit,
                worker: &self.worker(*worker),
                hold: *hold,
            }),
            Op::Trim { limit, lane_ttl_ms } => self.trim(*limit, *lane_ttl_ms),
            Op::Replay { ids } => self.both(&Replay { ids: &names(ids) }),
            Op::Remove { ids, only_in } => {
                self.invariants.removed(&names(ids));
                self.both(&Remove {
                    ids: &names(ids),
                    only_in: only_in.map(State::as_str),
                    seen: None,
                })
            }
            Op::Delete { all } => self.delete(*all),
            Op::LoseList { place, how } => self.lose_list(*place, *how),
            Op::Outlive { max_stalls } => self.outlive(*max_stalls),
            Op::Watch { id, await_ms } => self.both(&Watch {
                id: name(*id).as_str(),
                await_ms: *await_ms,
            }),
            Op::Get { id } => self.get(name(*id).as_str()),
            Op::List(page) => self.list(page),
            Op::Counts => self.counts(),
            Op::Configure { by, said } => self.both(&Configure {
                by: *by,
                said: &said.values(),
            }),
            Op::Settings => self.both(&Settings),
            Op::Pause => self.both(&Pause),
            Op::Resume => self.both(&Resume),
            _ => unreachable!("{op:?} is no single verb"),
        }
    }

    /// One verb in both; both must answer the same.
    pub(in crate::store::tests) fn both<V>(&mut self, verb: &V) -> Result<(), Wrong>
    where
        V: Apply<Answer: Debug + PartialEq>,
    {
        let redis = self.redis.call(verb)?;
        same(V::script().name, &redis, &self.memory.call(verb))
    }

    /// No lease is judged in a quiet period, and afterwards no lease ends later than it can.
    pub(super) fn recover(&mut self, verb: &Recover) -> Result<(), Wrong> {
        let before = self.redis.dump();
        let redis = self.redis.call(verb)?;
        same("recover", &redis, &self.memory.call(verb))?;
        self.invariants.recovered(
            &before,
            &self.redis.dump(),
            verb,
            &redis,
            self.now_us / 1_000,
        )
    }

    /// Nothing is left that was kept long enough, or is more than is to be kept.
    fn trim(&mut self, limit: usize, lane_ttl_ms: u64) -> Result<(), Wrong> {
        let verb = Trim {
            limit,
            lane_ttl_ms,
            lanes_cursor: "0",
        };
        let redis = self.redis.call(&verb)?;
        same("trim", &redis, &self.memory.call(&verb))?;
        self.invariants
            .trimmed(&self.redis.dump(), &redis, self.now_us / 1_000)
    }

    /// The name by which a worker calls.
    pub(super) fn worker(&self, number: u8) -> String {
        self.lanes[usize::from(PRODUCERS + number)].name.clone()
    }

    /// A new call of a worker.
    pub(in crate::store::tests) fn turn(
        &mut self,
        turn: Turn,
        settle: Vec<Settlement>,
    ) -> Result<(), Wrong> {
        let lane = PRODUCERS + turn.worker;
        self.new_call(lane, LastCall::Advance(turn, settle))
    }

    pub(super) fn turn_clock(&mut self, now_us: u64) {
        self.now_us = now_us;
        self.redis.set_clock(now_us);
        self.memory.set_clock(now_us);
    }

    pub(super) fn new_call(&mut self, lane: u8, call: LastCall) -> Result<(), Wrong> {
        let lane = &mut self.lanes[usize::from(lane)];
        lane.number += 1;
        lane.last = Some(call);
        let number = lane.number;
        let name = lane.name.clone();
        self.call(&name, number)
    }

    /// The last call of a lane, under the number so far before its own.
    fn call_again(&mut self, lane: u8, before: u64) -> Result<(), Wrong> {
        let lane = &self.lanes[usize::from(lane)];
        let Some(number) = lane.number.checked_sub(before).filter(|number| *number > 0) else {
            return Ok(());
        };
        let name = lane.name.clone();
        self.call(&name, number)
    }

    /// Whether the last call of a lane ran. It was lost if it is a new one; then it comes late.
    fn question(&mut self, lane: u8, lost: bool) -> Result<(), Wrong> {
        let of = &mut self.lanes[usize::from(lane)];
        of.number += u64::from(lost);
        let (name, number) = (of.name.clone(), of.number);
        match &of.last {
            None => return Ok(()),
            Some(LastCall::Enqueue(_)) => self.both(&Enqueue {
                lane: &name,
                call: number,
                jobs: &[],
                novelty: Novelty::New,
            })?,
            Some(LastCall::Advance(turn, _)) => {
                let question = Turn {
                    ask: true,
                    hold: false,
                    ..turn.clone()
                };
                self.advance(&name, number, &question, &[])?;
            }
        }
        match lost {
            true => self.call(&name, number),
            false => Ok(()),
        }
    }

    fn call(&mut self, lane: &str, call: u64) -> Result<(), Wrong> {
        let last = self.lanes.iter().find(|known| known.name == lane);
        match last.and_then(|lane| lane.last.clone()) {
            None => Ok(()),
            Some(LastCall::Enqueue(jobs)) => {
                let jobs: Vec<&NewJob> = jobs.iter().collect();
                let jobs = &jobs[..];
                let novelty = self.novelty(jobs, call);
                self.both(&Enqueue {
                    lane,
                    call,
                    jobs,
                    novelty,
                })
            }
            Some(LastCall::Advance(turn, settle)) => self.advance(lane, call, &turn, &settle),
        }
    }

    fn advance(
        &mut self,
        lane: &str,
        call: u64,
        turn: &Turn,
        settle: &[Settlement],
    ) -> Result<(), Wrong> {
        let verb = Advance {
            lane,
            call,
            worker: lane,
            settle,
            claim: turn.claim,
            claim_bytes: turn.claim_bytes,
            suspects: turn.suspects,
            lease_ms: turn.lease_ms,
            hold: turn.hold,
            handlers: turn.handlers.as_deref(),
            heard: if turn.heard { self.news } else { 0 },
            again: turn.again,
            traits: turn.traits,
            ask: turn.ask,
        };
        let redis = self.redis.call(&verb)?;
        same("advance", &redis, &self.memory.call(&verb))?;
        if let Answer::Advanced(advanced) = redis {
            self.asked = turn.handlers.clone().unwrap_or_default();
            self.claimed = self.invariants.claimed(&advanced.claimed, turn.claim)?;
            self.invariants
                .suspected(&self.last, &advanced, turn.suspects)?;
            self.invariants
                .asked_to_be_kept(&self.last, &advanced, settle, self.now_us / 1_000);
            self.invariants
                .handed_on(&self.last, &advanced.claimed, turn)?;
            self.news = advanced.unhandled;
            let waits = advanced.held || self.last.get("meta", "paused").is_some();
            self.all_taken = turn.claim > 0 && !advanced.more && !waits;
            self.remember(&advanced.claimed);
        }
        Ok(())
    }

    fn remember(&mut self, claimed: &[Claimed]) {
        for claimed in claimed {
            let claim = (claimed.id.clone(), claimed.fence, claimed.receipt.clone());
            if !self.claims.contains(&claim) {
                self.claims.push(claim);
            }
        }
    }

    /// One of the last claims, by any number; with another receipt if it is to be stale.
    pub(in crate::store::tests) fn claim(
        &self,
        number: u8,
        stale: bool,
    ) -> Option<(JobId, Fence, Receipt)> {
        let reach = self.claims.len().min(CLAIMS_IN_REACH);
        let back = usize::from(number).checked_rem(reach)?;
        let (id, fence, receipt) = self.claims[self.claims.len() - 1 - back].clone();
        if stale {
            let other = Receipt::new(&format!("1{}", receipt.as_str()));
            return Some((id, fence, other));
        }
        Some((id, fence, receipt))
    }
}

pub(super) fn name(id: u8) -> JobId {
    JobId::stored(&format!("job-{}", id % IDS))
}

pub(in crate::store::tests) fn names(ids: &[u8]) -> Vec<JobId> {
    ids.iter().map(|id| name(*id)).collect()
}

pub(in crate::store::tests) fn same<T: Debug + PartialEq>(
    what: &str,
    redis: &T,
    memory: &T,
) -> Result<(), Wrong> {
    let differ = || format!("{what} answers {redis:?} in Redis, {memory:?} in memory");
    (redis == memory).then_some(()).ok_or_else(differ)
}
