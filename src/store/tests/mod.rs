//! The verbs against a real Redis, one by one and in every state.

mod matrix;
mod once;
mod scripts;

use std::time::Duration;

use redis::Value;

use crate::id::{Fence, JobId, Receipt};
use crate::job::options::JobOptions;
use crate::job::outcome::Outcome;
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::name::{Namespace, QueueName};
use crate::policy::retention::Retention;
use crate::redis::connection::{Connector, Link};
use crate::redis::keys::PARTS;
use crate::store::advance::{Advance, Advanced, Answer, Claimed, Settlement};
use crate::store::enqueue::{Due, Enqueue, Enqueued, NewJob};
use crate::store::get::Get;
use crate::store::{BATCH_BYTES, Store, Verb};

/// The server of the integration tests.
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the integration tests use more of it"
)]
#[path = "../../../tests/support"]
mod support {
    mod port;
    mod process;
    mod server;

    pub(super) use server::Server;
}

/// One queue on a server of its own, driven verb by verb.
struct Rig {
    store: Store,
    link: Link,
    lane: &'static str,
    call: u64,
    lease_ms: u64,
    keep: Retention,
    server: support::Server,
}

impl Rig {
    fn new() -> Self {
        let server = support::Server::start();
        let connector = Connector::from_url(&server.url()).unwrap();
        let namespace = Namespace::new("test").unwrap();
        let queue = QueueName::new("rig").unwrap();
        Self {
            store: Store::new(&namespace, &queue),
            link: Link::new(connector, Duration::from_secs(5)),
            lane: "lane",
            call: 0,
            lease_ms: 60_000,
            keep: Retention::For(Duration::from_secs(60)),
            server,
        }
    }

    async fn call<V: Verb>(&mut self, verb: &V) -> V::Answer {
        match self.store.call(&mut self.link, verb).await {
            Ok(answer) => answer,
            Err(trouble) => panic!("{}: {trouble}", V::script().name),
        }
    }

    /// Adds jobs and gives the positions of those that were there.
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Vec<usize> {
        self.call += 1;
        let (lane, call) = (self.lane, self.call);
        let jobs: Vec<&NewJob> = jobs.iter().collect();
        let jobs = &jobs[..];
        match self.call(&Enqueue { lane, call, jobs }).await {
            Enqueued::Added { there } => there,
            Enqueued::Superseded => panic!("superseded"),
        }
    }

    async fn advance(&mut self, settle: &[Settlement], claim: usize) -> Advanced {
        self.call += 1;
        self.advance_as(self.call, settle, claim, true).await
    }

    async fn advance_as(
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
            keep: self.keep,
            keep_count: 1_000,
            claim,
            claim_bytes: BATCH_BYTES,
            suspect,
            lease_ms: self.lease_ms,
            hold: true,
        };
        match self.call(&verb).await {
            Answer::Advanced(advanced) => advanced,
            Answer::Superseded => panic!("superseded"),
        }
    }

    async fn claim_one(&mut self) -> Option<Claimed> {
        self.advance(&[], 1).await.claimed.pop()
    }

    /// Ends an attempt; whether that was accepted.
    async fn settle(&mut self, id: &JobId, receipt: &Receipt, outcome: Outcome) -> bool {
        let settlement = settlement(id, receipt, outcome);
        self.advance(&[settlement], 0).await.refused.is_empty()
    }

    async fn state(&mut self, id: &JobId) -> Option<State> {
        let found = self.call(&Get { id: id.as_str() }).await;
        found.map(|found| State::parse(&found.state).expect("a known state"))
    }

    fn key(&self, part: &str) -> &str {
        let position = PARTS.iter().position(|p| *p == part).unwrap();
        &self.store.keys.all()[position]
    }

    fn size(&self, part: &str) -> i64 {
        let key = self.key(part);
        let kind: String = self.server.ask(&["TYPE", key]);
        match kind.as_str() {
            "hash" => self.server.ask(&["HLEN", key]),
            "zset" => self.server.ask(&["ZCARD", key]),
            "stream" => self.server.ask(&["XLEN", key]),
            _ => 0,
        }
    }

    /// A job is in exactly one collection or none, and nothing is kept of a job that is gone.
    fn check_whole(&self, id: &JobId) {
        let collections = [
            "waiting",
            "suspects",
            "delayed",
            "active",
            "completed",
            "answers",
            "dead",
        ];
        let places: Vec<_> = collections
            .into_iter()
            .filter(|part| {
                let score = self.server.cli(&["ZSCORE", self.key(part), id.as_str()]);
                score != Value::Nil
            })
            .collect();
        assert!(places.len() <= 1, "{id} is in {places:?}");
        let fields = |part: &str| -> bool {
            let kind: i64 = self.server.ask(&["HEXISTS", self.key(part), id.as_str()]);
            kind == 1
        };
        let active = places == ["active"];
        assert_eq!(fields("claims"), active, "claim of {id} in {places:?}");
        assert_eq!(fields("jobs"), !places.is_empty(), "record of {id}");
        if places.is_empty() {
            for part in [
                "payloads", "attempts", "places", "stalls", "results", "progress",
            ] {
                assert!(!fields(part), "{part} still holds {id}");
            }
        }
    }
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
    }
}

fn settlement(id: &JobId, receipt: &Receipt, outcome: Outcome) -> Settlement {
    Settlement {
        id: id.clone(),
        fence: Fence(1),
        receipt: receipt.clone(),
        keep: None,
        outcome,
    }
}

fn completed() -> Outcome {
    Outcome::Completed(vec![0xc0])
}
