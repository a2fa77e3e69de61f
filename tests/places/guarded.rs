//! Sentinels and a cluster over TLS, for users who may do no more than `docs/security.md` says.

use std::time::Duration;

use oxcart::{ClusterNodes, Error, ErrorKind, Oxcart, OxcartBuilder, Queue, Sentinels, Tls};
use tokio_rustls::TlsAcceptor;

use crate::says;
use crate::support::access::{NOT_MISSED, denied, documented};
use crate::support::certificates::Authority;
use crate::support::clusters::Cluster;
use crate::support::everything::a_bit_of_everything;
use crate::support::front::{Version, acceptor};
use crate::support::jobs::{Scene, Work};
use crate::support::sentinels::{MASTER, Watched};
use crate::support::workers::{RunningWorker, run, worker};
use crate::support::{Server, eventually_async};

const SECOND: Duration = Duration::from_secs(1);
const PASSWORD: &str = "a-long-password";
const WRONG: &str = "another-password";
/// The user of the rule by category, and the one of the rule by command.
const USERS: [&str; 2] = ["by-category", "by-command"];
/// May not ask who has which slots.
const NO_NODES: &str = "no-nodes";
/// May ask that, and may not run scripts.
const NO_SCRIPTS: &str = "no-scripts";
/// The user at the sentinels, with what the page says.
const WATCHER: &str = "watcher";

/// The words by which a user becomes one of the page, with more rights.
fn words(user: &str, rule: usize, more: &[&str]) -> Vec<String> {
    let words = documented().swap_remove(rule);
    // Without `ACL SETUSER app`.
    let words = words.into_iter().skip(3);
    let more = more.iter().map(|right| (*right).to_owned());
    [user.to_owned()]
        .into_iter()
        .chain(words)
        .chain(more)
        .collect()
}

/// A CA that a client trusts only if it is told to, and a certificate of the server that this CA has signed.
fn authority() -> (Authority, TlsAcceptor) {
    let authority = Authority::new("a CA of this test");
    let shown = authority.server(&["127.0.0.1"]);
    let acceptor = acceptor(&shown, None, Version::Newest);
    (authority, acceptor)
}

fn trusting(authority: &Authority) -> OxcartBuilder {
    Oxcart::builder().tls(Tls::new().ca(authority.pem()))
}

/// A queue of each user, and its worker.
struct Crew {
    queues: Vec<Queue>,
    workers: Vec<RunningWorker>,
}

impl Crew {
    /// Does a bit of everything in each.
    async fn start(connected: Vec<Oxcart>) -> Self {
        let mut work = Self {
            queues: Vec::new(),
            workers: Vec::new(),
        };
        for (oxcart, user) in connected.iter().zip(USERS) {
            assert_eq!(oxcart.server().await.unwrap().denied, Some(Vec::new()));
            let queue = oxcart.queue(user).unwrap();
            let scene = Scene::new();
            let running = run(worker(&queue, &scene).concurrency(20).lease(SECOND));
            a_bit_of_everything(&queue, &scene, 5).await;
            let schedule = queue.schedule("often").every(SECOND).limit(1);
            schedule.job(Work::Quick).await.unwrap();
            assert!(oxcart.queues().await.unwrap().contains(&user.to_owned()));
            work.queues.push(queue);
            work.workers.push(running);
        }
        work
    }

    async fn goes_on(&self) {
        for queue in &self.queues {
            // A job may be lost with a master that has no replica yet.
            let runs = || queue.enqueue(Work::Quick).result().within(5 * SECOND);
            eventually_async(60 * SECOND, async || runs().await.is_ok()).await;
        }
    }

    async fn stop(self) {
        for worker in self.workers {
            worker.stop().await;
        }
    }
}

/// Nothing was denied but what is not missed.
fn nothing_is_missed<'a>(servers: impl Iterator<Item = &'a Server>, not_missed: &[&str]) {
    for server in servers {
        for user in USERS {
            let denied = denied(server, user).into_iter();
            let missed: Vec<_> = denied
                .filter(|denied| !not_missed.contains(&denied.as_str()))
                .collect();
            assert!(missed.is_empty(), "{user}: {missed:?}");
        }
    }
}

async fn refused(connecting: impl Future<Output = Result<Oxcart, Error>>, words: &str) {
    let error = connecting.await.expect_err("it cannot be used");
    says(&error, ErrorKind::Unsuitable, words);
    let text = format!("{error} {error:?}");
    assert!(!text.contains(PASSWORD) && !text.contains(WRONG), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_sentinels_over_tls_and_users_with_few_rights() {
    let (authority, shown) = authority();
    let options = || {
        let options = Server::options().user(&words(USERS[0], 0, &[]));
        options.user(&words(USERS[1], 1, &[]))
    };
    let line =
        format!("user {WATCHER} on >{PASSWORD} +sentinel|get-master-addr-by-name +hello +auth");
    let watched = tokio::task::block_in_place(|| Watched::behind(&shown, options, &line));
    let hosts = watched.addresses().join(",");
    let url = |user: &str| {
        format!(
            "rediss+sentinel://{user}:{PASSWORD}@{hosts}/{MASTER}/0?sentinel_user={WATCHER}&sentinel_password={PASSWORD}"
        )
    };
    let mut connected = Vec::new();
    for user in USERS {
        connected.push(trusting(&authority).connect(&url(user)).await.unwrap());
    }
    let work = Crew::start(connected).await;
    watched.fail_over().await;
    work.goes_on().await;
    // A connection asks for the role of its server, first by a command that these users may not call.
    let not_missed = [&NOT_MISSED[..], &["command role"]].concat();
    nothing_is_missed(watched.servers(), &not_missed);
    work.stop().await;

    let place = || Sentinels::new(MASTER, watched.addresses()).over_tls();
    let with = |password: &str, of_sentinels: &str| {
        let place = place().user(USERS[0], password);
        let place = place.sentinel_user(WATCHER, of_sentinels);
        trusting(&authority).connect_sentinels(place)
    };
    with(PASSWORD, PASSWORD).await.unwrap();
    refused(with(WRONG, PASSWORD), "WRONGPASS").await;
    refused(with(PASSWORD, WRONG), "WRONGPASS").await;
    refused(with(PASSWORD, WRONG), "a sentinel said it").await;
    refused(Oxcart::builder().connect_sentinels(place()), "TLS").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_cluster_over_tls_and_users_with_few_rights() {
    const SLOTS: &str = "+cluster|slots";
    let (authority, shown) = authority();
    let options = || {
        let options = Server::options().user(&words(USERS[0], 0, &[SLOTS]));
        let options = options.user(&words(USERS[1], 1, &[SLOTS]));
        let options = options.user(&words(NO_NODES, 0, &[]));
        options.user(&words(NO_SCRIPTS, 0, &[SLOTS, "-@scripting"]))
    };
    let cluster = tokio::task::block_in_place(|| Cluster::behind(&shown, options));
    let url = |user: &str| {
        format!(
            "rediss+cluster://{user}:{PASSWORD}@{}",
            cluster.seeds().join(",")
        )
    };
    let mut connected = Vec::new();
    for user in USERS {
        connected.push(trusting(&authority).connect(&url(user)).await.unwrap());
    }
    let work = Crew::start(connected).await;
    let slot = cluster.slot_of(&format!("oxcart:{{{}}}:meta", USERS[0]));
    cluster.fail_over(slot).await;
    work.goes_on().await;
    tokio::task::block_in_place(|| cluster.move_slot(slot));
    work.goes_on().await;
    nothing_is_missed(cluster.nodes.iter().map(|node| node.server()), &NOT_MISSED);
    work.stop().await;

    let place = || ClusterNodes::new(cluster.seeds()).over_tls();
    let with = |user: &str, password: &str| {
        trusting(&authority).connect_cluster(place().user(user, password))
    };
    with(USERS[0], PASSWORD).await.unwrap();
    refused(with(USERS[0], WRONG), "WRONGPASS").await;
    refused(with(NO_NODES, PASSWORD), "NOPERM").await;
    // Each of them is told what a user of a cluster needs.
    for (user, password) in [
        (USERS[0], WRONG),
        (NO_NODES, PASSWORD),
        (NO_SCRIPTS, PASSWORD),
    ] {
        refused(with(user, password), SLOTS).await;
    }
    refused(Oxcart::builder().connect_cluster(place()), "TLS").await;
}
