//! The same work, in turn, on one private Redis, for oxcart and for other queues.
//!
//! `make bench-compare` runs it; `QUICK=1` is a short form, `PEERS=a,b` and `ROWS=a,b` choose
//! columns and rows, `RUNS=n` says how often, `ADD=1` adds to the figures of an earlier run. A whole
//! run writes `docs/bench.svg` and the table in `docs/performance.md`; a part of one does with
//! `DOCS=1`, and with `ROWS=none` that is all it does.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use peers::streams::{Streams, With, Without};

mod child;
mod contenders;
mod docs;
mod experiments;
mod machine;
mod measure;
mod peers;
mod plot;
mod private;
mod probe;
mod results;
mod runner;
mod session;
mod table;
mod terminal;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["child", peer, url] => child(peer, url),
        [] => compare(),
        _ => bail!("it takes no arguments; QUICK, PEERS, ROWS, RUNS, ADD and DOCS are read"),
    }
}

#[tokio::main]
async fn child(peer: &str, url: &str) -> Result<()> {
    match peer {
        "oxcart" => child::serve::<peers::oxcart::Ours>(url).await,
        "bullmq-official" => child::serve::<peers::bullmq::BullMq>(url).await,
        "oxana" => child::serve::<peers::oxana::Oxana>(url).await,
        "rusty-sidekiq" => child::serve::<peers::sidekiq::Sidekiq>(url).await,
        "apalis-redis" => child::serve::<peers::apalis::Apalis>(url).await,
        "streams" => child::serve::<Streams<Without>>(url).await,
        "streams-events" => child::serve::<Streams<With>>(url).await,
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
    println!("{}", terminal::show(&entries));
    println!("figures: {}", results::path().display());
    let part = ["QUICK", "PEERS", "ROWS"]
        .into_iter()
        .any(|name| setting(name).is_some());
    if !part || setting("DOCS").is_some() {
        docs::write(&entries, &machine)?;
    }
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
