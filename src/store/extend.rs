//! Renews leases.

use redis::Cmd;
use serde::Serialize;

use crate::id::{Fence, JobId};
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!(
    "extend",
    always,
    ["now", "arguments", "whole", "meta", "lease"]
);

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) leases in one call.
pub(crate) struct Extend<'a> {
    pub(crate) leases: &'a [(JobId, Fence)],
    pub(crate) lease_ms: u64,
}

#[derive(Serialize)]
struct Arguments {
    lease_ms: u64,
    fences: Vec<u64>,
}

impl Verb for Extend<'_> {
    /// The positions of the leases that are lost.
    type Answer = Vec<usize>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let fences = self.leases.iter().map(|(_, fence)| fence.get()).collect();
        let lease_ms = self.lease_ms;
        named(arguments, &Arguments { lease_ms, fences });
        for (id, _) in self.leases {
            arguments.arg(id.as_str());
        }
    }

    fn answer(mut reply: Reply) -> Result<Vec<usize>, Trouble> {
        match reply.tag() {
            "extended" => reply.positions(),
            _ => reply.unexpected_tag(),
        }
    }
}
