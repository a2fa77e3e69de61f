//! A Redis of several servers: the master that sentinels name, and clusters. Who works with it finds the server where the
//! queue is, also after that has changed, and nothing that was acknowledged is lost.
//!
//! `PLACES=full` makes each test longer.

#[path = "../support/mod.rs"]
mod support;

mod clusters;
mod load;
mod sentinels;

/// How often something is done: the first number, or the second with `PLACES=full`.
fn rounds(short: usize, full: usize) -> usize {
    match std::env::var("PLACES").is_ok_and(|form| form == "full") {
        true => full,
        false => short,
    }
}
