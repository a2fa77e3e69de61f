//! Where × how: the future of every public call is polled once, twice, three times, ... until it
//! is done, and given up each time: dropped, its task aborted, or its runtime ended. Whatever it
//! was about to do, nothing is lost, nothing is done twice, and nothing is left behind.

mod support;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use oxcart::{
    Batch, Batched, Context, Error, EventCursor, EventKind, Failure, Job, JobHandle, JobState,
    Oxcart, Queue, QueueSettings, Retention, State, Worker, WorkerBuilder,
};
use serde::{Deserialize, Serialize};
use support::given_up::{Call, HOWS, at_every_await_point, given_up, polled};
use support::jobs::{Scene, Work, now_ms, work};
use support::workers::{drained, queue_at, run, server_and_queue, worker};
use support::{Proxy, Server, eventually, eventually_async, ids};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

/// Nothing of a job is in Redis that is not in one of its collections, and the other way round.
async fn assert_nothing_half_done(server: &Server, queue: &Queue) {
    let counts = queue.counts().await.unwrap();
    let jobs: u64 = server.ask(&["HLEN", "oxcart:{work}:jobs"]);
    assert_eq!(counts.left() + counts.completed + counts.dead, jobs);
}

/// Every job that is there runs once; answers how many.
async fn assert_each_runs_once(server: &Server, queue: &Queue) -> BTreeSet<String> {
    assert_nothing_half_done(server, queue).await;
    let scene = Scene::new();
    let builder = worker(queue, &scene).concurrency(100);
    let worker =
        run(builder.queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    let counts = drained(queue, 30 * SECOND).await;
    assert_eq!((counts.dead, counts.totals.stalled), (0, 0));
    worker.stop().await;
    let by_job = scene.runs_by_job();
    assert!(by_job.values().all(|runs| runs.len() == 1));
    by_job.into_keys().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_an_enqueue_given_up_anywhere_makes_its_job_once_or_not_at_all() {
    let (server, queue) = server_and_queue().await;
    let (mut sure, mut possible) = (BTreeSet::new(), BTreeSet::new());
    for polls in 1..=8 {
        for how in HOWS {
            let request = queue.enqueue(Work::Quick);
            let id = request.job_id().to_string();
            match given_up(how, polls, request.into_future()).await {
                Some(handle) => sure.insert(handle.unwrap().id().to_string()),
                None => possible.insert(id),
            };
        }
        // One that is awaited by reference can be awaited again.
        let mut request = queue.enqueue(Work::Quick);
        polled((&mut request).into_future(), polls).await;
        polled((&mut request).into_future(), polls).await;
        let handle = (&mut request).await.unwrap();
        sure.insert(handle.id().to_string());
    }
    let ran = assert_each_runs_once(&server, &queue).await;
    assert!(sure.is_subset(&ran));
    assert!(
        ran.iter()
            .all(|id| sure.contains(id) || possible.contains(id))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_many_given_up_anywhere_make_each_job_once_or_not_at_all() {
    const JOBS: usize = 600;
    let (server, queue) = server_and_queue().await;
    let mut sure = BTreeSet::new();
    let mut note = |handles: Vec<JobHandle<Work>>| {
        assert_eq!(handles.len(), JOBS);
        sure.extend(handles.iter().map(|handle| handle.id().to_string()));
    };
    let make = || -> Call<_> {
        let request = queue.enqueue_many(vec![Work::Quick; JOBS]);
        request.into_future()
    };
    at_every_await_point(make, async |answer| {
        answer
            .into_iter()
            .for_each(|handles| note(handles.unwrap()));
    })
    .await;
    for polls in 1..=8 {
        let mut request = queue.enqueue_many(vec![Work::Quick; JOBS]);
        let done = loop {
            let giving_up = polled((&mut request).into_future(), polls).await;
            if let Some(handles) = giving_up {
                break handles;
            }
        };
        note(done.unwrap());
    }
    let ran = assert_each_runs_once(&server, &queue).await;
    assert!(sure.is_subset(&ran));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_waits_for_results_given_up_anywhere_leave_nothing_behind() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let builder = worker(&queue, &scene)
        .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing));
    let worker = run(builder);
    queue.enqueue(Work::Quick).result().await.unwrap();
    // What is left behind would be a task of this runtime, or one of the library's, each of which
    // has a connection of its own.
    let held = || {
        let tasks = Handle::current().metrics().num_alive_tasks();
        (tasks, connections(&server))
    };
    // The task that reads the announcements ends when no caller waits.
    tokio::time::sleep(6 * SECOND).await;
    let before = held();

    let request = || -> Call<_> {
        let job = Work::sleep(SECOND / 20);
        queue.enqueue(job).result().into_future()
    };
    at_every_await_point(request, async |answer| {
        assert!(answer.is_none_or(|outcome| outcome.is_ok()));
    })
    .await;
    let on_hold = queue.enqueue(Work::Hold).await.unwrap();
    let never = || -> Call<_> { on_hold.result().within(SECOND / 2).into_future() };
    at_every_await_point(never, async |answer| {
        assert!(answer.is_none_or(|outcome| outcome.is_err()));
    })
    .await;
    // A caller that does not give up asks before it ends: an outcome for which no caller waits is not kept.
    let awaited_until = || -> Option<f64> {
        server.ask(&["ZSCORE", "oxcart:{work}:awaited", on_hold.id().as_str()])
    };
    // Longer than those wait that have given up.
    let asked_for = now_ms() as f64 + 10_000.0;
    let (outcome, ()) = tokio::join!(on_hold.result().into_future(), async {
        eventually(10 * SECOND, || awaited_until() > Some(asked_for)).await;
        scene.release(1);
    });
    outcome.unwrap();

    drained(&queue, 20 * SECOND).await;
    assert_nothing_half_done(&server, &queue).await;
    assert!(scene.runs_by_job().values().all(|runs| runs.len() == 1));
    let is_all_gone = |(tasks, connections)| tasks <= before.0 && connections <= before.1;
    eventually(20 * SECOND, || is_all_gone(held())).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_looking_and_changing_given_up_anywhere_leave_everything_in_order() {
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let queue = oxcart.queue("work").unwrap();
    let handle = queue.enqueue(Work::Quick).await.unwrap();
    let clients = || -> i64 { server.info("connected_clients").parse().unwrap() };

    type Make = Box<dyn Fn() -> Call<Result<(), Error>>>;
    /// A call of this queue, made anew each time.
    macro_rules! call {
        ($($kept:ident),* => $call:expr) => {{
            $(let $kept = $kept.clone();)*
            Box::new(move || -> Call<Result<(), Error>> {
                $(let $kept = $kept.clone();)*
                Box::pin(async move { $call.await.map(drop) })
            }) as Make
        }};
    }
    let url = server.url();
    let calls: Vec<(&str, Make)> = vec![
        ("connect", call!(url => Oxcart::connect(&url))),
        ("queues", call!(oxcart => oxcart.queues())),
        ("info", call!(handle => handle.info())),
        ("job", call!(queue, handle => queue.job(handle.id()))),
        (
            "jobs",
            call!(queue => queue.jobs(JobState::Waiting).into_future()),
        ),
        ("counts", call!(queue => queue.counts())),
        ("pause", call!(queue => queue.pause())),
        ("resume", call!(queue => queue.resume())),
        ("events", call!(queue => queue.events())),
        ("orphans", call!(queue => queue.orphans().list())),
        ("put back", call!(queue => queue.orphans().put_back())),
    ];
    for (name, make) in calls {
        at_every_await_point(make, async |answer| {
            answer.into_iter().for_each(|answer| answer.unwrap());
            // The next one is not disturbed, whatever became of the last.
            let counts = queue.counts().await.unwrap();
            assert_eq!(counts.waiting, 1, "after {name}");
        })
        .await;
    }
    queue.resume().await.unwrap();
    replayed_and_removed(&queue).await;
    edited_and_cancelled(&queue).await;
    assert_nothing_half_done(&server, &queue).await;
    // Connections are pooled; those of given up calls are not kept beside the pool's.
    eventually(10 * SECOND, || clients() <= 16 + 8).await;
}

/// Dead letters, replayed and removed by calls that are given up.
async fn replayed_and_removed(queue: &Queue) {
    let scene = Scene::new();
    let worker = run(worker(queue, &scene));
    for how in HOWS {
        for polls in 1..=4 {
            let dies = queue.enqueue(Work::Fail { times: 9 }).attempts(1);
            let id = dies.await.unwrap().id().clone();
            drained(queue, 10 * SECOND).await;
            let (of, replayed) = (queue.clone(), id.clone());
            let replay = async move { of.replay(&replayed).await };
            given_up(how, polls, Box::pin(replay)).await;
            // It died again, or still: it is there, once. A call that is given up may be carried out a moment later.
            let is_dead = async || ids(queue, JobState::Dead).await == [id.clone()];
            eventually_async(10 * SECOND, is_dead).await;
            drained(queue, 10 * SECOND).await;
            let (of, removed) = (queue.clone(), id.clone());
            let remove = async move { of.remove(&removed).await };
            given_up(how, polls, Box::pin(remove)).await;
            let is_gone = async || {
                let _ = queue.remove(&id).await.unwrap();
                queue.job(&id).await.unwrap().is_none()
            };
            eventually_async(10 * SECOND, is_gone).await;
        }
    }
    worker.stop().await;
}

/// Jobs that wait, edited and cancelled by calls that are given up.
async fn edited_and_cancelled(queue: &Queue) {
    for (how, polls) in HOWS
        .into_iter()
        .flat_map(|how| (1..=6).map(move |n| (how, n)))
    {
        let job = queue.enqueue(Work::Hold).await.unwrap();
        let info = async || job.info().await.unwrap().unwrap();
        let edit = || job.edit().payload(&Work::Quick).priority(7).into_future();
        given_up(how, polls, edit()).await;
        assert!(edit().await.unwrap().is_done());
        assert_eq!(
            (info().await.priority, info().await.state),
            (7, JobState::Waiting)
        );
        given_up(how, polls, job.cancel().into_future()).await;
        let _ = job.cancel().await.unwrap();
        assert_eq!(info().await.state, JobState::Cancelled);
    }
}

/// A job whose handler gives its own calls up.
#[derive(Serialize, Deserialize)]
struct Reports;

impl Job for Reports {
    const NAME: &'static str = "reports";
    type Output = usize;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_progress_given_up_anywhere_does_not_disturb_the_attempt() {
    let (_server, queue) = server_and_queue().await;
    let handler = async |_: Reports, ctx: Context| {
        let mut given = 0;
        for how in HOWS {
            for polls in 1..=6 {
                let ctx = ctx.clone();
                let report = async move { ctx.progress(&polls).await };
                let answer = given_up(how, polls, Box::pin(report)).await;
                match answer {
                    Some(stored) => stored?,
                    None => given += 1,
                }
            }
        }
        ctx.progress(&100).await?;
        Ok::<_, Failure>(given)
    };
    let worker = run(Worker::builder(&queue).handle(handler));
    let handle = queue.enqueue(Reports).await.unwrap();
    let given = handle.result().await.unwrap();
    assert!(given >= HOWS.len(), "every report was done at once");
    let info = handle.info().await.unwrap().unwrap();
    assert_eq!(info.progress::<usize>().unwrap(), Some(100));
    assert_eq!((info.stalls, info.failed), (0, 0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_events_are_read_once_and_in_order_by_a_reader_that_gives_up_all_the_time() {
    const JOBS: usize = 300;
    let (_server, queue) = server_and_queue().await;
    let mut events = queue.events_after("0-0".parse::<EventCursor>().unwrap());
    let handles = queue.enqueue_many(vec![Work::Quick; JOBS]).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < JOBS {
        let Some(event) = polled(events.next(), 1).await else {
            tokio::task::yield_now().await;
            continue;
        };
        if let EventKind::Added(id) = event.expect("it never ends").kind {
            seen.push(id);
        }
    }
    assert!(seen.iter().eq(handles.iter().map(|handle| handle.id())));
}

/// Polls a future also when nothing has happened that it waits for: a running worker wakes the
/// task that runs it for nothing but its end.
async fn often_polled<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut tick = tokio::time::interval(Duration::from_millis(3));
    poll_fn(|context| {
        while tick.poll_tick(context).is_ready() {}
        future.as_mut().poll(context)
    })
    .await
}

/// How many connections the server has.
fn connections(server: &Server) -> usize {
    server.info("connected_clients").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_a_worker_given_up_anywhere_loses_nothing_and_leaves_nothing_running() {
    given_up_anywhere(worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_a_worker_of_batches_given_up_anywhere_loses_nothing_and_leaves_nothing_running() {
    async fn together(jobs: Vec<Batched<Work>>, scene: State<Scene>) -> Result<(), Failure> {
        let attempts = jobs.into_iter().map(|one| {
            let (context, scene) = (one.context().clone(), scene.clone());
            let (job, pending) = one.into_parts();
            async move { pending.end(work(job, context, scene).await) }
        });
        futures::future::join_all(attempts).await;
        Ok(())
    }
    given_up_anywhere(|queue, scene| {
        let batch = Batch::up_to(20).within(SECOND / 100);
        let builder = Worker::builder(queue).concurrency(20);
        builder.state(scene.clone()).handle_batch(batch, together)
    })
    .await;
}

async fn given_up_anywhere(worker: fn(&Queue, &Scene) -> WorkerBuilder) {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let jobs = vec![Work::sleep(SECOND / 100); 3_000];
    let handles = queue.enqueue_many(jobs).await.unwrap();
    queue.counts().await.unwrap();
    let before = connections(&server);
    for how in HOWS {
        // While it runs, and, having been told to stop at once, while it stops.
        for (polls, stops) in (1..=12).flat_map(|polls| [(polls, false), (polls, true)]) {
            // Connected where it runs, as a program would.
            let (url, scene) = (server.url(), scene.clone());
            let working = async move {
                let queue = queue_at(&url).await;
                let builder = worker(&queue, &scene)
                    .lease(SECOND)
                    .queue_settings(QueueSettings::new().max_stalls(1_000));
                let worker = builder.concurrency(40).build().unwrap();
                let told = async move {
                    if !stops {
                        std::future::pending::<()>().await;
                    }
                };
                often_polled(worker.run_until(told)).await
            };
            given_up(how, 4 + polls, Box::pin(working)).await;
        }
    }
    assert_eq!(scene.running().len(), 0, "handlers go on");
    // Each of its tasks would hold one.
    eventually(10 * SECOND, || connections(&server) <= before).await;
    assert_nothing_half_done(&server, &queue).await;

    let builder = worker(&queue, &scene).concurrency(100).lease(SECOND);
    let last = run(builder.queue_settings(QueueSettings::new().max_stalls(1_000)));
    let counts = drained(&queue, 60 * SECOND).await;
    assert_eq!((counts.dead, counts.totals.completed), (0, 3_000));
    let by_job = scene.runs_by_job();
    for handle in &handles {
        let runs = &by_job[handle.id().as_str()];
        assert!(runs.last().unwrap().is_ok(), "{runs:?}");
        assert!(runs.windows(2).all(|pair| pair[0].fence < pair[1].fence));
    }
    last.stop().await;
}

fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_queue_outlives_the_runtime_that_first_sent_for_it() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let queue = queue_at(&proxy.url()).await;

    // It sent, and all is well.
    let runtime = one_thread();
    let of_first = queue.clone();
    let sent = runtime.spawn(async move { of_first.enqueue(Work::Quick).await.map(drop) });
    sent.await.unwrap().unwrap();
    tokio::task::block_in_place(|| drop(runtime));
    queue.enqueue(Work::Quick).await.unwrap();
    queue.counts().await.unwrap();

    // It ends while a call is under way whose answer is lost, and which somebody elsewhere waits
    // for: the call is repeated, and answered.
    let runtime = one_thread();
    let of_first = queue.clone();
    let sent = runtime.spawn(async move { of_first.enqueue(Work::Quick).await.map(drop) });
    sent.await.unwrap().unwrap();
    proxy.half_open(true);
    let mut request = queue.enqueue(Work::Quick);
    polled((&mut request).into_future(), 1).await;
    eventually(10 * SECOND, || proxy.bytes_swallowed() > 0).await;
    tokio::task::block_in_place(|| runtime.shutdown_timeout(5 * SECOND));
    proxy.half_open(false);
    let handle = (&mut request).await.unwrap();
    assert!(queue.job(handle.id()).await.unwrap().is_some());
    assert_eq!(queue.counts().await.unwrap().waiting, 4);
}

/// Begins a call in a task of its own on a runtime; returns once it was polled, and so has
/// submitted what it has to send.
async fn in_line<F>(runtime: &Handle, call: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (tell, begun) = oneshot::channel();
    let (mut tell, mut call) = (Some(tell), Box::pin(call));
    let task = runtime.spawn(poll_fn(move |context| {
        let answer = call.as_mut().poll(context);
        if let Some(tell) = tell.take() {
            let _ = tell.send(());
        }
        answer
    }));
    begun.await.expect("it does not panic");
    task
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_what_a_dead_runtime_had_to_send_is_sent() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let patient = Oxcart::builder().call_timeout(60 * SECOND);
    let oxcart = patient.connect(&proxy.url()).await.unwrap();
    let queue = oxcart.queue("work").unwrap();
    let runtime = one_thread();
    let of_first = queue.clone();
    let sent = runtime.spawn(async move { of_first.enqueue(Work::Quick).await.map(drop) });
    sent.await.unwrap().unwrap();

    // As many calls as may be are under way, and behind them others wait in line: more than fit
    // into one call. Their callers are gone with the runtime.
    proxy.half_open(true);
    for _ in 0..2 {
        let many = queue.enqueue_many(vec![Work::Quick; 256]);
        in_line(runtime.handle(), many.into_future()).await;
        let single = queue.enqueue(Work::Quick);
        in_line(runtime.handle(), single.into_future()).await;
    }
    let single = queue.enqueue(Work::Quick).into_future();
    let single = in_line(&Handle::current(), single).await;
    eventually(10 * SECOND, || proxy.bytes_swallowed() > 0).await;
    tokio::task::block_in_place(|| runtime.shutdown_timeout(5 * SECOND));
    proxy.half_open(false);
    single.await.unwrap().unwrap();
    assert_eq!(queue.counts().await.unwrap().waiting, 1 + 2 * 257 + 1);
}
