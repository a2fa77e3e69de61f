//! A line that is slow, or long, is not a dead one: calls take as long as their bytes, and become
//! smaller. What a server or a proxy takes at no size is given up alone.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use oxcart::{
    ErrorKind, Failure, Job, JobId, JobState, Oxcart, Queue, QueueSettings, Retention, State,
    Worker,
};
use serde::{Deserialize, Serialize};
use support::checks::assert_each_ran_once;
use support::jobs::{Scene, Work};
use support::workers::{QUEUE, drained, queue_at, run, watched, worker};
use support::{Proxy, Server, eventually, eventually_async, ids};
use tokio::sync::Semaphore;

const SECOND: Duration = Duration::from_secs(1);

/// A server, its queue, a proxy in front of it, and the queue as it is seen through that.
async fn behind_a_proxy(server: Server) -> (Server, Queue, Proxy, Queue) {
    let direct = queue_at(&server.url()).await;
    let proxy = Proxy::start(server.tcp_addr());
    let proxied = queue_at(&proxy.url()).await;
    (server, direct, proxy, proxied)
}

/// A job whose result has this many bytes.
#[derive(Clone, Serialize, Deserialize)]
struct Give {
    bytes: usize,
}

impl Job for Give {
    const NAME: &'static str = "give";
    type Output = String;
}

async fn give(job: Give) -> Result<String, Failure> {
    Ok("x".repeat(job.bytes))
}

/// Jobs of so many bytes begin soon and are done as fast as the line takes them.
async fn work_off(jobs: usize, bytes: usize, rate: u64, concurrency: usize, limit: Duration) {
    let (_server, direct, proxy, proxied) = behind_a_proxy(Server::start()).await;
    let all = vec![Work::carry(bytes); jobs];
    direct.enqueue_many(all).await.unwrap();
    proxy.bytes_per_second(rate);
    proxy.distance(Duration::from_millis(20));
    let scene = Scene::new();
    let (builder, events) = watched(worker(&proxied, &scene).concurrency(concurrency));
    let started = Instant::now();
    let worker =
        run(builder.queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    eventually(5 * SECOND, || !scene.runs().is_empty()).await;
    let first = started.elapsed();
    eventually(limit, || scene.runs().len() == jobs).await;
    assert_each_ran_once(jobs, &direct, &scene).await;
    println!(
        "{jobs} x {bytes}: first {first:?}, all {:?}",
        started.elapsed()
    );
    assert_eq!(events.lost_leases(), []);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_worker_on_a_slow_line_runs_large_jobs() {
    // The bytes alone take 2 s.
    work_off(10, 100 * 1024, 500_000, 10, 12 * SECOND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_worker_on_a_slow_line_runs_many_jobs_at_once() {
    // The bytes alone take 10 s.
    work_off(1_000, 10_000, 1_000_000, 256, 60 * SECOND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_producer_on_a_slow_line_sends_large_jobs_and_the_small_ones_behind_them() {
    let (_server, direct, proxy, proxied) = behind_a_proxy(Server::start()).await;
    proxy.bytes_per_second(500_000);
    proxy.distance(Duration::from_millis(20));
    let large = proxied.enqueue(Work::carry(900_000)).into_future();
    let small = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        proxied.enqueue(Work::Quick).await
    };
    let (large, small) = tokio::join!(large, small);
    let (large, small) = (large.unwrap(), small.unwrap());
    let order = ids(&direct, JobState::Waiting).await;
    assert_eq!(order, [large.id().clone(), small.id().clone()]);
    assert_eq!(direct.counts().await.unwrap().totals.added, 2);
    // Many go in calls that the line takes in a moment.
    let many = vec![Work::carry(10_000); 300];
    let handles = proxied.enqueue_many(many).await.unwrap();
    assert_eq!(handles.len(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_redis_far_away_runs_and_takes_jobs_without_trouble() {
    for each_way in [20, 100].map(Duration::from_millis) {
        let (_server, direct, proxy, proxied) = behind_a_proxy(Server::start()).await;
        proxy.distance(each_way);
        let scene = Scene::new();
        let (builder, events) = watched(worker(&proxied, &scene).concurrency(100));
        let worker = run(builder);
        join_all((0..200).map(async |_| proxied.enqueue(Work::Quick).await.unwrap())).await;
        assert_each_ran_once(200, &direct, &scene).await;
        assert_eq!(events.troubles(), [] as [String; 0]);
        worker.stop().await;
    }
}

/// One result that the server does not take, among many that it does.
async fn give_up_one(server: Server, too_large: usize, small: usize, says: &str, cut: u64) {
    const JOBS: usize = 100;
    let (_server, direct, proxy, proxied) = behind_a_proxy(server).await;
    proxy.cut_requests_over(cut);
    let builder = Worker::builder(&proxied).handle(give).concurrency(50);
    let (builder, _events) = watched(builder);
    let worker = run(builder.queue_settings(QueueSettings::new().keep_at_most(1_000)));
    let mut jobs = vec![Give { bytes: small }; JOBS];
    jobs.insert(JOBS / 2, Give { bytes: too_large });
    let handles = direct.enqueue_many(jobs).await.unwrap();
    let counts = drained(&direct, 30 * SECOND).await;
    assert_eq!((counts.totals.completed, counts.dead), (JOBS as u64, 1));
    assert_eq!((counts.totals.stalled, counts.totals.refused), (0, 0));
    let error = handles[JOBS / 2].result().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dead, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    // The worker goes on as before.
    let next = direct.enqueue(Give { bytes: 7 }).result().await.unwrap();
    assert_eq!(next.len(), 7);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_result_that_the_server_does_not_read_is_given_up_and_the_others_are_stored() {
    let server = Server::options().arg("--proto-max-bulk-len", "1mb").start();
    let says = "cannot be stored";
    give_up_one(server, 1024 * 1024 - 6, 100, says, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_result_that_a_proxy_never_passes_is_given_up_and_the_others_are_stored() {
    // Together the others are too large as well.
    let says = "cannot be stored";
    give_up_one(Server::start(), 250_000, 5_000, says, 100_000).await;
}

/// A small result is never too large. If it is refused, that has another reason, and passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_small_result_that_is_refused_is_sent_again_until_it_is_stored() {
    let (_server, direct, proxy, proxied) = behind_a_proxy(Server::start()).await;
    let worker = run(Worker::builder(&proxied).handle(give).concurrency(1));
    let first = direct.enqueue(Give { bytes: 7 }).result().await.unwrap();
    assert_eq!(first.len(), 7);
    proxy.refuse_requests_over(15_000);
    let job = direct.enqueue(Give { bytes: 20_000 }).await.unwrap();
    // A large one would be given up after the first of these.
    eventually(20 * SECOND, || proxy.requests_refused() >= 3).await;
    assert_eq!(direct.counts().await.unwrap().dead, 0);
    proxy.refuse_requests_over(0);
    assert_eq!(job.result().await.unwrap().len(), 20_000);
    let counts = direct.counts().await.unwrap();
    assert_eq!((counts.totals.completed, counts.dead), (2, 0));
    assert_eq!((counts.totals.stalled, counts.totals.refused), (0, 0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_results_that_are_too_large_together_are_stored_one_by_one() {
    const JOBS: usize = 20;
    let server = Server::options().arg("--client-query-buffer-limit", "1mb");
    let (_server, direct, _proxy, proxied) = behind_a_proxy(server.start()).await;
    let worker = run(Worker::builder(&proxied).handle(give).concurrency(50));
    let jobs = vec![Give { bytes: 200_000 }; JOBS];
    direct.enqueue_many(jobs).await.unwrap();
    let counts = drained(&direct, 30 * SECOND).await;
    assert_eq!((counts.totals.completed, counts.dead), (JOBS as u64, 0));
    worker.stop().await;
}

/// One payload that is not taken, among those of other callers.
async fn refuse_one(server: Server, too_large: usize, cut: u64) {
    const JOBS: u64 = 50;
    let (_server, direct, proxy, _) = behind_a_proxy(server).await;
    let oxcart = Oxcart::builder().payload_max(2 * 1024 * 1024);
    let oxcart = oxcart.connect(&proxy.url()).await.unwrap();
    let proxied = oxcart.queue(QUEUE).unwrap();
    proxy.cut_requests_over(cut);
    let others = join_all((0..JOBS).map(async |_| proxied.enqueue(Work::carry(5_000)).await));
    let asked = Instant::now();
    let (refused, others) = tokio::join!(
        proxied.enqueue(Work::carry(too_large)).into_future(),
        others
    );
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSent, "{error}");
    assert!(asked.elapsed() < 4 * SECOND, "after {:?}", asked.elapsed());
    let ids: Vec<_> = others.into_iter().map(|one| one.unwrap()).collect();
    assert_eq!(ids.len() as u64, JOBS);
    let counts = direct.counts().await.unwrap();
    assert_eq!((counts.totals.added, counts.waiting), (JOBS, JOBS));
    // A payload that fits goes as before.
    proxied.enqueue(Work::Quick).await.unwrap();
    assert_eq!(direct.counts().await.unwrap().totals.added, JOBS + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_payload_that_the_server_does_not_read_is_not_sent_and_the_others_are() {
    let server = Server::options().arg("--proto-max-bulk-len", "1mb").start();
    refuse_one(server, 1024 * 1024, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_payload_that_a_proxy_never_passes_is_not_sent_and_the_others_are() {
    refuse_one(Server::start(), 250_000, 100_000).await;
}

/// A call that gets no answer in the time that its bytes should take is sent again, and waited for
/// twice as long, until it is answered; so often at least.
async fn enqueue_slowly(bytes: usize, rate: u64, sent_again: u64) {
    let (_server, _direct, proxy, _) = behind_a_proxy(Server::start()).await;
    let oxcart = Oxcart::builder().call_timeout(180 * SECOND);
    let oxcart = oxcart.connect(&proxy.url()).await.unwrap();
    let queue = oxcart.queue(QUEUE).unwrap();
    queue.enqueue(Work::Quick).await.unwrap();
    let before = proxy.connections();
    proxy.bytes_per_second(rate);
    let started = Instant::now();
    queue.enqueue(Work::carry(bytes)).await.unwrap();
    let made = proxy.connections() - before;
    println!(
        "{bytes} bytes after {:?}, {made} connections",
        started.elapsed()
    );
    assert!(made >= sent_again, "{made} connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_call_timeout_that_is_longer_than_the_way_is_enough_for_a_mebibyte() {
    tokio::join!(
        // 4.4 s are waited for, and 5 are needed.
        enqueue_slowly(900_000, 180_000, 1),
        // 1.4 s are waited for, then 2.8, and 3.7 are needed.
        enqueue_slowly(100_000, 27_000, 2),
    );
}

/// One payload that is not taken, among many of one request.
async fn refuse_one_of_many(server: Server, too_large: usize, cut: u64) {
    const BEFORE: usize = 100;
    let (_server, direct, proxy, _) = behind_a_proxy(server).await;
    let oxcart = Oxcart::builder().payload_max(2 * 1024 * 1024);
    let oxcart = oxcart.connect(&proxy.url()).await.unwrap();
    let proxied = oxcart.queue(QUEUE).unwrap();
    proxy.cut_requests_over(cut);
    let small = |_| proxied.enqueue(Work::Quick);
    let culprit = proxied
        .enqueue(Work::carry(too_large))
        .id(JobId::new("culprit").unwrap());
    let jobs = (0..BEFORE).map(small).chain([culprit]);
    let mut many = proxied.enqueue_many(jobs.chain((0..BEFORE).map(small)));
    for _ in 0..2 {
        let error = (&mut many).await.map(|all| all.len()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSent, "{error}");
        assert_eq!(error.job_id().map(|id| id.as_str()), Some("culprit"));
        let added = direct.counts().await.unwrap().totals.added;
        assert!(added >= BEFORE as u64, "{added} of {BEFORE}");
    }
    let waiting = direct.jobs(JobState::Waiting).limit(BEFORE).await;
    assert_eq!(waiting.unwrap().jobs.len(), BEFORE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_one_payload_of_many_that_is_not_taken_holds_up_none_before_it() {
    let server = Server::options().arg("--proto-max-bulk-len", "1mb").start();
    refuse_one_of_many(server, 1024 * 1024, 0).await;
    refuse_one_of_many(Server::start(), 250_000, 100_000).await;
}

/// A payload that is cut off each time, and a question whether it ran, whose answer is lost.
async fn ask_in_vain_of_a_payload(passes_at_last: bool) {
    let (_server, direct, proxy, proxied) = behind_a_proxy(Server::start()).await;
    proxy.cut_requests_over(100_000);
    proxy.drop_reply_every(1);
    let mut request = proxied.enqueue(Work::carry(250_000));
    let heal = async {
        eventually(10 * SECOND, || proxy.replies_dropped() >= 1).await;
        if passes_at_last {
            proxy.cut_requests_over(0);
        }
        proxy.drop_reply_every(0);
    };
    let (answer, ()) = tokio::join!((&mut request).into_future(), heal);
    let error = answer.map(|job| job.id().clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSent, "{error}");
    assert_eq!(direct.counts().await.unwrap().totals.added, 0);
    proxy.cut_requests_over(0);
    (&mut request).await.unwrap();
    assert_eq!(direct.counts().await.unwrap().waiting, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_lost_answer_to_whether_a_payload_was_taken_does_not_say_that_it_was() {
    ask_in_vain_of_a_payload(false).await;
    ask_in_vain_of_a_payload(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_lost_answer_to_whether_a_result_was_stored_loses_no_result() {
    let (_server, direct, proxy, proxied) = behind_a_proxy(Server::start()).await;
    let gate = Arc::new(Semaphore::new(0));
    let give_when_told = async |job: Give, gate: State<Arc<Semaphore>>| {
        drop(gate.acquire().await);
        give(job).await
    };
    // Its one slot is taken, so it calls for nothing but to store the result.
    let builder = Worker::builder(&proxied).concurrency(1);
    let worker = run(builder.state(Arc::clone(&gate)).handle(give_when_told));
    let job = direct.enqueue(Give { bytes: 150_000 }).await.unwrap();
    let active = async || direct.counts().await.unwrap().active == 1;
    eventually_async(10 * SECOND, active).await;
    proxy.cut_requests_over(100_000);
    proxy.drop_reply_every(1);
    gate.add_permits(1);
    eventually(10 * SECOND, || proxy.replies_dropped() >= 1).await;
    proxy.cut_requests_over(0);
    proxy.drop_reply_every(0);
    let counts = drained(&direct, 10 * SECOND).await;
    assert_eq!((counts.totals.completed, counts.dead), (1, 0));
    assert_eq!((counts.totals.stalled, counts.totals.refused), (0, 0));
    assert_eq!(job.result().await.unwrap().len(), 150_000);
    worker.stop().await;
}
