//! Jobs that are cancelled while other processes run them: each handler hears of it at once, and none is run again; and
//! jobs whose caller is gone.
//!
//! `OXCART_CANCELLED=1000 cargo test --test cancelling -- --nocapture` says how long that took for so many.

mod support;

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use oxcart::{Changed, Error, JobId, JobState};
use support::given_up::{Call, at_every_await_point};
use support::jobs::{Scene, Work, now_ms};
use support::workers::{WorkerProcess, drained, run_as_process, server_and_queue};
use support::{Process, eventually, eventually_async};

const SECOND: Duration = Duration::from_secs(1);
const PROCESSES: usize = 3;
const JOBS: usize = 150;
/// Nothing else can tell a handler sooner: leases are renewed each third of their length.
const LEASE: Duration = Duration::from_secs(60);

#[test]
fn worker_process() {
    run_as_process();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_running_jobs_hears_that_it_is_cancelled_and_none_runs_again() {
    let jobs = std::env::var("OXCART_CANCELLED").map_or(JOBS, |n| n.parse().unwrap());
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let settings = WorkerProcess {
        concurrency: jobs.div_ceil(PROCESSES),
        lease: LEASE,
        ..WorkerProcess::of(&server)
    };
    let handles = queue.enqueue_many(vec![Work::Hold; jobs]).await.unwrap();
    let workers: Vec<Process> = (0..PROCESSES).map(|_| settings.spawn(&scene)).collect();
    eventually(30 * SECOND, || scene.runs().len() == jobs).await;

    let (began, asked_ms) = (Instant::now(), now_ms());
    let cancels = handles
        .iter()
        .map(|job| job.cancel().reason("moot").into_future());
    let told: Result<Vec<Changed>, Error> = futures::future::try_join_all(cancels).await;
    assert!(told.unwrap().iter().all(|told| *told == Changed::Requested));
    let asked = began.elapsed();
    let counts = drained(&queue, 30 * SECOND).await;
    let runs = scene.runs();
    let last_ms = runs.iter().filter_map(|run| run.ended_ms).max().unwrap();
    let heard = Duration::from_millis(last_ms - asked_ms);
    println!(
        "{jobs} jobs were cancelled in {asked:?}, and the last handler heard of it after {heard:?}"
    );
    // A loaded machine is slow; without the announcements it would be 20 s.
    assert!(heard < asked + 5 * SECOND, "{heard:?}");

    assert_eq!(counts.totals.cancelled as usize, jobs);
    assert_eq!(
        (counts.totals.retried, counts.dead, counts.totals.stalled),
        (0, 0, 0)
    );
    assert_eq!(runs.len(), jobs, "each ran once");
    assert!(runs.iter().all(|run| run.how == "cancelled"));
    let page = queue
        .jobs(JobState::Cancelled)
        .limit(jobs.min(256))
        .await
        .unwrap();
    assert_eq!(page.jobs.len(), jobs.min(256));
    drop(workers);
}

/// A job that is to be cancelled, and whose process dies before it can say so, does not run again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_process_dies_is_cancelled_when_it_is_taken_back() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let settings = WorkerProcess::of(&server);
    let job = queue.enqueue(Work::Perish { later_ms: 0 }).await.unwrap();
    let other = queue.enqueue(Work::Perish { later_ms: 0 }).await.unwrap();
    let mut worker = settings.spawn(&scene);
    eventually(30 * SECOND, || scene.runs().len() == 2).await;
    worker.pause();
    let told = job.cancel().reason("moot").await.unwrap();
    assert_eq!(told, Changed::Requested);
    worker.kill();
    let _successor = settings.spawn(&scene);
    let error = job.result().within(60 * SECOND).await.unwrap_err();
    assert!(
        error.is_cancelled() && error.to_string().contains("moot"),
        "{error}"
    );
    other.result().within(60 * SECOND).await.unwrap();
    let runs = scene.runs_by_job();
    assert_eq!(runs[job.id().as_str()].len(), 1);
    assert_eq!(runs[other.id().as_str()].len(), 2);
}

/// No worker runs: each job that was added waits until it is cancelled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_what_is_cancelled_when_its_caller_is_gone_is_cancelled_wherever_that_was() {
    let (_server, queue) = server_and_queue().await;
    let request = || {
        queue
            .enqueue(Work::Quick)
            .result()
            .within(SECOND / 5)
            .cancel_on_drop()
    };
    drop(request());
    at_every_await_point(
        || -> Call<_> { request().into_future() },
        async |answer| {
            let error = answer.map(|outcome| outcome.unwrap_err());
            // The limit holds for the enqueue as well.
            let is_over = |error: &Error| error.is_timeout() || error.is_not_sent();
            assert!(error.as_ref().is_none_or(is_over), "{error:?}");
        },
    )
    .await;
    // A job that was there under its id is another caller's.
    let id = JobId::new("kept").unwrap();
    let kept = queue.enqueue(Work::Quick).id(id.clone()).await.unwrap();
    let again = queue.enqueue(Work::Quick).id(id).result();
    let error = again.within(SECOND / 5).cancel_on_drop().await.unwrap_err();
    assert!(error.is_timeout());
    eventually_async(20 * SECOND, async || {
        let counts = queue.counts().await.unwrap();
        (counts.left(), counts.totals.cancelled) == (1, counts.totals.added - 1)
    })
    .await;
    assert_eq!(kept.info().await.unwrap().unwrap().state, JobState::Waiting);
}
