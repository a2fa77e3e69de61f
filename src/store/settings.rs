//! Reads what is set for the queue.

use redis::Cmd;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

static SCRIPT: Script = script!("settings");

/// Asks for the settings.
pub(crate) struct Settings;

/// The texts that are stored, empty for nothing (`policy/settings.rs` reads them).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) settings: String,
    pub(crate) declared: String,
}

impl Verb for Settings {
    type Answer = Found;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, &NoArguments {});
    }

    fn answer(mut reply: Reply) -> Result<Found, Trouble> {
        match reply.tag() {
            "settings" => Ok(Found {
                settings: reply.text()?,
                declared: reply.text()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
