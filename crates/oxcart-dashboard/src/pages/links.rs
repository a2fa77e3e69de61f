//! The query of a link: reading it, and making links to other pages of a list.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::chrome::encoded;

/// A path with these fields as its query; fields without a value are left out.
pub(crate) fn with_query(path: &str, fields: &[(&str, &str)]) -> String {
    let mut link = path.to_owned();
    let mut between = '?';
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        link.push(between);
        link.push_str(name);
        link.push('=');
        link.push_str(&encoded(value));
        between = '&';
    }
    link
}

/// The value of a field in the query of a link; empty if it is not there or no text.
pub(crate) fn field(link: &str, name: &str) -> String {
    let query = link.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.replace('+', " "));
    let decoded = value
        .as_deref()
        .map(|value| percent_decode_str(value).decode_utf8().map(Cow::into_owned));
    decoded.and_then(Result::ok).unwrap_or_default()
}

/// One page of a list that is whole in memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PageOf {
    /// From 1.
    pub(crate) page: usize,
    /// How many pages there are, 1 at least.
    pub(crate) pages: usize,
    /// Which items are on it.
    pub(crate) items: std::ops::Range<usize>,
}

impl PageOf {
    /// The page that a link asks for, or the nearest one that exists.
    pub(crate) fn asked(asked: &str, items: usize, on_a_page: usize) -> Self {
        let pages = items.div_ceil(on_a_page).max(1);
        let page = asked.parse().unwrap_or(1).clamp(1, pages);
        let from = (page - 1) * on_a_page;
        Self {
            page,
            pages,
            items: from..items.min(from + on_a_page),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_says_is_read_back() {
        let link = with_query("/a", &[("q", "ä &=?#/+%"), ("none", ""), ("page", "2")]);
        assert!(link.starts_with("/a?q=") && !link.contains("none"));
        assert_eq!(field(&link, "q"), "ä &=?#/+%");
        assert_eq!(field(&link, "page"), "2");
        assert_eq!(field("/?q=two+words", "q"), "two words");
    }

    #[test]
    fn a_query_that_is_no_text_asks_for_nothing() {
        for link in ["/", "/?", "/?q", "/?q=%ff%fe", "/?&&=&"] {
            assert_eq!(field(link, "q"), "");
        }
    }

    #[test]
    fn pages_are_within_the_list() {
        let page = |page, pages, items| PageOf { page, pages, items };
        assert_eq!(PageOf::asked("", 120, 50), page(1, 3, 0..50));
        assert_eq!(PageOf::asked("3", 120, 50), page(3, 3, 100..120));
        assert_eq!(PageOf::asked("99", 120, 50), page(3, 3, 100..120));
        assert_eq!(PageOf::asked("-1", 0, 50), page(1, 1, 0..0));
    }
}
