//! Whether a payload that was typed has the shape of the payload that is there: the handler reads the same fields.

use serde_json::Value;

/// What is different in `new`, each with its place: `.order: a text where a whole number was`. `null` goes with everything, fields may be
/// added, and the items of a list are compared with the first one that was there.
pub(crate) fn differences(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", old, new, &mut found);
    found
}

/// Where `new` has what stands for a secret in `shown`, it gets the secret as it was `before`: a payload that was shown can be changed and
/// given back.
pub(crate) fn keep_secrets(shown: &Value, before: &Value, new: &mut Value) {
    if shown == new && shown != before && !shown.is_object() && !shown.is_array() {
        *new = before.clone();
        return;
    }
    match (shown, before, new) {
        (Value::Object(shown), Value::Object(before), Value::Object(new)) => {
            for (name, value) in new {
                if let (Some(shown), Some(before)) = (shown.get(name), before.get(name)) {
                    keep_secrets(shown, before, value);
                }
            }
        }
        (Value::Array(shown), Value::Array(before), Value::Array(new)) => {
            for ((shown, before), value) in shown.iter().zip(before).zip(new) {
                keep_secrets(shown, before, value);
            }
        }
        _ => {}
    }
}

fn compare(place: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    let shown = if place.is_empty() { "it" } else { place };
    if is_bytes(old) {
        if old != new {
            found.push(format!("{shown}: bytes, which JSON cannot say"));
        }
        return;
    }
    match (old, new) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in old {
                let place = format!("{place}.{name}");
                match new.get(name) {
                    Some(new) => compare(&place, value, new, found),
                    None => found.push(format!("{place}: is missing")),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (at, item) in new.iter().enumerate() {
                if let Some(first) = old.first() {
                    compare(&format!("{place}[{at}]"), first, item, found);
                }
            }
        }
        // Where a fraction may stand, a whole number may.
        (Value::Number(old), Value::Number(_)) if old.is_f64() => {}
        _ if kind(old) == kind(new) => {}
        _ => found.push(format!("{shown}: {} where {} was", kind(new), kind(old))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// As they are shown (`value.rs`).
fn is_bytes(value: &Value) -> bool {
    let only = value.as_object().filter(|object| object.len() == 1);
    let hex = only.and_then(|object| object.get("bytes")?.as_str());
    hex.is_some_and(|hex| hex.len() % 2 == 0 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_that_was_shown_masked_stays_as_it_is() {
        let before = json!({"card": 4111, "to": [{"pin": "x"}], "order": 7});
        let shown = json!({"card": "(secret)", "to": [{"pin": "(secret)"}], "order": 7});
        let mut new = json!({"card": "(secret)", "to": [{"pin": "y"}], "order": 8});
        keep_secrets(&shown, &before, &mut new);
        assert_eq!(new, json!({"card": 4111, "to": [{"pin": "y"}], "order": 8}));
    }

    #[test]
    fn fields_keep_their_kind() {
        let old =
            json!({"order": 7, "rate": 0.5, "tags": ["a"], "to": {"name": "x"}, "note": null});
        for (new, expected) in [
            (
                json!({"order": 8, "rate": 1, "tags": [], "to": {"name": "y"}, "note": 3, "more": 1}),
                &[][..],
            ),
            (
                json!({"order": null, "rate": 2.5, "tags": ["b", "c"], "to": {"name": "y"}, "note": null}),
                &[],
            ),
            (
                json!({"order": "8", "rate": true, "tags": ["b", 1], "to": {"nam": "y"}, "note": null}),
                &[
                    ".order: a text where a whole number was",
                    ".rate: true or false where a fraction was",
                    ".tags[1]: a whole number where a text was",
                    ".to.name: is missing",
                ],
            ),
            (json!([1]), &["it: a list where an object was"]),
        ] {
            let mut found = differences(&old, &new);
            found.sort();
            assert_eq!(found, expected, "{new}");
        }
        let bytes = json!({"key": {"bytes": "00ff"}});
        assert!(differences(&bytes, &bytes).is_empty());
        assert_eq!(differences(&bytes, &json!({"key": [0]})).len(), 1);
        assert!(differences(&json!(7), &json!(7.5))[0].contains("a fraction where a whole number"));
    }
}
