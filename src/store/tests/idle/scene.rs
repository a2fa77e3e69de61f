//! A queue with some workers. What they do by themselves happens in any order; what comes from outside happens between any two of
//! these steps.

use std::fmt::Write;
use std::time::Duration;

use fastrand::Rng;

use super::worker::{Lane, Wait, Worker};
use super::{Feature, LEASE_MS, NAMES};
use crate::id::{JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::Outcome;
use crate::job::record::EncodedRecord;
use crate::memory::Apply;
use crate::policy::limits::Rate;
use crate::policy::settings::QueueSettings;
use crate::store::BATCH_BYTES;
use crate::store::advance::{Advance, Answer, Suspects};
use crate::store::configure::{By, Configure};
use crate::store::enqueue::{Due, Enqueue, NewJob, Novelty};
use crate::store::extend::Extend;
use crate::store::pause::Pause;
use crate::store::pause_name::PauseName;
use crate::store::recover::{Doubt, Recover};
use crate::store::resume::Resume;
use crate::store::tests::subject::{START_US, Subject};
use crate::store::tests::{completed, job};

/// Workers that do more than this at one moment wake each other in a circle.
const STEPS_AT_ONCE: usize = 600;
/// A worker that dies may have had the token: then the others look within 5 s.
const AFTER_A_DEATH_MS: u64 = 5_200;
/// A job that may start, and a worker with a free slot, have found each other after this time.
const SOON_MS: u64 = 100;

pub(super) struct Scene<'a> {
    subject: &'a mut Subject,
    rng: Rng,
    features: Vec<Feature>,
    now_ms: u64,
    workers: Vec<Worker>,
    named: usize,
    jobs: u32,
    calls: u64,
    step: u64,
    /// When a worker last died.
    died_ms: Option<u64>,
    /// What happened, to explain a failure.
    pub(super) log: String,
}

/// What a worker does by itself.
#[derive(Debug, Clone, Copy)]
enum Step {
    Send,
    Run,
    Absorb,
    Wait,
    Block,
    Wake,
}

impl<'a> Scene<'a> {
    pub(super) fn new(subject: &'a mut Subject, seed: u64, features: Option<&[Feature]>) -> Self {
        subject.clear();
        let mut rng = Rng::with_seed(seed);
        let any = Feature::ALL.into_iter().filter(|_| rng.u8(..5) < 2);
        let any: Vec<Feature> = any.collect();
        let features = features.map_or(any, <[Feature]>::to_vec);
        let mut scene = Self {
            subject,
            rng,
            features,
            now_ms: START_US / 1_000,
            workers: Vec::new(),
            named: 0,
            jobs: 0,
            calls: 0,
            step: 0,
            died_ms: None,
            log: String::new(),
        };
        let features = format!("{:?}", scene.features);
        scene.note(&features);
        for _ in 0..scene.rng.usize(2..5) {
            scene.hire();
        }
        scene
    }

    fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    fn note(&mut self, what: &str) {
        let at_ms = self.now_ms - START_US / 1_000;
        let _ = writeln!(self.log, "{at_ms:>6} {what}");
    }

    fn hire(&mut self) {
        self.named += 1;
        let name = format!("w{}", self.named);
        let mut handlers = NAMES.to_vec();
        if self.has(Feature::Unlike) {
            let alone = self.rng.usize(..NAMES.len());
            handlers.retain(|name| *name == NAMES[alone]);
        }
        let slots = self.rng.usize(1..4);
        self.note(&format!("{name} begins: {slots} slots, {handlers:?}"));
        self.workers.push(Worker::new(name, slots, handlers));
    }

    /// So many steps, and what must hold then.
    pub(super) fn play(&mut self, steps: usize) -> Result<(), String> {
        for _ in 0..steps {
            if self.rng.u8(..3) > 0 && self.one_step() {
                continue;
            }
            self.outside()?;
        }
        let calm_ms = self.died_ms.map_or(0, |died_ms| died_ms + AFTER_A_DEATH_MS);
        let ms = calm_ms.saturating_sub(self.now_ms).max(SOON_MS);
        self.pass(ms)
    }

    /// A worker with a free slot would find nothing now. A call that asks for it changes nothing but the token.
    fn nobody_waits_in_vain(&mut self) -> Result<(), String> {
        if self
            .died_ms
            .is_some_and(|died_ms| self.now_ms < died_ms + AFTER_A_DEATH_MS)
        {
            return Ok(());
        }
        let token = self.subject.pop_token();
        let found = self.look_for_all();
        self.subject.put_token(token);
        found
    }

    fn look_for_all(&mut self) -> Result<(), String> {
        let is_unlike = self.has(Feature::Limits) && self.has(Feature::Unlike);
        if is_unlike && self.subject.dump().len("waiting") > 0 {
            // As docs/limits.md says: jobs that were handed back wait until no others are in line.
            return Ok(());
        }
        // If a worker with free slots may run no further suspect, the token for one may have come to it. It wakes no other:
        // they would wake each other for ever.
        let busy_with_suspects = |worker: &Worker| worker.free() > 0 && worker.able().at_most == 0;
        let are_busy = self.workers.iter().any(busy_with_suspects);
        for at in 0..self.workers.len() {
            let worker = &self.workers[at];
            if worker.free() == 0 {
                continue;
            }
            let suspects = match are_busy {
                true => Suspects::default(),
                false => worker.able(),
            };
            let verb = Advance {
                lane: "nobody",
                call: self.calls + self.step * 10 + at as u64,
                worker: "nobody",
                settle: &[],
                claim: worker.free(),
                claim_bytes: BATCH_BYTES,
                suspects,
                lease_ms: LEASE_MS,
                hold: false,
                handlers: Some(&worker.handlers),
                heard: 0,
                again: false,
                traits: true,
                ask: false,
            };
            if let Answer::Advanced(advanced) = self.subject.call(&verb)
                && let Some(claimed) = advanced.claimed.first()
            {
                let (id, name) = (&claimed.id, &worker.name);
                return Err(format!("{id} may start, {name} waits, and nobody wakes it"));
            }
        }
        Ok(())
    }

    /// A worker does something by itself, if any has something to do.
    fn one_step(&mut self) -> bool {
        let mut possible = Vec::new();
        for (at, worker) in self.workers.iter_mut().enumerate() {
            match worker.lane {
                Lane::Free => possible.push((at, Step::Send)),
                Lane::Sent(..) => possible.push((at, Step::Run)),
                Lane::Answered(..) => possible.push((at, Step::Absorb)),
            }
            match worker.wait {
                Wait::No if worker.wants() => possible.push((at, Step::Wait)),
                Wait::Sent => possible.push((at, Step::Block)),
                Wait::Over(_) => possible.push((at, Step::Wake)),
                Wait::No | Wait::Blocked(..) => {}
            }
        }
        self.rng.shuffle(&mut possible);
        let did = possible.into_iter().any(|(at, step)| self.run(at, step));
        self.hand_over_the_token();
        did
    }

    fn run(&mut self, at: usize, step: Step) -> bool {
        self.step += 1;
        let worker = &mut self.workers[at];
        match step {
            Step::Send => return worker.send(),
            Step::Run => {
                let Some(verb) = worker.advance() else {
                    return false;
                };
                let said = format!(
                    "{} calls: ends {}, claims {}, suspects {}, names {}, traits {}, heard {}",
                    worker.name,
                    verb.settle.len(),
                    verb.claim,
                    verb.suspects.at_most,
                    verb.handlers.is_some(),
                    verb.traits,
                    verb.heard % 1_000_000,
                );
                let Answer::Advanced(advanced) = self.subject.call(&verb) else {
                    return false;
                };
                let ids: Vec<_> = advanced.claimed.iter().map(|job| job.id.as_str()).collect();
                let said = format!(
                    "{said}: {ids:?} more {} held {} at {:?} suspects {} news {}",
                    advanced.more,
                    advanced.held,
                    advanced.next_at_ms.map(|at_ms| at_ms - START_US / 1_000),
                    advanced.suspects,
                    advanced.unhandled % 1_000_000,
                );
                worker.answered(advanced);
                self.note(&said);
            }
            Step::Absorb => worker.absorb(self.now_ms),
            Step::Wait => worker.wait = Wait::Sent,
            Step::Block => worker.block(self.step, self.now_ms),
            Step::Wake => {
                let said = format!("{} was woken: {:?}", worker.name, worker.wait);
                worker.wake(self.now_ms);
                self.note(&said);
            }
        }
        true
    }

    /// Redis gives it to the worker that has waited longest.
    fn hand_over_the_token(&mut self) {
        let blocked = |worker: &Worker| match worker.wait {
            Wait::Blocked(since, _) => Some(since),
            _ => None,
        };
        let waiting = self.workers.iter_mut();
        let longest = waiting.filter(|worker| blocked(worker).is_some());
        let Some(worker) = longest.min_by_key(|worker| blocked(worker)) else {
            return;
        };
        if let Some(token) = self.subject.pop_token() {
            worker.wait = Wait::Over(Some(token as u64));
        }
    }

    /// Until no worker does anything by itself.
    fn calm(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_AT_ONCE {
            if !self.one_step() {
                self.workers.retain(|worker| !worker.stops);
                return Ok(());
            }
        }
        Err("the workers wake each other in a circle".to_owned())
    }

    fn pass(&mut self, ms: u64) -> Result<(), String> {
        let until_ms = self.now_ms + ms;
        self.calm()?;
        loop {
            let next = self.workers.iter().filter_map(Worker::next_ms).min();
            let next_ms = next.unwrap_or(u64::MAX).max(self.now_ms);
            if next_ms > until_ms {
                break;
            }
            self.set_clock(next_ms);
            let now_ms = self.now_ms;
            for worker in &mut self.workers {
                worker.fire(now_ms);
            }
            self.calm()?;
        }
        self.set_clock(until_ms);
        match ms < SOON_MS {
            true => Ok(()),
            false => self.nobody_waits_in_vain(),
        }
    }

    fn set_clock(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.subject.set_clock(now_ms * 1_000);
        // Living workers keep their leases.
        let running = self.workers.iter().flat_map(|worker| &worker.running);
        let running = running.filter(|running| !running.is_lost);
        let leases: Vec<(JobId, Receipt)> = running
            .map(|running| (running.id.clone(), running.receipt.clone()))
            .collect();
        if !leases.is_empty() {
            let (leases, lease_ms) = (&leases[..], LEASE_MS);
            self.subject.call(&Extend { leases, lease_ms });
        }
    }

    fn verb<V: Apply>(&mut self, verb: &V) -> V::Answer {
        let answer = self.subject.call(verb);
        self.hand_over_the_token();
        answer
    }

    /// Something comes from outside.
    fn outside(&mut self) -> Result<(), String> {
        match self.rng.u8(..20) {
            0..=5 => self.enqueue(),
            6..=10 => self.end_a_job(),
            11..=13 => {
                let ms = *self
                    .rng
                    .choice([1, 40, 100, 300, 1_100].iter())
                    .unwrap_or(&1);
                self.note(&format!("{ms} ms pass"));
                self.pass(ms)?;
            }
            14 | 15 if self.has(Feature::Limits) => self.limit(),
            16 if self.has(Feature::Pauses) => {
                let pauses = self.rng.bool();
                if pauses {
                    self.verb(&Pause);
                } else {
                    self.verb(&Resume);
                }
                self.note(if pauses { "pause" } else { "resume" });
            }
            17 if self.has(Feature::PausedNames) => {
                let (at, pause) = (self.rng.usize(..NAMES.len()), self.rng.bool());
                let (name, most) = (NAMES[at], 4);
                self.note(&format!("jobs of {name}: pause {pause}"));
                self.verb(&PauseName { name, pause, most });
            }
            17 | 18 if self.has(Feature::Leases) => self.lose_a_lease()?,
            18 if self.has(Feature::Deaths) => self.kill()?,
            19 if self.has(Feature::Stops) => {
                let at = self.rng.usize(..self.workers.len());
                if !self.workers[at].stops {
                    self.note(&format!("{} stops", self.workers[at].name));
                    self.workers[at].stop();
                    self.hire();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn enqueue(&mut self) {
        let n = self.rng.usize(1..4);
        let jobs: Vec<NewJob> = (0..n).map(|_| self.new_job()).collect();
        let ids: Vec<_> = jobs.iter().map(|job| job.id.as_str()).collect();
        self.note(&format!("enqueue {ids:?}"));
        self.calls += 1;
        let call = self.calls;
        self.verb(&Enqueue {
            lane: "producer",
            call,
            jobs: &jobs.iter().collect::<Vec<_>>(),
            novelty: Novelty::New,
        });
    }

    fn new_job(&mut self) -> NewJob {
        self.jobs += 1;
        let name = NAMES[self.rng.usize(..NAMES.len())];
        let mut options = JobOptions::new();
        let mut id = format!("{name}-{}", self.jobs);
        if self.has(Feature::Groups) && self.rng.bool() {
            options = options.group(["g", "h"][self.rng.usize(..2)]);
            id.push_str("-group");
        }
        if self.has(Feature::Weights) && self.rng.u8(..3) == 0 {
            options = options.weight(3);
            id.push_str("-heavy");
        }
        let mut due = Due::Now;
        if self.has(Feature::Delays) && self.rng.u8(..3) == 0 {
            due = Due::After {
                ms: self.rng.u64(1..500),
            };
            id.push_str("-later");
        }
        let priority = (self.rng.u8(..4) == 0).then(|| self.rng.u16(..1_000));
        NewJob {
            record: EncodedRecord::new(name, vec![0xc0], &options, Vec::new()),
            due,
            priority,
            ..job(&id)
        }
    }

    fn end_a_job(&mut self) {
        let after = Duration::from_millis(self.rng.u64(100..600));
        let outcome = match self.rng.u8(..10) {
            0 => Outcome::Retry {
                after,
                entry: AttemptEntry::new(AttemptKind::Error, String::new()),
            },
            1 => Outcome::Released,
            2 | 3 if self.has(Feature::Holds) => Outcome::RateLimited { after },
            _ => completed(),
        };
        let at = self.rng.usize(..self.workers.len());
        let worker = &mut self.workers[at];
        if !worker.running.is_empty() {
            let position = self.rng.usize(..worker.running.len());
            let said = format!(
                "{} ends {}: {}",
                worker.name,
                worker.running[position].id,
                outcome.as_str()
            );
            worker.end(position, outcome);
            self.note(&said);
        }
    }

    fn limit(&mut self) {
        let period = Duration::from_millis([100, 300, 1_000][self.rng.usize(..3)]);
        let starts = self.rng.u32(1..4);
        let rate = match self.rng.u8(..3) {
            0 => None,
            1 => Some(Rate::burst(starts, period)),
            _ => Some(Rate::smooth(starts, period)),
        };
        let concurrency = (self.rng.u8(..3) == 0).then(|| self.rng.u32(1..4));
        let limits = QueueSettings::new().rate(rate).concurrency(concurrency);
        self.note(&format!("{rate:?} {concurrency:?}"));
        let (by, said) = (By::Operator, &limits.values());
        self.verb(&Configure { by, said });
    }

    /// A worker dies, whatever it was doing; its jobs are taken back when their leases are over.
    fn kill(&mut self) -> Result<(), String> {
        let at = self.rng.usize(..self.workers.len());
        let dead = self.workers.swap_remove(at);
        self.note(&format!("{} dies", dead.name));
        self.died_ms = Some(self.now_ms);
        self.hire();
        self.take_back()
    }

    /// A lease is not renewed, and its worker notices it late.
    fn lose_a_lease(&mut self) -> Result<(), String> {
        let at = self.rng.usize(..self.workers.len());
        let Some(running) = self.workers[at].running.first_mut() else {
            return Ok(());
        };
        running.is_lost = true;
        let said = format!("the lease of {} is lost", running.id);
        self.note(&said);
        self.take_back()?;
        for worker in &mut self.workers {
            let lost = worker.running.iter().position(|running| running.is_lost);
            if let Some(position) = lost {
                worker.end(position, Outcome::LeaseLost);
            }
        }
        Ok(())
    }

    /// Jobs whose leases are not renewed are taken back.
    fn take_back(&mut self) -> Result<(), String> {
        self.pass(LEASE_MS + 1)?;
        self.note("jobs are taken back");
        self.verb(&Recover {
            expected_ms: self.now_ms,
            tolerance_ms: 0,
            limit: 100,
            lease_ms: LEASE_MS,
            gap_ms: u64::MAX >> 12,
            quiet_ms: 0,
            doubt: Doubt::None,
        });
        Ok(())
    }
}
