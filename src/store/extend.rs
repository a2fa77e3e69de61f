//! Renews leases.

use redis::Cmd;
use serde::Serialize;

use crate::id::{JobId, Receipt, Runs};
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("extend");

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) leases in one call.
pub(crate) struct Extend<'a> {
    pub(crate) leases: &'a [(JobId, Receipt)],
    pub(crate) lease_ms: u64,
}

#[derive(Serialize)]
struct Arguments<'a> {
    lease_ms: u64,
    receipts: Runs<'a>,
}

impl Verb for Extend<'_> {
    /// The positions of the leases that are lost.
    type Answer = Vec<usize>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let receipts = Receipt::runs(self.leases.iter().map(|(_, receipt)| receipt));
        let lease_ms = self.lease_ms;
        named(arguments, &Arguments { lease_ms, receipts });
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
