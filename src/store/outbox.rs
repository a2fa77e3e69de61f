//! Reads what waits in the outbox for one target.

pub(crate) mod message;

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("outbox");

/// The first messages for the first target whose name is `from` or behind it.
#[derive(Serialize)]
pub(crate) struct Outbox<'a> {
    pub(crate) from: &'a str,
    /// At most so many messages, and so many bytes; but always one message, unless the limit is 0.
    pub(crate) limit: usize,
    pub(crate) bytes: usize,
}

/// What waits for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) target: String,
    /// How many messages wait for it.
    pub(crate) depth: u64,
    /// The position of the first: no earlier than when it was put there, by the server's clock in µs.
    pub(crate) oldest: u64,
    /// The next target, if there is one.
    pub(crate) next: Option<String>,
    pub(crate) messages: Vec<Numbered>,
}

/// A message in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) position: u64,
    pub(crate) message: Vec<u8>,
}

impl Verb for Outbox<'_> {
    type Answer = Option<Waiting>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Option<Waiting>, Trouble> {
        match reply.tag() {
            "outbox" => {
                let (target, depth) = (reply.text()?, reply.number()?);
                let (oldest, next) = (reply.number()?, reply.text()?);
                let mut messages = Vec::new();
                for position in reply.flat_numbers()? {
                    let message = reply.bytes()?;
                    messages.push(Numbered { position, message });
                }
                Ok(Some(Waiting {
                    target,
                    depth,
                    oldest,
                    next: Some(next).filter(|next| !next.is_empty()),
                    messages,
                }))
            }
            "empty" => Ok(None),
            _ => reply.unexpected_tag(),
        }
    }
}
