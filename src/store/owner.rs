//! The job that has a unique key.

use redis::Cmd;
use serde::Serialize;

use crate::id::JobId;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("owner");

/// Asks which job has a key now.
#[derive(Serialize)]
pub(crate) struct Owner<'a> {
    /// The key, as it is stored.
    pub(crate) name: &'a str,
}

impl Verb for Owner<'_> {
    /// None if the key is free.
    type Answer = Option<JobId>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Self::Answer, Trouble> {
        match reply.tag() {
            "owner" => Ok(Some(JobId::stored(&reply.text()?))),
            "free" => Ok(None),
            _ => reply.unexpected_tag(),
        }
    }
}
