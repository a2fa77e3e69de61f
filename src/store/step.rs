//! Stores a durable step of a job that runs, or its checkpoint.

use redis::Cmd;
use serde::Serialize;

use crate::id::{JobId, Receipt};
use crate::policy::steps::{StepKind, encode_name};
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("step");

/// Something that a later attempt is to find.
pub(crate) struct Step<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) receipt: &'a Receipt,
    pub(crate) what: What<'a>,
    /// The output of the step, or the checkpoint.
    pub(crate) value: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What<'a> {
    /// It replaces the last one.
    Checkpoint,
    /// The first one of that number stays.
    Step {
        /// From 1.
        number: u32,
        kind: StepKind,
        name: &'a str,
        /// When it is due; none: never.
        after_ms: Option<u64>,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// At this moment.
    Yes {
        now_ms: u64,
    },
    /// There is one under that number: this is what is stored of it.
    There {
        now_ms: u64,
        stored: Vec<u8>,
    },
    LeaseLost,
}

#[derive(Serialize)]
struct Arguments<'a> {
    id: &'a str,
    receipt: &'a str,
    step: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<u64>,
}

impl Verb for Step<'_> {
    type Answer = Stored;

    /// Sent again, it hears that it is there.
    const ANSWERS_AGAIN: bool = true;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let mut names = Arguments {
            id: self.id.as_str(),
            receipt: self.receipt.as_str(),
            step: 0,
            kind: None,
            name: None,
            after_ms: None,
        };
        if let What::Step {
            number,
            kind,
            name,
            after_ms,
        } = self.what
        {
            names.step = number;
            names.kind = Some(kind.as_str());
            names.name = Some(encode_name(name));
            names.after_ms = after_ms;
        }
        named(arguments, &names);
        arguments.arg(self.value);
    }

    fn answer(mut reply: Reply) -> Result<Stored, Trouble> {
        let now_ms = reply.now_ms();
        match reply.tag() {
            "stored" => Ok(Stored::Yes { now_ms }),
            "there" => {
                let stored = reply.bytes()?;
                Ok(Stored::There { now_ms, stored })
            }
            "lost" => Ok(Stored::LeaseLost),
            _ => reply.unexpected_tag(),
        }
    }
}
