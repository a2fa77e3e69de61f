//! What a Rust file names of this crate, in whatever form it is written: `use` with groups, nested
//! or with other names, paths in expressions, types and macros, and paths that begin with `super`.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Something of this crate that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    /// From the root of the crate: `["redis", "link", "Link"]`; `*` for all there is; empty for the
    /// crate itself.
    pub(crate) path: Vec<String>,
    /// What the file calls it.
    pub(crate) name: String,
}

/// All that is named in the text of the module `own`, of which the path from the root is given.
pub(crate) fn uses(text: &str, own: &[&str]) -> Vec<Used> {
    let tokens: TokenStream = text.parse().expect("a Rust file");
    let own: Vec<String> = own.iter().map(|part| (*part).to_owned()).collect();
    let mut found = Vec::new();
    walk(&list(tokens), &own, &mut found);
    found
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

fn walk(tokens: &[TokenTree], own: &[String], found: &mut Vec<Used>) {
    let mut at = 0;
    while at < tokens.len() {
        let here = word(tokens.get(at));
        let goes_on = at >= 2 && is_joint(tokens, at - 2);
        let begin = match here.as_deref() {
            Some("crate") if !goes_on => Some(Vec::new()),
            Some("super" | "self") if !goes_on && is_joint(tokens, at + 1) => Some(own.to_vec()),
            _ => None,
        };
        if let Some(begin) = begin {
            // `super` leaves the module itself.
            let from = if here.as_deref() == Some("super") {
                at
            } else {
                at + 1
            };
            at = tree(tokens, from, begin, found).max(at + 1);
            continue;
        }
        if let (Some("mod"), Some(name), Some(body)) = (
            here.as_deref(),
            word(tokens.get(at + 1)),
            braces(tokens.get(at + 2)),
        ) {
            walk(&body, &[own, &[name]].concat(), found);
            at += 3;
            continue;
        }
        if let TokenTree::Group(group) = &tokens[at] {
            walk(&list(group.stream()), own, found);
        }
        at += 1;
    }
}

/// Reads what follows of a path, with all its branches; gives where it ends.
fn tree(tokens: &[TokenTree], from: usize, begin: Vec<String>, found: &mut Vec<Used>) -> usize {
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
                    tree(branch, 0, path.clone(), found);
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
    let alias = (word(tokens.get(at)).as_deref() == Some("as")).then(|| word(tokens.get(at + 1)));
    let name = alias.flatten().or_else(|| path.last().cloned());
    // `pub(crate)` names nothing.
    if !path.is_empty() || name.is_some() {
        found.push(Used {
            name: name.unwrap_or_default(),
            path,
        });
    }
    at
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
            "fn f() { crate::redis::link::Link::new(1 * 2) }",
            &["redis::link::Link::new"],
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
}
