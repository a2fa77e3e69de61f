//! A network that loses replies after Redis has carried the calls out, falls silent or breaks
//! connections: nothing is lost, nothing is done twice, and everybody goes on by themselves.

mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use oxcart::{
    Backoff, Enqueue, Enqueued, ErrorKind, JobState, Oxcart, Queue, QueueSettings, Retention,
};
use support::checks::{assert_each_ran_once, assert_typed, enqueue_by};
use support::jobs::{Scene, Work};
use support::workers::{QUEUE, drained, queue_at, run, server_and_queue, watched, worker};
use support::{Proxy, Server, eventually, eventually_async, ids};
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

/// A server, its queue, a proxy in front of it, and the queue as it is seen through that.
async fn server_and_proxy() -> (Server, Queue, Proxy, Queue) {
    let (server, direct) = server_and_queue().await;
    let proxy = Proxy::start(server.tcp_addr());
    let proxied = queue_at(&proxy.url()).await;
    (server, direct, proxy, proxied)
}

/// The queue through the proxy for a producer that wants an answer within a second.
async fn impatient(proxy: &Proxy) -> Queue {
    patient_for(SECOND, proxy).await
}

/// The queue through the proxy for a producer that waits so long for an answer.
async fn patient_for(limit: Duration, proxy: &Proxy) -> Queue {
    let settings = Oxcart::builder().call_timeout(limit);
    let oxcart = settings.connect(&proxy.url()).await.unwrap();
    oxcart.queue(QUEUE).unwrap()
}

/// Watches until it is aborted: no job may be active for 5 s without a handler that runs. Who gets
/// no answer asks again after 1 s; without that it would be a lease, 30 s.
fn watch_for_stranded(queue: Queue, scene: Scene) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut idle_since: HashMap<String, Instant> = HashMap::new();
        loop {
            let active = ids(&queue, JobState::Active).await;
            let running = scene.running();
            let idle = active.iter().filter(|id| !running.contains(id.as_str()));
            let idle: Vec<&str> = idle.map(|id| id.as_str()).collect();
            idle_since.retain(|id, _| idle.contains(&id.as_str()));
            for id in idle {
                let since = *idle_since.entry(id.to_owned()).or_insert_with(Instant::now);
                assert!(since.elapsed() < 5 * SECOND, "job {id} is stranded");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g3_replies_lost_after_the_call_was_carried_out_lose_and_repeat_nothing() {
    const CALLERS: usize = 50;
    const EACH: usize = 80;
    let (server, direct, proxy, proxied) = server_and_proxy().await;
    let scene = Scene::new();
    let builder = worker(&proxied, &scene).concurrency(50);
    let (builder, events) =
        watched(builder.queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    let worker = run(builder);
    let watch = watch_for_stranded(direct.clone(), scene.clone());

    proxy.drop_reply_every(10);
    let job = Work::sleep(Duration::from_millis(20));
    enqueue_by(CALLERS, EACH, &proxied, &job).await;
    assert_each_ran_once(CALLERS * EACH, &direct, &scene).await;

    assert!(proxy.replies_dropped() >= 10, "the network was good");
    assert_eq!(events.lost_leases(), []);
    assert!(!watch.is_finished(), "a job was stranded");
    watch.abort();
    for part in ["jobs", "active", "results", "completed"] {
        let key = format!("oxcart:{{work}}:{part}");
        let kept = usize::from(part == "active"); // the sentinel
        let found: usize = match part {
            "jobs" | "results" => server.ask(&["HLEN", &key]),
            _ => server.ask(&["ZCARD", &key]),
        };
        assert_eq!(found, kept, "{part}");
    }
    proxy.drop_reply_every(0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g3_no_way_through_the_queue_minds_lost_replies() {
    const EACH: usize = 200;
    let (_server, direct, proxy, proxied) = server_and_proxy().await;
    let scene = Scene::new();
    let builder = worker(&proxied, &scene).concurrency(50);
    let (builder, events) =
        watched(builder.queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    let worker = run(builder);
    proxy.drop_reply_every(5);
    let caller = async |n: u64| {
        let soon = Duration::from_millis(n);
        let at_once = Backoff::fixed(Duration::ZERO);
        let later = Backoff::fixed(soon);
        let delayed = proxied.enqueue(Work::Quick).delay(soon);
        delayed.priority(n as u16).await.unwrap();
        let large = proxied.enqueue(Work::carry(8 * 1024));
        large.front().await.unwrap();
        let fails = proxied.enqueue(Work::Fail { times: 1 });
        fails.backoff(at_once).await.unwrap();
        let fails = proxied.enqueue(Work::Fail { times: 2 });
        fails.backoff(later).await.unwrap();
        let dies = proxied.enqueue(Work::Fail { times: 9 });
        dies.attempts(1).await.unwrap();
        let done = proxied.enqueue(Work::Quick).result().await.unwrap();
        assert_eq!(done.pid, std::process::id());
    };
    join_all((0..EACH as u64).map(caller)).await;
    let counts = drained(&direct, 60 * SECOND).await;

    let each = EACH as u64;
    let totals = counts.totals;
    assert_eq!((totals.added, totals.completed), (6 * each, 5 * each));
    assert_eq!((totals.retried, counts.dead), (3 * each, each));
    assert_eq!((totals.stalled, totals.refused), (0, 0));
    assert_eq!(events.lost_leases(), []);
    let mut by_count = [0; 4];
    for runs in scene.runs_by_job().values() {
        by_count[runs.len()] += 1;
        let attempts: Vec<u32> = runs.iter().map(|run| run.attempt).collect();
        assert!(
            attempts.iter().copied().eq(1..=runs.len() as u32),
            "{attempts:?}"
        );
    }
    assert_eq!(by_count, [0, 4 * EACH, EACH, EACH]);
    proxy.drop_reply_every(0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_worker_and_a_producer_go_on_after_connections_that_fall_silent() {
    let (_server, direct, proxy, proxied) = server_and_proxy().await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&proxied, &scene).concurrency(50));
    let worker = run(builder);
    let watch = watch_for_stranded(direct.clone(), scene.clone());
    let job = Work::sleep(Duration::from_millis(10));

    // A greeting that nobody answers takes 3 s, and the call that came before it 1 s.
    let producer = patient_for(20 * SECOND, &proxy).await;

    // Now and then a reply is lost, and its connection stays open and silent.
    proxy.swallow_every(15);
    let enqueue = enqueue_by(20, 25, &producer, &job);
    let enough = eventually(30 * SECOND, || proxy.replies_dropped() >= 4);
    tokio::join!(enqueue, async {
        enough.await;
        proxy.swallow_every(0);
    });
    drained(&direct, 20 * SECOND).await;

    // For a while nothing comes through at all.
    proxy.half_open(true);
    let enqueue = enqueue_by(20, 25, &producer, &job);
    tokio::join!(enqueue, async {
        tokio::time::sleep(3 * SECOND).await;
        proxy.half_open(false);
    });
    assert_each_ran_once(1_000, &direct, &scene).await;
    assert_eq!(events.lost_leases(), []);
    assert!(!watch.is_finished(), "a job was stranded");
    watch.abort();
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_worker_and_a_producer_go_on_over_connections_that_break_or_are_slow() {
    let (_server, direct, proxy, proxied) = server_and_proxy().await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&proxied, &scene).concurrency(50));
    let worker = run(builder);
    let job = Work::sleep(Duration::from_millis(10));

    let enqueue = enqueue_by(20, 25, &proxied, &job);
    tokio::join!(enqueue, async {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            proxy.cut_all();
        }
    });
    proxy.refuse(true);
    proxy.cut_all();
    let enqueue = enqueue_by(20, 25, &proxied, &job);
    tokio::join!(enqueue, async {
        tokio::time::sleep(SECOND).await;
        proxy.refuse(false);
    });
    proxy.delay(Duration::from_millis(250));
    enqueue_by(20, 5, &proxied, &job).await;
    assert_each_ran_once(1_100, &direct, &scene).await;
    assert_eq!(events.lost_leases(), []);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_request_awaited_again_does_not_duplicate_even_a_job_that_is_done_and_gone() {
    let (_server, direct, proxy, _) = server_and_proxy().await;
    let producer = impatient(&proxy).await;
    let scene = Scene::new();
    let worker = run(worker(&direct, &scene)
        .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    for jobs in 1..=3 {
        proxy.swallow_every(1);
        let mut request = producer.enqueue(Work::Quick);
        let asked = Instant::now();
        let error = (&mut request).await.unwrap_err();
        assert_typed(&error, ErrorKind::Unknown, asked);
        let id = request.job_id().clone();
        assert_eq!(error.job_id(), Some(&id));
        // It was carried out; by now nothing is known of the job any more.
        assert_eq!(drained(&direct, 5 * SECOND).await.totals.completed, jobs);
        assert!(direct.job(&id).await.unwrap().is_none());

        let asked = Instant::now();
        let error = (&mut request).await.unwrap_err();
        assert_typed(&error, ErrorKind::Unknown, asked);
        proxy.swallow_every(0);
        // A repeat may just have been swallowed; the next one comes a second later.
        assert_gets_through(&mut request).await;
        assert_each_ran_once(jobs as usize, &direct, &scene).await;
    }
    worker.stop().await;
}

/// Awaits the request, gives up after a moment, twice; then awaits it until it is answered.
async fn dropped_twice_then_awaited<R, T>(request: &mut R, network_is_back: impl FnOnce()) -> T
where
    for<'a> &'a mut R: IntoFuture<Output = Result<T, oxcart::Error>>,
{
    const MOMENT: Duration = Duration::from_millis(300);
    for _ in 0..2 {
        let given_up = tokio::time::timeout(MOMENT, (&mut *request).into_future()).await;
        assert!(given_up.is_err(), "it was answered");
    }
    network_is_back();
    (&mut *request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_request_dropped_midway_and_awaited_again_does_not_duplicate() {
    const MANY: usize = 600;
    let (_server, direct, proxy, _) = server_and_proxy().await;
    let scene = Scene::new();
    let builder = worker(&direct, &scene).concurrency(50);
    let worker =
        run(builder.queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    for round in 1..=3 {
        // One that has not sent anything yet, so that it is its request that is swallowed.
        let producer = queue_at(&proxy.url()).await;
        proxy.swallow_every(1);
        let mut one = producer.enqueue(Work::Quick);
        let id = one.job_id().clone();
        let back = || proxy.swallow_every(0);
        let handle = dropped_twice_then_awaited(&mut one, back).await;
        assert_eq!((handle.id(), handle.enqueued()), (&id, Enqueued::New));

        proxy.swallow_every(1);
        let mut many = producer.enqueue_many(vec![Work::Quick; MANY]);
        let handles = dropped_twice_then_awaited(&mut many, back).await;
        assert_eq!(handles.len(), MANY);
        let is_new = |handle: &oxcart::JobHandle<Work>| handle.enqueued() == Enqueued::New;
        assert!(handles.iter().all(is_new));
        // Their first calls were carried out when nobody heard the answer, and their jobs are
        // done and gone: they must not come back.
        assert_each_ran_once(round * (MANY + 1), &direct, &scene).await;
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_many_jobs_awaited_again_go_on_where_they_stopped() {
    const JOBS: usize = 2_000;
    let (_server, direct, proxy, _) = server_and_proxy().await;
    let producer = impatient(&proxy).await;
    let scene = Scene::new();
    let builder = worker(&direct, &scene).concurrency(50);
    let worker =
        run(builder.queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    // Eight calls: of these the third and the sixth are carried out and never answered.
    proxy.swallow_every(3);
    let mut request = producer.enqueue_many((0..JOBS).map(|_| Work::Quick));
    let mut failed = 0;
    let handles = loop {
        let asked = Instant::now();
        match (&mut request).await {
            Ok(handles) => break handles,
            Err(error) => assert_typed(&error, ErrorKind::Unknown, asked),
        }
        failed += 1;
        assert!(failed < 10, "it never gets through");
    };
    assert!(failed > 0, "every answer arrived");
    assert_eq!(handles.len(), JOBS);
    assert!(
        handles
            .iter()
            .all(|handle| handle.enqueued() == Enqueued::New)
    );
    assert_each_ran_once(JOBS, &direct, &scene).await;
    worker.stop().await;
}

/// All of these, awaited at once, must fail, with this kind.
async fn assert_all_fail(requests: &mut [Enqueue<Work>], kind: ErrorKind) {
    let asked = Instant::now();
    for fate in join_all(requests.iter_mut().map(IntoFuture::into_future)).await {
        assert_typed(&fate.unwrap_err(), kind, asked);
    }
}

/// Awaited again, each makes its job, sooner or later.
async fn assert_all_get_through(requests: &mut [Enqueue<Work>]) {
    for request in requests {
        assert_gets_through(request).await;
    }
}

/// Awaited again, it makes its job, sooner or later.
async fn assert_gets_through(request: &mut Enqueue<Work>) {
    let id = request.job_id().clone();
    eventually_async(10 * SECOND, async || match (&mut *request).await {
        Ok(handle) => {
            assert_eq!((handle.id(), handle.enqueued()), (&id, Enqueued::New));
            true
        }
        Err(error) => {
            assert!(error.is_retryable(), "{error:?}");
            false
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_producer_knows_what_was_not_sent_and_what_may_have_been() {
    let (_server, direct, proxy, _) = server_and_proxy().await;
    let scene = Scene::new();
    let worker = run(worker(&direct, &scene));
    let requests = |n: usize, queue: &Queue| -> Vec<_> {
        (0..n).map(|_| queue.enqueue(Work::Quick)).collect()
    };

    // Nobody listens.
    let producer = impatient(&proxy).await;
    proxy.refuse(true);
    let mut refused = requests(5, &producer);
    assert_all_fail(&mut refused, ErrorKind::NotSent).await;
    proxy.refuse(false);
    assert_all_get_through(&mut refused).await;

    // A connection is taken, and then nobody answers the greeting.
    let newcomer = impatient(&proxy).await;
    proxy.half_open(true);
    let mut ignored = requests(5, &newcomer);
    assert_all_fail(&mut ignored, ErrorKind::NotSent).await;
    assert_eq!(direct.counts().await.unwrap().totals.added, 5);

    // A connection that was good until now swallows one.
    let mut swallowed = requests(1, &producer);
    assert_all_fail(&mut swallowed, ErrorKind::Unknown).await;
    proxy.half_open(false);
    assert_all_get_through(&mut ignored).await;
    assert_all_get_through(&mut swallowed).await;
    assert_each_ran_once(11, &direct, &scene).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_worker_that_redis_cannot_hear_stops_its_handlers_by_its_own_clock() {
    // The handler is told a sixth of it before it ends.
    const LEASE: Duration = Duration::from_secs(6);
    let (_server, direct, proxy, proxied) = server_and_proxy().await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&proxied, &scene).lease(LEASE));
    let cut_off = run(builder);
    let held = direct.enqueue(Work::Hold).await.unwrap();
    eventually(5 * SECOND, || scene.running().len() == 1).await;

    proxy.half_open(true);
    let silent = Instant::now();
    eventually(20 * SECOND, || scene.running().is_empty()).await;
    assert!(silent.elapsed() <= LEASE, "{:?}", silent.elapsed());
    assert_eq!(scene.runs_of(held.id())[0].how, "cancelled");

    // Others take the job over, and what the first says later changes nothing.
    let living = run(worker(&direct, &scene).lease(LEASE));
    eventually(20 * SECOND, || scene.runs_of(held.id()).len() == 2).await;
    scene.release(1);
    let done = held.result().await.unwrap();
    let runs = scene.runs_of(held.id());
    assert_eq!(done.fence, runs[1].fence);
    proxy.half_open(false);
    let lost = [(held.id().clone(), runs[0].fence)];
    eventually(20 * SECOND, || events.lost_leases() == lost).await;
    assert_eq!(held.result().await.unwrap(), done);
    let totals = direct.counts().await.unwrap().totals;
    assert_eq!(
        (totals.completed, totals.stalled, totals.refused),
        (1, 1, 1)
    );

    // The one that was cut off is a worker like any other again.
    living.stop().await;
    let next = direct.enqueue(Work::Quick).await.unwrap();
    next.result().within(10 * SECOND).await.unwrap();
    cut_off.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_g4_many_jobs_keep_their_order_whatever_the_network_loses() {
    const JOBS: usize = 20_000;
    let (_server, direct, proxy, _) = server_and_proxy().await;
    let began = Instant::now();
    let proxied = patient_for(60 * SECOND, &proxy).await;
    // Between two cuts a connection can be made and used, over TLS and on a busy machine as well.
    let good_for = began.elapsed().max(Duration::from_millis(10));
    proxied.enqueue(Work::Quick).await.unwrap();
    proxy.drop_reply_every(5);
    // Now a reply is lost, now a request.
    let cuts = async {
        loop {
            tokio::time::sleep(good_for).await;
            proxy.cut_all();
        }
    };
    let many = proxied.enqueue_many(vec![Work::Quick; JOBS]).into_future();
    let handles = tokio::select! {
        handles = many => handles.unwrap(),
        () = cuts => unreachable!(),
    };
    assert!(proxy.replies_dropped() >= 5, "the network was good");
    assert!(handles.iter().all(|job| job.enqueued() == Enqueued::New));

    let stored = ids(&direct, JobState::Waiting).await;
    assert!(stored[1..].iter().eq(handles.iter().map(|job| job.id())));
    assert_eq!(direct.counts().await.unwrap().waiting, 1 + JOBS as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_g4_jobs_keep_their_order_when_connections_fall_silent() {
    const JOBS: usize = 60;
    let (_server, direct, proxy, _) = server_and_proxy().await;
    let queue = patient_for(60 * SECOND, &proxy).await;
    let (mut sent, mut requests) = (Vec::new(), Vec::new());
    for n in 0..JOBS {
        // Silent from the first call on; then now and then, longer than a call is waited for.
        match n % 20 {
            0 => proxy.half_open(true),
            8 => proxy.half_open(false),
            _ => {}
        }
        let request = queue.enqueue(Work::Quick);
        sent.push(request.job_id().clone());
        let mut request = request.into_future();
        assert!(
            futures::poll!(&mut request).is_pending(),
            "it is handed over"
        );
        requests.push(request);
        tokio::time::sleep(SECOND / 8).await;
    }
    for job in join_all(requests).await {
        assert_eq!(job.unwrap().enqueued(), Enqueued::New);
    }
    assert_eq!(ids(&direct, JobState::Waiting).await, sent);
}
