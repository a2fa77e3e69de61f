//! Flows, with workers in several processes that are killed while they work. The events, which tell all that happened to each job in its
//! order, are the ledger: a parent completes once, after all of its children, and knows what each of them gave back.
//!
//! `FLOWS=full cargo test --release --test flows` has the large numbers.

#[path = "flows/called.rs"]
mod called;
#[path = "flows/far.rs"]
mod far;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use oxcart::{
    Backoff, Chain, Child, Context, Enqueued, ErrorKind, EventKind, Failure, Flow, Job, JobHandle,
    JobId, JobState, OnDeath, Oxcart, Queue, QueueSettings, Retention, Unique, Worker,
};
use serde::{Deserialize, Serialize};
use support::{Process, Server, child_of_test, eventually_async, spawn_self};

const PROCESSES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// Adds up what its children gave back.
#[derive(Serialize, Deserialize)]
struct Sum;

impl Job for Sum {
    const NAME: &'static str = "sum";
    type Output = u64;
}

/// Gives this back, after a moment.
#[derive(Serialize, Deserialize)]
struct Number(u64);

impl Job for Number {
    const NAME: &'static str = "number";
    type Output = u64;
}

async fn sum(_: Sum, context: Context) -> Result<u64, Failure> {
    let children = context.children().await?;
    let is_gone = |child: &oxcart::ChildInfo| child.removed || child.refused.is_some();
    let open = children
        .iter()
        .filter(|child| child.ended.is_none() && !is_gone(child));
    if open.count() > 0 {
        return Err(Failure::dead("a child has not ended"));
    }
    let numbers = children.outputs::<Number>()?.into_iter();
    Ok(numbers.chain(children.outputs::<Sum>()?).sum())
}

async fn number(job: Number, context: Context) -> Result<u64, Failure> {
    tokio::time::sleep(Duration::from_millis(job.0 % 7)).await;
    if job.0.is_multiple_of(5) && context.attempt().number == 1 {
        return Err("not yet".into());
    }
    Ok(job.0)
}

async fn connect(url: &str) -> Queue {
    let oxcart = Oxcart::connect(url).await.unwrap();
    oxcart.queue("test").unwrap()
}

fn worker(queue: &Queue) -> Worker {
    Worker::builder(queue)
        .concurrency(8)
        .lease(Duration::from_secs(1))
        .handle(sum)
        .handle(number)
        .build()
        .unwrap()
}

fn request(queue: &Queue, number: u64) -> oxcart::Enqueue<Number> {
    let soon = Backoff::fixed(Duration::from_millis(5));
    queue.enqueue(Number(number)).backoff(soon)
}

/// A flow of three levels: numbers below sums below a sum.
fn tree(queue: &Queue, branches: u64, leaves: u64) -> (Flow<Sum>, u64) {
    // The root is kept, so that its result can be read.
    let hour = Retention::For(Duration::from_secs(3_600));
    let mut flow = Flow::new(queue.enqueue(Sum).keep(hour));
    let mut expected = 0;
    for branch in 0..branches {
        let numbers = (0..leaves).map(|leaf| branch * leaves + leaf);
        expected += numbers.clone().sum::<u64>();
        let numbers = numbers.map(|number| request(queue, number));
        flow = flow.child(Flow::new(queue.enqueue(Sum)).children(numbers));
    }
    (flow, expected)
}

#[test]
fn worker_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let queue = connect(&std::env::var("SERVER").unwrap()).await;
        let running = worker(&queue).run_until(std::future::pending::<()>());
        running.await.unwrap();
    });
}

fn rounds() -> usize {
    match std::env::var("FLOWS").as_deref() {
        Ok("full") => 100,
        _ => 6,
    }
}

/// Each parent with its children, as the queue knows them.
async fn family(queue: &Queue, roots: &[JobHandle<Sum>]) -> BTreeMap<JobId, BTreeSet<JobId>> {
    let mut family = BTreeMap::new();
    let mut left: Vec<JobId> = roots.iter().map(|root| root.id().clone()).collect();
    while let Some(id) = left.pop() {
        let children = queue.children(&id).await.unwrap();
        let ids: BTreeSet<JobId> = children.iter().map(|child| child.id.clone()).collect();
        if !ids.is_empty() {
            left.extend(ids.iter().cloned());
            family.insert(id, ids);
        }
    }
    family
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_completes_once_after_its_children_whichever_workers_are_killed() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    // Children are gone as soon as they have ended; what they gave back is not.
    let settings = QueueSettings::new()
        .keep_completed(Retention::Nothing)
        .max_stalls(1_000)
        .keep_events(1_000_000);
    queue.change_settings(settings).await.unwrap();
    let mut events = queue.events().await.unwrap();
    let url = server.url();
    let spawn = || spawn_self("worker_process", &[("SERVER", &url)]);
    let mut workers: Vec<Process> = (0..PROCESSES).map(|_| spawn()).collect();

    let (mut families, mut sums) = (BTreeMap::new(), 0);
    for round in 0..rounds() {
        queue.pause().await.unwrap();
        let mut roots = Vec::new();
        for _ in 0..3 {
            let (flow, expected) = tree(&queue, 4, 20);
            roots.push((flow.await.unwrap(), expected));
        }
        let handles: Vec<_> = roots.iter().map(|(root, _)| root.clone()).collect();
        families.extend(family(&queue, &handles).await);
        queue.resume().await.unwrap();
        let mut results: Vec<_> = roots
            .iter()
            .map(|(root, _)| {
                let root = root.clone();
                tokio::spawn(async move { root.result().within(PATIENCE).await })
            })
            .collect();
        // Meanwhile one worker after the other is killed.
        for worker in &mut workers {
            tokio::time::sleep(Duration::from_millis(40 + 30 * (round as u64 % 4))).await;
            worker.kill();
            *worker = spawn();
        }
        for (result, (_, expected)) in results.drain(..).zip(&roots) {
            assert_eq!(result.await.unwrap().unwrap(), *expected);
            sums += 1;
        }
    }
    eventually_async(PATIENCE, async || queue.counts().await.unwrap().left() == 0).await;
    assert_eq!(sums, 3 * rounds());
    assert_eq!(queue.counts().await.unwrap().dead, 0);

    let last = queue.enqueue(Number(1)).await.unwrap();
    let mut completed: BTreeMap<JobId, usize> = BTreeMap::new();
    let mut runs = BTreeSet::new();
    loop {
        let event = events.next().await.unwrap();
        match event.kind {
            EventKind::Completed(id) => {
                *completed.entry(id.clone()).or_default() += 1;
                for child in families.get(&id).into_iter().flatten() {
                    assert!(completed.contains_key(child), "{id} came before {child}");
                }
            }
            EventKind::Active(id) => {
                runs.insert(id);
            }
            EventKind::Missed => panic!("events were missed"),
            EventKind::Added(id) if id == *last.id() => break,
            _ => {}
        }
    }
    assert_eq!(families.len(), 3 * 5 * rounds());
    for id in families.keys() {
        assert_eq!(completed.get(id), Some(&1), "{id}");
    }
    for root in families.keys() {
        let _ = queue.remove(root).await.unwrap();
    }
    let left: u64 = server.ask(&["EXISTS", "oxcart:{test}:attempts", "oxcart:{test}:blocked"]);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_chain_hands_on_what_each_job_gives_back() {
    #[derive(Serialize, Deserialize)]
    struct Twice;
    impl Job for Twice {
        const NAME: &'static str = "twice";
        type Output = u64;
    }
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let twice = async |_: Twice, context: Context| -> Result<u64, Failure> {
        if let Ok(number) = context.previous::<Number>().await {
            return Ok(2 * number);
        }
        Ok(2 * context.previous::<Twice>().await?)
    };
    let chain = Chain::new(request(&queue, 21))
        .then(queue.enqueue(Twice))
        .then(queue.enqueue(Twice))
        .await
        .unwrap();
    let worker = Worker::builder(&queue)
        .handle(number)
        .handle(twice)
        .build()
        .unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));
    assert_eq!(chain.result().within(PATIENCE).await.unwrap(), 84);

    // The first of them is dead: the rest stands still until it is replayed, or dies with it.
    let dead = || queue.enqueue(Number(5)).attempts(1);
    let holds = Chain::new(dead()).then(queue.enqueue(Twice).attempts(1));
    let holds = holds.await.unwrap();
    let fails = Chain::new(dead())
        .on_death(OnDeath::Fail)
        .then(queue.enqueue(Twice))
        .await
        .unwrap();
    let error = fails.result().within(PATIENCE).await.unwrap_err();
    assert!(error.is_dead(), "{error}");
    let info = fails.info().await.unwrap().unwrap();
    let child = &queue.children(fails.id()).await.unwrap();
    let child = child.iter().next().unwrap();
    let why = &info.history.last().unwrap().error;
    assert_eq!(*why, format!("its child {} died", child.id));
    let held = queue.children(holds.id()).await.unwrap();
    let held = held.iter().next().unwrap().id.clone();
    eventually_async(PATIENCE, async || {
        let job = queue.job(&held).await.unwrap().unwrap();
        job.state == JobState::Dead
    })
    .await;
    assert_eq!(
        holds.info().await.unwrap().unwrap().state,
        JobState::Blocked
    );
    let _ = queue.remove(&held).await.unwrap();
    // It runs, and finds nothing before it.
    let error = holds.result().within(PATIENCE).await.unwrap_err();
    assert!(error.is_dead(), "{error}");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_no_flow_is_refused_and_nothing_is_written() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let id = |id: &str| JobId::new(id).unwrap();
    let invalid = async |flow: Flow<Sum>, what: &str| {
        let error = flow.await.unwrap_err();
        assert!(error.is_invalid(), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    let many = |n: u64| (0..n).map(|number| request(&queue, number));
    let flow = || Flow::new(queue.enqueue(Sum));
    invalid(flow().children(many(10_000)), "10000 are allowed").await;
    let twice = ["a", "a"].map(|same| request(&queue, 1).id(id(same)));
    invalid(flow().children(twice), "have the id a in one queue").await;
    let other = connect(&server.url()).await;
    invalid(flow().child(request(&other, 1)), "in another connection").await;
    let elsewhere = Oxcart::builder()
        .namespace("other")
        .connect(&server.url())
        .await
        .unwrap();
    let elsewhere = elsewhere.queue("test").unwrap();
    invalid(flow().child(request(&elsewhere, 1)), "in another namespace").await;
    let latest = Unique::by("k").on_duplicate(oxcart::OnDuplicate::KeepLatest);
    let replaces = request(&queue, 1).unique(latest);
    invalid(flow().child(replaces), "can only be refused").await;
    invalid(flow().child(request(&queue, 1).attempts(0)), "attempts").await;

    // One of its jobs is there, or its key is taken.
    queue
        .enqueue(Number(1))
        .id(id("a"))
        .unique("k")
        .await
        .unwrap();
    for taken in [
        request(&queue, 1).id(id("a")),
        request(&queue, 1).unique("k"),
    ] {
        let child = taken.job_id().clone();
        let error = flow()
            .child(request(&queue, 1))
            .child(taken)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(!error.is_retryable());
        assert_eq!(error.job_id(), Some(&child));
    }
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.left(), counts.totals.added), (1, 1));

    // The first job of the flow names it.
    let mut first =
        Flow::new(queue.enqueue(Sum).id(id("sum")).unique("s")).child(request(&queue, 1));
    assert_eq!(first.jobs(), 2);
    assert_eq!((&mut first).await.unwrap().enqueued(), Enqueued::New);
    assert_eq!(
        (&mut first).await.unwrap().enqueued(),
        Enqueued::AlreadyThere
    );
    let duplicate = Flow::new(queue.enqueue(Sum).unique("s")).child(Child::new(request(&queue, 2)));
    let duplicate = duplicate.await.unwrap();
    assert_eq!(
        (duplicate.enqueued(), duplicate.id()),
        (Enqueued::Duplicate, first.job_id())
    );
    assert_eq!(queue.counts().await.unwrap().totals.added, 3);
}

/// They die in one script.
#[tokio::test]
async fn a_death_kills_so_many_jobs_in_a_row_and_no_more() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let row = |jobs: u64| {
        let dies = queue.enqueue(Number(5)).attempts(1);
        let first = Chain::new(dies).on_death(OnDeath::Fail);
        let row = (2..jobs).fold(first, |chain, n| chain.then(request(&queue, n)));
        row.then(queue.enqueue(Sum))
    };
    let error = row(257).await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
    let text = "more than 256 jobs of the flow in a row";
    assert!(error.to_string().contains(text), "{error}");
    assert_eq!(queue.counts().await.unwrap().totals.added, 0);

    let longest = row(256).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(worker(&queue).run_until(stop.clone().cancelled_owned()));
    let error = longest.result().within(PATIENCE).await.unwrap_err();
    assert!(error.is_dead(), "{error}");
    assert_eq!(queue.counts().await.unwrap().dead, 256);
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_flow_is_looked_at_and_cancelled_as_a_whole() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let (flow, _) = tree(&queue, 2, 3);
    let root = flow.await.unwrap();
    let tree = queue.flow(root.id()).await.unwrap().unwrap();
    let shown: Vec<_> = tree
        .iter()
        .map(|job| (job.depth, job.name.as_str(), job.state))
        .collect();
    let leaf = (2, "number", Some(JobState::Waiting));
    let branch = (1, "sum", Some(JobState::Blocked));
    let root_of = (0, "sum", Some(JobState::Blocked));
    let expected = [root_of, branch, leaf, leaf, leaf, branch, leaf, leaf, leaf];
    assert_eq!(shown, expected);
    assert_eq!((tree.len(), tree.is_cut()), (9, false));
    assert_eq!(tree.root().job.as_ref().unwrap().children, 2);
    assert_eq!(
        tree.iter()
            .nth(1)
            .unwrap()
            .job
            .as_ref()
            .unwrap()
            .parent
            .as_ref(),
        Some(root.id())
    );
    let lines = tree.to_string();
    assert!(
        lines.lines().nth(2).unwrap().starts_with("    number "),
        "{lines}"
    );

    // A leaf that is gone is shown as its parent knows it.
    let leaf = &tree.iter().nth(2).unwrap().id;
    assert!(queue.remove(leaf).await.unwrap().is_done());
    let again = queue.flow(root.id()).await.unwrap().unwrap();
    let gone = again.iter().nth(2).unwrap();
    assert_eq!(
        (&gone.id, gone.state, gone.ended.clone()),
        (leaf, None, None)
    );

    let cancelled = queue.cancel_flow(root.id()).reason("moot").await.unwrap();
    assert_eq!(
        (cancelled.done, cancelled.requested, cancelled.left_alone),
        (8, 0, 1)
    );
    assert_eq!(queue.counts().await.unwrap().left(), 0);
    let none = queue.cancel_flow(&JobId::generate()).await.unwrap();
    assert_eq!((none.done, none.left_alone), (0, 0));
    assert!(queue.flow(&JobId::generate()).await.unwrap().is_none());
}
