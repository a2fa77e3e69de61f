//! A Redis of several servers: the master that sentinels name, and clusters. A program that works with it finds the server where the
//! queue is, also after that has changed, and nothing that was acknowledged is lost.
//!
//! `PLACES=full` makes each test longer.

#[path = "../support/mod.rs"]
mod support;

mod clusters;
mod guarded;
mod load;
mod resumption;
mod sentinels;
mod spread;

use oxcart::{Error, ErrorKind};

/// How often something is done: the first number, or the second with `PLACES=full`.
fn rounds(short: usize, full: usize) -> usize {
    match std::env::var("PLACES").is_ok_and(|form| form == "full") {
        true => full,
        false => short,
    }
}

fn says(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(words), "{error}");
}
