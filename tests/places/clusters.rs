//! A Redis Cluster.

use std::time::{Duration, Instant};

use oxcart::{ClusterNodes, Error, ErrorKind, Oxcart, Queue};

use crate::load::Load;
use crate::support::clusters::{Cluster, ClusterNode};
use crate::support::jobs::{Scene, Work};
use crate::support::workers::{drained, queue_at, run, worker};
use crate::support::{Port, Server};
use crate::{rounds, says};

const SECOND: Duration = Duration::from_secs(1);

/// Of the queue of the tests.
const KEY: &str = "oxcart:{work}:meta";

async fn refused_by(nodes: ClusterNodes) -> Error {
    let connected = Oxcart::builder().connect_cluster(nodes).await;
    connected.expect_err("it cannot be used")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_queue_goes_on_when_the_node_of_its_slot_is_replaced_and_when_the_slot_moves() {
    let cluster = tokio::task::block_in_place(Cluster::start);
    let queue = queue_at(&cluster.url()).await;
    let slot = cluster.slot_of(KEY);
    let load = Load::start(&queue, 1).await;
    for _ in 0..rounds(2, 20) {
        tokio::task::block_in_place(|| cluster.move_slot(slot));
        load.goes_on().await;
    }
    for _ in 0..rounds(1, 30) {
        cluster.fail_over(slot).await;
        load.goes_on().await;
    }
    load.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_queues_are_at_all_nodes_and_single_calls_share_one_connection_to_each() {
    const QUEUES: usize = 20;
    let cluster = tokio::task::block_in_place(Cluster::start);
    let oxcart = Oxcart::connect(&cluster.url()).await.unwrap();
    let queues: Vec<Queue> = (0..QUEUES)
        .map(|n| oxcart.queue(&format!("queue-{n}")).unwrap())
        .collect();
    for queue in &queues {
        queue.counts().await.unwrap();
    }
    for node in &cluster.nodes[..3] {
        let clients: String = node.server().ask(&["CLIENT", "LIST", "TYPE", "normal"]);
        // The test itself comes through the socket. A connection on which a node was asked for its map may just be closing.
        let ours = clients.lines().filter(|line| line.contains("cmd=evalsha"));
        assert_eq!(ours.count(), 1, "{clients}");
    }
    let scene = Scene::new();
    for queue in &queues {
        queue.enqueue(Work::Quick).await.unwrap();
    }
    let workers: Vec<_> = queues
        .iter()
        .map(|queue| run(worker(queue, &scene)))
        .collect();
    for queue in &queues {
        assert_eq!(drained(queue, 20 * SECOND).await.totals.completed, 1);
    }
    assert_eq!(scene.runs().len(), QUEUES);
    assert_eq!(oxcart.queues().await.unwrap().len(), QUEUES);
    // An idle worker hears of the next job at once.
    let began = Instant::now();
    queues[0].enqueue(Work::Quick).result().await.unwrap();
    assert!(began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
    for worker in workers {
        worker.stop().await;
    }
    assert!(oxcart.server().await.unwrap().version.is_some());
}

/// The nodes have less time to answer than that.
#[tokio::test]
async fn g9_a_cluster_is_found_while_the_application_blocks_its_thread() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let block = async { std::thread::sleep(4 * SECOND) };
    let url = cluster.url();
    let (connected, ()) = tokio::join!(Oxcart::connect(&url), block);
    connected.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_what_is_wrong_with_a_cluster_is_said() {
    let single = Server::options().alone().start();
    let error = refused_by(ClusterNodes::new([single.tcp_addr().to_string()])).await;
    says(&error, ErrorKind::Unsuitable, "is no node of a cluster");

    let nowhere = Port::claim().address().to_string();
    let error = refused_by(ClusterNodes::new([nowhere])).await;
    says(&error, ErrorKind::Unreachable, "no node of the cluster");

    let part = ClusterNode::start(Server::options());
    part.server().cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "100"]);
    let error = refused_by(ClusterNodes::new([part.address()])).await;
    says(&error, ErrorKind::Refused, "16283 slots have no node");
    let error = Oxcart::connect(&part.server().plain_url())
        .await
        .unwrap_err();
    says(&error, ErrorKind::Unsuitable, "redis+cluster://");

    let closed = Port::claim();
    let announced = Server::options().arg("--cluster-announce-port", &closed.number().to_string());
    let announced = announced.arg("--cluster-announce-ip", "127.0.0.1");
    let elsewhere = ClusterNode::start(announced);
    elsewhere
        .server()
        .cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let error = refused_by(ClusterNodes::new([elsewhere.address()])).await;
    says(&error, ErrorKind::Unreachable, "cluster-announce-ip");
}
