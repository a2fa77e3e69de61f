//! Stores how far a running job is.

use redis::Cmd;
use serde::Serialize;

use crate::id::{JobId, Receipt};
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("progress");

/// How far one job is.
pub(crate) struct Progress<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) receipt: &'a Receipt,
    pub(crate) value: &'a [u8],
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Yes,
    LeaseLost,
}

#[derive(Serialize)]
struct Arguments<'a> {
    id: &'a str,
    receipt: &'a str,
}

impl Verb for Progress<'_> {
    type Answer = Stored;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let id = self.id.as_str();
        let receipt = self.receipt.as_str();
        named(arguments, &Arguments { id, receipt });
        arguments.arg(self.value);
    }

    fn answer(reply: Reply) -> Result<Stored, Trouble> {
        match reply.tag() {
            "stored" => Ok(Stored::Yes),
            "lost" => Ok(Stored::LeaseLost),
            _ => reply.unexpected_tag(),
        }
    }
}
