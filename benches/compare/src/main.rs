//! The same work, in turn, on one private Redis, for oxcart and for other queues.
//!
//! `make bench-compare` runs it; `QUICK=1` is a short form, `PEERS=a,b` and `ROWS=a,b` choose
//! columns and rows, `RUNS=n` says how often, `ADD=1` adds to the figures of an earlier run.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

mod child;
mod contenders;
mod experiments;
mod machine;
mod measure;
mod peers;
mod private;
mod probe;
mod results;
mod runner;
mod session;
mod table;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["child", peer, url] => child(peer, url),
        [] => compare(),
        _ => bail!("it takes no arguments; QUICK=1, PEERS=.., ROWS=.., RUNS=.. and ADD=1 are read"),
    }
}

#[tokio::main]
async fn child(peer: &str, url: &str) -> Result<()> {
    match peer {
        "oxcart" => child::serve::<peers::oxcart::Ours>(url).await,
        "bullmq-official" => child::serve::<peers::bullmq::BullMq>(url).await,
        _ => bail!("no peer is called `{peer}`"),
    }
}

fn compare() -> Result<()> {
    let quick = setting("QUICK").is_some();
    let mut entries = match setting("ADD") {
        Some(_) => results::earlier()?,
        None => Vec::new(),
    };
    let mut runner = runner::Runner::new(quick)?;
    let machine = machine::facts(runner.redis_version()?);
    println!("{machine}\n");
    for experiment in experiments::chosen(quick)? {
        results::merge(&mut entries, runner.run(experiment)?);
        // After each, so that what was measured is there if the next is interrupted.
        results::save(&entries)?;
    }
    println!("{}", table::terminal(&entries));
    println!("figures: {}", results::path().display());
    Ok(())
}

/// The value of a variable of the environment that is set and not empty.
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The repository's folder for what is built.
fn target() -> PathBuf {
    repository().join("target")
}

fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}
