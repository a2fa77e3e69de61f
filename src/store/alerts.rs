//! Alerts as they are stored.

use redis::{Cmd, Value};
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("alerts");

/// Asks for some of all alerts, about so many, or for one.
#[derive(Serialize)]
pub(crate) struct Alerts<'a> {
    pub(crate) cursor: &'a str,
    pub(crate) limit: usize,
    /// The one that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'a str>,
}

impl<'a> Alerts<'a> {
    /// The cursor to begin with. As an answer it says that all have been seen.
    pub(crate) const ALL: &'static str = "0";

    pub(crate) fn page(cursor: &'a str, limit: usize) -> Self {
        Self {
            cursor,
            limit,
            name: None,
        }
    }

    pub(crate) fn one(name: &'a str) -> Self {
        Self {
            cursor: Self::ALL,
            limit: 1,
            name: Some(name),
        }
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) cursor: String,
    /// Names and how they stand. One may come twice.
    pub(crate) alerts: Vec<(String, Vec<u8>)>,
}

impl Verb for Alerts<'_> {
    type Answer = Found;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Found, Trouble> {
        if reply.tag() != "alerts" {
            return reply.unexpected_tag();
        }
        let cursor = reply.text()?;
        let flat = reply.list()?;
        let pair = |pair: &[Value]| match pair {
            [Value::BulkString(name), Value::BulkString(stands)] => {
                let name = String::from_utf8_lossy(name).into_owned();
                Ok((name, stands.clone()))
            }
            _ => Err(Trouble::Garbled(
                "`alerts` answered something that is no alert".to_owned(),
            )),
        };
        let alerts = flat.chunks(2).map(pair).collect::<Result<_, _>>()?;
        Ok(Found { cursor, alerts })
    }
}
