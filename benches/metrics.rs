//! What does the feature `metrics` cost with a recorder? Processes take turns, one with the recorder of Prometheus and one without any,
//! because a recorder stays for as long as its process. Each enqueues and works off the same jobs; what counts is the ratio of the two.

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use comfy_table::Table;
use metrics_exporter_prometheus::PrometheusBuilder;
use nix::sys::resource::{UsageWho, getrusage};
use support::{Bench, Nothing, backlog};

/// Tells a process that it is one of two, and which.
const TURN: &str = "OXCART_BENCH_TURN";
const SLOTS: usize = 100;
const ROUNDS: usize = 25;
const JOBS: u64 = 40_000;

fn main() {
    let is_trial = std::env::args().any(|argument| argument == "--test");
    let (rounds, jobs) = if is_trial { (1, 100) } else { (ROUNDS, JOBS) };
    match std::env::var(TURN).as_deref() {
        Ok("with") => {
            let recorder = PrometheusBuilder::new().set_buckets(&[0.001, 0.01, 0.1, 1.0, 10.0]);
            let recorder = recorder.expect("there are buckets").install_recorder();
            let recorder = recorder.expect("it is the first");
            oxcart::metrics::describe();
            measure(jobs, || drop(recorder.render()));
        }
        Ok(_) => measure(jobs, || {}),
        Err(_) => compare(rounds),
    }
}

/// One of the three.
type Value = fn(&Took) -> f64;

/// What one job took: on the clock, and of the processor.
#[derive(Clone, Copy)]
struct Took {
    enqueued: f64,
    processed: f64,
    processor: f64,
}

/// The processor's time of this process so far.
fn processor() -> Duration {
    let used = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask for its own");
    let micros = [used.user_time(), used.system_time()]
        .map(|time| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64);
    Duration::from_micros(micros.iter().sum())
}

/// `collect`: what an exporter does every 15 seconds.
fn measure(jobs: u64, collect: impl Fn()) {
    let bench = Bench::new();
    let drain = |jobs| {
        let took = bench.runtime.block_on(backlog::drain(&bench, SLOTS, jobs));
        took.expect("the server answers").time
    };
    // Scripts are loaded, and connections made.
    drain(jobs / 10);
    bench.empty();
    let (used, started) = (processor(), Instant::now());
    let enqueue = async {
        let jobs = std::iter::repeat_with(Nothing::new).take(jobs as usize);
        bench.queue.enqueue_many(jobs).await
    };
    bench.runtime.block_on(enqueue).expect("the server answers");
    let enqueued = started.elapsed();
    let processed = drain(jobs);
    collect();
    let used = processor() - used;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / jobs as f64;
    // Jobs are enqueued twice: once for the clock, and once to be worked off.
    println!("{} {} {}", each(enqueued), each(processed), each(used));
}

fn turn(name: &str) -> Took {
    let program = std::env::current_exe().expect("a program knows its path");
    let mut command = Command::new(program);
    command.args(std::env::args().skip(1)).env(TURN, name);
    let said = command.output().expect("this program can be started");
    let text = String::from_utf8_lossy(&said.stdout);
    let numbers = text.split_whitespace().map(|number| number.parse().ok());
    match numbers.collect::<Option<Vec<f64>>>().as_deref() {
        Some([enqueued, processed, processor]) => Took {
            enqueued: *enqueued,
            processed: *processed,
            processor: *processor,
        },
        _ => panic!("{text}{}", String::from_utf8_lossy(&said.stderr)),
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values = values.collect::<Vec<_>>();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Each round has both turns, and begins with the other one each time. The ratio is that of each round, so that what slows the machine for a while
/// counts on both sides.
fn compare(rounds: usize) {
    let mut pairs = Vec::new();
    for round in 0..rounds {
        let pair = if round % 2 == 0 {
            let without = turn("without");
            (without, turn("with"))
        } else {
            let with = turn("with");
            (turn("without"), with)
        };
        pairs.push(pair);
    }
    let mut table = Table::new();
    table.set_header([
        "µs a job, medians",
        "without",
        "with",
        "ratio",
        "middle half of the ratios",
    ]);
    let rows: [(&str, Value); 3] = [
        ("enqueue_many", |took| took.enqueued),
        ("process, 100 slots", |took| took.processed),
        ("processor, all of it", |took| took.processor),
    ];
    for (name, value) in rows {
        let ratios = pairs
            .iter()
            .map(|(without, with)| value(with) / value(without));
        let mut sorted = ratios.collect::<Vec<_>>();
        sorted.sort_by(f64::total_cmp);
        let at = |part: usize| sorted[(sorted.len() - 1) * part / 4];
        table.add_row([
            name.to_owned(),
            format!(
                "{:.2}",
                median(pairs.iter().map(|(without, _)| value(without)))
            ),
            format!("{:.2}", median(pairs.iter().map(|(_, with)| value(with)))),
            format!("{:.3}", at(2)),
            format!("{:.3} to {:.3}", at(1), at(3)),
        ]);
    }
    println!("{table}");
}
