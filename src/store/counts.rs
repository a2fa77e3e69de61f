//! How many jobs are in each state.

use redis::Cmd;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

static SCRIPT: Script = script!("counts");

/// Asks for the numbers and the totals.
pub(crate) struct Counts;

/// Names and numbers as the script gives them.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) states: Vec<(String, u64)>,
    pub(crate) totals: Vec<(String, u64)>,
}

impl Verb for Counts {
    type Answer = Counted;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, &NoArguments {});
    }

    fn answer(mut reply: Reply) -> Result<Counted, Trouble> {
        match reply.tag() {
            "counts" => Ok(Counted {
                states: reply.named_numbers()?,
                totals: reply.named_numbers()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
