//! Events as types, and as they are stored.

use std::any::type_name;

use oxcart::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind};

/// So large an event may be, and what is stored beside it, in bytes of JSON.
const BYTES_MAX: usize = 1 << 20;

/// The events of one kind of stream: an enum. Each variant is stored by its name, with its fields as JSON.
///
/// Events are kept for ever, and types change. A new variant, or a new field that is optional, is no change to what is there. For any other change, raise
/// [`VERSION`](Self::VERSION), and say in [`upcast`](Self::upcast) how an older event looks today. What is stored is never rewritten.
///
/// ```
/// use oxcart_postgres::{Event, StoredEvent};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// enum AccountEvent {
///     Opened { owner: String },
///     Deposited { cents: u64 },
/// }
///
/// impl Event for AccountEvent {
///     const VERSION: u16 = 2;
///
///     fn upcast(mut old: StoredEvent) -> Result<StoredEvent, String> {
///         // Version 1 counted in whole units, in a field `amount`.
///         if old.name == "Deposited" {
///             let amount = old.data["amount"].as_u64().ok_or("no amount")?;
///             old.data = serde_json::json!({ "cents": 100 * amount });
///         }
///         old.version = 2;
///         Ok(old)
///     }
/// }
/// ```
///
/// `serde`'s default form of enums is needed (no `tag`, `content` or `untagged`). Numbers have 64 bits at most, no text has a zero byte, and
/// values are nested 127 levels deep at most.
pub trait Event: Serialize + DeserializeOwned + Send + Sync {
    /// The version of all variants together, from 1.
    const VERSION: u16 = 1;

    /// Makes of an event of an older version one of a later version; it is called again until that is [`VERSION`](Self::VERSION).
    ///
    /// # Errors
    ///
    /// Why that cannot be; a reader of the event gets it as [`ErrorKind::Codec`].
    fn upcast(old: StoredEvent) -> Result<StoredEvent, String> {
        Err(format!(
            "there is no upcaster from version {} on",
            old.version
        ))
    }
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// The name of the variant.
    pub name: String,
    /// By which [version](Event::VERSION) of the type it was written.
    pub version: u16,
    /// Its fields.
    pub data: Value,
}

/// An event that was read.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recorded {
    /// Its place among all events, from 1. An event that was read from its stream may have none yet.
    pub position: Option<u64>,
    /// Its stream.
    pub stream: String,
    /// Its place in its stream, from 1.
    pub version: u64,
    /// What happened.
    pub event: StoredEvent,
    /// What was stored beside it; null if nothing was.
    pub metadata: Value,
    /// When the transaction began that has appended it, by the clock of PostgreSQL.
    pub recorded_at: Timestamp,
}

impl Recorded {
    /// The event as its type, whatever version it was written by.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it cannot be read: it was written by a newer version of the program, an upcaster failed, or it is
    /// an event of another type.
    pub fn decode<E: Event>(&self) -> Result<E, Error> {
        decode(self.event.clone()).map_err(|why| {
            Error::new(
                ErrorKind::Codec,
                format!(
                    "event {} of the stream `{}` ({}, version {}) cannot be read as {}: {why}",
                    self.version,
                    self.stream,
                    self.event.name,
                    self.event.version,
                    type_name::<E>()
                ),
            )
        })
    }
}

fn decode<E: Event>(mut stored: StoredEvent) -> Result<E, String> {
    while stored.version < E::VERSION {
        let before = stored.version;
        stored = E::upcast(stored)?;
        if stored.version <= before {
            return Err(format!(
                "the upcaster made version {} of version {before}",
                stored.version
            ));
        }
    }
    if stored.version > E::VERSION {
        return Err(format!(
            "this program knows the versions up to {}: update it",
            E::VERSION
        ));
    }
    let variant = Map::from_iter([(stored.name, stored.data)]);
    serde_json::from_value(Value::Object(variant)).map_err(|error| error.to_string())
}

/// An event that is to be stored: its name and its fields as JSON. A type that does not read what it writes is refused, because nobody can mend
/// that later.
pub(super) fn encode<E: Event>(event: &E) -> Result<(String, String), Error> {
    let wrong = |why: String| {
        let message = format!(
            "an event of the type {} cannot be stored: {why}",
            type_name::<E>()
        );
        Error::new(ErrorKind::Codec, message)
    };
    let value = serde_json::to_value(event).map_err(|error| wrong(error.to_string()))?;
    let (name, data) = match value {
        Value::String(name) => (name, Value::Null),
        Value::Object(fields) if fields.len() == 1 => fields.into_iter().next().unwrap_or_default(),
        _ => {
            return Err(wrong(
                "it is no enum in the form that serde gives it by itself".to_owned(),
            ));
        }
    };
    if has_zero_byte(&data) || name.contains('\0') {
        return Err(wrong(
            "PostgreSQL cannot hold text with a zero byte".to_owned(),
        ));
    }
    let text = data.to_string();
    let stored = StoredEvent {
        name: name.clone(),
        version: E::VERSION,
        data: read_back(&text).map_err(wrong)?,
    };
    decode::<E>(stored).map_err(|why| wrong(format!("it could not be read again: {why}")))?;
    Ok((name, text))
}

/// JSON that is to be stored, as a reader of it would see it: one that is nested too deep can be written, but not read.
pub(super) fn read_back(json: &str) -> Result<Value, String> {
    match json.len() {
        0..=BYTES_MAX => {
            serde_json::from_str(json).map_err(|why| format!("it could not be read again: {why}"))
        }
        bytes => Err(format!("it has {bytes} bytes; {BYTES_MAX} are allowed")),
    }
}

pub(super) fn has_zero_byte(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(list) => list.iter().any(has_zero_byte),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || has_zero_byte(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Sample {
        Empty,
        Maybe(Option<u64>),
        Fields { text: String, number: f64 },
        Two(u8, u8),
    }

    impl Event for Sample {
        const VERSION: u16 = 3;

        fn upcast(mut old: StoredEvent) -> Result<StoredEvent, String> {
            match (old.version, old.name.as_str()) {
                (1, "Old") => old.name = "Maybe".to_owned(),
                (1, "Never") => return Err("it never was".to_owned()),
                (1, "Stuck") => return Ok(old),
                _ => {}
            }
            old.version += 1;
            Ok(old)
        }
    }

    fn stored(name: &str, version: u16, data: Value) -> Result<Sample, String> {
        decode(StoredEvent {
            name: name.to_owned(),
            version,
            data,
        })
    }

    #[test]
    fn each_variant_is_read_as_it_was_written() {
        for event in [
            Sample::Empty,
            Sample::Maybe(None),
            Sample::Maybe(Some(u64::MAX)),
            Sample::Fields {
                text: "a \\u0000 that is none".to_owned(),
                number: 0.1 + 0.2,
            },
            Sample::Two(1, 2),
        ] {
            let (name, data) = encode(&event).expect("it can be stored");
            let data = serde_json::from_str(&data).expect("it is JSON");
            assert_eq!(stored(&name, 3, data), Ok(event));
        }
    }

    #[test]
    fn older_versions_are_lifted_step_by_step() {
        assert_eq!(stored("Old", 1, json!(7)), Ok(Sample::Maybe(Some(7))));
        assert_eq!(stored("Maybe", 2, json!(7)), Ok(Sample::Maybe(Some(7))));
        for (name, version, says) in [
            ("Never", 1, "never was"),
            ("Stuck", 1, "made version 1 of version 1"),
            ("Empty", 4, "update it"),
            ("Unknown", 3, "unknown variant"),
        ] {
            let error = stored(name, version, Value::Null).expect_err(name);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn what_postgres_cannot_hold_is_refused() {
        let zero = Sample::Fields {
            text: "a\0b".to_owned(),
            number: 1.0,
        };
        assert!(encode(&zero).is_err_and(|error| error.to_string().contains("zero byte")));
        let not_a_number = Sample::Fields {
            text: String::new(),
            number: f64::NAN,
        };
        assert!(encode(&not_a_number).is_err());
        let large = Sample::Fields {
            text: "x".repeat(BYTES_MAX),
            number: 1.0,
        };
        assert!(encode(&large).is_err_and(|error| error.to_string().contains("are allowed")));
    }
}
