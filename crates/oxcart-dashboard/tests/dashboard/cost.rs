//! What viewers cost Redis.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt;
use tower::ServiceExt;

use crate::rig::{ADMIN, Program, Rig, Send};

const QUEUES: usize = 500;
const VIEWERS: usize = 20;
const SECONDS: u64 = 10;
/// Jobs that are made at a time.
const LONG_STEP: usize = 20_000;

/// Commands that clients have sent, without those that scripts call.
fn sent(rig: &Rig) -> u64 {
    let names = ["evalsha", "evalsha_ro", "eval", "eval_ro", "smembers"];
    names.iter().map(|name| rig.server.calls(name)).sum()
}

/// With 500 queues and 20 viewers of different pages, Redis gets less than 50 commands a second, and the first page comes within a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_viewers_of_many_queues_cost_little() {
    let rig = Rig::new().await;
    let mut jobs = Vec::new();
    for number in 0..QUEUES {
        let queue = rig.oxcart.queue(&format!("queue-{number:03}")).unwrap();
        jobs.push(async move { queue.enqueue(Send::to("ada")).await.map(|_| ()) });
    }
    let mut jobs = futures_util::stream::iter(jobs).buffer_unordered(32);
    while let Some(sent) = jobs.next().await {
        sent.unwrap();
    }
    crate::support::eventually_async(crate::rig::PATIENCE, async || {
        rig.oxcart.queues().await.unwrap().len() > QUEUES
    })
    .await;
    let admin = Program::new(&rig.router(), ADMIN);
    let since = Instant::now();
    let overview = admin.get("/api/overview").await.expect(200).json();
    println!("the overview came after {:?}", since.elapsed());
    assert_eq!(overview["queues"].as_array().unwrap().len(), QUEUES + 1);
    assert_eq!(overview["unread"], 0);

    let pages = [
        "overview",
        "queues/mail",
        "queues/mail/jobs",
        "queues/queue-001/jobs",
        "running",
    ];
    let mut streams = Vec::new();
    for number in 0..VIEWERS {
        let page = pages[number % pages.len()];
        let request = Request::builder()
            .uri(format!("/live/{page}"))
            .header("authorization", format!("Bearer {ADMIN}"))
            .body(Body::empty())
            .unwrap();
        let stream = admin.router.clone().oneshot(request).await.unwrap();
        assert_eq!(stream.status(), 200);
        streams.push(tokio::spawn(async move {
            let mut events = stream.into_body().into_data_stream();
            while events.next().await.is_some() {}
        }));
    }
    // What a page needs when it is opened is read by then.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, since) = (sent(&rig), Instant::now());
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let commands = (sent(&rig) - before) as f64 / since.elapsed().as_secs_f64();
    println!("{commands:.1} commands a second");
    assert!(commands < 50.0, "{commands} commands a second");
    assert!(commands > 5.0, "nothing is read any more");
    streams.into_iter().for_each(|stream| stream.abort());
}

/// How much one long queue costs. It takes minutes and gigabytes:
/// `OXCART_JOBS=10000000 cargo test --release -p oxcart-dashboard --test dashboard -- --ignored --nocapture a_long_queue`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn a_long_queue_costs_what_a_short_one_does() {
    let jobs: u64 = std::env::var("OXCART_JOBS").map_or(1_000_000, |jobs| jobs.parse().unwrap());
    let rig = Rig::new().await;
    let since = Instant::now();
    for first in (0..jobs).step_by(LONG_STEP) {
        let step = (jobs - first).min(LONG_STEP as u64) as usize;
        let mut sent = rig.queue.enqueue_many(vec![Send::to("ada"); step]);
        // A busy machine may be late; the same request goes on where it was.
        while let Err(error) = (&mut sent).await {
            assert!(error.is_unknown(), "{error}");
        }
    }
    let memory = rig.server.info("used_memory_human");
    println!("{jobs} jobs after {:?}, {memory}", since.elapsed());
    let admin = Program::new(&rig.router(), ADMIN);
    for path in [
        "overview",
        "queues/mail",
        "queues/mail/jobs",
        "queues/mail/jobs?name=none",
        "queues/mail/dead",
        "queues/mail/workers",
    ] {
        let since = Instant::now();
        admin.get(&format!("/api/{path}")).await.expect(200);
        println!("{path}: {:?}", since.elapsed());
    }
    let page = "/live/queues/mail/jobs";
    let watched = axum::http::Request::builder()
        .uri(page)
        .header("authorization", format!("Bearer {ADMIN}"));
    let watched = watched.body(Body::empty()).unwrap();
    let stream = admin.router.clone().oneshot(watched).await.unwrap();
    let watching = tokio::spawn(async move {
        let mut events = stream.into_body().into_data_stream();
        while events.next().await.is_some() {}
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, since) = (sent(&rig), Instant::now());
    let worked = rig.server.info("used_cpu_user");
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let commands = (sent(&rig) - before) as f64 / since.elapsed().as_secs_f64();
    let cpu = |text: &str| text.trim().parse::<f64>().unwrap();
    let worked = cpu(&rig.server.info("used_cpu_user")) - cpu(&worked);
    println!("{commands:.1} commands a second, {worked:.3} s of {SECONDS} s of the server");
    watching.abort();
    assert!(commands < 50.0, "{commands} commands a second");
}

/// Nobody looks: nothing is sent.
#[tokio::test]
async fn nobody_looks_and_nothing_is_sent() {
    let rig = Rig::new().await;
    let _router = rig.router();
    let before = sent(&rig);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(sent(&rig), before);
}
