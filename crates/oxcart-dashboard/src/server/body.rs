//! The body of a request that changes something: a form, or an object in JSON with the same fields.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use serde_json::Value;
use tokio::time::timeout;

use crate::server::answer::Refusal;
use crate::server::origin::is_json;

/// Largest body of most requests, in bytes; a payload may be larger.
pub(super) const SMALL: usize = 64 * 1024;
pub(super) const LARGE: usize = 4 * 1024 * 1024;
/// How long a body may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// What the forms of our pages have beside the fields of their action.
const OF_FORMS: [&str; 2] = ["csrf", "back"];

/// The fields by their names; one that is not there is empty.
#[derive(Debug, Default)]
pub(super) struct Fields(HashMap<String, String>);

impl Fields {
    pub(super) async fn read(
        headers: &HeaderMap,
        body: Body,
        at_most: usize,
    ) -> Result<Self, Refusal> {
        let bytes = timeout(BODY_WITHIN, to_bytes(body, at_most)).await;
        let bytes = bytes.map_err(|_| Refusal::TooSlow)?;
        let bytes = bytes.map_err(|_| Refusal::TooLarge)?;
        if is_json(headers) {
            return Self::of_json(&bytes);
        }
        let fields = serde_urlencoded::from_bytes(&bytes);
        let wrong = |error| Refusal::Wrong(format!("the body is no form: {error}"));
        fields.map(Self).map_err(wrong)
    }

    fn of_json(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let read: Result<HashMap<String, Value>, _> = serde_json::from_slice(bytes);
        let read = read
            .map_err(|error| Refusal::Wrong(format!("the body is no object in JSON: {error}")))?;
        let fields = read.into_iter().filter_map(|(name, value)| {
            let text = match value {
                Value::Null => return None,
                // The payload of a job may be a text, and stays JSON.
                Value::String(text) if name != "payload" => text,
                Value::Bool(true) => "yes".to_owned(),
                Value::Bool(false) if name != "payload" => String::new(),
                other => other.to_string(),
            };
            Some((name, text))
        });
        Ok(Self(fields.collect()))
    }

    /// Refuses a field of another name: a filter that was mistyped would be no filter, and the action one on everything.
    pub(super) fn are_among(&self, known: &[&str]) -> Result<(), Refusal> {
        let mut names = self.0.keys().map(String::as_str);
        let unknown = names.find(|name| !known.contains(name) && !OF_FORMS.contains(name));
        match (unknown, known) {
            (None, _) => Ok(()),
            (Some(name), []) => Err(Refusal::Wrong(format!(
                "there is no field {name:?} here; this action has no fields"
            ))),
            (Some(name), known) => Err(Refusal::Wrong(format!(
                "there is no field {name:?} here; the fields are `{}` (JSON has to be sent as `application/json`)",
                known.join("`, `")
            ))),
        }
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// A number, if the field is there.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        match self.get(name) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Refusal::Wrong(format!("`{name}` is a number, and not {text:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
        let never = stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let read = Fields::read(&HeaderMap::new(), Body::from_stream(never), SMALL).await;
        assert!(matches!(read, Err(Refusal::TooSlow)), "{read:?}");
    }
}
