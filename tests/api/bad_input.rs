//! Nonsense is a typed error that says what is wrong and what is allowed, before anything is
//! written. Nothing panics.

use std::time::{Duration, Instant, SystemTime};

use oxcart::{Backoff, Error, ErrorKind, Failure, Job, JobId, Oxcart, Retention, State, Worker};
use serde::{Deserialize, Serialize};

use crate::rig::{Number, Rig};
use crate::support::Server;

fn assert_says(error: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(
            error.to_string().contains(word),
            "{error} does not say {word:?}"
        );
    }
}

fn assert_invalid(error: &Error, words: &[&str]) {
    assert_says(error, ErrorKind::Invalid, words);
}

#[tokio::test]
async fn malformed_names_and_ids() {
    let rig = Rig::new().await;
    for name in [
        "",
        " ",
        "a b",
        "tab\t",
        "nul\0",
        "{x}",
        "a:b",
        &"x".repeat(129),
    ] {
        assert_invalid(&rig.oxcart.queue(name).unwrap_err(), &["queue name"]);
        assert_invalid(&JobId::new(name).unwrap_err(), &["job id"]);
    }
    let server = &rig.server;
    let error = Oxcart::builder()
        .namespace("a b")
        .connect(&server.url())
        .await;
    assert_invalid(&error.err().unwrap(), &["namespace", "white space"]);
}

#[tokio::test]
async fn options_out_of_range() {
    let rig = Rig::new().await;
    let job = || rig.queue.enqueue(Number(1));
    let century = Duration::from_secs(100 * 365 * 24 * 3_600);
    let cases = [
        (job().attempts(0), "attempts"),
        (job().priority(1024), "1023"),
        (job().delay(century), "10 years"),
        (job().delay(Duration::MAX), "10 years"),
        (job().at(SystemTime::now() + century), "10 years"),
        (job().timeout(Duration::ZERO), "timeout"),
        (job().keep(Retention::For(Duration::MAX)), "10 years"),
        (job().backoff(Backoff::fixed(Duration::MAX)), "10 years"),
        (job().backoff(Backoff::default().factor(0.1)), "factor"),
        (job().backoff(Backoff::default().jitter(2.0)), "jitter"),
        (job().backoff(Backoff::named("a b")), "backoff name"),
        (job().header("a b", "x"), "header name"),
        (job().header("a", "x".repeat(2_000)), "1024"),
    ];
    for (request, word) in cases {
        let id = request.job_id().clone();
        let error = request.await.unwrap_err();
        assert_invalid(&error, &[word]);
        assert_eq!(error.job_id(), Some(&id));
    }
    assert_eq!(
        rig.server.ask::<i64>(&["DBSIZE"]),
        0,
        "something was written"
    );
}

#[tokio::test]
async fn one_bad_job_among_many_and_none_is_sent() {
    let rig = Rig::new().await;
    let mut jobs: Vec<_> = (0..600).map(|n| rig.queue.enqueue(Number(n))).collect();
    let bad = rig.queue.enqueue(Number(1)).attempts(0);
    let id = bad.job_id().clone();
    jobs.push(bad);
    let error = rig.queue.enqueue_many(jobs).await.unwrap_err();
    assert_invalid(&error, &["attempts"]);
    assert_eq!(error.job_id(), Some(&id));
    let other = rig.oxcart.queue("other").unwrap();
    let stray = rig.queue.enqueue_many([other.enqueue(Number(1))]).await;
    assert_invalid(&stray.unwrap_err(), &["other", "test"]);
    assert_eq!(
        rig.server.ask::<i64>(&["DBSIZE"]),
        0,
        "something was written"
    );
}

#[derive(Serialize, Deserialize)]
struct Blob(#[serde(with = "serde_bytes")] Vec<u8>);

impl Job for Blob {
    const NAME: &'static str = "blob";
    type Output = ();
}

#[tokio::test]
async fn a_payload_over_the_limit() {
    let rig = Rig::new().await;
    let error = rig
        .queue
        .enqueue(Blob(vec![0; 1024 * 1024]))
        .await
        .unwrap_err();
    assert_invalid(&error, &["payload", "1048576", "payload_max"]);
    rig.queue
        .enqueue(Blob(vec![0; 1024 * 1024 - 10]))
        .await
        .unwrap();
    let roomy = Oxcart::builder().payload_max(4 << 20);
    let roomy = roomy.connect(&rig.server.url()).await.unwrap();
    let queue = roomy.queue("test").unwrap();
    queue.enqueue(Blob(vec![0; 3 << 20])).await.unwrap();
}

#[tokio::test]
async fn job_types_with_malformed_names() {
    #[derive(Serialize, Deserialize)]
    struct Bad;
    impl Job for Bad {
        const NAME: &'static str = "not a name";
        const QUEUE: &'static str = "not a queue";
        type Output = ();
    }
    let rig = Rig::new().await;
    assert_invalid(&rig.queue.enqueue(Bad).await.unwrap_err(), &["job name"]);
    assert!(rig.oxcart.enqueue(Bad).await.unwrap_err().is_invalid());
    let built = rig
        .worker()
        .handle(async |_: Bad| Ok::<_, Failure>(()))
        .build();
    assert_invalid(&built.err().unwrap(), &["job name"]);
}

#[tokio::test]
async fn workers_that_cannot_work() {
    struct Smtp;
    async fn number(Number(n): Number) -> Result<u32, Failure> {
        Ok(n)
    }
    async fn with_state(Number(n): Number, _: State<Smtp>) -> Result<u32, Failure> {
        Ok(n)
    }
    let rig = Rig::new().await;
    let good = || rig.worker().handle(number);
    let cases = [
        (rig.worker(), "no handler"),
        (rig.worker().handle(with_state), "Smtp"),
        (good().handle(number), "two handlers"),
        (good().state(1u8).state(2u8), "given twice"),
        (good().concurrency(0), "concurrency"),
        (good().concurrency(1_000_000), "65536"),
        (good().lease(Duration::from_millis(999)), "lease"),
        (good().lease(Duration::MAX), "lease"),
        (good().grace(Duration::MAX), "10 years"),
        (good().backoff("a b", |_, _| Duration::ZERO), "backoff name"),
    ];
    for (builder, word) in cases {
        assert_invalid(&builder.build().err().unwrap(), &[word]);
    }
    let control = good().build().unwrap().control();
    assert_invalid(&control.set_concurrency(0).unwrap_err(), &["concurrency"]);
}

#[tokio::test]
async fn a_backoff_that_nobody_registered_is_found_when_the_worker_is_built() {
    #[derive(Serialize, Deserialize)]
    struct Named;
    impl Job for Named {
        const NAME: &'static str = "named";
        type Output = ();
        fn options() -> oxcart::JobOptions {
            oxcart::JobOptions::new().backoff(Backoff::named("slow-start"))
        }
    }
    let rig = Rig::new().await;
    let builder = || Worker::builder(&rig.queue).handle(async |_: Named| Ok::<_, Failure>(()));
    assert_invalid(
        &builder().build().err().unwrap(),
        &["slow-start", ".backoff("],
    );
    let registered = builder().backoff("slow-start", |_, _| Duration::ZERO);
    assert!(registered.build().is_ok());
}

#[tokio::test]
async fn urls_that_lead_nowhere() {
    for url in [
        "",
        "what",
        "http://127.0.0.1/",
        "redis://",
        "redis://127.0.0.1:99999/",
    ] {
        let error = Oxcart::connect(url).await.err().unwrap();
        assert!(
            error.is_invalid() || error.kind() == ErrorKind::Unreachable,
            "{url}: {error}"
        );
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let error = Oxcart::connect(&format!("redis://{address}/")).await;
    let error = error.err().unwrap();
    assert_says(&error, ErrorKind::Unreachable, &[&address.to_string()]);
}

#[tokio::test]
async fn what_listens_is_no_redis() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut request = [0; 64];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = Oxcart::connect(&format!("redis://{address}/")).await;
    let error = error.err().unwrap();
    assert!(error.to_string().contains(&address.to_string()), "{error}");

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let started = Instant::now();
    let url = format!("redis://{}/", silent.local_addr().unwrap());
    let error = Oxcart::connect(&url).await.err().unwrap();
    assert!(started.elapsed() < Duration::from_secs(15), "{error}");
}

#[tokio::test]
async fn a_wrong_password() {
    let server = Server::options().alone().start();
    server.cli(&["CONFIG", "SET", "requirepass", "right"]);
    let address = server.tcp_addr();
    for url in [
        format!("redis://{address}/"),
        format!("redis://:wrong@{address}/"),
    ] {
        let error = Oxcart::connect(&url).await.err().unwrap();
        assert_says(&error, ErrorKind::Unsuitable, &["password"]);
        assert!(!error.to_string().contains("wrong@"), "{error}");
    }
    Oxcart::connect(&format!("redis://:right@{address}/"))
        .await
        .unwrap();
}
