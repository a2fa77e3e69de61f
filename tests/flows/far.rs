//! Flows over several queues, and above one call: their workers, which carry the messages as well, are killed while they work.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use oxcart::{
    Chain, Child, Enqueued, EventKind, Flow, JobHandle, JobId, JobState, OnDeath, Oxcart, Queue,
    QueueSettings, Retention, Workers,
};

use super::support::{Process, Server, child_of_test, eventually_async, spawn_self};
use super::{Number, PATIENCE, Sum, request, worker};

const NAMES: [&str; 3] = ["films", "pictures", "sounds"];
const PROCESSES: usize = 2;

async fn queues(url: &str) -> [Queue; 3] {
    let oxcart = Oxcart::connect(url).await.unwrap();
    NAMES.map(|name| oxcart.queue(name).unwrap())
}

#[test]
fn far_worker_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let queues = queues(&std::env::var("SERVER").unwrap()).await;
        let workers = Workers::new(queues.each_ref().map(worker));
        let running = workers.run_until(std::future::pending::<()>());
        running.await.unwrap();
    });
}

/// Numbers in all queues: some below the root, some below sums that are in all queues as well, at two depths.
fn wide(queues: &[Queue; 3], jobs: u64) -> (Flow<Sum>, u64) {
    let hour = Retention::For(Duration::from_secs(3_600));
    let mut flow = Flow::new(queues[0].enqueue(Sum).keep(hour));
    let of = |at: u64| &queues[at as usize % 3];
    let (mut at, mut expected) = (0, 0);
    while at < jobs {
        let below: Vec<u64> = (at..jobs.min(at + 7)).collect();
        expected += below.iter().sum::<u64>();
        let numbers = below.iter().map(|at| request(of(*at), *at));
        flow = match at / 7 % 8 {
            0 => flow.child(Flow::new(of(at / 7).enqueue(Sum)).children(numbers)),
            1 => {
                let below = Flow::new(of(at / 7).enqueue(Sum)).children(numbers);
                flow.child(Flow::new(of(at / 7 + 1).enqueue(Sum)).child(below))
            }
            _ => flow.children(numbers),
        };
        at += 7;
    }
    (flow, expected)
}

/// Until its result is there, one worker process after the other is killed at a random moment.
async fn finishes(
    root: &JobHandle<Sum>,
    workers: &mut [Process],
    spawn: &impl Fn() -> Process,
    random: &mut fastrand::Rng,
) -> (u64, usize) {
    let waits = {
        let root = root.clone();
        tokio::spawn(async move { root.result().within(PATIENCE).await })
    };
    let mut kills = 0;
    while !waits.is_finished() {
        tokio::time::sleep(Duration::from_millis(random.u64(20..400))).await;
        // Leases of the last ones killed have to run out, too.
        if kills < 6 {
            let which = random.usize(..workers.len());
            workers[which].kill();
            workers[which] = spawn();
            kills += 1;
        }
    }
    (waits.await.unwrap().unwrap(), kills)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_over_three_queues_ends_whichever_workers_are_killed() {
    let (rounds, jobs) = match std::env::var("FLOWS").as_deref() {
        Ok("full") => (100, 1_000),
        _ => (2, 300),
    };
    let began = Instant::now();
    let server = Server::start();
    let url = server.url();
    let queues = queues(&url).await;
    let mut events = Vec::new();
    for queue in &queues {
        let settings = QueueSettings::new()
            .keep_completed(Retention::Nothing)
            .max_stalls(1_000);
        queue.change_settings(settings).await.unwrap();
        events.push(queue.events().await.unwrap());
    }
    let spawn = || spawn_self("far::far_worker_process", &[("SERVER", &url)]);
    let mut workers: Vec<Process> = (0..PROCESSES).map(|_| spawn()).collect();
    let mut random = fastrand::Rng::with_seed(16);
    let (mut killed, mut roots, mut completed) = (0, Vec::new(), BTreeMap::new());
    for round in 0..rounds {
        let (flow, expected) = wide(&queues, jobs);
        let root = flow.await.unwrap();
        assert_eq!(root.enqueued(), Enqueued::New);
        let (sum, kills) = finishes(&root, &mut workers, &spawn, &mut random).await;
        assert_eq!(sum, expected, "round {round}");
        killed += kills;
        let children = queues[0].children(root.id()).await.unwrap();
        assert!(children.iter().all(|child| child.ended.is_some()));
        roots.push(root);
        for (queue, events) in queues.iter().zip(&mut events) {
            eventually_async(PATIENCE, async || queue.counts().await.unwrap().left() == 0).await;
            // What a killed worker has carried, and not confirmed, is confirmed by another one.
            eventually_async(PATIENCE, async || queue.outbox().await.unwrap().is_empty()).await;
            let counts = queue.counts().await.unwrap();
            assert_eq!(counts.dead, 0);
            // Each job has ended once.
            let last = queue.enqueue(Number(1)).await.unwrap();
            loop {
                match events.next().await.unwrap().kind {
                    EventKind::Completed(id) if id == *last.id() => break,
                    EventKind::Completed(id) => {
                        *completed.entry((queue.name(), id)).or_insert(0) += 1;
                    }
                    EventKind::Missed => panic!("events were missed"),
                    _ => {}
                }
            }
        }
    }
    assert!(completed.values().all(|times| *times == 1));
    for root in &roots {
        let id = root.id().clone();
        assert_eq!(completed.get(&(NAMES[0], id)), Some(&1));
        assert!(queues[0].remove(root.id()).await.unwrap().is_done());
    }
    for name in NAMES {
        let left: u64 = server.ask(&[
            "EXISTS",
            &format!("oxcart:{{{name}}}:blocked"),
            &format!("oxcart:{{{name}}}:staged"),
            &format!("oxcart:{{{name}}}:jobs"),
        ]);
        assert_eq!(left, 0, "{name}");
    }
    println!(
        "{rounds} flows of {jobs} numbers, {} jobs, {killed} kills, {:?}",
        completed.len(),
        began.elapsed()
    );
}

#[tokio::test]
async fn a_flow_of_ten_thousand_jobs() {
    let server = Server::start();
    let queues = queues(&server.url()).await;
    let numbers = |queue: &Queue, n: u64| {
        let queue = queue.clone();
        (0..n).map(move |_| queue.enqueue(Number(0)))
    };
    let mut flow = Flow::new(queues[0].enqueue(Sum));
    for queue in &queues {
        flow = flow.children(numbers(queue, 3_333));
    }
    assert_eq!(flow.jobs(), 10_000);
    let root = flow.await.unwrap();
    for queue in &queues {
        eventually_async(PATIENCE, async || {
            queue.counts().await.unwrap().waiting == 3_333
        })
        .await;
    }
    let cancelled = queues[0].cancel_flow(root.id()).await.unwrap();
    assert_eq!((cancelled.done, cancelled.left_alone), (10_000, 0));
    eventually_async(PATIENCE, async || {
        queues[0].outbox().await.unwrap().is_empty()
    })
    .await;
    assert!(queues[0].remove(root.id()).await.unwrap().is_done());
    let left: u64 = server.ask(&["EXISTS", "oxcart:{films}:attempts"]);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_large_flow_is_there_once_or_not_at_all() {
    let server = Server::start();
    let queues = queues(&server.url()).await;
    let id = |id: &str| JobId::new(id).unwrap();
    let flow = || {
        let root = queues[0].enqueue(Sum).id(id("root")).unique("r");
        Flow::new(root)
            .child(request(&queues[1], 1).id(id("same")))
            .child(request(&queues[2], 2).id(id("same")))
    };
    assert_eq!(flow().await.unwrap().enqueued(), Enqueued::New);
    assert_eq!(flow().await.unwrap().enqueued(), Enqueued::AlreadyThere);
    let other = Flow::new(queues[0].enqueue(Sum).unique("r")).child(request(&queues[1], 1));
    let other = other.await.unwrap();
    assert_eq!(other.enqueued(), Enqueued::Duplicate);
    assert_eq!(other.id(), &id("root"));
    for queue in &queues[1..] {
        eventually_async(PATIENCE, async || {
            queue.counts().await.unwrap().waiting == 1
        })
        .await;
    }
    let left: u64 = server.ask(&["EXISTS", "oxcart:{films}:staged"]);
    assert_eq!(left, 0, "a flow that was refused has left nothing behind");
    let tree = queues[0].flow(&id("root")).await.unwrap().unwrap();
    assert_eq!(tree.len(), 3);
    let places: Vec<_> = tree.iter().map(|node| (&*node.queue, node.state)).collect();
    assert_eq!(
        places,
        [
            ("films", Some(JobState::Blocked)),
            ("pictures", Some(JobState::Waiting)),
            ("sounds", Some(JobState::Waiting))
        ]
    );
    assert!(
        tree.to_string().contains("number same waiting in sounds"),
        "{tree}"
    );
    let job = queues[2].job(&id("same")).await.unwrap().unwrap();
    assert_eq!(job.parent, Some(id("root")));
    assert_eq!(job.parent_queue.as_deref(), Some("films"));
    let cancelled = queues[0].cancel_flow(&id("root")).await.unwrap();
    assert_eq!((cancelled.done, cancelled.left_alone), (3, 0));
}

#[tokio::test]
async fn what_becomes_of_children_in_other_queues() {
    let server = Server::start();
    let queues = queues(&server.url()).await;
    let workers = Workers::new(queues.each_ref().map(worker));
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(workers.run_until(stop.clone().cancelled_owned()));
    let [films, pictures, sounds] = &queues;

    // A chain goes from queue to queue.
    let chain = Chain::new(request(pictures, 21))
        .then(sounds.enqueue(Sum))
        .then(films.enqueue(Sum))
        .await
        .unwrap();
    assert_eq!(chain.result().within(PATIENCE).await.unwrap(), 21);

    // A dead child holds its parent until it is replayed, or lets it go on, or takes it along.
    let dies = || pictures.enqueue(Number(5)).attempts(1);
    let state = async |job: &JobHandle<Sum>| job.info().await.unwrap().unwrap().state;
    let fails = Flow::new(films.enqueue(Sum))
        .child(Child::new(dies()).on_death(OnDeath::Fail))
        .await
        .unwrap();
    let goes_on = Flow::new(films.enqueue(Sum))
        .child(Child::new(dies()).on_death(OnDeath::GoOn))
        .await
        .unwrap();
    let child = dies();
    let dead = child.job_id().clone();
    let holds = Flow::new(films.enqueue(Sum)).child(child).await.unwrap();
    assert!(fails.result().within(PATIENCE).await.unwrap_err().is_dead());
    assert_eq!(goes_on.result().within(PATIENCE).await.unwrap(), 0);
    eventually_async(PATIENCE, async || {
        let children = films.children(holds.id()).await.unwrap();
        children
            .get(&dead)
            .is_some_and(|child| child.ended.is_some())
    })
    .await;
    assert_eq!(state(&holds).await, JobState::Blocked);
    assert!(pictures.remove(&dead).await.unwrap().is_done());
    assert_eq!(holds.result().within(PATIENCE).await.unwrap(), 0);

    // A child that is cancelled by a producer.
    let late = request(sounds, 1).delay(Duration::from_secs(3_600));
    let id = late.job_id().clone();
    let waits = Flow::new(films.enqueue(Sum)).child(late).await.unwrap();
    eventually_async(PATIENCE, async || sounds.job(&id).await.unwrap().is_some()).await;
    assert!(sounds.cancel(&id).await.unwrap().is_done());
    assert_eq!(waits.result().within(PATIENCE).await.unwrap(), 0);

    // A child that cannot be added.
    let there = JobId::new("there").unwrap();
    let late = request(sounds, 1).delay(Duration::from_secs(3_600));
    late.id(there.clone()).await.unwrap();
    let refused = Flow::new(films.enqueue(Sum))
        .child(request(sounds, 1).id(there.clone()))
        .await
        .unwrap();
    assert!(
        refused
            .result()
            .within(PATIENCE)
            .await
            .unwrap_err()
            .is_dead()
    );
    let children = films.children(refused.id()).await.unwrap();
    let why = children.get(&there).unwrap().refused.as_deref();
    assert_eq!(why, Some("another job has its id"));
    let tree = films.flow(refused.id()).await.unwrap().unwrap();
    assert!(
        tree.to_string()
            .contains("there refused in sounds: another job"),
        "{tree}"
    );
    assert!(films.replay(refused.id()).await.unwrap().is_done());
    assert_eq!(refused.result().within(PATIENCE).await.unwrap(), 0);
    stop.cancel();
    running.await.unwrap().unwrap();
}
