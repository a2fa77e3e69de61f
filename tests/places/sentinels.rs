//! The master that sentinels name.

use std::time::{Duration, Instant};

use oxcart::{Error, ErrorKind, Oxcart, Sentinels};

use crate::load::Load;
use crate::support::road::{RULE, USER};
use crate::support::sentinels::{MASTER, Sentinel, Watched};
use crate::support::workers::{QUEUE, queue_at};
use crate::support::{Port, Server};
use crate::{rounds, says};

async fn refused_by(sentinels: Sentinels) -> Error {
    let connected = Oxcart::builder().connect_sentinels(sentinels).await;
    connected.expect_err("it cannot be used")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_after_a_failover_everything_goes_on_at_the_new_master() {
    let watched = tokio::task::block_in_place(Watched::start);
    let queue = queue_at(&watched.url()).await;
    let load = Load::start(&queue, 2).await;
    for _ in 0..rounds(1, 30) {
        watched.fail_over().await;
        load.goes_on().await;
    }
    load.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_sentinels_that_are_away_do_not_matter_as_long_as_one_answers() {
    let primary = Server::options().alone().start();
    let sentinels: Vec<_> = (0..3).map(|_| Sentinel::of(&primary, 2)).collect();
    let place = || Sentinels::new(MASTER, sentinels.iter().map(Sentinel::address));
    let connect = || Oxcart::builder().connect_sentinels(place());
    connect().await.unwrap();
    sentinels[0].kill();
    sentinels[1].pause();
    let began = Instant::now();
    let queue = connect().await.unwrap().queue(QUEUE).unwrap();
    queue.counts().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    sentinels[2].kill();
    let error = refused_by(place()).await;
    says(&error, ErrorKind::Unreachable, "no sentinel answers");
    // Connections that are there go on.
    queue.counts().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_if_as_many_name_one_as_the_other_the_one_that_is_a_master_is_taken() {
    let alone = || Server::options().alone().start();
    let mut servers = [alone(), alone()];
    servers.sort_by_key(|server| server.tcp_addr().port());
    // The replica has the larger port in the first round, and the smaller port in the second.
    for (primary, replica) in [(0, 1), (1, 0)] {
        let (primary, replica) = (&servers[primary], &servers[replica]);
        primary.cli(&["REPLICAOF", "NO", "ONE"]);
        replica.replica_of(primary);
        let (right, mistaken) = (Sentinel::of(primary, 2), Sentinel::of(replica, 2));
        let place = Sentinels::new(MASTER, [right.address(), mistaken.address()]);
        let oxcart = Oxcart::builder().connect_sentinels(place).await.unwrap();
        oxcart.queue(QUEUE).unwrap().counts().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_what_is_wrong_with_sentinels_is_said() {
    let alone = || Server::options().alone().start();
    let (primary, replica) = (alone(), alone());
    replica.replica_of(&primary);
    let nowhere = Port::claim().address().to_string();
    let error = refused_by(Sentinels::new(MASTER, [nowhere])).await;
    says(&error, ErrorKind::Unreachable, "no sentinel answers");

    let sentinel = Sentinel::of(&primary, 1);
    let error = refused_by(Sentinels::new("other", [sentinel.address()])).await;
    says(&error, ErrorKind::Unsuitable, "the name `other`");

    let error = refused_by(Sentinels::new(MASTER, [primary.tcp_addr().to_string()])).await;
    says(&error, ErrorKind::Unsuitable, "is no sentinel");

    // It believes that a replica is the master, until it has looked for longer.
    let mistaken = Sentinel::of(&replica, 1);
    let error = refused_by(Sentinels::new(MASTER, [mistaken.address()])).await;
    says(&error, ErrorKind::Refused, "it is a replica");

    for hosts in [vec![], vec!["host:port"], vec![""]] {
        let error = refused_by(Sentinels::new(MASTER, hosts)).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    }
    let error = refused_by(Sentinels::new("", ["host"])).await;
    says(&error, ErrorKind::Invalid, "name of the master");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_sentinels_and_redis_have_passwords_of_their_own() {
    let primary = Server::options().alone().start();
    // It may not ask for the role by `ROLE`.
    let user = ["ACL", "SETUSER", USER[0], "on", ">app-secret", "~oxcart:*"];
    let rule: Vec<_> = RULE.split(' ').collect();
    primary.cli(&[&user[..], &rule].concat());
    primary.cli(&["CONFIG", "SET", "requirepass", "secret"]);
    let lines = format!("requirepass other\nsentinel auth-pass {MASTER} secret");
    let sentinel = Sentinel::with(&primary, 1, &lines);
    let place = || Sentinels::new(MASTER, [sentinel.address()]);
    let error = refused_by(place().password("secret")).await;
    says(&error, ErrorKind::Unsuitable, "NOAUTH");
    let error = refused_by(place().sentinel_password("other")).await;
    says(&error, ErrorKind::Unsuitable, "NOAUTH");
    let right = place().password("secret").sentinel_password("other");
    Oxcart::builder().connect_sentinels(right).await.unwrap();
    let of_app = place()
        .user(USER[0], "app-secret")
        .sentinel_password("other");
    let oxcart = Oxcart::builder().connect_sentinels(of_app).await.unwrap();
    oxcart.queue(QUEUE).unwrap().counts().await.unwrap();
    let address = sentinel.address();
    let url = format!("redis+sentinel://:secret@{address}/{MASTER}/0?sentinel_password=other");
    let queue = queue_at(&url).await;
    queue.counts().await.unwrap();
}
