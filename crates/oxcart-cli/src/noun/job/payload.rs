//! A payload as it is typed: JSON, `@file`, or `-` for stdin.

use std::io::Read;

use oxcart::Job;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text::place::pointed_json;
use crate::trouble::Trouble;

/// A job of whatever type: this program knows its name and its payload.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct AnyJob(pub(crate) Value);

impl Job for AnyJob {
    const NAME: &'static str = "any";
    type Output = Value;
}

pub(crate) fn read(typed: &str) -> Result<AnyJob, Trouble> {
    let text = match (typed, typed.strip_prefix('@')) {
        ("-", _) => {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_to_string(&mut text);
            read.map_err(|error| {
                Trouble::usage(format!("cannot read the payload from stdin: {error}"))
            })?;
            text
        }
        (_, Some(file)) => std::fs::read_to_string(file).map_err(|error| {
            Trouble::usage(format!("cannot read the payload from {file}: {error}"))
        })?,
        (text, None) => text.to_owned(),
    };
    let value = serde_json::from_str(&text).map_err(|error| {
        let place = pointed_json(&text, &error);
        Trouble::usage(format!("the payload is no JSON:{place}"))
    })?;
    Ok(AnyJob(value))
}
