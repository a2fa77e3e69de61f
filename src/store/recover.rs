//! Takes back jobs whose lease ran out.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("recover" in full);

/// One bounded round of recovery.
#[derive(Serialize)]
pub(crate) struct Recover {
    /// What the server's clock shows, as far as the caller knows; 0 if it does not.
    pub(crate) expected_ms: u64,
    /// By how much `expected_ms` may be wrong; and for how long a lease must have been over.
    pub(crate) tolerance_ms: u64,
    pub(crate) limit: usize,
    /// The caller's own leases.
    pub(crate) lease_ms: u64,
    /// If no worker has looked for longer, a quiet period begins.
    pub(crate) gap_ms: u64,
    /// How long a quiet period is: living workers renew their leases, and no worker judges leases.
    pub(crate) quiet_ms: u64,
    /// What the caller saw since it last looked.
    pub(crate) doubt: Doubt,
}

/// Why leases may have run out although no worker died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doubt {
    None,
    /// Redis could not be reached, or did not let leases be renewed.
    Away,
    /// The server's clock jumped.
    Jumped,
}

/// What workers of the queue have to carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ToCarry {
    /// Messages for other queues wait.
    pub(crate) messages: bool,
    /// The queue is subscribed to topics.
    pub(crate) events: bool,
}

impl ToCarry {
    fn of(answered: u64) -> Self {
        Self {
            messages: answered & 1 > 0,
            events: answered & 2 > 0,
        }
    }
}

#[derive(Debug, PartialEq)]
pub(crate) enum Recovered {
    Done {
        now_ms: u64,
        stalled: Vec<String>,
        dead: Vec<String>,
        /// That was asked for while they ran.
        cancelled: Vec<String>,
        to_carry: ToCarry,
    },
    /// No lease was judged, and no worker judges any before `from_ms`. `pulled` leases ended later than
    /// they can have been set, and were shortened.
    Unsure {
        now_ms: u64,
        from_ms: u64,
        pulled: usize,
        to_carry: ToCarry,
    },
}

impl Verb for Recover {
    type Answer = Recovered;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Recovered, Trouble> {
        let now_ms = reply.now_ms();
        match reply.tag() {
            "recovered" => Ok(Recovered::Done {
                now_ms,
                stalled: reply.texts()?,
                dead: reply.texts()?,
                cancelled: reply.texts()?,
                to_carry: ToCarry::of(reply.number()?),
            }),
            "unsure" => Ok(Recovered::Unsure {
                now_ms,
                from_ms: reply.number()?,
                pulled: usize::try_from(reply.number()?).unwrap_or(usize::MAX),
                to_carry: ToCarry::of(reply.number()?),
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
