//! A million jobs wait and a million more are due at one moment: no call takes Redis for longer
//! than 10 ms, and every job runs once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use oxcart::{Changed, Failure, Job, JobState, Queue, QueueSettings, Retention, State, Worker};
use redis::Value;
use serde::{Deserialize, Serialize};

use crate::battery::Stage;
use crate::field::SECOND;
use crate::findings::{Findings, thousands};
use crate::support::workers::{queue_at, run as run_worker};
use crate::support::{Server, eventually};

const SLOW: Duration = Duration::from_millis(10);
/// On a machine that has more to do, a call is interrupted now and then; a verb that really is
/// slow is slow again and again. So many of a thousand calls may be.
const SLOW_PER_MILLE: usize = 2;
/// Each verb is called so often at the full backlog.
const REPEATS: usize = 50;

#[derive(Serialize, Deserialize)]
struct Number {
    number: usize,
}

impl Job for Number {
    const NAME: &'static str = "number";
    type Output = ();
}

/// How often each job has run; outside of Redis.
struct Tally {
    runs: Vec<AtomicU8>,
    done: AtomicUsize,
}

async fn count(job: Number, tally: State<Arc<Tally>>) -> Result<(), Failure> {
    tally.runs[job.number].fetch_add(1, Ordering::SeqCst);
    tally.done.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

pub(crate) async fn run(stage: Stage) -> Findings {
    let each = stage.pick(100_000, 1_000_000);
    let mut findings = Findings::default();
    let server = Server::options()
        .arg("--slowlog-log-slower-than", &SLOW.as_micros().to_string())
        .arg("--slowlog-max-len", "10000")
        .start();
    let queue = queue_at(&server.url()).await;
    let tally = Arc::new(Tally {
        runs: (0..2 * each).map(|_| AtomicU8::new(0)).collect(),
        done: AtomicUsize::new(0),
    });

    let started = Instant::now();
    fill(&queue, 0..each, None).await;
    // As long as it takes to enqueue the other half and to look at all of it, on a machine that is slow today, too.
    let due = Duration::from_secs(stage.pick(8, 100)).max(6 * started.elapsed());
    let due = SystemTime::now() + due;
    fill(&queue, each..2 * each, Some(due)).await;
    findings.note(format!(
        "{} jobs enqueued in {:.1} s",
        thousands(2 * each),
        started.elapsed().as_secs_f64()
    ));
    admire(&queue).await;
    assert!(
        SystemTime::now() < due,
        "filling took until the jobs were due"
    );
    if let Ok(wait) = due.duration_since(SystemTime::now()) {
        tokio::time::sleep(wait).await;
    }

    // All of them are due; no worker has looked yet.
    let started = Instant::now();
    let worker = Worker::builder(&queue)
        .state(Arc::clone(&tally))
        .concurrency(500)
        .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing))
        .handle(count);
    let worker = run_worker(worker);
    let all_done = || tally.done.load(Ordering::SeqCst) >= 2 * each;
    eventually(600 * SECOND, all_done).await;
    let rate = (2 * each) as f64 / started.elapsed().as_secs_f64();
    findings.note(format!(
        "drained at {} jobs a second",
        thousands(rate as usize)
    ));
    worker.stop().await;

    let runs = |wanted: fn(u8) -> bool| {
        let all = tally.runs.iter();
        all.filter(|runs| wanted(runs.load(Ordering::SeqCst)))
            .count()
    };
    findings.lost = runs(|runs| runs == 0);
    findings.repeated = runs(|runs| runs > 1);
    let counts = queue.counts().await.expect("it is there");
    findings.must(counts.left() + counts.dead == 0, || {
        format!("left: {counts:?}")
    });
    tokio::task::block_in_place(|| judge_slow_calls(&server, &mut findings));
    findings.load = format!(
        "{} jobs waiting, {} due at one moment",
        thousands(each),
        thousands(each)
    );
    findings.faults = "no fault but the number".to_owned();
    findings
}

async fn fill(queue: &Queue, numbers: Range<usize>, due: Option<SystemTime>) {
    const PART: usize = 20_000;
    for from in numbers.clone().step_by(PART) {
        let requests = (from..(from + PART).min(numbers.end)).map(|number| {
            let request = queue.enqueue(Number { number });
            match due {
                None => request,
                Some(due) => request.at(due),
            }
        });
        let handles = queue.enqueue_many(requests).await.expect("it is there");
        drop(handles);
    }
}

/// Everything that a person on call or an application does, at the full backlog.
async fn admire(queue: &Queue) {
    queue.pause().await.expect("it is there");
    let mut pages = [JobState::Waiting, JobState::Delayed, JobState::Dead].map(|it| queue.jobs(it));
    for _ in 0..REPEATS {
        queue.counts().await.expect("it is there");
        for request in &mut pages {
            let page = request.clone().await.expect("it is there");
            if let Some(next) = page.next {
                *request = request.clone().after(next);
            }
        }
        // Comes and goes again, as does one in front and one of another priority.
        let extra = queue.enqueue(Number { number: 0 });
        let extra = extra.priority(1).front().await.expect("it is there");
        queue
            .job(extra.id())
            .await
            .expect("it is there")
            .expect("it is kept");
        let waited = extra.result().within(Duration::from_millis(1)).await;
        assert!(waited.is_err(), "nobody runs it");
        let removed = queue.remove(extra.id()).await.expect("it is there");
        assert!(removed.is_done());
        let replayed = queue.replay(extra.id()).await;
        assert_eq!(replayed.expect("it is there"), Changed::NotFound);
    }
    queue.resume().await.expect("it is there");
}

/// SLOWLOG must be empty, but for calls that the machine, and not the backlog, held up.
fn judge_slow_calls(server: &Server, findings: &mut Findings) {
    let log: Vec<Vec<Value>> = server.ask(&["SLOWLOG", "GET", "-1"]);
    let calls = server.calls("evalsha") as usize;
    let mut slow: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for entry in &log {
        let micros: u64 = redis::from_redis_value_ref(&entry[2]).expect("a number");
        let command: Vec<String> = redis::from_redis_value_ref(&entry[3]).unwrap_or_default();
        let command = command.iter().take(2).cloned().collect::<Vec<_>>();
        slow.entry(command.join(" ")).or_default().push(micros);
    }
    // What this test itself asks for, and what happens once when the server starts.
    slow.retain(|command, _| command.to_lowercase().starts_with("evalsha"));
    let all: usize = slow.values().map(Vec::len).sum();
    let worst = slow.values().flatten().max().copied().unwrap_or(0);
    findings.note(format!(
        "{all} of {} script calls in SLOWLOG at 10 ms, the slowest {:.1} ms",
        thousands(calls),
        worst as f64 / 1_000.0
    ));
    findings.must(all * 1_000 <= calls * SLOW_PER_MILLE, || {
        format!("calls that took longer than {SLOW:?}: {slow:?}")
    });
}
