//! The verbs, one by one and in every state, in both implementations: conformance; and the two
//! against each other, in long random sequences.

mod adopt;
mod alerts;
mod audit;
mod bad_input;
mod breaker;
mod cancel;
mod due;
mod dump;
mod edit;
mod edit_gates;
mod expiry;
mod feed;
mod flows;
mod formats;
mod fragments;
mod gates;
mod group_pace;
mod idle;
mod import;
mod inputs;
mod limits;
mod log;
mod matrix;
mod mutants;
mod oldest;
mod once;
mod orphans;
mod outbox;
mod owner;
mod pages;
mod pause_name;
mod random;
mod register;
mod removal;
mod remove_dead;
mod replies;
mod report;
mod saga;
mod schedules;
mod scripts;
mod settings;
mod snooze;
mod spawn;
mod steps;
mod subject;
mod successors;
mod topic;
mod turns;
mod unique;
mod unlike;
mod upkeep;

use std::time::Duration;

use crate::id::{Fence, JobId, Receipt};
use crate::job::options::JobOptions;
use crate::job::outcome::{Outcome, Output};
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::job::traits::EndTraits;
use crate::memory::Apply;
use crate::policy::retention::Retention;
use crate::policy::settings::QueueSettings;
use crate::redis::keys::{OF_JOBS, PLACES};
use crate::store::BATCH_BYTES;
use crate::store::advance::{Advance, Advanced, Answer, Claimed, Settlement, Suspects};
use crate::store::configure::{By, Configure, Configured};
use crate::store::counts::Counts;
use crate::store::enqueue::{Due, Enqueue, Enqueued, NewJob, Novelty, There};
use crate::store::get::Get;
use subject::{InMemory, InRedis, START_US, Subject};

/// The server of the integration tests.
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the integration tests use more of it"
)]
#[path = "../../../tests/support"]
mod support {
    mod certificates;
    mod front;
    mod port;
    mod process;
    pub(super) mod road;
    mod server;

    pub(super) use server::Server;
}

/// Each of these functions as two tests: one in Redis, one in memory.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            use super::Rig;

            #[test]
            fn in_redis() {
                super::$test(Rig::in_redis());
            }

            #[test]
            fn in_memory() {
                super::$test(Rig::in_memory());
            }
        }
    )*};
}
use on_both;

/// One queue, driven verb by verb, with a clock that stands still between them.
struct Rig {
    subject: Subject,
    now_us: u64,
    lane: &'static str,
    call: u64,
    lease_ms: u64,
    /// Calls of `advance` ask for jobs with traits.
    traits: bool,
    /// Of a job that runs before another one.
    before: Option<Receipt>,
}

impl Rig {
    fn in_redis() -> Self {
        Self::new(Subject::Redis(Box::new(InRedis::start(None))))
    }

    fn in_memory() -> Self {
        Self::new(Subject::Memory(InMemory::new()))
    }

    fn new(subject: Subject) -> Self {
        Self {
            subject,
            now_us: START_US,
            lane: "lane",
            call: 0,
            lease_ms: 60_000,
            traits: false,
            before: None,
        }
    }

    /// Lets time pass.
    fn wait(&mut self, time: Duration) {
        self.now_us += time.as_micros() as u64;
        self.subject.set_clock(self.now_us);
    }

    fn clear(&mut self) {
        self.subject.clear();
        self.now_us = START_US;
    }

    fn call<V: Apply>(&mut self, verb: &V) -> V::Answer {
        self.subject.call(verb)
    }

    /// An operator changes settings of the queue.
    fn set(&mut self, settings: QueueSettings) {
        let said = &settings.values();
        let by = By::Operator;
        let configured = self.call(&Configure { by, said });
        assert!(matches!(configured, Configured::Done { .. }));
    }

    fn keep_nothing(&mut self) {
        self.set(QueueSettings::new().keep_completed(Retention::Nothing));
    }

    fn total(&mut self, name: &str) -> u64 {
        self.call(&Counts).total(name)
    }

    /// Adds jobs and gives the positions of those that were there.
    fn enqueue(&mut self, jobs: &[NewJob]) -> Vec<usize> {
        self.call += 1;
        let there = self.enqueue_as(self.call, jobs);
        there.expect("superseded")
    }

    /// The same under a number of one's own; none if a later one has passed it.
    fn enqueue_as(&mut self, call: u64, jobs: &[NewJob]) -> Option<Vec<usize>> {
        let jobs: Vec<&NewJob> = jobs.iter().collect();
        let answer = self.call(&Enqueue {
            lane: self.lane,
            call,
            jobs: &jobs,
            novelty: Novelty::Unsure,
        });
        there(answer)
    }

    fn advance(&mut self, settle: &[Settlement], claim: usize) -> Advanced {
        self.call += 1;
        self.advance_as(self.call, settle, claim, true)
    }

    fn advance_as(
        &mut self,
        call: u64,
        settle: &[Settlement],
        claim: usize,
        suspect: bool,
    ) -> Advanced {
        let mut settle = settle.to_vec();
        Advance::sort(&mut settle);
        let verb = Advance {
            lane: self.lane,
            call,
            worker: "worker",
            settle: &settle,
            claim,
            claim_bytes: BATCH_BYTES,
            suspects: Suspects {
                at_most: usize::from(suspect),
                alone: true,
            },
            lease_ms: self.lease_ms,
            hold: true,
            handlers: None,
            heard: 0,
            again: false,
            traits: self.traits,
            ask: false,
        };
        match self.call(&verb) {
            Answer::Advanced(advanced) => advanced,
            other => panic!("{other:?}"),
        }
    }

    fn claim_one(&mut self) -> Option<Claimed> {
        self.advance(&[], 1).claimed.pop()
    }

    /// Ends an attempt; whether that was accepted.
    fn settle(&mut self, id: &JobId, receipt: &Receipt, outcome: Outcome) -> bool {
        let settlement = settlement(id, receipt, outcome);
        self.advance(&[settlement], 0).refused.is_empty()
    }

    fn state(&mut self, id: &JobId) -> Option<State> {
        let found = self.call(&Get { id: id.as_str() });
        found.map(|found| State::parse(&found.state).expect("a known state"))
    }

    fn size(&mut self, part: &str) -> usize {
        self.subject.dump().len(part)
    }

    /// A job is in exactly one collection or none, and nothing is kept of a job that is gone.
    fn check_whole(&mut self, id: &JobId) {
        let dump = self.subject.dump();
        let fields = |part: &str| dump.get(part, id.as_str()).is_some();
        let mut places = PLACES.to_vec();
        places.retain(|part| fields(part));
        assert!(places.len() <= 1, "{id} is in {places:?}");
        let active = places == ["active"];
        assert_eq!(fields("claims"), active, "claim of {id} in {places:?}");
        assert_eq!(fields("jobs"), !places.is_empty(), "record of {id}");
        if places.is_empty() {
            for part in OF_JOBS {
                assert!(!fields(part), "{part} still holds {id}");
            }
        }
    }
}

/// The positions of those that were there; none if the call came too late.
fn there(answer: Enqueued) -> Option<Vec<usize>> {
    match answer {
        Enqueued::Added { there, .. } => Some(positions(&there)),
        Enqueued::Superseded => None,
        Enqueued::Asked => panic!("a question has its number"),
    }
}

fn positions(there: &[There]) -> Vec<usize> {
    there.iter().map(|there| there.position).collect()
}

fn job(id: &str) -> NewJob {
    let payload = vec![0xc0];
    NewJob {
        id: JobId::new(id).unwrap(),
        record: EncodedRecord::new("test", payload, &JobOptions::new(), Vec::new()),
        due: Due::Now,
        priority: None,
        front: false,
        await_ms: None,
        callbacks: None,
    }
}

/// A job with these options.
fn with(id: &str, options: &JobOptions) -> NewJob {
    NewJob {
        record: EncodedRecord::new("test", vec![0xc0], options, Vec::new()),
        priority: options.priority,
        ..job(id)
    }
}

fn settlement(id: &JobId, receipt: &Receipt, outcome: Outcome) -> Settlement {
    Settlement {
        id: id.clone(),
        fence: Fence(1),
        receipt: receipt.clone(),
        keep: None,
        is_requested: false,
        outcome,
        traits: EndTraits::None,
    }
}

fn completed() -> Outcome {
    Outcome::Completed(Output::new(vec![0xc0]))
}
