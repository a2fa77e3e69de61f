//! Producers and workers whose clocks are wrong by hours: nothing starts early, nothing late.
//!
//! Linux only: elsewhere nothing can be preloaded that simply, and the scenario says so.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oxcart::Backoff;

use crate::battery::Stage;
use crate::field::{Field, SECOND};
use crate::findings::{Findings, thousands};
use crate::load::Told;
use crate::support::books::Run;
use crate::support::jobs::{Scene, Work, now_ms};
use crate::support::workers::{WorkerProcess, queue_at};
use crate::support::{Process, Server, SteppedClock, spawn_self};

const HOUR_MS: i64 = 3_600_000;
/// One clock is ahead, one behind, one in another year.
const SHIFTS_H: [i64; 3] = [7, -5, -24 * 400];
/// Milliseconds are the rule; the rest is for machines that have more to do.
const LATE_MS: i64 = 1_000;
const BACKOFF: Duration = Duration::from_millis(500);

/// A job that a producer has enqueued, times by the right clock.
struct Made {
    /// Not before then.
    from_ms: i64,
    /// Then, if a worker is free.
    due_ms: i64,
}

pub(crate) async fn run(mut stage: Stage) -> Findings {
    let each = stage.pick(80, 1_500);
    let spread_ms = stage.pick(3_000, 20_000);
    let mut findings = Findings::default();
    if !cfg!(target_os = "linux") {
        findings.load = "not on this system: it needs LD_PRELOAD".to_owned();
        return findings;
    }
    let mut field = Field::new(Server::options()).await;
    let clocks = SHIFTS_H.map(|hours| {
        let clock = SteppedClock::new();
        clock.step(hours * HOUR_MS);
        (hours, clock)
    });
    let mut shifts: HashMap<u32, i64> = HashMap::new();
    let mut children: Vec<Process> = Vec::new();
    for (hours, clock) in &clocks {
        let settings = WorkerProcess {
            concurrency: 100,
            env: clock.environment().into(),
            ..WorkerProcess::of(&field.server)
        };
        let worker = settings.spawn(&field.scene);
        shifts.insert(worker.id(), hours * HOUR_MS);
        children.push(worker);
    }
    let started_ms = now_ms();
    let seed = stage.rng.u64(..).to_string();
    let mut producers: Vec<Process> = Vec::new();
    for (hours, clock) in &clocks {
        let environment = clock.environment();
        let producer = spawn_producer(&field, &environment, &seed, each, spread_ms);
        shifts.insert(producer.id(), hours * HOUR_MS);
        producers.push(producer);
    }
    for producer in &mut producers {
        let status = tokio::task::block_in_place(|| producer.wait(60 * SECOND));
        findings.must(status.success(), || {
            format!("a producer ended with {status}")
        });
    }
    let made = made(field.books.catch_up().notes(), &shifts);
    let told = Told::default();
    field
        .close(&mut findings, &told, 3, |before, _| before.how == "failed")
        .await;
    findings.lost += made
        .keys()
        .filter(|id| !field.books.of(id).iter().any(|run| run.is_ok()))
        .count();
    findings.must(made.len() == 3 * each, || {
        format!("{} jobs were made", made.len())
    });

    let latest = judge_times(&field, &made, &shifts, started_ms, &mut findings);
    findings.note(format!(
        "the latest start was {latest} ms after the job was due (≤ {LATE_MS} ms), the earliest \
         not before"
    ));
    let totals = field.direct.counts().await.expect("it is there").totals;
    findings.none_disturbed(&totals);
    for child in &mut children {
        child.terminate();
        tokio::task::block_in_place(|| child.wait(60 * SECOND));
    }
    findings.load = format!(
        "{} delayed and failing jobs, 3 producers, 3 workers",
        thousands(made.len())
    );
    findings.faults = "clocks wrong by 7 h, -5 h and -400 days".to_owned();
    findings
}

/// Compares every start with when it was due; answers the latest, in milliseconds.
fn judge_times(
    field: &Field,
    made: &HashMap<String, Made>,
    shifts: &HashMap<u32, i64>,
    started_ms: u64,
    findings: &mut Findings,
) -> i64 {
    let right = |run: &Run, ms: u64| ms as i64 - shifts[&run.pid];
    let mut latest = 0;
    let mut start = |run: &Run, from_ms: i64, due_ms: i64| {
        let began_ms = right(run, run.began_ms);
        latest = latest.max(began_ms - due_ms);
        findings.must(began_ms >= from_ms, || {
            format!("{} ms early: {run:?}", from_ms - began_ms)
        });
        findings.must(began_ms <= due_ms + LATE_MS, || {
            format!("{} ms late: {run:?}", began_ms - due_ms)
        });
    };
    for (id, runs) in field.books.by_job() {
        let made = &made[id];
        start(runs[0], made.from_ms, made.due_ms);
        for pair in runs.windows(2) {
            let failed_ms = right(pair[0], pair[0].ended_ms.expect("it failed"));
            let due_ms = failed_ms + BACKOFF.as_millis() as i64;
            start(pair[1], due_ms, due_ms);
        }
    }
    // The clocks really were wrong.
    let wrong = |run: &&Run| run.began_ms.abs_diff(started_ms) > HOUR_MS as u64;
    let all = field.books.runs();
    let wrong = all.iter().filter(wrong).count();
    findings.must(wrong == all.len(), || "the clocks were right".to_owned());
    latest
}

/// What the producers noted, by the right clock.
fn made(notes: &[String], shifts: &HashMap<u32, i64>) -> HashMap<String, Made> {
    let number = |text: &str| text.parse::<i64>().expect("a number");
    let read = |note: &String| {
        let words: Vec<&str> = note.split(' ').collect();
        let [kind, pid, id, first, second] = words[..] else {
            panic!("a producer noted {note:?}");
        };
        let shift = shifts[&(number(pid) as u32)];
        let (from_ms, due_ms) = match kind {
            "after" => (number(first) - shift, number(second) - shift),
            // A moment that a producer names is that moment, whatever the producer's own clock shows.
            _ => (number(first), number(first).max(number(second) - shift)),
        };
        (id.to_owned(), Made { from_ms, due_ms })
    };
    notes.iter().map(read).collect()
}

fn spawn_producer(
    field: &Field,
    environment: &[(String, String)],
    seed: &str,
    jobs: usize,
    spread_ms: u64,
) -> Process {
    let ledger = field
        .scene
        .path()
        .to_str()
        .expect("a temp path is plain text");
    let settings = [
        ("WORK_URL", field.server.url()),
        ("WORK_LEDGER", ledger.to_owned()),
        ("WORK_SEED", seed.to_owned()),
        ("WORK_JOBS", jobs.to_string()),
        ("WORK_SPREAD_MS", spread_ms.to_string()),
        ("WORK_NOW_MS", now_ms().to_string()),
    ];
    let own = settings.iter().map(|(name, value)| (*name, value.as_str()));
    let given = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    spawn_self("producer_process", &own.chain(given).collect::<Vec<_>>())
}

/// What a producer process does.
pub(crate) fn run_as_producer() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(produce());
}

async fn produce() {
    let setting = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("needs {name}"));
    let number = |name: &str| setting(name).parse::<u64>().expect("a number");
    let scene = Scene::open(setting("WORK_LEDGER").as_ref());
    let queue = queue_at(&setting("WORK_URL")).await;
    let mut rng = fastrand::Rng::with_seed(number("WORK_SEED") ^ u64::from(std::process::id()));
    let pid = std::process::id();
    for n in 0..number("WORK_JOBS") {
        let ms = rng.u64(0..=number("WORK_SPREAD_MS"));
        let job = match n % 3 {
            0 => Work::Fail { times: 1 },
            _ => Work::Quick,
        };
        let request = queue.enqueue(job).backoff(Backoff::fixed(BACKOFF));
        if n % 2 == 0 {
            let asked_ms = now_ms();
            let handle = request
                .delay(Duration::from_millis(ms))
                .await
                .expect("it is there");
            let (first, last) = (asked_ms + ms, now_ms() + ms);
            scene.note(&format!("after {pid} {} {first} {last}", handle.id()));
        } else {
            let at_ms = number("WORK_NOW_MS") + ms;
            let at: SystemTime = UNIX_EPOCH + Duration::from_millis(at_ms);
            let handle = request.at(at).await.expect("it is there");
            scene.note(&format!("at {pid} {} {at_ms} {}", handle.id(), now_ms()));
        }
    }
}
