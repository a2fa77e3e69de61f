//! How fast are jobs of groups, beside plain ones? A worker gets through the same backlog of each kind in turn; what counts is the ratio
//! of the two in one run.

mod support;

use comfy_table::Table;
use oxcart::Enqueue;
use support::backlog::{Took, drain_of};
use support::{Bench, Nothing};

const SLOTS: usize = 100;
const ROUNDS: usize = 9;
const JOBS: u64 = 30_000;

/// What a backlog consists of.
const KINDS: [(&str, Option<u64>); 4] = [
    ("plain", None),
    ("one group, alone", Some(1)),
    ("ten groups", Some(10)),
    ("a group for each job", Some(u64::MAX)),
];

fn main() {
    let is_trial = std::env::args().any(|argument| argument == "--test");
    let (rounds, jobs) = if is_trial { (1, 100) } else { (ROUNDS, JOBS) };
    let bench = Bench::new();
    // Scripts are loaded, and connections made.
    measure(&bench, jobs / 10, Some(1));
    let mut took: Vec<Vec<(f64, f64)>> = vec![Vec::new(); KINDS.len()];
    for _ in 0..rounds {
        for (kind, (_, groups)) in KINDS.iter().enumerate() {
            took[kind].push(measure(&bench, jobs, *groups));
        }
    }
    let mut table = Table::new();
    table.set_header([
        "jobs",
        "a second",
        "speed",
        "Redis, µs a job",
        "Redis takes",
    ]);
    let (plain, plain_scripts) = medians(&took[0]);
    for ((name, _), took) in KINDS.iter().zip(&took) {
        let (time, scripts) = medians(took);
        table.add_row([
            (*name).to_owned(),
            format!("{:.0}", 1e6 / time),
            format!("{:.0} %", 100.0 * plain / time),
            format!("{scripts:.1}"),
            format!("{:.2} times as long", scripts / plain_scripts),
        ]);
    }
    println!("{table}\nmedians of {rounds} rounds in turn, {jobs} jobs each, {SLOTS} slots");
}

/// Microseconds a job: on the clock, and of all script calls by Redis' own count.
fn measure(bench: &Bench, jobs: u64, groups: Option<u64>) -> (f64, f64) {
    let with = |job: Enqueue<Nothing>, n: u64| match groups {
        Some(groups) => job.group(format!("tenant-{}", n % groups)),
        None => job,
    };
    let took = bench.runtime.block_on(drain_of(bench, SLOTS, jobs, with));
    let Took { time, scripts } = took.expect("the server answers");
    let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / jobs as f64;
    (each(time), each(scripts))
}

fn medians(took: &[(f64, f64)]) -> (f64, f64) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (times, scripts) = took.iter().copied().unzip();
    (median(times), median(scripts))
}
