//! What a Rust file names of this crate, in whatever form it is written: `use` with groups, nested
//! or with other names, paths in expressions, types and macros, paths that begin with `super`, and paths
//! that begin with a module of the file or with something that it has imported.

use std::collections::BTreeMap;
use std::mem;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Something of this crate that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    /// From the root of the crate: `["redis", "trouble", "Trouble"]`; `*` for all there is; empty for the
    /// crate itself.
    pub(crate) path: Vec<String>,
    /// What the file calls it.
    pub(crate) name: String,
    /// Only what is compiled for tests names it.
    pub(crate) in_tests: bool,
}

/// All that is named in the text of the module `own`, of which the path from the root is given.
pub(crate) fn uses(text: &str, own: &[&str]) -> Vec<Used> {
    let tokens: TokenStream = text.parse().expect("a Rust file");
    let tokens = list(tokens);
    let own: Vec<String> = own.iter().map(|part| (*part).to_owned()).collect();
    let mut reading = Reading::default();
    // What is imported by way of another import is known after one more reading, and so on.
    for _ in 0..3 {
        reading.found.clear();
        reading.walk(&tokens, &own);
    }
    reading.found
}

#[derive(Default)]
struct Reading {
    /// The modules of the file, and what it has imported, by the names under which it knows them.
    known: BTreeMap<String, Vec<String>>,
    found: Vec<Used>,
    is_import: bool,
    in_tests: bool,
}

fn list(tokens: TokenStream) -> Vec<TokenTree> {
    tokens.into_iter().collect()
}

fn word(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(word)) => Some(word.to_string()),
        _ => None,
    }
}

fn is_sign(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

/// Whether `::` stands there.
fn is_joint(tokens: &[TokenTree], at: usize) -> bool {
    is_sign(tokens.get(at), ':') && is_sign(tokens.get(at + 1), ':')
}

fn braces(token: Option<&TokenTree>) -> Option<Vec<TokenTree>> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            Some(list(group.stream()))
        }
        _ => None,
    }
}

/// Whether `#[cfg(test)]` stands there.
fn is_for_tests(tokens: &[TokenTree], at: usize) -> bool {
    let attribute = match tokens.get(at + 1) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => group,
        _ => return false,
    };
    let text: String = attribute.stream().to_string();
    is_sign(tokens.get(at), '#') && text.split_whitespace().collect::<String>() == "cfg(test)"
}

/// Where the item ends that begins there.
fn end_of_item(tokens: &[TokenTree], from: usize) -> usize {
    let ends = |at: &usize| is_sign(tokens.get(*at), ';') || braces(tokens.get(*at)).is_some();
    (from..tokens.len())
        .find(ends)
        .map_or(tokens.len(), |at| at + 1)
}

impl Reading {
    fn walk(&mut self, tokens: &[TokenTree], own: &[String]) {
        let mut at = 0;
        while at < tokens.len() {
            if is_for_tests(tokens, at) {
                let end = end_of_item(tokens, at + 2);
                let before = mem::replace(&mut self.in_tests, true);
                self.walk(&tokens[at + 2..end], own);
                self.in_tests = before;
                at = end;
                continue;
            }
            let here = word(tokens.get(at));
            // `use<..>` imports nothing.
            if here.as_deref() == Some("use") && !is_sign(tokens.get(at + 1), '<') {
                self.is_import = true;
            }
            if is_sign(tokens.get(at), ';') {
                self.is_import = false;
            }
            if let (Some("mod"), Some(name)) = (here.as_deref(), word(tokens.get(at + 1))) {
                let path = [own, std::slice::from_ref(&name)].concat();
                match braces(tokens.get(at + 2)) {
                    Some(body) => {
                        self.walk(&body, &path);
                        at += 3;
                    }
                    None => at += 2,
                }
                self.known.insert(name, path);
                continue;
            }
            if let Some((from, begin)) = self.begin(tokens, at, own) {
                at = self.tree(tokens, from, begin).max(at + 1);
                continue;
            }
            if let TokenTree::Group(group) = &tokens[at] {
                let before = mem::take(&mut self.is_import);
                self.walk(&list(group.stream()), own);
                self.is_import = before;
            }
            at += 1;
        }
    }

    /// If a path begins there: where it goes on, and from which module.
    fn begin(
        &self,
        tokens: &[TokenTree],
        at: usize,
        own: &[String],
    ) -> Option<(usize, Vec<String>)> {
        let here = word(tokens.get(at))?;
        let goes_on = at >= 2 && is_joint(tokens, at - 2);
        let is_path = is_joint(tokens, at + 1);
        match here.as_str() {
            _ if goes_on => None,
            "crate" => Some((at + 1, Vec::new())),
            "self" if is_path => Some((at + 1, own.to_vec())),
            // `super` leaves the module itself.
            "super" if is_path => Some((at, own.to_vec())),
            name if is_path => Some((at + 1, self.known.get(name)?.clone())),
            _ => None,
        }
    }

    /// Reads what follows of a path, with all its branches; gives where it ends.
    fn tree(&mut self, tokens: &[TokenTree], from: usize, begin: Vec<String>) -> usize {
        let (mut at, mut path) = (from, begin);
        loop {
            match word(tokens.get(at)).as_deref() {
                Some("super") => {
                    path.pop();
                    at += 1;
                }
                Some("self") => at += 1,
                Some(name) if name != "as" && (at > from || from == 0 || joined(tokens, at)) => {
                    path.push(name.to_owned());
                    at += 1;
                }
                _ => {}
            }
            if !is_joint(tokens, at) {
                break;
            }
            at += 2;
            if let Some(branches) = braces(tokens.get(at)) {
                for branch in branches.split(|token| is_sign(Some(token), ',')) {
                    if !branch.is_empty() {
                        self.tree(branch, 0, path.clone());
                    }
                }
                return at + 1;
            }
            // What belongs to a type: `crate::a::B::<u8>`.
            if is_sign(tokens.get(at), '<') {
                break;
            }
        }
        if is_sign(tokens.get(at), '*') && (at == 0 || joined(tokens, at)) {
            path.push("*".to_owned());
            at += 1;
        }
        let alias =
            (word(tokens.get(at)).as_deref() == Some("as")).then(|| word(tokens.get(at + 1)));
        let name = alias.flatten().or_else(|| path.last().cloned());
        // `pub(crate)` names nothing.
        if !path.is_empty() || name.is_some() {
            let name = name.unwrap_or_default();
            if self.is_import && name != "*" {
                self.known.insert(name.clone(), path.clone());
            }
            self.found.push(Used {
                name,
                path,
                in_tests: self.in_tests,
            });
        }
        at
    }
}

fn joined(tokens: &[TokenTree], at: usize) -> bool {
    at >= 2 && is_joint(tokens, at - 2)
}

#[test]
fn every_form_is_seen() {
    let own = ["queue", "admin"];
    let paths = |text: &str| -> Vec<String> {
        let found = uses(text, &own).into_iter();
        found.map(|used| used.path.join("::")).collect()
    };
    for (text, expected) in [
        ("use crate::worker::Worker;", &["worker::Worker"][..]),
        (
            "use crate::{worker::Worker, error::{Error, ErrorKind}};",
            &["worker::Worker", "error::Error", "error::ErrorKind"],
        ),
        (
            "use crate::worker::{self, run::run};",
            &["worker", "worker::run::run"],
        ),
        ("use crate::worker as other;", &["worker"]),
        (
            "use crate::{worker as other, job as _};",
            &["worker", "job"],
        ),
        ("pub(crate) use crate::worker::*;", &["worker::*"]),
        ("use crate::*;", &["*"]),
        ("use crate as root;", &[""]),
        ("use crate::{self as root};", &[""]),
        (
            "fn f() { crate::redis::stream::Stream::new(1 * 2) }",
            &["redis::stream::Stream::new"],
        ),
        (
            "fn f(x: &crate::worker::W<crate::job::J>) {}",
            &["worker::W", "job::J"],
        ),
        (
            "let x = crate::a::B::<crate::c::D>::new();",
            &["a::B", "c::D"],
        ),
        ("let x = 2 * crate::a::N * 3;", &["a::N"]),
        ("let x = crate::a::N as u64;", &["a::N"]),
        (
            "vec![crate::worker::W, (crate::job::J)]",
            &["worker::W", "job::J"],
        ),
        (
            "macro_rules! m { () => { $crate::worker::run() }; }",
            &["worker::run"],
        ),
        ("use super::info::Counts;", &["queue::info::Counts"]),
        ("use super::super::worker::Worker;", &["worker::Worker"]),
        ("super::super::{worker, job}", &["worker", "job"]),
        ("use self::inner::X;", &["queue::admin::inner::X"]),
        (
            "mod inner; use inner::X; fn f() { X::new() }",
            &["queue::admin::inner::X", "queue::admin::inner::X::new"],
        ),
        (
            "use deep::Y; use inner::deep; pub(crate) mod inner;",
            &["queue::admin::inner::deep::Y", "queue::admin::inner::deep"],
        ),
        (
            "use crate::worker; fn f() { worker::run() }",
            &["worker", "worker::run"],
        ),
        (
            "use crate::worker as w; impl w::X { fn f() -> impl T + use<> { w::Y::z() } }",
            &["worker", "worker::X", "worker::Y::z"],
        ),
        ("use redis::Cmd; fn f() { redis::cmd() }", &[]),
        (
            "mod inner { use super::super::super::worker; }",
            &["worker"],
        ),
        ("pub(in crate::worker) fn f() {}", &["worker"]),
        ("pub(crate) fn f(&self) { self.worker::<u8>() }", &[]),
        ("use other::crate_::worker; other::self_::x;", &[]),
        (
            "//! See crate::worker.\n/// crate::worker\nfn f() { \"crate::worker\"; /* crate::worker */ }",
            &[],
        ),
    ] {
        assert_eq!(paths(text), expected, "{text}");
    }
    let names = uses(
        "pub use crate::job::state::{Place, State as JobState};",
        &[],
    );
    let names: Vec<_> = names.iter().map(|used| used.name.as_str()).collect();
    assert_eq!(names, ["Place", "JobState"]);
    let of_tests = |text: &str| -> Vec<bool> {
        let found = uses(text, &own).into_iter();
        found.map(|used| used.in_tests).collect()
    };
    let text = "use crate::a; #[cfg(test)] mod tests { use crate::b; } #[cfg(test)] use crate::c; \
                #[cfg(test)] fn f() -> crate::d::D { } #[cfg(feature = \"x\")] use crate::e;";
    assert_eq!(of_tests(text), [false, true, true, true, false]);
}
