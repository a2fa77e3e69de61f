//! Every script there is, and what they answer.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use super::{Visitor, each};
use crate::memory::Apply;
use crate::redis::script::Script;
use crate::store::advance::Advance;
use crate::store::enqueue::Enqueue;

/// Every script there is: one of each verb, and those of their parts.
pub(in crate::store::tests) fn scripts() -> Vec<&'static Script> {
    struct Scripts(Vec<&'static Script>);
    impl Visitor for Scripts {
        fn visit<V: Apply>(&mut self) {
            self.0.push(V::script());
        }
    }
    let mut scripts = Scripts(vec![Advance::full_script(), Enqueue::full_script()]);
    each(&mut scripts);
    scripts.0
}

/// The names of those that were not called.
pub(in crate::store::tests) fn not_called<'a>(
    called: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<&'a str> {
    let all: BTreeSet<&str> = scripts().iter().map(|script| script.name).collect();
    let called = called.into_iter().collect();
    &all - &called
}

/// The words that answers begin with, as they stand in the scripts: beside the time, or in a status.
pub(in crate::store::tests) fn tags() -> &'static [&'static str] {
    static TAGS: OnceLock<Vec<&str>> = OnceLock::new();
    TAGS.get_or_init(|| {
        let is_word = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let lines = scripts()
            .into_iter()
            .flat_map(|script| script.body().lines());
        let lines = lines.filter(|line| line.contains("now_ms") || line.contains("status"));
        let quoted = lines.flat_map(|line| line.split('\'').skip(1).step_by(2));
        let tags: BTreeSet<&str> = quoted.filter(is_word).collect();
        tags.into_iter().collect()
    })
}
