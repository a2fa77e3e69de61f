//! Text of users: ids, names, errors, payloads. Whatever is in it, it is shown as text, on its own, and not endless.

use std::borrow::Cow;

use maud::{Markup, html};

use crate::pages::words;

/// Characters of a text within a line.
const INLINE: usize = 160;
/// Characters of a long text that are shown before the reader asks for all.
const FOLDED: usize = 1_500;
/// Lines of an error that are shown before the reader asks for all: its causes, and not its stack.
const ERROR_LINES: usize = 6;
/// Characters of a long text that a page carries at most.
const MOST: usize = 64 * 1024;
/// Marks that may stand above and below one letter.
const MARKS_IN_A_ROW: usize = 4;

/// How a line break of the text is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Breaks {
    /// As a sign: the text stays in its line.
    Seen,
    /// As a line break.
    Kept,
}

/// A short text within a line, such as an id or a name.
pub(crate) fn inline(text: &str) -> Markup {
    inline_of(text, INLINE)
}

/// A text within a line, of which at most so many characters are shown.
pub(crate) fn inline_of(text: &str, most: usize) -> Markup {
    let (head, cut) = cut(text, most);
    let all = cut.then(|| plain(text, 1_000));
    html! { bdi title=[all] { (escaped(head, Breaks::Seen)) @if cut { "…" } } }
}

/// The same without markup, for titles and labels.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let (head, cut) = cut(text, most);
    let mut plain = String::with_capacity(head.len());
    for piece in pieces(head, Breaks::Seen) {
        match piece {
            Piece::Text(text) => plain.push_str(text),
            Piece::Unseen(sign) => plain.push_str(&sign),
        }
    }
    if cut {
        plain.push('…');
    }
    plain
}

/// The first line of a text of several lines.
pub(crate) fn first_line(text: &str, most: usize) -> Markup {
    let first = text.trim_start().lines().next().unwrap_or_default();
    let more = first.len() < text.trim().len();
    let (head, cut) = cut(first, most);
    let all = (cut || more).then(|| plain(text, 1_000));
    html! { bdi title=[all] { (escaped(head, Breaks::Seen)) @if cut || more { "\u{a0}…" } } }
}

/// A text of several lines, folded when it is long.
pub(crate) fn block(text: &str) -> Markup {
    folded(text, ERROR_LINES, |part| escaped(part, Breaks::Kept))
}

/// A long text, of which some lines are shown; the reader unfolds all of it. `show` makes markup of a part of the text.
pub(crate) fn folded(text: &str, most_lines: usize, show: impl Fn(&str) -> Markup) -> Markup {
    let (all, endless) = cut(text, MOST);
    let first = first_lines(all, most_lines);
    html! {
        @if first.len() == all.len() {
            pre.code tabindex="0" { bdi { (show(all)) } }
        } @else {
            div.fold {
                pre.code.beginning { bdi { (show(first)) } }
                details {
                    summary {
                        span.more { "Show all (" (words::bytes(text.len())) ")" }
                        span.less { "Show less" }
                    }
                    pre.code tabindex="0" { bdi { (show(all)) } @if endless { (left_out(text, all)) } }
                }
            }
        }
    }
}

fn left_out(text: &str, shown: &str) -> Markup {
    html! { span.quiet { "\n… and " (words::bytes(text.len() - shown.len())) " more, which the JSON API gives" } }
}

/// The text with signs for what would not be seen.
fn escaped(text: &str, breaks: Breaks) -> Markup {
    html! {
        @for piece in pieces(text, breaks) {
            @match piece {
                Piece::Text(text) => (text),
                Piece::Unseen(sign) => span.unseen { (sign) },
            }
        }
    }
}

/// The text of several lines, with signs for what would not be seen.
pub(crate) fn lines(text: &str) -> Markup {
    escaped(text, Breaks::Kept)
}

enum Piece<'a> {
    Text(&'a str),
    Unseen(String),
}

fn pieces(text: &str, breaks: Breaks) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut from, mut marks) = (0, 0);
    for (at, character) in text.char_indices() {
        marks = if is_mark(character) { marks + 1 } else { 0 };
        let sign = if marks > MARKS_IN_A_ROW {
            Some(number_of(character))
        } else {
            sign_of(character, breaks)
        };
        if let Some(sign) = sign {
            if from < at {
                pieces.push(Piece::Text(&text[from..at]));
            }
            pieces.push(Piece::Unseen(sign));
            from = at + character.len_utf8();
        }
    }
    if from < text.len() {
        pieces.push(Piece::Text(&text[from..]));
    }
    pieces
}

/// Whether a character would not be seen, or would change how others are shown. Line breaks and tabs are no such characters.
pub(crate) fn is_unseen(character: char) -> bool {
    sign_of(character, Breaks::Kept).is_some()
}

/// What is shown in the place of a character that would not be seen, or would change how others are seen.
fn sign_of(character: char, breaks: Breaks) -> Option<String> {
    match character {
        '\n' | '\t' if breaks == Breaks::Kept => None,
        '\n' => Some("↵".to_owned()),
        '\t' => Some("\\t".to_owned()),
        '\0'..='\u{1f}' | '\u{7f}' => Some(format!("\\x{:02x}", character as u32)),
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => Some(number_of(character)),
        _ => None,
    }
}

fn number_of(character: char) -> String {
    format!("U+{:04X}", character as u32)
}

/// Marks that are drawn above, below or across the letter before them.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// At most so many characters of the text, and whether it has more.
fn cut(text: &str, most: usize) -> (&str, bool) {
    match text.char_indices().nth(most) {
        Some((at, _)) => (&text[..at], true),
        None => (text, false),
    }
}

fn first_lines(text: &str, most: usize) -> &str {
    let (head, _) = cut(text, FOLDED);
    match head.match_indices('\n').nth(most - 1) {
        // Two lines more are shown at once: to unfold them is more trouble than to see them.
        Some((at, _)) if text[at + 1..].lines().nth(2).is_some() => &head[..at],
        _ => head,
    }
}

/// At most so many characters of a text of several lines.
pub(crate) fn plain_lines(text: &str, most: usize) -> Cow<'_, str> {
    match cut(text, most) {
        (all, false) => Cow::Borrowed(all),
        (head, true) => Cow::Owned(format!("{head}…")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_of_users_is_text() {
        let shown = inline("<script>alert('1')</script>&amp;\"").into_string();
        assert_eq!(
            shown,
            "<bdi>&lt;script&gt;alert('1')&lt;/script&gt;&amp;amp;&quot;</bdi>"
        );
    }

    #[test]
    fn what_would_not_be_seen_has_a_sign() {
        assert_eq!(plain("a\0b\u{202e}c\u{85}\n", 99), "a\\x00bU+202EcU+0085↵");
        let shown = inline("\u{2066}x").into_string();
        assert_eq!(shown, r#"<bdi><span class="unseen">U+2066</span>x</bdi>"#);
    }

    #[test]
    fn marks_do_not_pile_up() {
        let tower = format!("a{}", "\u{301}".repeat(50));
        let shown = inline(&tower).into_string();
        assert_eq!(shown.matches('\u{301}').count(), MARKS_IN_A_ROW);
        assert_eq!(plain("e\u{301}a\u{301}", 99), "e\u{301}a\u{301}");
    }

    #[test]
    fn a_long_text_within_a_line_is_cut_between_characters() {
        let shown = inline(&"ä".repeat(1_000_000)).into_string();
        assert!(shown.contains("…</bdi>") && shown.len() < 4_000);
    }

    #[test]
    fn a_long_block_is_folded_and_bounded() {
        assert!(!block("a\nb").into_string().contains("<details"));
        assert!(
            block(&"line\n".repeat(100))
                .into_string()
                .contains("Show all")
        );
        let shown = block(&"x".repeat(1 << 20)).into_string();
        assert!(shown.len() < 100_000 && shown.contains("more, which the JSON API gives"));
    }
}
