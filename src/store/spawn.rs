//! Adds children to a job that runs, and stores the step that waits for them.

use redis::Cmd;
use serde::Serialize;

use crate::id::{JobId, Receipt};
use crate::policy::steps::encode_name;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::enqueue::{NewJob, Position, There, append, named_of};
use crate::store::{Verb, named};

static SCRIPT: Script = script!("spawn" in full);

/// All of the jobs are added, or none.
pub(crate) struct Spawn<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) receipt: &'a Receipt,
    /// The number of the step, from 1, and its name.
    pub(crate) number: u32,
    pub(crate) name: &'a str,
    /// The number that the first of its children has, and how many they are.
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// They, and what is below them, each parent before its children.
    pub(crate) jobs: &'a [&'a NewJob],
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Spawned {
    Stored,
    /// There is a step under that number: this is what is stored of it.
    There {
        stored: Vec<u8>,
    },
    /// The first of the children has to have this number.
    Moved {
        first: u32,
    },
    /// One of them cannot be added: what is to be said of each.
    Met(Vec<There>),
    LeaseLost,
}

#[derive(Serialize)]
struct Arguments<'a> {
    id: &'a str,
    receipt: &'a str,
    step: u32,
    name: String,
    first: u32,
    count: u32,
    jobs: usize,
    options: Vec<Position>,
    external: Vec<usize>,
}

impl Verb for Spawn<'_> {
    type Answer = Spawned;

    /// Sent again, it hears that the step is there.
    const ANSWERS_AGAIN: bool = true;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let (options, external) = named_of(self.jobs);
        let names = Arguments {
            id: self.id.as_str(),
            receipt: self.receipt.as_str(),
            step: self.number,
            name: encode_name(self.name),
            first: self.first,
            count: self.count,
            jobs: self.jobs.len(),
            options,
            external,
        };
        named(arguments, &names);
        append(self.jobs, arguments);
    }

    fn answer(mut reply: Reply) -> Result<Spawned, Trouble> {
        match reply.tag() {
            "stored" => Ok(Spawned::Stored),
            "there" => {
                let stored = reply.bytes()?;
                Ok(Spawned::There { stored })
            }
            "moved" => {
                let first = reply.number()?;
                let first = u32::try_from(first).unwrap_or(u32::MAX);
                Ok(Spawned::Moved { first })
            }
            "met" => {
                let met = reply.flat_parsed("what became of a job", There::parse)?;
                Ok(Spawned::Met(met))
            }
            "lost" => Ok(Spawned::LeaseLost),
            _ => reply.unexpected_tag(),
        }
    }
}
