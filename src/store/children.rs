//! Reads what a job knows of its children.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("children");

/// Asks for up to 256 of them.
#[derive(Serialize)]
pub(crate) struct Children<'a> {
    pub(crate) id: &'a str,
    /// The number of the first.
    pub(crate) from: u32,
    /// No further one is read when so many bytes were.
    pub(crate) max_bytes: usize,
}

/// A page of what a job knows of its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// How many children the job has; 0 if it has none, or is not there.
    pub(crate) total: u64,
    /// How many of them have not ended.
    pub(crate) open: u64,
    /// The number at which the next page begins.
    pub(crate) next: u64,
    /// Each with its number, as it is stored. One of which nothing is known is left out.
    pub(crate) children: Vec<(u64, Vec<u8>)>,
}

impl Verb for Children<'_> {
    type Answer = Known;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Known, Trouble> {
        if reply.tag() != "children" {
            return reply.unexpected_tag();
        }
        let (total, open, next) = (reply.number()?, reply.number()?, reply.number()?);
        let children = reply.number()?;
        let child = |_| Ok((reply.number()?, reply.bytes()?));
        Ok(Known {
            total,
            open,
            next,
            children: (0..children).map(child).collect::<Result<_, Trouble>>()?,
        })
    }
}
