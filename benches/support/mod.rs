//! What the benches share: a private Redis, a runtime, a job that costs nothing to run.
#![allow(
    dead_code,
    reason = "every bench compiles this module and uses its own part of it"
)]

pub(crate) mod backlog;
#[path = "../../tests/support/mod.rs"]
mod private;

use std::time::Duration;

use oxcart::{Job, Oxcart, Queue};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

/// About as many bytes as jobs usually have.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Nothing {
    text: String,
}

impl Nothing {
    pub(crate) fn new() -> Self {
        Self {
            text: "x".repeat(100),
        }
    }
}

impl Job for Nothing {
    const NAME: &'static str = "nothing";
    type Output = ();
}

/// A Redis that keeps nothing on disk, reached over loopback TCP, and one queue in it.
pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    pub(crate) oxcart: Oxcart,
    pub(crate) queue: Queue,
    server: private::Server,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let server = private::Server::start();
        let runtime = Runtime::new().expect("a runtime can be made");
        let oxcart = runtime.block_on(Oxcart::connect(&server.url()));
        let oxcart = oxcart.expect("the server answers");
        Self {
            queue: oxcart.queue("bench").expect("the name is valid"),
            oxcart,
            runtime,
            server,
        }
    }

    /// How many calls of scripts Redis has run so far, and the CPU time it took for them.
    pub(crate) fn scripts(&self) -> (u64, Duration) {
        let stats: String = self.server.ask(&["INFO", "commandstats"]);
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_evalsha:"));
        let field = |name: &str| -> u64 {
            let fields = line.unwrap_or_default().split(',');
            let value = fields.filter_map(|field| field.split_once('='));
            let found = value.into_iter().find(|(known, _)| *known == name);
            found.map_or(0, |(_, value)| {
                value.parse().expect("Redis counts in digits")
            })
        };
        (field("calls"), Duration::from_micros(field("usec")))
    }

    /// Empties Redis, so that what one sample left does not burden the next.
    pub(crate) fn empty(&self) {
        self.server.cli(&["FLUSHALL"]);
    }
}
