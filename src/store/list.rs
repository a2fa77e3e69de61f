//! A page of the jobs in one state, with all that is known of each.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::get::Found;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("list");

/// Asks for one page.
#[derive(Serialize)]
pub(crate) struct List<'a> {
    pub(crate) state: &'static str,
    pub(crate) direction: Direction,
    /// How many jobs are answered at most.
    pub(crate) limit: usize,
    /// How many jobs are looked at.
    pub(crate) look_at: usize,
    /// Which of them are wanted; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) only: Option<&'a Wanted>,
    /// How many bytes are answered at most, unless it is one job; and read to find out whether jobs are wanted, beside their
    /// records.
    pub(crate) bytes: usize,
    /// Where the page before ended; `None` for the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<&'a Place>,
}

/// The order of a state, or the opposite one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Direction {
    #[default]
    Forward,
    Backward,
}

/// What must hold for a job that is wanted (`lua/lib/wanted.lua`); what is `None` is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Wanted {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// As it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    /// So many attempts that failed, at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<u32>,
    /// A part of the error of the last attempt, its ASCII letters in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// At least so old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) older_ms: Option<u64>,
    /// Less old than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) newer_ms: Option<u64>,
}

impl Wanted {
    /// Every job is.
    pub(crate) fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// A place in the order of a state. It stays valid when the job that was there moves or is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Place {
    /// Which of the lists of all jobs it is in, from 1 (`lua/lib/find.lua`).
    pub(crate) list: usize,
    /// As Redis writes it.
    pub(crate) score: String,
    pub(crate) id: String,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Listed {
    pub(crate) jobs: Vec<(String, Found)>,
    /// Where the next page begins; `None` if this is the last page.
    pub(crate) next: Option<Place>,
}

impl Verb for List<'_> {
    type Answer = Listed;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Listed, Trouble> {
        if reply.tag() != "list" {
            return reply.unexpected_tag();
        }
        let state = reply.text()?;
        let list = reply.number()? as usize;
        let (score, id) = (reply.text()?, reply.text()?);
        let place = Place { list, score, id };
        let mut listed = Listed {
            jobs: Vec::new(),
            next: (list > 0).then_some(place),
        };
        let jobs = reply.number()?;
        for _ in 0..jobs {
            let id = reply.text()?;
            listed.jobs.push((id, Found::read(&state, &mut reply)?));
        }
        Ok(listed)
    }
}
