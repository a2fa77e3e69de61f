//! Large payloads in a store: what callers, handlers and operators are promised, at a real Redis, with a store that is as bad as it can be.

#[path = "claim_check/deletion.rs"]
mod deletion;
#[path = "claim_check/elsewhere.rs"]
mod elsewhere;
#[path = "claim_check/enqueueing.rs"]
mod enqueueing;
#[path = "claim_check/folder.rs"]
mod folder;
#[path = "claim_check/handling.rs"]
mod handling;
#[path = "claim_check/killed.rs"]
mod killed;
#[path = "claim_check/objects.rs"]
mod objects;
#[path = "claim_check/orphans.rs"]
mod orphans;
mod support;

use std::time::Duration;

use objects::Objects;
use oxcart::{ClaimCheck, Job, JobId, JobInfo, Oxcart, OxcartBuilder, Queue};
use serde::{Deserialize, Serialize};
use support::Server;

const PATIENCE: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3600);
const OVER: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Scan {
    text: String,
}

impl Job for Scan {
    const NAME: &'static str = "scan";
    const SECRET: &'static [&'static str] = &["text"];
    type Output = usize;
}

/// One whose payload goes to the store.
fn large() -> Scan {
    of_bytes(3 * OVER)
}

fn of_bytes(bytes: usize) -> Scan {
    let text: String = (0..bytes)
        .map(|n| char::from(b'a' + (n % 26) as u8))
        .collect();
    Scan { text }
}

struct Rig {
    server: Server,
    objects: Objects,
    oxcart: Oxcart,
    queue: Queue,
}

impl Rig {
    async fn new() -> Self {
        Self::with(|claim_check| claim_check).await
    }

    async fn with(set: impl Fn(ClaimCheck) -> ClaimCheck) -> Self {
        let server = Server::start();
        let objects = Objects::default();
        let claim_check = set(ClaimCheck::over(OVER, objects.clone()));
        let builder = Oxcart::builder().claim_check(claim_check);
        let oxcart = builder.connect(&server.url()).await.unwrap();
        let queue = oxcart.queue("scans").unwrap();
        Self {
            server,
            objects,
            oxcart,
            queue,
        }
    }

    /// The same queue for a program that has no store.
    async fn without_store(&self) -> Queue {
        let oxcart = Oxcart::connect(&self.server.url()).await.unwrap();
        oxcart.queue("scans").unwrap()
    }

    async fn connect(&self, builder: OxcartBuilder) -> Oxcart {
        builder.connect(&self.server.url()).await.unwrap()
    }

    async fn info(&self, id: &JobId) -> JobInfo {
        self.queue.job(id).await.unwrap().unwrap()
    }

    async fn is_there(&self, id: &JobId) -> bool {
        self.queue.job(id).await.unwrap().is_some()
    }
}
