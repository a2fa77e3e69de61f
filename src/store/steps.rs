//! Reads the durable steps of a job.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("steps");

/// Asks for the steps of one job, from a number on.
#[derive(Serialize)]
pub(crate) struct Steps<'a> {
    pub(crate) id: &'a str,
    /// The number of the first, from 1.
    pub(crate) from: u32,
    /// About so many bytes at most; one step comes in any case.
    pub(crate) bytes: usize,
    /// Of each value only so many bytes, from its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cut: Option<usize>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// The server's clock.
    pub(crate) now_ms: u64,
    /// The number of the last step of the job.
    pub(crate) last: u32,
    /// Where to go on; none: that was all.
    pub(crate) next: Option<u32>,
    /// With the first step alone: the checkpoint.
    pub(crate) cursor: Option<Vec<u8>>,
    /// How long the checkpoint is in whole.
    pub(crate) cursor_size: u64,
    /// And what is stored as the outcome, if the job is to be cancelled.
    pub(crate) request: Option<Vec<u8>>,
    /// And if the job is a saga: `owed`, or why it is to be undone, as that is stored for a cancelled job.
    pub(crate) undo: Option<Vec<u8>>,
    /// Each with its number, as it is stored, and how long that is in whole. There may be gaps.
    pub(crate) steps: Vec<(u32, Vec<u8>, u64)>,
}

impl Verb for Steps<'_> {
    type Answer = Page;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Page, Trouble> {
        if reply.tag() != "steps" {
            return reply.unexpected_tag();
        }
        let now_ms = reply.now_ms();
        let last = small(reply.number()?);
        let next = Some(small(reply.number()?)).filter(|next| *next > 0);
        let mut page = Page {
            now_ms,
            last,
            next,
            ..Page::default()
        };
        for _ in 0..reply.number()? {
            let (name, value) = (reply.text()?, reply.bytes()?);
            let size = reply.number()?;
            match name.as_str() {
                "cursor" => (page.cursor, page.cursor_size) = (Some(value), size),
                "cancel" => page.request = Some(value),
                "undo" => page.undo = Some(value),
                _ => {}
            }
        }
        while !reply.is_over() {
            let number = small(reply.number()?);
            page.steps.push((number, reply.bytes()?, reply.number()?));
        }
        Ok(page)
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
