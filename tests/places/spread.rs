//! Many queues in a cluster, counted: each node does the work of its own queues, and a job costs there what it costs at a single server.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::future::join_all;
use oxcart::{Oxcart, Queue};

use crate::support::clusters::{Cluster, ClusterNode};
use crate::support::jobs::{Scene, Work};
use crate::support::workers::{run, worker};
use crate::support::{Server, eventually};

const LIMIT: Duration = Duration::from_secs(60);
const QUEUES: usize = 64;
const JOBS: usize = 40;

/// The text of each script is sent to each server once. After so many rounds that is over.
const ROUNDS: usize = 10;

/// How far apart the commands of a job may be: workers start and end, and look after their queues now and then.
const TOLERANCE: f64 = 0.05;

/// What the test itself asks, and what servers ask each other.
const NOT_COUNTED: [&str; 8] = [
    "info",
    "client|setinfo",
    "hello",
    "ping",
    "replconf",
    "psync",
    "cluster|keyslot",
    "cluster|info",
];

/// What a server has done so far.
struct Counted {
    commands: BTreeMap<String, u64>,
    connections: u64,
}

impl Counted {
    fn at(server: &Server) -> Self {
        let info: String = server.ask(&["INFO", "everything"]);
        let calls = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let calls = rest.split(',').next()?.parse().ok()?;
            (!NOT_COUNTED.contains(&name)).then(|| (name.to_owned(), calls))
        };
        let connections = info
            .lines()
            .find_map(|line| line.strip_prefix("total_connections_received:"));
        Self {
            commands: info.lines().filter_map(calls).collect(),
            connections: connections.expect("it is in INFO").parse().unwrap(),
        }
    }

    fn of(&self, command: &str) -> u64 {
        self.commands.get(command).copied().unwrap_or(0)
    }

    fn all(&self) -> u64 {
        self.commands.values().sum()
    }

    /// What was done since, without the one connection by which the test asks.
    fn since(self, before: &Self) -> Self {
        let commands = self.commands.into_iter();
        Self {
            commands: commands
                .map(|(name, calls)| (name.clone(), calls - before.of(&name)))
                .collect(),
            connections: self.connections - before.connections - 1,
        }
    }
}

/// How often a server has answered with errors of this name.
fn errors(server: &Server, name: &str) -> u64 {
    let info: String = server.ask(&["INFO", "errorstats"]);
    let prefix = format!("errorstat_{name}:count=");
    let count = info.lines().find_map(|line| line.strip_prefix(&prefix));
    count.map_or(0, |count| count.trim().parse().unwrap())
}

fn name_of(n: usize) -> String {
    format!("queue-{n}")
}

/// Jobs are added to all queues at once, to each by a producer of its own; then a worker of each works them off, one at a time. As a
/// process of its own would do it.
async fn round(url: &str) {
    let oxcart = Oxcart::connect(url).await.unwrap();
    let queues: Vec<Queue> = (0..QUEUES)
        .map(|n| oxcart.queue(&name_of(n)).unwrap())
        .collect();
    let produced = queues.iter().map(async |queue| {
        for _ in 0..JOBS {
            queue.enqueue(Work::Quick).await.unwrap();
        }
    });
    join_all(produced).await;
    // Fences are of one queue, and a scene has one fence once.
    let scenes: Vec<Scene> = queues.iter().map(|_| Scene::new()).collect();
    let workers: Vec<_> = queues
        .iter()
        .zip(&scenes)
        .map(|(queue, scene)| run(worker(queue, scene).concurrency(1)))
        .collect();
    for (worker, scene) in workers.into_iter().zip(&scenes) {
        eventually(LIMIT, || scene.books().done() == JOBS).await;
        worker.stop().await;
    }
}

/// What each of these servers did in the first round in which no text of a script was sent.
async fn counted(url: &str, servers: &[&Server]) -> Vec<Counted> {
    for _ in 0..ROUNDS {
        let before: Vec<_> = servers.iter().map(|server| Counted::at(server)).collect();
        round(url).await;
        let used = servers.iter().zip(&before);
        let used: Vec<_> = used
            .map(|(server, before)| Counted::at(server).since(before))
            .collect();
        if used.iter().all(|used| used.of("eval") == 0) {
            return used;
        }
    }
    panic!("scripts are sent again and again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_each_node_does_the_work_of_its_queues_and_a_job_costs_what_it_costs_at_one_server() {
    let single = Server::options().alone().start();
    let at_one = counted(&single.plain_url(), &[&single]).await.remove(0);
    let of_queue = at_one.all() as f64 / QUEUES as f64;

    let cluster = tokio::task::block_in_place(Cluster::start);
    let (masters, replicas) = cluster.nodes.split_at(3);
    let mut queues: HashMap<String, usize> = HashMap::new();
    for n in 0..QUEUES {
        let slot = cluster.slot_of(&format!("oxcart:{{{}}}:meta", name_of(n)));
        let owner = cluster.owner(slot).expect("the nodes agree");
        *queues.entry(owner.address()).or_default() += 1;
    }
    let servers: Vec<&Server> = masters.iter().map(|node| node.server()).collect();
    let used = counted(&cluster.url(), &servers).await;

    let (mut all, mut calls) = (0, 0);
    for (node, used) in masters.iter().zip(&used) {
        let owns = queues[&node.address()];
        let needed = of_queue * owns as f64;
        println!(
            "{owns} queues: {} commands of {needed:.0}, {} scripts, {} connections",
            used.all(),
            used.of("evalsha"),
            used.connections
        );
        assert!(
            (used.all() as f64 / needed - 1.0).abs() < TOLERANCE,
            "{owns} queues need {needed:.0} commands: {:?}",
            used.commands
        );
        // Of each queue: a lane, the leases, the wait for work, and the producer; of all: the shared one. One asks for the map. A
        // busy machine makes a job run for long enough to read the requests to cancel it.
        let most = 5 * owns as u64 + 2;
        assert!(used.connections <= most, "{} of {most}", used.connections);
        assert!(used.of("cluster|slots") <= 1, "{:?}", used.commands);
        all += used.all();
        calls += used.of("evalsha");
    }
    let jobs = (QUEUES * JOBS) as f64;
    let (here, there) = (all as f64 / jobs, at_one.all() as f64 / jobs);
    println!(
        "a job: {here:.2} commands, {:.3} scripts; at one server {there:.2} and {:.3}",
        calls as f64 / jobs,
        at_one.of("evalsha") as f64 / jobs
    );
    assert!((here / there - 1.0).abs() < TOLERANCE, "{here} {there}");
    let ratio = calls as f64 / at_one.of("evalsha") as f64;
    assert!((ratio - 1.0).abs() < TOLERANCE, "{ratio} times the scripts");

    // Nothing ever went to a wrong node, not even at first: the map was there before.
    for node in &cluster.nodes {
        for name in ["MOVED", "ASK", "CROSSSLOT", "TRYAGAIN", "CLUSTERDOWN"] {
            assert_eq!(errors(node.server(), name), 0, "{name}");
        }
    }
    let ran = |node: &ClusterNode| node.server().calls("evalsha") + node.server().calls("eval");
    assert_eq!(replicas.iter().map(ran).sum::<u64>(), 0);
}
