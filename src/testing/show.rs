//! Shows a payload as text in a failed assertion; its type is not known.

use std::fmt::{self, Write};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Longest text, in characters.
const SHOWN_MAX: usize = 200;

/// Any MessagePack, shown in the form of JSON. A long text is cut when it is displayed.
#[derive(Default)]
pub(super) struct Shown(String);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN_MAX) {
            Some((end, _)) => write!(f, "{}...", &self.0[..end]),
            None => f.write_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyVisitor).map(Self)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        Ok(format!("{value:?}"))
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<String, E> {
        Ok(format!("<{} bytes>", value.len()))
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut of: A) -> Result<String, A::Error> {
        let mut text = String::new();
        while let Some(Shown(item)) = of.next_element()? {
            separate(&mut text);
            text += &item;
        }
        Ok(format!("[{text}]"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut of: A) -> Result<String, A::Error> {
        let mut text = String::new();
        while let Some((Shown(key), Shown(value))) = of.next_entry()? {
            separate(&mut text);
            let _ = write!(text, "{key}: {value}");
        }
        Ok(format!("{{{text}}}"))
    }
}

fn separate(text: &mut String) {
    if !text.is_empty() {
        text.push_str(", ");
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::codec::{decode_plain, encode_plain};

    fn shown<T: Serialize>(value: T) -> String {
        let shown: Shown = decode_plain("it", &encode_plain(&value)).unwrap();
        shown.to_string()
    }

    #[derive(Serialize)]
    enum Mail {
        Ping,
        Welcome { user: u64, tags: Vec<&'static str> },
        Pair(i8, Option<f32>),
    }

    #[test]
    fn anything_is_shown_and_cut_where_it_is_long() {
        assert_eq!(shown(Mail::Ping), r#""Ping""#);
        let tags = vec!["a", "\n"];
        assert_eq!(
            shown(Mail::Welcome { user: 7, tags }),
            r#"{"Welcome": {"user": 7, "tags": ["a", "\n"]}}"#
        );
        assert_eq!(shown(Mail::Pair(-1, Some(0.5))), r#"{"Pair": [-1, 0.5]}"#);
        assert_eq!(shown(((), true, Vec::<()>::new())), "[null, true, []]");
        let bytes = serde_bytes::Bytes::new(b"abc");
        assert_eq!(shown(bytes), "<3 bytes>");
        let long = shown("ä".repeat(1_000));
        assert!(long.ends_with("ä..."), "{long}");
        assert_eq!(long.chars().count(), SHOWN_MAX + 3);
    }
}
