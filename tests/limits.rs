//! Every call ends in the time that its documentation says, whatever Redis does: it accepts
//! connections and is silent, it is gone, or what is sent to it vanishes.

mod support;

use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_redis::{Manager, Pool};
use futures::future::join_all;
use oxcart::{
    Context, Enqueued, Error, ErrorKind, Failure, Job, JobId, JobState, Oxcart, Queue,
    QueueSettings, State, Worker,
};
use redis::io::tcp::socket2::{Domain, Socket, Type};
use serde::{Deserialize, Serialize};
use support::jobs::{Scene, Work};
use support::workers::{RunningWorker, queue_at, run, server_and_queue, worker};
use support::{Proxy, Server, eventually, eventually_async};
use tokio::sync::Semaphore;

const SECOND: Duration = Duration::from_secs(1);
/// Beyond the time that is documented: this machine has much else to do.
const SLACK: Duration = SECOND;

#[derive(Serialize, Deserialize)]
struct Report;

impl Job for Report {
    const NAME: &'static str = "report";
    type Output = ();
}

/// Where a handler says what its report of progress came to.
type Told = State<tokio::sync::mpsc::Sender<Result<u32, Error>>>;

/// How Redis behaves towards its clients.
#[derive(Debug, Clone, Copy)]
enum Silence {
    /// It accepts everything and answers nothing.
    Frozen,
    /// It accepts no connection.
    Gone,
    /// Nobody accepts or refuses a connection: the address is a black hole.
    Vanished,
}

/// What keeps a black hole open.
struct BlackHole {
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// A listener that accepts nothing, and whose queue is full: the kernel drops what comes.
    fn at(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.set_reuse_address(true).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let mut queued = Vec::new();
        let full = loop {
            match TcpStream::connect_timeout(&address, SECOND / 5) {
                Ok(stream) => queued.push(stream),
                Err(error) => break error,
            }
            assert!(queued.len() < 1_000, "the queue does not get full");
        };
        assert_eq!(full.kind(), std::io::ErrorKind::TimedOut);
        Self {
            _listener: listener,
            _queued: queued,
        }
    }
}

impl Silence {
    /// From now on; what is given has to be kept.
    fn falls(self, server: &Server) -> Option<BlackHole> {
        match self {
            Self::Frozen => server.pause(),
            Self::Gone => server.kill(),
            Self::Vanished => {
                server.kill();
                return Some(BlackHole::at(server.tcp_addr()));
            }
        }
        None
    }
}

/// One call of the table: its name, how long it may take as documented, and the call.
struct Call {
    name: &'static str,
    limit: Duration,
    call: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>,
}

fn call<T>(
    name: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Call {
    let call = Box::pin(async move { call.await.map(drop) });
    Call { name, limit, call }
}

/// Everything that an application can await.
fn every_call(oxcart: &Oxcart, queue: &Queue, url: &str) -> Vec<Call> {
    const CALL: Duration = Duration::from_secs(5);
    const SINGLE: Duration = Duration::from_secs(8);
    const WAIT: Duration = Duration::from_secs(2);
    let id = JobId::generate();
    let (oxcart, url) = (oxcart.clone(), url.to_owned());
    let q = || queue.clone();
    let work = || queue.enqueue(Work::Quick);
    let (handle, schedule) = (queue.handle::<Work>(id.clone()), queue.schedule("pulse"));
    // Each call has its own clone.
    macro_rules! with {
        ($value:expr, |$name:ident| $body:expr) => {{
            let $name = $value;
            async move { $body }
        }};
    }
    vec![
        call("enqueue", CALL, work().into_future()),
        call(
            "enqueue_many",
            CALL,
            queue.enqueue_many(vec![Work::Quick; 1_000]).into_future(),
        ),
        call(
            "enqueue and result",
            WAIT,
            work().result().within(WAIT).into_future(),
        ),
        call(
            "enqueue and result, at length",
            CALL,
            work().result().into_future(),
        ),
        call(
            "result",
            WAIT + SECOND,
            handle.result().within(WAIT).into_future(),
        ),
        call("info", SINGLE, with!(handle, |it| it.info().await)),
        call(
            "job",
            SINGLE,
            with!((q(), id.clone()), |it| it.0.job(&it.1).await),
        ),
        call("counts", SINGLE, with!(q(), |it| it.counts().await)),
        call(
            "jobs",
            SINGLE,
            with!(q(), |it| it.jobs(JobState::Dead).await),
        ),
        call("pause", SINGLE, with!(q(), |it| it.pause().await)),
        call("resume", SINGLE, with!(q(), |it| it.resume().await)),
        call(
            "replay",
            SINGLE,
            with!((q(), id.clone()), |it| it.0.replay(&it.1).await),
        ),
        call(
            "remove",
            SINGLE,
            with!((q(), id), |it| it.0.remove(&it.1).await),
        ),
        call("settings", SINGLE, with!(q(), |it| it.settings().await)),
        call(
            "change settings",
            SINGLE,
            with!(q(), |it| it
                .change_settings(QueueSettings::new().max_stalls(4))
                .await),
        ),
        call(
            "orphans",
            SINGLE,
            with!(q(), |it| it.orphans().list().await),
        ),
        call(
            "put back orphans",
            SINGLE,
            with!(q(), |it| it.orphans().put_back().await),
        ),
        call("delete", SINGLE, queue.delete().into_future()),
        call("schedules", SINGLE, with!(q(), |it| it.schedules().await)),
        call(
            "schedule",
            SINGLE,
            schedule
                .clone()
                .every(SECOND)
                .job(Work::Quick)
                .into_future(),
        ),
        call(
            "info of a schedule",
            SINGLE,
            with!(schedule.clone(), |it| it.info().await),
        ),
        call(
            "pause of a schedule",
            SINGLE,
            with!(schedule.clone(), |it| it.pause().await),
        ),
        call(
            "remove of a schedule",
            SINGLE,
            with!(schedule.clone(), |it| it.remove().await),
        ),
        call("trigger", SINGLE, with!(schedule, |it| it.trigger().await)),
        call("events", SINGLE, with!(q(), |it| it.events().await)),
        call("queues", SINGLE, with!(oxcart, |it| it.queues().await)),
        call(
            "connect",
            3 * SECOND,
            async move { Oxcart::connect(&url).await },
        ),
    ]
}

async fn assert_every_call_ends_in_time(silence: Silence) {
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let queue = oxcart.queue("work").unwrap();
    queue.enqueue(Work::Quick).await.unwrap();
    let _kept = silence.falls(&server);
    let timed = every_call(&oxcart, &queue, &server.url()).into_iter();
    let timed = timed.map(async |Call { name, limit, call }| {
        let began = Instant::now();
        let answer = call.await;
        (name, limit, began.elapsed(), answer)
    });
    let mut late = Vec::new();
    for (name, limit, took, answer) in join_all(timed).await {
        let error = answer.expect_err(name);
        println!("{silence:?}: {name} took {took:.1?} of {limit:?}: {error:?}");
        if took > limit + SLACK {
            late.push((name, limit, took));
        }
    }
    assert!(late.is_empty(), "{silence:?}: {late:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_every_call_ends_in_time_if_redis_answers_nothing() {
    assert_every_call_ends_in_time(Silence::Frozen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_every_call_ends_in_time_if_redis_is_gone() {
    assert_every_call_ends_in_time(Silence::Gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_every_call_ends_in_time_if_redis_is_behind_a_black_hole() {
    assert_every_call_ends_in_time(Silence::Vanished).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_who_waited_too_long_for_a_result_knows_what_holds_for_the_job() {
    let limit = SECOND;
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let direct = queue_at(&server.url()).await;
    let oxcart = Oxcart::connect(&proxy.url()).await.unwrap();
    let queue = oxcart.queue("work").unwrap();
    let job = || queue.enqueue(Work::Quick).result().within(limit);

    // It was added, and no worker runs.
    let error = job().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(direct.job(error.job_id().unwrap()).await.unwrap().is_some());

    // It was sent, and the answer is lost: it is there, or will be.
    proxy.half_open(true);
    let mut unknown = job();
    let began = Instant::now();
    let error = (&mut unknown).await.unwrap_err();
    assert!(began.elapsed() < limit + SLACK, "{:?}", began.elapsed());
    assert_eq!(error.kind(), ErrorKind::Unknown, "{error:?}");
    assert!(error.is_retryable());
    let id = error.job_id().unwrap().clone();

    // Nothing was sent, nor will be: a queue that has no connection yet gets none.
    proxy.refuse(true);
    let fresh = oxcart.queue("fresh").unwrap();
    let never = fresh.enqueue(Work::Quick).result().within(limit).await;
    let error = never.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSent, "{error:?}");
    proxy.half_open(false);
    proxy.refuse(false);
    proxy.cut_all();
    // What comes later comes behind it.
    fresh.enqueue(Work::Quick).await.unwrap();
    assert!(fresh.job(error.job_id().unwrap()).await.unwrap().is_none());

    // Awaited again, the same wait finds out, as soon as the call gets through, and goes on with the
    // same job.
    eventually_async(10 * SECOND, async || {
        let again = (&mut unknown).await.unwrap_err();
        assert_eq!(again.job_id(), Some(&id));
        assert!(again.is_unknown() || again.is_timeout(), "{again:?}");
        again.is_timeout()
    })
    .await;
    assert!(direct.job(&id).await.unwrap().is_some());
    assert_eq!(direct.counts().await.unwrap().waiting, 2);
    let scene = Scene::new();
    let working = run(worker(&direct, &scene));
    (&mut unknown).await.unwrap();
    assert_eq!(scene.runs_of(&id).len(), 1);
    working.stop().await;
}

/// A pool says how connections are made; none is taken out of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_pool_of_the_application_that_is_exhausted_delays_nothing() {
    if support::road::is_skipped_in_a_cluster("pool of an application") {
        return;
    }
    let (server, _) = server_and_queue().await;
    let manager = Manager::new(server.url()).unwrap();
    let pool = Pool::builder(manager).max_size(1).build().unwrap();
    let _the_only_one = pool.get().await.unwrap();
    let oxcart = Oxcart::with_pool(pool.clone()).await.unwrap();
    let queue = oxcart.queue("work").unwrap();
    let scene = Scene::new();
    let working = run(worker(&queue, &scene));
    let began = Instant::now();
    let sent = queue.enqueue(Work::Quick).await.unwrap();
    assert_eq!(sent.enqueued(), Enqueued::New);
    sent.result().await.unwrap();
    queue.counts().await.unwrap();
    queue.events().await.unwrap();
    queue.schedules().await.unwrap();
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    assert_eq!(pool.status().size, 1);
    working.stop().await;
}

/// A worker with five jobs whose handlers end when they are released; and its jobs.
async fn busy_worker(queue: &Queue, scene: &Scene, grace: Duration) -> RunningWorker {
    queue.enqueue_many(vec![Work::Hold; 5]).await.unwrap();
    let running = run(worker(queue, scene).grace(grace));
    eventually(10 * SECOND, || scene.running().len() == 5).await;
    running
}

/// Stops the worker; how long that took, and what it ended with.
async fn stopped(worker: RunningWorker) -> (Duration, Result<(), Error>) {
    let began = Instant::now();
    let ended = worker.try_stop().await;
    println!("stopped after {:.1?}: {ended:?}", began.elapsed());
    (began.elapsed(), ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_worker_stops_within_its_grace_period_and_three_seconds_while_redis_is_away() {
    let cases = [Silence::Frozen, Silence::Gone, Silence::Vanished];
    let cases = cases.into_iter().flat_map(|silence| {
        let graces = [Duration::ZERO, 4 * SECOND];
        graces.map(|grace| (silence, grace))
    });
    let mut places = Vec::new();
    for case in cases {
        // One after the other: it takes a while where each server is a cluster.
        places.push((case, server_and_queue().await));
    }
    let stops =
        async |((silence, grace), (server, queue)): ((Silence, Duration), (Server, Queue))| {
            let scene = Scene::new();
            let working = busy_worker(&queue, &scene, grace).await;
            let _kept = silence.falls(&server);
            scene.release(5);
            eventually(5 * SECOND, || scene.running().is_empty()).await;
            let (took, ended) = stopped(working).await;
            let error = ended.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unknown, "{error:?}");
            // It did not give up at once.
            let (least, most) = (grace.max(3 * SECOND), grace + 3 * SECOND + SLACK);
            assert!(took >= least && took < most, "{silence:?}: {took:?}");
        };
    join_all(places.into_iter().map(stops)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_worker_whose_handlers_do_not_end_stops_within_its_grace_period_and_ten_seconds() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    queue.enqueue(Work::Perish { later_ms: 0 }).await.unwrap();
    let working = run(worker(&queue, &scene).grace(SECOND));
    eventually(10 * SECOND, || scene.running().len() == 1).await;
    server.pause();
    let (took, ended) = stopped(working).await;
    assert!(ended.unwrap_err().is_unknown());
    assert!(took < SECOND + 10 * SECOND + SLACK, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_worker_that_has_nothing_to_store_stops_at_once_while_redis_is_away() {
    for silence in [Silence::Frozen, Silence::Gone, Silence::Vanished] {
        let (server, queue) = server_and_queue().await;
        let scene = Scene::new();
        let working = run(worker(&queue, &scene));
        queue.enqueue(Work::Quick).result().await.unwrap();
        let _kept = silence.falls(&server);
        // One that knew Redis, and one that has never reached it.
        for working in [working, run(worker(&queue, &scene))] {
            tokio::time::sleep(SECOND / 2).await;
            let (took, ended) = stopped(working).await;
            ended.unwrap();
            assert!(took < SECOND + SLACK, "{silence:?}: {took:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_report_of_progress_ends_in_time_if_redis_answers_nothing() {
    let (server, queue) = server_and_queue().await;
    let (tell, mut told) = tokio::sync::mpsc::channel::<Result<u32, Error>>(1);
    let silent = Arc::new(Semaphore::new(0));
    let reports = async |_: Report, ctx: Context, tell: Told, silent: State<Arc<Semaphore>>| {
        ctx.progress(&1).await?;
        let _ = tell.send(Ok(1)).await;
        silent.acquire().await?.forget();
        let _ = tell.send(ctx.progress(&2).await.map(|()| 2)).await;
        Ok::<_, Failure>(())
    };
    let reports = Worker::builder(&queue).state(tell).handle(reports);
    let working = run(reports.state(Arc::clone(&silent)).grace(Duration::ZERO));
    queue.enqueue(Report).await.unwrap();
    told.recv().await.unwrap().unwrap();
    server.pause();
    silent.add_permits(1);
    let began = Instant::now();
    let error = told.recv().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown, "{error:?}");
    assert!(
        began.elapsed() < 8 * SECOND + SLACK,
        "{:?}",
        began.elapsed()
    );
    server.resume();
    working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_a_redis_that_is_away_for_a_moment_costs_no_outcome_of_a_worker_that_stops() {
    // How long Redis is away, and the grace period: it may be away for as long as that.
    for (silence, away, grace) in [
        (Silence::Frozen, SECOND, Duration::ZERO),
        (Silence::Gone, SECOND / 2, Duration::ZERO),
        (Silence::Frozen, 5 * SECOND, 9 * SECOND),
        (Silence::Gone, 5 * SECOND, 9 * SECOND),
    ] {
        let server = Server::options().aof_always().start();
        let queue = queue_at(&server.url()).await;
        let scene = Scene::new();
        let working = busy_worker(&queue, &scene, grace).await;
        silence.falls(&server);
        scene.release(5);
        eventually(5 * SECOND, || scene.running().is_empty()).await;
        let stopping = tokio::spawn(stopped(working));
        // A node of a cluster takes part in it 2 s after its start.
        let starting = match (silence, support::road::is_cluster()) {
            (Silence::Gone, true) => 2 * SECOND,
            _ => Duration::ZERO,
        };
        tokio::time::sleep(away.saturating_sub(starting)).await;
        match silence {
            Silence::Frozen => server.resume(),
            _ => tokio::task::block_in_place(|| server.restart()),
        }
        let (took, ended) = stopping.await.unwrap();
        ended.unwrap();
        assert!(took < away + 3 * SECOND + SLACK, "{silence:?}: {took:?}");
        let counts = queue_at(&server.url()).await.counts().await.unwrap();
        assert_eq!((counts.completed, counts.active), (5, 0), "{silence:?}");
    }
}
