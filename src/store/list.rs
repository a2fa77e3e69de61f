//! A page of the ids in one state.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("list");

/// Nothing is that long, and Lua still counts on from there: its numbers are doubles.
const OFFSET_MAX: u64 = 1 << 52;

/// Asks for one page.
#[derive(Serialize)]
pub(crate) struct List {
    pub(crate) state: &'static str,
    pub(crate) offset: u64,
    pub(crate) limit: usize,
}

impl Verb for List {
    type Answer = Vec<String>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let offset = self.offset.min(OFFSET_MAX);
        named(arguments, &Self { offset, ..*self });
    }

    fn answer(mut reply: Reply) -> Result<Vec<String>, Trouble> {
        match reply.tag() {
            "list" => reply.texts(),
            _ => reply.unexpected_tag(),
        }
    }
}
