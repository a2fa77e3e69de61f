//! What both benches share: a private Redis, a runtime, a job that costs nothing to run.

#[path = "../../tests/support/mod.rs"]
mod private;

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
            runtime,
            server,
        }
    }

    /// Empties Redis, so that what one sample left does not burden the next.
    pub(crate) fn empty(&self) {
        self.server.cli(&["FLUSHALL"]);
    }
}
