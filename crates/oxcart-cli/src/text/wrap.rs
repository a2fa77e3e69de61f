//! Lines that are broken between words.

use console::measure_text_width;

/// The text in lines of at most `width` columns, all but the first behind `indent` spaces. Without a width it is one line.
pub(crate) fn wrapped(text: &str, width: Option<usize>, indent: usize) -> String {
    let Some(width) = width else {
        return text.to_owned();
    };
    let mut shown = String::new();
    let mut column = 0;
    for (position, word) in text.split(' ').enumerate() {
        let length = measure_text_width(word);
        if column > indent && column + 1 + length > width {
            shown.push('\n');
            shown.push_str(&" ".repeat(indent));
            column = indent;
        } else if position > 0 {
            shown.push(' ');
            column += 1;
        }
        shown.push_str(word);
        column += length;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_are_broken_between_words() {
        let text = "one two three four";
        assert_eq!(wrapped(text, Some(9), 2), "one two\n  three\n  four");
        assert_eq!(wrapped(text, Some(80), 2), text);
        assert_eq!(wrapped(text, None, 2), text);
        assert_eq!(wrapped("  x  y", Some(80), 4), "  x  y");
        assert_eq!(wrapped("abcdefghij k", Some(5), 0), "abcdefghij\nk");
    }
}
