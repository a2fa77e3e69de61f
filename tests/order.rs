//! The order in which jobs are claimed: by priority, then by when they became ready; who comes
//! back unharmed keeps its place.

mod support;

use std::time::{Duration, SystemTime};

use oxcart::{Backoff, Enqueue, JobId, Queue};
use support::jobs::{Scene, Work, now_ms};
use support::workers::{RunningWorker, drained, run, server_and_queue, watched, worker};
use support::{eventually, eventually_async};

const SECOND: Duration = Duration::from_secs(1);

/// A request for a job of that name.
fn named(queue: &Queue, name: &str, job: Work) -> Enqueue<Work> {
    queue.enqueue(job).id(JobId::new(name).unwrap())
}

/// Enqueues jobs of these names, one after the other, separated by spaces.
async fn enqueue(queue: &Queue, names: &str, job: &Work) {
    for name in names.split(' ') {
        named(queue, name, job.clone()).await.unwrap();
    }
}

/// The names of the jobs that have begun, in the order in which they were claimed.
fn began(scene: &Scene) -> Vec<String> {
    let mut runs = scene.runs();
    runs.sort_by_key(|run| run.fence);
    runs.into_iter().map(|run| run.id).collect()
}

/// Runs everything, one at a time, and answers the order.
async fn run_one_at_a_time(queue: &Queue, scene: &Scene) -> String {
    let worker = run(worker(queue, scene).concurrency(1));
    drained(queue, 20 * SECOND).await;
    worker.stop().await;
    began(scene).join(" ")
}

/// A worker with one slot, and a job in it that waits for the test.
async fn occupied(queue: &Queue, scene: &Scene) -> RunningWorker {
    let worker = run(worker(queue, scene).concurrency(1));
    enqueue(queue, "held", &Work::Hold).await;
    eventually(5 * SECOND, || began(scene) == ["held"]).await;
    worker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_jobs_of_one_priority_run_in_the_order_they_were_enqueued() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let name = |n| format!("job-{n:04}");
    // One by one; several calls because there are many; several calls because they are large.
    for n in 0..20 {
        named(&queue, &name(n), Work::Quick).await.unwrap();
    }
    let many = (20..620).map(|n| named(&queue, &name(n), Work::Quick));
    queue.enqueue_many(many).await.unwrap();
    let large = (620..650).map(|n| named(&queue, &name(n), Work::carry(100 * 1024)));
    queue.enqueue_many(large).await.unwrap();

    run_one_at_a_time(&queue, &scene).await;
    let expected: Vec<String> = (0..650).map(name).collect();
    assert_eq!(began(&scene), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_fences_follow_the_order_whatever_the_concurrency() {
    const JOBS: usize = 3_000;
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let handles = queue.enqueue_many(vec![Work::Quick; JOBS]).await.unwrap();
    let workers = [100, 7].map(|slots| run(worker(&queue, &scene).concurrency(slots)));
    drained(&queue, 20 * SECOND).await;
    let by_job = scene.runs_by_job();
    let claimed: Vec<u64> = handles
        .iter()
        .map(|handle| by_job[handle.id().as_str()][0].fence)
        .collect();
    assert_eq!(claimed.len(), JOBS);
    assert!(
        claimed.is_sorted(),
        "a later job was claimed before an earlier one"
    );
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_the_lower_number_goes_first_strictly() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = occupied(&queue, &scene).await;
    for (name, priority) in [
        ("low-1", 1023),
        ("middle-1", 500),
        ("high-1", 499),
        ("top-1", 0),
        ("low-2", 1023),
        ("high-2", 499),
        ("top-2", 0),
    ] {
        let job = named(&queue, name, Work::Hold);
        job.priority(priority).await.unwrap();
    }
    enqueue(&queue, "middle-2", &Work::Hold).await;
    // After each, one that is even more urgent arrives, and is next.
    scene.release(3);
    eventually(5 * SECOND, || began(&scene).len() == 4).await;
    let late = named(&queue, "top-3", Work::Hold);
    late.priority(0).await.unwrap();
    scene.release(100);
    drained(&queue, 10 * SECOND).await;
    assert_eq!(
        began(&scene).join(" "),
        "held top-1 top-2 high-1 top-3 high-2 middle-1 middle-2 low-1 low-2"
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_front_goes_before_everything_of_its_priority() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    enqueue(&queue, "a b", &Work::Quick).await;
    let urgent = named(&queue, "urgent", Work::Quick);
    urgent.priority(1).await.unwrap();
    named(&queue, "c", Work::Quick).front().await.unwrap();
    named(&queue, "d", Work::Quick).front().await.unwrap();
    let of_other = named(&queue, "last", Work::Quick);
    of_other.priority(501).front().await.unwrap();
    enqueue(&queue, "e", &Work::Quick).await;
    let order = run_one_at_a_time(&queue, &scene).await;
    assert_eq!(order, "urgent d c a b e last");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_a_retry_goes_to_the_back_of_its_priority() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let at_once = Backoff::fixed(Duration::ZERO);
    let fails = named(&queue, "fails", Work::Fail { times: 2 });
    fails.priority(7).backoff(at_once).await.unwrap();
    for name in ["a", "b"] {
        let job = named(&queue, name, Work::Quick);
        job.priority(7).await.unwrap();
    }
    enqueue(&queue, "later", &Work::Quick).await;
    let order = run_one_at_a_time(&queue, &scene).await;
    assert_eq!(order, "fails a b fails fails later");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_delayed_jobs_get_in_line_when_they_are_due_with_their_priority() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = occupied(&queue, &scene).await;
    enqueue(&queue, "a b", &Work::Quick).await;
    let delayed = |name, ms| named(&queue, name, Work::Quick).delay(Duration::from_millis(ms));
    // In one call: their delays count from one moment.
    let delayed = [
        delayed("due-last", 700),
        delayed("due-first", 400),
        delayed("urgent", 600).priority(3),
        delayed("front", 500).front(),
        delayed("low", 300).priority(800),
    ];
    queue.enqueue_many(delayed).await.unwrap();
    let all_due = now_ms() + 700;
    eventually(5 * SECOND, || now_ms() > all_due).await;
    scene.release(1);
    drained(&queue, 10 * SECOND).await;
    assert_eq!(
        began(&scene).join(" "),
        "held urgent front a b due-first due-last low"
    );
    worker.stop().await;
}

/// A moment that long from now.
fn in_ms(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms() + ms)
}

async fn is_past(time: SystemTime) {
    // Some more, for Redis counts in whole milliseconds.
    let time = time + Duration::from_millis(2);
    eventually(20 * SECOND, || SystemTime::now() > time).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_what_is_due_is_in_line_by_its_priority_and_before_what_is_new() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let due = in_ms(3_000);
    let names: Vec<String> = (0..500).map(|n| format!("due-{n:03}")).collect();
    let jobs = names.iter().map(|name| named(&queue, name, Work::Quick));
    let jobs = jobs.map(|job| job.priority(900).at(due));
    queue.enqueue_many(jobs).await.unwrap();
    let urgent = named(&queue, "urgent", Work::Quick).priority(0);
    let later = due + Duration::from_millis(1);
    urgent.at(later).await.unwrap();
    assert_eq!(
        queue.counts().await.unwrap().delayed,
        501,
        "none is due yet"
    );
    is_past(later).await;
    let new = named(&queue, "a-new-one", Work::Quick);
    new.priority(900).await.unwrap();

    run_one_at_a_time(&queue, &scene).await;
    let order = began(&scene);
    assert_eq!(order[0], "urgent");
    assert_eq!(order[1..501], names);
    assert_eq!(order[501..], ["a-new-one"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_large_claims_keep_the_priorities_of_a_backlog_that_is_due() {
    const JOBS: usize = 20_000;
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    queue.pause().await.unwrap();
    // The less urgent, the earlier it is due.
    let due = SystemTime::now() + SECOND;
    let priority = |n: usize| (n * 7_919 % 1_024) as u16;
    let jobs = (0..JOBS).map(|n| {
        let late = Duration::from_millis(1_023 - u64::from(priority(n)));
        let name = format!("{:04}-{n:05}", priority(n));
        let job = named(&queue, &name, Work::Quick);
        job.priority(priority(n)).at(due + late)
    });
    queue.enqueue_many(jobs).await.unwrap();
    is_past(due + 2 * SECOND).await;
    queue.resume().await.unwrap();

    // Two lanes, each with calls of 256.
    let worker = run(worker(&queue, &scene).concurrency(600));
    drained(&queue, 60 * SECOND).await;
    worker.stop().await;
    let order = began(&scene);
    assert_eq!(order.len(), JOBS);
    let inverted = order
        .windows(2)
        .position(|pair| pair[0][..4] > pair[1][..4]);
    assert_eq!(
        inverted, None,
        "a less urgent job was claimed before a more urgent one"
    );
    // All of a priority were due together.
    assert!(
        order.is_sorted(),
        "a later job was claimed before an earlier one"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_retries_that_are_due_go_before_what_is_new() {
    const JOBS: usize = 300;
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let backoff = || Backoff::fixed(3 * SECOND);
    let fails = (0..JOBS).map(|n| {
        let job = named(&queue, &format!("fails-{n:03}"), Work::Fail { times: 1 });
        job.priority(900).backoff(backoff())
    });
    queue.enqueue_many(fails).await.unwrap();
    let first = run(worker(&queue, &scene).concurrency(100));
    let all_failed = async || queue.counts().await.unwrap().delayed == JOBS as u64;
    eventually_async(20 * SECOND, all_failed).await;
    first.stop().await;
    let before = began(&scene).len();
    is_past(in_ms(4_000)).await;
    let new = named(&queue, "a-new-one", Work::Quick);
    new.priority(900).await.unwrap();
    run_one_at_a_time(&queue, &scene).await;
    let order = began(&scene);
    assert_eq!(order.last().unwrap(), "a-new-one");
    assert_eq!(order.len(), before + JOBS + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_released_jobs_keep_their_exact_place() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    enqueue(&queue, "a b c d e", &Work::Hold).await;
    let stopped = run(worker(&queue, &scene).concurrency(3).grace(Duration::ZERO));
    eventually(5 * SECOND, || began(&scene).len() == 3).await;
    let urgent = named(&queue, "urgent", Work::Quick);
    urgent.priority(1).await.unwrap();
    named(&queue, "f", Work::Quick).await.unwrap();
    stopped.stop().await;
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.active), (7, 0));

    scene.release(5);
    let order = run_one_at_a_time(&queue, &scene).await;
    assert_eq!(order, "a b c urgent a b c d e f");
    let runs = scene.runs();
    assert!(
        runs.iter().all(|run| run.attempt == 1),
        "no attempt is burnt"
    );
    assert_eq!(queue.counts().await.unwrap().totals.stalled, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_recovered_jobs_keep_their_exact_place_even_at_a_worker_with_one_slot() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    enqueue(&queue, "a b c d e f", &Work::Hold).await;
    // Long enough for the next worker to begin before they are taken back.
    let lease = 4 * SECOND;
    let crashed = run(worker(&queue, &scene).concurrency(3).lease(lease));
    eventually(5 * SECOND, || began(&scene).len() == 3).await;
    crashed.crash().await;

    let (builder, events) = watched(worker(&queue, &scene).concurrency(1));
    let living = run(builder);
    eventually(5 * SECOND, || began(&scene).len() == 4).await;
    let urgent = named(&queue, "urgent", Work::Hold);
    urgent.priority(1).await.unwrap();
    eventually(20 * SECOND, || events.recovered() == 3).await;
    scene.release(100);
    drained(&queue, 30 * SECOND).await;
    let order = began(&scene)[3..].join(" ");
    assert_eq!(order, "d urgent a b c e f", "`d` was running before");
    assert_eq!(queue.counts().await.unwrap().dead, 0);
    living.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_a_recovered_job_is_not_passed_over_within_a_batch() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    enqueue(&queue, "suspect", &Work::Hold).await;
    // Long enough for the next worker to begin before it is taken back.
    let crashed = run(worker(&queue, &scene).lease(4 * SECOND));
    eventually(5 * SECOND, || began(&scene).len() == 1).await;
    crashed.crash().await;

    let living = run(worker(&queue, &scene).concurrency(1));
    enqueue(&queue, "held", &Work::Hold).await;
    eventually(5 * SECOND, || scene.running().contains("held")).await;
    queue.pause().await.unwrap();
    let is_back = async || queue.counts().await.unwrap().totals.stalled == 1;
    eventually_async(20 * SECOND, is_back).await;
    for (name, priority) in [("urgent", 1), ("low-1", 900), ("low-2", 900)] {
        let job = named(&queue, name, Work::Quick);
        job.priority(priority).await.unwrap();
    }
    scene.release(2);
    eventually(5 * SECOND, || scene.running().is_empty()).await;
    // Three free slots, filled in one call.
    living.control.set_concurrency(3).unwrap();
    queue.resume().await.unwrap();
    drained(&queue, 10 * SECOND).await;
    let order = began(&scene);
    let place = |name: &str| order.iter().rposition(|id| id == name).unwrap();
    assert!(place("suspect") < place("low-1"), "{order:?}");
    assert!(place("urgent") < place("low-1"), "{order:?}");
    living.stop().await;
}
