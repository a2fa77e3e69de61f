//! The topics to which the queue is subscribed, and who feeds it from them.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("subscribed");

/// A worker's hold that seems to last longer was noted before the clock was set back.
#[allow(
    dead_code,
    reason = "only queues in memory ask for it, and these are a feature"
)]
pub(crate) const HOLD_MAX_MS: u64 = 60_000;

#[derive(Serialize)]
pub(crate) struct Subscribed<'a> {
    /// The worker that wants to feed the queue; none: it only looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worker: Option<&'a str>,
    /// For so long from now; 0: it stops.
    pub(crate) hold_ms: u64,
    /// From these topics it does not want to.
    pub(crate) without: &'a [String],
    /// So many it takes that it has not fed from until now.
    pub(crate) most: usize,
}

impl Subscribed<'_> {
    /// Only looks.
    pub(crate) const LOOK: Self = Self {
        worker: None,
        hold_ms: 0,
        without: &[],
        most: 0,
    };
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct To {
    pub(crate) topic: String,
    /// Number and name of the subscription there.
    pub(crate) since: u64,
    pub(crate) name: String,
    /// Up to where the queue was fed.
    pub(crate) position: Option<u64>,
    /// This worker feeds the queue from there.
    pub(crate) is_held: bool,
    /// For how long another one does, as far as it has said so.
    pub(crate) others_ms: u64,
}

impl Verb for Subscribed<'_> {
    type Answer = Vec<To>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Vec<To>, Trouble> {
        if reply.tag() != "subscribed" {
            return reply.unexpected_tag();
        }
        let mut all = Vec::new();
        while !reply.is_over() {
            all.push(To {
                topic: reply.text()?,
                since: reply.number()?,
                name: reply.text()?,
                position: reply.optional_number()?,
                is_held: reply.number()? > 0,
                others_ms: reply.number()?,
            });
        }
        Ok(all)
    }
}
