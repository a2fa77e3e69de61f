//! Asks a breaker whether a call may go.

use redis::Cmd;
use serde::Serialize;

use crate::policy::breaker::{BreakerState, Rules};
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("permit");

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Permit {
    #[serde(flatten)]
    pub(crate) rules: Rules,
    /// So many calls ended well since the last time.
    pub(crate) succeeded: u64,
    /// The number that the call has if it goes as a probe; no other call has it.
    pub(crate) probe: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permitted {
    pub(crate) may: May,
    /// The state to which this call has changed the breaker.
    pub(crate) changed: Option<BreakerState>,
    /// It was not there, or was deleted.
    pub(crate) is_first: bool,
    /// Why it is open, or was the last time.
    pub(crate) why: String,
}

/// Whether the call may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// And so may those of the next second.
    Closed,
    /// This one.
    Pass,
    /// As a probe.
    Probe,
    /// No; it may ask again after so many ms.
    Wait(u64),
}

/// The state to which a call has changed the breaker, as it is answered.
pub(super) fn changed(text: &str) -> Option<BreakerState> {
    BreakerState::parse(text)
}

impl Verb for Permit {
    type Answer = Permitted;

    /// A probe that was granted twice is forgotten after its time, but nobody may go twice.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Permitted, Trouble> {
        let wait_ms = reply.number()?;
        let may = match reply.tag() {
            "closed" => May::Closed,
            "passes" => May::Pass,
            "probe" => May::Probe,
            "open" => May::Wait(wait_ms),
            _ => return reply.unexpected_tag(),
        };
        Ok(Permitted {
            may,
            changed: changed(&reply.text()?),
            is_first: reply.number()? == 1,
            why: reply.text()?,
        })
    }
}
