//! Errors that point at the place in what was typed.

use console::measure_text_width;

/// Longest part of a line that is shown.
const SHOWN_MAX: usize = 60;

/// The line of `text` with a mark under the character at `byte`, and what is wrong with it.
pub(crate) fn pointed(text: &str, byte: usize, what: &str) -> String {
    let byte = text.floor_char_boundary(byte.min(text.len()));
    let start = text[..byte].rfind('\n').map_or(0, |at| at + 1);
    let end = text[byte..].find('\n').map_or(text.len(), |at| byte + at);
    // Of a long line only what is around the place.
    let from = text.floor_char_boundary(start.max(byte.saturating_sub(SHOWN_MAX / 2)));
    let to = text.floor_char_boundary(end.min(from + SHOWN_MAX));
    let before = if from > start { "…" } else { "" };
    let after = if to < end { "…" } else { "" };
    let shown = format!("{before}{}{after}", text[from..to].replace('\t', " "));
    let indent = measure_text_width(before) + measure_text_width(&text[from..byte]);
    format!("\n  {shown}\n  {}^ {what}", " ".repeat(indent))
}

/// The same for an error of `serde_json`, which counts lines and columns from 1.
pub(crate) fn pointed_json(text: &str, error: &serde_json::Error) -> String {
    let lines = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1));
    let before: usize = lines.map(str::len).sum();
    let byte = before + error.column().saturating_sub(1);
    let what = error.to_string();
    let what = what
        .rsplit_once(" at line")
        .map_or(&*what, |(what, _)| what);
    pointed(text, byte, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_under_the_place() {
        assert_eq!(pointed("5 x", 2, "no unit"), "\n  5 x\n    ^ no unit");
        assert_eq!(pointed("größe", 6, "here"), "\n  größe\n      ^ here");
        assert_eq!(pointed("", 9, "empty"), "\n  \n  ^ empty");
        let text = "{\"a\": 1,\n \"b\": }";
        let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
        let shown = pointed_json(text, &error);
        assert!(
            shown.starts_with("\n   \"b\": }\n        ^ expected value"),
            "{shown}"
        );
        let long = "x".repeat(500);
        assert!(
            pointed(&long, 250, "here")
                .lines()
                .all(|line| line.chars().count() < 70)
        );
    }
}
