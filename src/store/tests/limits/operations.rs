//! What random sequences do to the limits of a queue, and a ledger that tells whether these are kept.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::policy::settings::SettingsInForce;
use crate::store::tests::dump::Dump;
use crate::store::tests::random::op::{End, How, IDS, Op, Operation, Turn, WORKERS};
use crate::store::tests::random::world::{World, Wrong, names};

/// An operator sets limits, or takes them away.
#[derive(Debug)]
struct Limit(QueueSettings);

/// A handler is told to wait.
#[derive(Debug)]
struct Wait {
    worker: u8,
    claim: u8,
    ms: u64,
}

/// A producer adds jobs that count more than one.
#[derive(Debug)]
struct Weigh {
    ids: Vec<u8>,
    weight: u32,
}

/// The queue has a rate, and one job is all that it ever sees.
#[derive(Debug)]
struct Once;

/// The token wakes a worker whose slots have filled meanwhile.
#[derive(Debug)]
struct Full(u8);

pub(in crate::store::tests) fn full() -> impl Strategy<Value = Op> {
    (0..WORKERS).prop_map(|worker| Op::Other(Arc::new(Full(worker))))
}

/// A rate opens, and the worker that keeps the timer can take no suspect.
#[derive(Debug)]
struct Open(u8);

pub(in crate::store::tests) fn open() -> impl Strategy<Value = Op> {
    (0..WORKERS).prop_map(|worker| Op::Other(Arc::new(Open(worker))))
}

/// A worker dies while it runs heavy jobs, and the queue has a rate.
#[derive(Debug)]
struct LoseHeavy(Weigh);

pub(in crate::store::tests) fn lose_heavy() -> impl Strategy<Value = Op> {
    let weighs = (vec(0..IDS, 1..4), select(&[3, 20][..]));
    weighs.prop_map(|(ids, weight)| Op::Other(Arc::new(LoseHeavy(Weigh { ids, weight }))))
}

pub(in crate::store::tests) fn weigh() -> impl Strategy<Value = Op> {
    (vec(0..IDS, 1..4), select(&[2, 3, 20][..]))
        .prop_map(|(ids, weight)| Op::Other(Arc::new(Weigh { ids, weight })))
}

pub(in crate::store::tests) fn once() -> impl Strategy<Value = Op> {
    Just(()).prop_map(|()| Op::Other(Arc::new(Once)))
}

pub(in crate::store::tests) fn limit() -> impl Strategy<Value = Op> {
    let period = select(&[100, 1_000, 60_000][..]).prop_map(Duration::from_millis);
    let rate = (select(&[1, 2, 5][..]), period, any::<bool>());
    let rate = rate.prop_map(|(starts, period, smooth)| match smooth {
        true => Rate::smooth(starts, period),
        false => Rate::burst(starts, period),
    });
    let concurrency = option::weighted(0.3, 1..4u32);
    (option::weighted(0.8, rate), concurrency).prop_map(|(rate, concurrency)| {
        let limits = QueueSettings::new().rate(rate).concurrency(concurrency);
        Op::Other(Arc::new(Limit(limits)))
    })
}

pub(in crate::store::tests) fn wait() -> impl Strategy<Value = Op> {
    let ms = select(&[100, 1_000, 60_000][..]);
    (0..WORKERS, any::<u8>(), ms)
        .prop_map(|(worker, claim, ms)| Op::Other(Arc::new(Wait { worker, claim, ms })))
}

impl Operation for Limit {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let said = &self.0.values();
        let by = By::Operator;
        world.both(&Configure { by, said })
    }
}

impl Operation for Weigh {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let options = JobOptions::new().weight(self.weight);
        let heavy = |id: JobId| NewJob {
            record: EncodedRecord::new("test", vec![0xc0], &options, Vec::new()),
            ..job(id.as_str())
        };
        let jobs: Vec<NewJob> = names(&self.ids).into_iter().map(heavy).collect();
        world.starts.calls += 1;
        world.both(&Enqueue {
            lane: "heavy",
            call: world.starts.calls,
            jobs: &jobs.iter().collect::<Vec<_>>(),
            novelty: Novelty::Unsure,
        })
    }
}

impl Operation for Once {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        Limit(QueueSettings::new().rate(Rate::burst(5, SECOND))).run(world)?;
        let (ids, weight) = (vec![0], 2);
        Weigh { ids, weight }.run(world)?;
        let claim = Turn {
            claim: 1,
            ..Turn::settling(0)
        };
        world.turn(claim, Vec::new())?;
        let end = End {
            claim: 0,
            stale: false,
            how: How::Complete,
            keep_ms: Some(0),
            is_requested: false,
        };
        let ended = world.settlement(&end).into_iter().collect();
        world.turn(Turn::settling(0), ended)
    }
}

impl Operation for Full {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        world.step(&Op::Pop)?;
        world.turn(Turn::settling(self.0), Vec::new())
    }
}

impl Operation for LoseHeavy {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        Limit(QueueSettings::new().rate(None).concurrency(None)).run(world)?;
        self.0.run(world)?;
        world.lose_worker(0, IDS.into())?;
        Limit(QueueSettings::new().rate(Rate::burst(5, SECOND))).run(world)
    }
}

impl Operation for Open {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        // Jobs are enqueued and claimed within this step: since when they wait is not seen.
        world.lose_order();
        let job = |id| Weigh {
            ids: vec![id],
            weight: 1,
        };
        job(0).run(world)?;
        world.lose_worker(self.0, IDS.into())?;
        Limit(QueueSettings::new().rate(Rate::burst(1, SECOND))).run(world)?;
        job(1).run(world)?;
        let turn = || Turn {
            claim: 1,
            ..Turn::settling(self.0)
        };
        for step in [
            Op::Advance(turn()),
            Op::Advance(turn()),
            Op::Pass { ms: 1_100 },
            Op::Pop,
        ] {
            world.step(&step)?;
        }
        world.turn(turn(), Vec::new())
    }
}

impl Operation for Wait {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let end = End {
            claim: self.claim,
            stale: false,
            how: How::Release,
            keep_ms: None,
            is_requested: false,
        };
        let Some(mut ended) = world.settlement(&end) else {
            return Ok(());
        };
        ended.outcome = rate_limited(Duration::from_millis(self.ms));
        let turn = Turn {
            claim: 2,
            ..Turn::settling(self.worker)
        };
        world.turn(turn, vec![ended])
    }
}

/// What was started under the limits that are set, from outside: a ledger that shares no code with the rule.
#[derive(Default)]
pub(in crate::store::tests) struct Ledger {
    limits: (Option<Rate>, Option<u32>),
    starts: VecDeque<(u64, u64)>,
    last_ms: u64,
    /// Calls of the producer of heavy jobs.
    calls: u64,
}

impl Ledger {
    /// After each step: `claimed` has started now.
    pub(in crate::store::tests) fn check(
        &mut self,
        claimed: &[String],
        dump: &Dump,
        now_ms: u64,
    ) -> Result<(), Wrong> {
        let text = dump.get("meta", "settings").cloned().unwrap_or_default();
        let set = SettingsInForce::read(&String::from_utf8_lossy(&text), "");
        let limits = set
            .map(|set| (set.rate, set.concurrency))
            .unwrap_or_default();
        if limits != self.limits || now_ms < self.last_ms {
            // What started before does not count under other limits, or by a clock that was set back.
            self.limits = limits;
            self.starts.clear();
        }
        self.last_ms = now_ms;
        let active = dump.len("active");
        let (rate, concurrency) = limits;
        if let Some(most) = concurrency
            && !claimed.is_empty()
            && active > most as usize
        {
            return Err(format!("{active} jobs run, {most} may"));
        }
        let Some(rate) = rate else {
            return Ok(());
        };
        let most = u64::from(rate.starts);
        for id in claimed {
            let record = dump.get("jobs", id).cloned().unwrap_or_default();
            let weight = crate::job::record::weight_of(&record).min(most);
            self.starts.push_back((now_ms, weight));
        }
        let period_ms = rate.period.as_millis() as u64;
        while self
            .starts
            .front()
            .is_some_and(|(at, _)| at + period_ms <= now_ms)
        {
            self.starts.pop_front();
        }
        let started: u64 = self.starts.iter().map(|(_, units)| units).sum();
        match started <= most {
            true => Ok(()),
            false => Err(format!("{:?} have started, {rate} may", self.starts)),
        }
    }
}
