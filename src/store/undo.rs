//! A saga that runs is to be undone.

use redis::Cmd;
use serde::Serialize;

use crate::codec;
use crate::id::{JobId, Receipt};
use crate::job::outcome::Ending;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("undo");

/// From now on the steps of this saga are undone.
pub(crate) struct Undo<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) receipt: &'a Receipt,
    pub(crate) reason: &'a str,
}

impl Undo<'_> {
    /// What is stored, unless something else was asked for before.
    pub(crate) fn why(&self) -> Vec<u8> {
        codec::encode_plain(&Ending::Cancelled(self.reason.to_owned()))
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Undoing {
    /// Why, as it is stored for a cancelled job: this reason, or what was asked for before.
    Because(Vec<u8>),
    LeaseLost,
}

#[derive(Serialize)]
struct Arguments<'a> {
    id: &'a str,
    receipt: &'a str,
}

impl Verb for Undo<'_> {
    type Answer = Undoing;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let id = self.id.as_str();
        let receipt = self.receipt.as_str();
        named(arguments, &Arguments { id, receipt });
        arguments.arg(self.why());
    }

    fn answer(mut reply: Reply) -> Result<Undoing, Trouble> {
        match reply.tag() {
            "undoing" => Ok(Undoing::Because(reply.bytes()?)),
            "lost" => Ok(Undoing::LeaseLost),
            _ => reply.unexpected_tag(),
        }
    }
}
