//! Takes in messages from the outbox of another queue, each once.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::outbox::Numbered;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("receive" in full);

/// A page of messages as they lie in the outbox of `source`, in their order, from the first on.
pub(crate) struct Receive<'a> {
    pub(crate) source: &'a str,
    pub(crate) messages: &'a [Numbered],
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// All messages up to this position are taken, now or before.
    pub(crate) position: u64,
    /// How many of them this call took.
    pub(crate) taken: u64,
    pub(crate) next: NextOne,
    /// The receiver has put something into its own outbox.
    pub(crate) has_sent: bool,
    /// Nothing was ever added before: the queue is new, or was deleted.
    pub(crate) is_first: bool,
}

/// What is to be said of the message behind the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextOne {
    /// Nothing: another call takes it, if there is one.
    Goes,
    /// There is more to do for it: it is to be carried again.
    Again,
    /// The receiver's scripts cannot read it: a newer version wrote it.
    Unknown,
}

#[derive(Serialize)]
struct Arguments<'a> {
    source: &'a str,
    positions: Vec<u64>,
}

impl Verb for Receive<'_> {
    type Answer = Received;

    /// A second call takes nothing.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let positions = self.messages.iter().map(|sent| sent.position).collect();
        let source = self.source;
        named(arguments, &Arguments { source, positions });
        for sent in self.messages {
            arguments.arg(&sent.message);
        }
    }

    fn answer(mut reply: Reply) -> Result<Received, Trouble> {
        let is_first = match reply.tag() {
            "first" => true,
            "received" => false,
            _ => return reply.unexpected_tag(),
        };
        Ok(Received {
            position: reply.number()?,
            taken: reply.number()?,
            next: match reply.text()?.as_str() {
                "again" => NextOne::Again,
                "unknown" => NextOne::Unknown,
                _ => NextOne::Goes,
            },
            has_sent: reply.number()? > 0,
            is_first,
        })
    }
}
