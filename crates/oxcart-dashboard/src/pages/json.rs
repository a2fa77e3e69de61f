//! JSON for people: laid out, and in colours.

use maud::{Markup, html};
use serde_json::Value;

use crate::pages::text;

/// What a secret field shows.
const SECRET: &str = "\"(secret)\"";

/// Lines that are shown before the reader asks for all.
const LINES: usize = 20;

/// A value, folded when it is long.
pub(crate) fn shown(value: &Value) -> Markup {
    let laid_out = format!("{value:#}");
    text::folded(&laid_out, LINES, coloured)
}

/// A value as it is edited: what would not be seen, or would turn others around, stands as `\u202e`, which is the same in JSON.
pub(crate) fn to_edit(value: &Value) -> String {
    let laid_out = format!("{value:#}");
    let mut text = String::with_capacity(laid_out.len());
    let mut units = [0; 2];
    for character in laid_out.chars() {
        match text::is_unseen(character) {
            true => {
                let units = character.encode_utf16(&mut units).iter();
                text.extend(units.map(|unit| format!("\\u{unit:04x}")));
            }
            false => text.push(character),
        }
    }
    text
}

/// Laid out JSON, which may be cut off anywhere, with its parts marked.
fn coloured(laid_out: &str) -> Markup {
    html! {
        @for token in tokens(laid_out) {
            @match class_of(token) {
                Some(class) => span.(class) { (text::lines(token.text)) },
                None => (text::lines(token.text)),
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    /// A colon follows, as behind the name of a field.
    names: bool,
}

fn class_of(token: Token<'_>) -> Option<&'static str> {
    match token.text.as_bytes().first() {
        Some(b'"') if token.names => Some("key"),
        Some(b'"') if token.text == SECRET => Some("secret"),
        Some(b'"') => Some("text"),
        Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => Some("digit"),
        _ => None,
    }
}

/// Texts, words and numbers, and what stands between them.
fn tokens(json: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = json;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b'"' => end_of_text(rest),
            _ if is_word(first) => rest
                .bytes()
                .position(|byte| !is_word(byte))
                .unwrap_or(rest.len()),
            _ => rest
                .bytes()
                .position(|byte| byte == b'"' || is_word(byte))
                .unwrap_or(rest.len()),
        };
        let (text, after) = rest.split_at(length.max(1));
        tokens.push(Token {
            text,
            names: after.starts_with(':'),
        });
        rest = after;
    }
    tokens
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

/// How long a text is, with both of its quotes.
fn end_of_text(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_edited_can_be_seen_and_is_the_same() {
        let value = serde_json::json!({"to\u{202e}": "a\u{200b}\u{e0041}é\n"});
        let text = to_edit(&value);
        assert!(text.contains("\\u202e") && text.contains("é"), "{text}");
        assert!(!text.contains('\u{202e}') && !text.contains('\u{200b}'));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn parts_are_marked_and_escaped() {
        let drawn = shown(&json!({ "a\"<b>": ["x<y", 1.5, true, null, "(secret)"] })).into_string();
        for part in [
            r#"<span class="key">&quot;a\&quot;&lt;b&gt;&quot;</span>: ["#,
            r#"<span class="text">&quot;x&lt;y&quot;</span>"#,
            r#"<span class="digit">1.5</span>"#,
            r#"<span class="digit">true</span>"#,
            r#"<span class="secret">&quot;(secret)&quot;</span>"#,
        ] {
            assert!(drawn.contains(part), "{part} is not in {drawn}");
        }
    }

    #[test]
    fn json_that_is_cut_off_is_shown() {
        for cut in ["", "{\"a", "{\"a\\", "{\"ä\": tr", "[1e+5, -"] {
            let parts: String = tokens(cut).iter().map(|token| token.text).collect();
            assert_eq!(parts, cut);
        }
    }
}
