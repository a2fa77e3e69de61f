//! Jobs that are added when something has become of the children, while workers, which carry the messages as well, are killed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use oxcart::{EventKind, Flow, JobId, Oxcart, Queue, QueueSettings, Workers};

use super::support::{Process, Server, child_of_test, eventually_async, spawn_self};
use super::{Number, PATIENCE, Sum, request, rounds, worker};

const PROCESSES: usize = 2;
/// Two of them die.
const CHILDREN: u64 = 12;

/// The queue of the flows, and the queue of the callbacks.
async fn queues(url: &str) -> [Queue; 2] {
    let oxcart = Oxcart::connect(url).await.unwrap();
    ["letters", "desk"].map(|name| oxcart.queue(name).unwrap())
}

#[test]
fn called_worker_process() {
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

fn called(name: &str, number: usize) -> JobId {
    JobId::new(format!("{name}-{number}")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_are_added_once_whichever_workers_are_killed() {
    let server = Server::start();
    let [letters, desk] = queues(&server.url()).await;
    let settings = || {
        QueueSettings::new()
            .max_stalls(1_000)
            .keep_events(1_000_000)
    };
    for queue in [&letters, &desk] {
        queue.change_settings(settings()).await.unwrap();
    }
    let mut events = desk.events().await.unwrap();
    let url = server.url();
    let spawn = || spawn_self("called::called_worker_process", &[("SERVER", &url)]);
    let mut workers: Vec<Process> = (0..PROCESSES).map(|_| spawn()).collect();

    let flows = 5 * rounds();
    for number in 0..flows {
        // Those that can be divided by five fail the first time, which is the only one.
        let children = (1..=CHILDREN).map(|child| request(&letters, child).attempts(1));
        let warn = desk.enqueue(Number(1)).id(called("warn", number));
        let close = desk.enqueue(Number(2)).id(called("close", number));
        let flow = Flow::new(letters.enqueue(Sum)).children(children);
        flow.on_any_failure(warn).on_complete(close).await.unwrap();
        if number % 5 == 4 {
            let which = number / 5 % PROCESSES;
            tokio::time::sleep(Duration::from_millis(30 + 20 * (number as u64 % 4))).await;
            workers[which].kill();
            workers[which] = spawn();
        }
    }
    let done = async || desk.counts().await.unwrap().totals.completed as usize;
    eventually_async(PATIENCE, async || done().await >= 2 * flows).await;
    eventually_async(PATIENCE, async || {
        letters.counts().await.unwrap().left() == flows as u64
    })
    .await;

    let last = desk.enqueue(Number(3)).await.unwrap();
    let (mut added, mut completed) = (BTreeMap::new(), BTreeMap::new());
    loop {
        match events.next().await.unwrap().kind {
            EventKind::Added(id) if id == *last.id() => break,
            EventKind::Added(id) => *added.entry(id).or_insert(0) += 1,
            EventKind::Completed(id) => *completed.entry(id).or_insert(0) += 1,
            EventKind::Missed => panic!("events were missed"),
            _ => {}
        }
    }
    let names = ["warn", "close"];
    let once = names
        .iter()
        .flat_map(|name| (0..flows).map(|number| (called(name, number), 1)));
    let once: BTreeMap<JobId, i32> = once.collect();
    assert_eq!(added, once);
    assert_eq!(completed, once);
    // The parents wait for the dead.
    assert_eq!(letters.counts().await.unwrap().dead as usize, 2 * flows);
}
