//! Gives a job the value that it waits for.

use redis::Cmd;
use serde::Serialize;

use crate::id::JobId;
use crate::policy::steps::encode_name;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("signal" in full);

pub(crate) struct Signal<'a> {
    pub(crate) id: &'a JobId,
    /// The name of the step that waits.
    pub(crate) name: &'a str,
    pub(crate) value: &'a [u8],
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Signalled {
    Yes,
    /// It has a value, which stays.
    Already,
    /// No step of that name waits.
    NotWaiting,
    /// The job has ended, in this state.
    Ended(String),
    Missing,
}

#[derive(Serialize)]
struct Arguments<'a> {
    id: &'a str,
    name: String,
}

impl Verb for Signal<'_> {
    type Answer = Signalled;

    /// The second time it answers that there is a value already.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let names = Arguments {
            id: self.id.as_str(),
            name: encode_name(self.name),
        };
        named(arguments, &names);
        arguments.arg(self.value);
    }

    fn answer(mut reply: Reply) -> Result<Signalled, Trouble> {
        match reply.tag() {
            "signalled" => Ok(Signalled::Yes),
            "already" => Ok(Signalled::Already),
            "not_waiting" => Ok(Signalled::NotWaiting),
            "ended" => Ok(Signalled::Ended(reply.text()?)),
            "missing" => Ok(Signalled::Missing),
            _ => reply.unexpected_tag(),
        }
    }
}
