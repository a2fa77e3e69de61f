//! Whatever a payload, a result or a progress holds, as JSON; and a payload as it was typed.

use std::fmt;

use oxcart::{Error, Job};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// A payload, a result, or whatever else a program has stored, of any type, as JSON. MessagePack knows more than JSON: bytes become
/// `{"bytes": "0a1b"}`, in hexadecimal, and keys of maps that are no text, and numbers that JSON has not (`NaN`), become text.
///
/// ```no_run
/// # async fn example(mail: oxcart::Queue, id: oxcart::JobId) -> Result<(), oxcart::Error> {
/// if let Some(job) = mail.job(&id).await? {
///     let oxcart_dashboard::Stored(payload) = job.payload()?;
///     println!("{payload}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Stored(pub Value);

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Value::Object(Map::from_iter([(
            "bytes".to_owned(),
            digits.into(),
        )])))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(Self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Stored(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((Stored(key), Stored(value))) = entries.next_entry()? {
            let key = match key {
                Value::String(key) => key,
                other => other.to_string(),
            };
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

/// The value, or null; what cannot be read is noted.
pub(crate) fn readable(read: Result<Option<Stored>, Error>, trouble: &mut Option<String>) -> Value {
    match read {
        Ok(Some(Stored(value))) => value,
        Ok(None) => Value::Null,
        Err(error) => {
            trouble.get_or_insert(error.to_string());
            Value::Null
        }
    }
}

/// What is shown in the place of a secret.
pub(crate) const MASK: &str = "(secret)";

/// A payload for a job of any type.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Typed(pub(crate) Value);

impl Job for Typed {
    const NAME: &'static str = "any";
    type Output = Value;
}

/// A payload that somebody has typed, who saw `masked`: where they left a mask, it has what is behind the mask in `whole`.
pub(crate) fn restored(typed: Value, masked: &Value, whole: &Value) -> Value {
    match (typed, masked, whole) {
        (typed, masked, whole) if typed == *masked => whole.clone(),
        (Value::Object(typed), Value::Object(masked), Value::Object(whole)) => {
            let fields = typed.into_iter().map(|(name, value)| {
                let value = match (masked.get(&name), whole.get(&name)) {
                    (Some(masked), Some(whole)) => restored(value, masked, whole),
                    _ => value,
                };
                (name, value)
            });
            Value::Object(fields.collect())
        }
        (Value::Array(typed), Value::Array(masked), Value::Array(whole))
            if typed.len() == masked.len() && masked.len() == whole.len() =>
        {
            let items = typed.into_iter().zip(masked.iter().zip(whole));
            let items = items.map(|(typed, (masked, whole))| restored(typed, masked, whole));
            Value::Array(items.collect())
        }
        (typed, ..) => typed,
    }
}

/// Whether a mask stands in the value where none was seen: nobody knows which secret it stands for.
pub(crate) fn has_new_mask(typed: &Value, masked: &Value) -> bool {
    match (typed, masked) {
        (Value::String(text), masked) => text == MASK && typed != masked,
        (Value::Object(typed), masked) => typed.iter().any(|(name, value)| {
            let seen = masked.get(name).unwrap_or(&Value::Null);
            has_new_mask(value, seen)
        }),
        (Value::Array(typed), Value::Array(masked)) if typed.len() == masked.len() => {
            let mut pairs = typed.iter().zip(masked);
            pairs.any(|(typed, masked)| has_new_mask(typed, masked))
        }
        // Which item is which is not known.
        (Value::Array(typed), _) => typed.iter().any(|typed| has_new_mask(typed, &Value::Null)),
        _ => false,
    }
}

/// A text that is not longer than so many characters.
pub(crate) fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_itself_and_bytes_as_digits() {
        let text = r#"{"a":[1,-2,2.5,null,true,"x"],"b":{}}"#;
        let Stored(value) = serde_json::from_str(text).unwrap();
        assert_eq!(value.to_string(), text);
        let bytes: Result<_, serde_json::Error> = AnyValue.visit_bytes(&[0, 255]);
        assert_eq!(bytes.unwrap(), serde_json::json!({"bytes": "00ff"}));
    }

    #[test]
    fn what_was_masked_stays_what_it_was() {
        use serde_json::json;
        let masked = json!({"to": "ada", "key": "(secret)", "list": [{"pin": "(secret)"}, 1]});
        let whole = json!({"to": "ada", "key": "s3cret", "list": [{"pin": 4711}, 1]});
        let typed = json!({"to": "bob", "key": "(secret)", "list": [{"pin": "(secret)"}, 2]});
        let changed = json!({"to": "bob", "key": "s3cret", "list": [{"pin": 4711}, 2]});
        assert_eq!(restored(typed, &masked, &whole), changed);
        let replaced = json!({"to": "ada", "key": "other"});
        assert_eq!(restored(replaced.clone(), &masked, &whole), replaced);
    }

    #[test]
    fn a_mask_that_stands_for_no_secret_is_noticed() {
        use serde_json::json;
        let masked = json!({"key": "(secret)", "list": [{"pin": "(secret)"}], "to": "ada"});
        assert!(!has_new_mask(&masked, &masked));
        for typed in [
            json!({"key": "other", "list": [], "to": {"a": ["b"]}}),
            json!({"key": "(secret)", "list": [{"pin": "(secret)", "n": 1}]}),
        ] {
            assert!(!has_new_mask(&typed, &masked), "{typed}");
        }
        for typed in [
            json!({"to": "(secret)"}),
            json!({"other": "(secret)"}),
            json!({"list": [{"pin": "(secret)"}, {"pin": "1"}]}),
            json!({"key": {"key": "(secret)"}}),
            json!("(secret)"),
        ] {
            assert!(has_new_mask(&typed, &masked), "{typed}");
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("größe", 3), "grö…");
        assert_eq!(cut("größe", 5), "größe");
    }
}
