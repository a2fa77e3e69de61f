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

/// What became of the leases, by their positions in the call.
#[derive(Debug, PartialEq)]
pub(crate) struct Extended {
    pub(crate) lost: Vec<usize>,
    /// Of jobs that are to be cancelled, and are still held: what is stored as the outcome.
    pub(crate) requests: Vec<(usize, Vec<u8>)>,
}

impl Verb for Extend<'_> {
    type Answer = Extended;

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

    fn answer(mut reply: Reply) -> Result<Extended, Trouble> {
        match reply.tag() {
            "extended" => Ok(Extended {
                lost: reply.positions()?,
                requests: reply.by_position_if_any()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
