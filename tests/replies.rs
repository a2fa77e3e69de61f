//! Several replies to one request: each caller gets each of them once, in order, whatever happens to workers, connections and callers.

#[path = "replies/interleaved.rs"]
mod interleaved;
mod support;

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use oxcart::{
    Context, Enqueued, ErrorKind, Failure, Job, JobId, Oxcart, Queue, Replies, ReplySender,
    ReplyStream, Retention, Worker,
};
use serde::{Deserialize, Serialize};
use support::{Proxy, Server, child_of_test, spawn_self};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Counts up to a number, one reply for each.
#[derive(Clone, Serialize, Deserialize)]
struct Count {
    to: u64,
    /// How long it takes for each.
    ms: u64,
    how: How,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum How {
    /// One after the other; a later attempt goes on where the last one was.
    Resumes,
    /// A later attempt sends all of them again.
    Repeats,
    /// All at the same time.
    AtOnce,
    /// Fails for good behind the last one.
    Dies,
    /// Fails behind the half of them, as long as there are fewer than that.
    FailsOnce,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Number {
    number: u64,
    attempt: u32,
}

impl Job for Count {
    const NAME: &'static str = "count";
    type Output = u64;
}

impl Replies for Count {
    type Reply = Number;
}

fn count(to: u64, ms: u64, how: How) -> Count {
    Count { to, ms, how }
}

async fn counting(
    job: Count,
    replies: ReplySender<Count>,
    context: Context,
) -> Result<u64, Failure> {
    let attempt = context.attempt().number;
    let reply = |number| Number { number, attempt };
    if job.how == How::AtOnce {
        try_join_all((1..=job.to).map(|number| replies.send(&reply(number)))).await?;
        return Ok(job.to);
    }
    let there = match job.how {
        How::Repeats => 0,
        _ => replies.resume() as u64,
    };
    for number in there + 1..=job.to {
        if job.how == How::FailsOnce && there == 0 && number > job.to / 2 {
            return Err(Failure::retry_after(Duration::ZERO, "half of it is done"));
        }
        sleep(Duration::from_millis(job.ms)).await;
        if let Some(reason) = context.cancel_reason() {
            return Err(Failure::cancel(reason));
        }
        replies.send(&reply(number)).await?;
    }
    match job.how {
        How::Dies => Err(Failure::dead("it is over")),
        _ => Ok(job.to),
    }
}

fn worker(queue: &Queue) -> Worker {
    let worker = Worker::builder(queue).concurrency(300).lease(SECOND);
    worker.handle(counting).build().unwrap()
}

fn run(worker: Worker) -> JoinHandle<()> {
    tokio::spawn(async move {
        let running = worker.run_until(std::future::pending::<()>());
        running.await.unwrap();
    })
}

async fn connect(url: &str) -> Queue {
    let oxcart = Oxcart::connect(url).await.unwrap();
    oxcart.queue("counts").unwrap()
}

/// A server, its queue, and a worker.
async fn rig() -> (Server, Queue, JoinHandle<()>) {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let running = run(worker(&queue));
    (server, queue, running)
}

/// All that come until the end.
async fn rest(stream: &mut ReplyStream<Count>) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(reply) = stream.next().await.unwrap() {
        numbers.push(reply.number);
        assert_eq!(stream.next_number(), reply.number + 1);
    }
    numbers
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    range.collect()
}

#[test]
fn worker_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let queue = connect(&std::env::var("SERVER").unwrap()).await;
        run(worker(&queue)).await.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_come_in_order_and_then_the_output() {
    let (_server, queue, _running) = rig().await;
    for how in [How::Resumes, How::AtOnce] {
        let mut stream = queue.enqueue(count(500, 0, how)).replies().await.unwrap();
        assert_eq!(rest(&mut stream).await, numbers(1..=500));
        assert_eq!(stream.output().await.unwrap(), 500);
        assert_eq!(stream.next().await.unwrap(), None, "again");
    }
    // Replies come while the handler runs.
    let request = queue.enqueue(count(3, 400, How::Resumes));
    let mut stream = request.replies().await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first.number, 1);
    let info = queue.job(stream.id()).await.unwrap().unwrap();
    assert_eq!(info.state, oxcart::JobState::Active);
    // The output alone, and the replies afterwards.
    assert_eq!(stream.output().await.unwrap(), 3);
    assert_eq!(rest(&mut stream).await, [2, 3]);
}

/// Nothing is kept of completed jobs; who waits gets it all the same, also if it is slower than the handler.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_caller_gets_all_although_the_job_is_dropped_when_it_is_done() {
    let (_server, queue, _running) = rig().await;
    let request = queue.enqueue(count(700, 0, How::AtOnce));
    let request = request.keep(Retention::Nothing).replies();
    let mut stream = request.await.unwrap();
    let mut got = Vec::new();
    while let Some(reply) = stream.next().await.unwrap() {
        if got.len() % 100 == 0 {
            sleep(Duration::from_millis(100)).await;
        }
        got.push(reply.number);
    }
    assert_eq!(got, numbers(1..=700));
    assert_eq!(stream.output().await.unwrap(), 700);
}

/// A later attempt goes on, or sends all of it again: callers get each number once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_of_several_attempts_are_one_row() {
    let (_server, queue, _running) = rig().await;
    let request = queue.enqueue(count(20, 0, How::FailsOnce));
    let mut stream = request.replies().await.unwrap();
    let mut attempts = Vec::new();
    while let Some(reply) = stream.next().await.unwrap() {
        attempts.push((reply.number, reply.attempt));
    }
    let expected: Vec<(u64, u32)> = (1..=20).map(|n| (n, 1 + u32::from(n > 10))).collect();
    assert_eq!(attempts, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_number_comes_once_although_workers_are_killed() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let url = server.url();
    let spawn = || spawn_self("worker_process", &[("SERVER", &url)]);
    let mut process = spawn();
    let open = |how| {
        let request = queue.enqueue(count(150, 10, how));
        request.replies().within(60 * SECOND).into_future()
    };
    let mut streams = try_join_all([open(How::Resumes), open(How::Repeats)])
        .await
        .unwrap();
    for stream in &mut streams {
        while stream.next_number() <= 20 {
            stream.next().await.unwrap().unwrap();
        }
    }
    process.kill();
    let _process = spawn();
    for stream in &mut streams {
        assert_eq!(rest(stream).await, numbers(21..=150));
        assert_eq!(stream.output().await.unwrap(), 150);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_starts_again_goes_on_and_another_one_gets_all() {
    let (server, queue, _running) = rig().await;
    let id = JobId::new("count-17").unwrap();
    let request = || queue.enqueue(count(400, 2, How::Resumes)).id(id.clone());
    let mut first = request().replies().await.unwrap();
    while first.next_number() <= 30 {
        first.next().await.unwrap().unwrap();
    }
    let number = first.next_number();
    drop(first);
    let elsewhere = connect(&server.url()).await;
    let handle = elsewhere.handle::<Count>(id.clone());
    let other = tokio::spawn({
        let all = handle.replies();
        async move { rest(&mut all.await.unwrap()).await }
    });
    let mut again = handle.replies().starting_at(number).await.unwrap();
    assert_eq!(rest(&mut again).await, numbers(31..=400));
    assert_eq!(other.await.unwrap(), numbers(1..=400));
    // The same request again, when it is done: nothing is enqueued.
    assert_eq!(request().await.unwrap().enqueued(), Enqueued::AlreadyThere);
    let mut again = request().replies().starting_at(399).await.unwrap();
    assert_eq!(rest(&mut again).await, [399, 400]);
    assert_eq!(queue.counts().await.unwrap().totals.added, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_is_lost_when_a_wait_for_it_is_dropped() {
    let (_server, queue, _running) = rig().await;
    let request = queue.enqueue(count(300, 1, How::Resumes));
    let mut stream = request.replies().await.unwrap();
    let (mut got, mut dropped) = (Vec::new(), 0);
    loop {
        let micros = Duration::from_micros(fastrand::u64(1..1_500));
        match timeout(micros, stream.next()).await {
            Err(_) => dropped += 1,
            Ok(reply) => match reply.unwrap() {
                Some(reply) => got.push(reply.number),
                None => break,
            },
        }
    }
    assert_eq!(got, numbers(1..=300));
    assert!(dropped > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_cost_no_reply() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let queue = connect(&server.url()).await;
    let proxied = connect(&proxy.url()).await;
    // One worker whose connections are cut as well.
    let _running = run(worker(&proxied));
    let request = proxied.enqueue(count(400, 5, How::Resumes));
    let mut stream = request.replies().within(60 * SECOND).await.unwrap();
    let reading = tokio::spawn(async move { rest(&mut stream).await });
    let mut cuts = 0;
    while !reading.is_finished() {
        sleep(Duration::from_millis(250)).await;
        proxy.cut_all();
        cuts += 1;
    }
    assert_eq!(reading.await.unwrap(), numbers(1..=400));
    assert!(cuts >= 4, "{cuts}");
    drop(queue);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_the_job_ends_is_the_end_of_the_stream() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    // Nobody takes it.
    let request = queue.enqueue(count(1, 0, How::Resumes));
    let mut late = request.replies().deadline(SECOND / 2).await.unwrap();
    let began = Instant::now();
    let error = late.next().await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Expired),
        "{error:?}"
    );
    assert!(began.elapsed() < 2 * SECOND);
    let _running = run(worker(&queue));
    let request = queue.enqueue(count(3, 0, How::Dies));
    let mut stream = request.replies().await.unwrap();
    for number in 1..=3 {
        assert_eq!(stream.next().await.unwrap().unwrap().number, number);
    }
    for _ in 0..2 {
        let error = stream.next().await.unwrap_err();
        assert!(error.is_dead() && error.to_string().contains("it is over"));
        assert!(stream.output().await.unwrap_err().is_dead());
    }
    // It is replayed, and goes on behind them: there are no more.
    let id = stream.id().clone();
    let _ = queue.replay(&id).await.unwrap();
    let handle = queue.handle::<Count>(id);
    assert!(handle.result().await.unwrap_err().is_dead());
    let mut again = handle.replies().await.unwrap();
    for number in 1..=3 {
        assert_eq!(again.next().await.unwrap().unwrap().number, number);
    }
    assert!(again.next().await.unwrap_err().is_dead());
    // Removed.
    let _ = queue.remove(handle.id()).await.unwrap();
    let mut gone = handle.replies().await.unwrap();
    assert!(gone.next().await.unwrap_err().is_not_found());
    // After the limit nothing is waited for, and what is there is still given.
    let request = queue.enqueue(count(2, 1_000, How::Resumes));
    let mut slow = request.replies().within(SECOND / 5).await.unwrap();
    assert!(slow.next().await.unwrap_err().is_timeout());
    assert!(slow.output().await.unwrap_err().is_timeout());
    let handle = queue.handle::<Count>(slow.id().clone());
    assert_eq!(handle.result().await.unwrap(), 2);
    assert_eq!(rest(&mut slow).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_is_cancelled_when_the_stream_is_dropped() {
    let (_server, queue, _running) = rig().await;
    let request = queue.enqueue(count(1_000, 20, How::Resumes));
    let mut stream = request.replies().cancel_on_drop().await.unwrap();
    stream.next().await.unwrap().unwrap();
    let handle = queue.handle::<Count>(stream.id().clone());
    drop(stream);
    let error = handle.result().await.unwrap_err();
    assert!(error.is_cancelled(), "{error:?}");
    let why = "the caller that waited for its result is gone";
    assert!(error.to_string().contains(why), "{error}");
    // Left alone: it has ended.
    let request = queue.enqueue(count(2, 0, How::Resumes));
    let mut stream = request.replies().cancel_on_drop().await.unwrap();
    assert_eq!(rest(&mut stream).await, [1, 2]);
    let handle = queue.handle::<Count>(stream.id().clone());
    drop(stream);
    assert_eq!(handle.result().await.unwrap(), 2);
}

/// What a job may have.
#[derive(Serialize, Deserialize)]
struct Much {
    replies: usize,
    bytes: usize,
}

impl Job for Much {
    const NAME: &'static str = "much";
    /// How many were stored, and what the next one met.
    type Output = (usize, String);
}

impl Replies for Much {
    type Reply = String;
}

async fn say_much(job: Much, replies: ReplySender<Much>) -> Result<(usize, String), Failure> {
    let reply = "x".repeat(job.bytes);
    let sent = join_all((0..job.replies).map(|_| replies.send(&reply))).await;
    let stored = sent.iter().filter(|sent| sent.is_ok()).count();
    let error = sent.into_iter().find_map(Result::err).unwrap();
    Ok((stored, format!("{:?}: {error}", error.kind())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_has_bounded_replies() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let worker = Worker::builder(&queue).handle(say_much).build().unwrap();
    let _running = run(worker);
    let mega = 1 << 20;
    for (replies, bytes, stored, why) in [
        (
            1,
            mega + 1,
            0,
            "Invalid: the reply has 1048582 bytes; 1048576 are allowed",
        ),
        (20, mega - 10, 16, "Invalid: the replies would have"),
        (1_001, 1, 1_000, "Invalid: it would be reply 1001"),
    ] {
        let request = queue.enqueue(Much { replies, bytes });
        let mut stream = request.replies().await.unwrap();
        let (sent, error) = stream.output().await.unwrap();
        assert_eq!(sent, stored, "{error}");
        assert!(error.starts_with(why), "{error}");
        let mut read = 0;
        while let Some(reply) = stream.next().await.unwrap() {
            assert_eq!(reply.len(), bytes);
            read += 1;
        }
        assert_eq!(read, stored);
    }
}

/// The claim is gone, as if another worker had the job.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_an_attempt_that_has_lost_its_lease_stores_nothing_and_hears_of_it() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let client = redis::Client::open(server.socket_url()).unwrap();
    let handler = move |_: Count, replies: ReplySender<Count>, context: Context| {
        let (told, client) = (told.clone(), client.clone());
        async move {
            let number = |number| Number { number, attempt: 1 };
            replies.send(&number(1)).await?;
            let mut connection = client.get_connection()?;
            let keys: Vec<String> = redis::cmd("KEYS").arg("*:claims").query(&mut connection)?;
            let mut delete = redis::cmd("HDEL");
            delete.arg(&keys[0]).arg(context.id().as_str());
            let _: u64 = delete.query(&mut connection)?;
            let lost = replies.send(&number(2)).await.unwrap_err().kind();
            let again = replies.send(&number(3)).await.unwrap_err().kind();
            told.send((lost, again, context.is_cancelled()))?;
            Ok::<u64, Failure>(1)
        }
    };
    let worker = Worker::builder(&queue).handle(handler).build().unwrap();
    let _running = run(worker);
    let request = queue.enqueue(count(1, 0, How::Resumes));
    let mut stream = request.replies().within(SECOND).await.unwrap();
    let lost = (ErrorKind::LeaseLost, ErrorKind::LeaseLost, true);
    assert_eq!(heard.recv().await, Some(lost));
    assert_eq!(stream.next().await.unwrap().unwrap().number, 1);
    assert!(stream.next().await.unwrap_err().is_timeout());
}

/// A handler that asks for the sender of another job's replies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_of_another_job_cannot_be_sent() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let handler = async |_: Much, _: ReplySender<Count>| Ok::<_, Failure>((0, String::new()));
    let worker = Worker::builder(&queue).handle(handler).build().unwrap();
    let _running = run(worker);
    let much = Much {
        replies: 1,
        bytes: 1,
    };
    let error = queue.enqueue(much).result().await.unwrap_err();
    assert!(error.is_dead(), "{error:?}");
    let why = "the handler of `much` asks for a sender of the replies of `count`";
    assert!(error.to_string().contains(why), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_share_a_few_connections() {
    const STREAMS: u64 = 200;
    let (server, queue, _running) = rig().await;
    let one = async |queue: Queue| {
        let request = queue.enqueue(count(50, 5, How::Resumes));
        rest(&mut request.replies().await.unwrap()).await
    };
    // All connections that one stream takes.
    assert_eq!(one(queue.clone()).await, numbers(1..=50));
    let connections = || -> u64 { server.info("connected_clients").parse().unwrap() };
    let before = connections();
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        streams.spawn(one(queue.clone()));
    }
    let (mut most, mut ended) = (0, 0);
    while ended < STREAMS {
        tokio::select! {
            Some(numbers_of_one) = streams.join_next() => {
                assert_eq!(numbers_of_one.unwrap(), numbers(1..=50));
                ended += 1;
            }
            () = sleep(Duration::from_millis(20)) => most = most.max(connections()),
        }
    }
    assert!(most > 0 && most <= before + 4, "{before}, and then {most}");
}
