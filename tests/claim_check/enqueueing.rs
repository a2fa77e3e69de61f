//! Into the store, and what comes of it if something is wrong.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use oxcart::{ClaimCheck, Enqueued, ErrorKind, JobId, OnDuplicate, Oxcart, Unique};

use crate::objects::{Mood, Objects};
use crate::support::{Proxy, eventually_async};
use crate::{OVER, PATIENCE, Rig, Scan, large, of_bytes};

#[tokio::test]
async fn a_large_payload_is_in_the_store_and_redis_has_a_ticket() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(large()).await.unwrap();
    let small = rig.queue.enqueue(of_bytes(10)).await.unwrap();
    let names = rig.objects.names();
    assert_eq!(names.len(), 1);
    let start = format!("oxcart/scans/{}/", job.id());
    assert!(names[0].starts_with(&start), "{names:?}");

    let info = rig.info(job.id()).await;
    let ticket = info.ticket().unwrap().clone();
    assert_eq!(ticket.object, names[0]);
    assert!(ticket.bytes > 3 * OVER as u64 && ticket.sha256.len() == 64);
    assert!(rig.info(small.id()).await.ticket().is_none());
    let shown: BTreeMap<String, serde_json::Value> = info.payload().unwrap();
    let fields: Vec<&str> = shown.keys().map(String::as_str).collect();
    assert_eq!(fields, ["bytes", "object", "sha256"]);
    assert_eq!(shown["object"], names[0].as_str());

    let typed = info.payload::<Scan>().unwrap_err();
    let as_job = info.job::<Scan>().unwrap_err();
    let event = rig.queue.cloud_event::<serde_json::Value>(&info);
    for error in [typed, as_job, event.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(error.to_string().contains("load_payload"), "{error}");
    }
    let loaded = rig.queue.load_payload(info).await.unwrap();
    assert_eq!(loaded.job::<Scan>().unwrap().text, "(secret)");
    assert_eq!(loaded.ticket(), Some(&ticket));
    assert_eq!(loaded.reveal().job::<Scan>().unwrap(), large());
    // Of other jobs nothing is asked.
    let gets = rig.objects.gets();
    let small = rig
        .queue
        .load_payload(rig.info(small.id()).await)
        .await
        .unwrap();
    assert_eq!(small.reveal().job::<Scan>().unwrap(), of_bytes(10));
    assert_eq!(rig.objects.gets(), gets);
}

#[tokio::test]
async fn a_store_that_fails_or_hangs_is_told_and_nothing_is_added() {
    let rig = Rig::with(|it| it.timeout(Duration::from_millis(300))).await;
    for (mood, why) in [(Mood::Fails, "503 from the store"), (Mood::Hangs, "300ms")] {
        rig.objects.be(mood);
        let asked = Instant::now();
        let mut request = rig.queue.enqueue(large());
        let error = (&mut request).await.unwrap_err();
        assert!(asked.elapsed() < PATIENCE);
        assert_eq!(error.kind(), ErrorKind::PayloadStore);
        assert!(error.is_retryable() && error.is_payload_store());
        assert_eq!(error.job_id(), Some(request.job_id()));
        assert!(error.to_string().contains(why), "{error}");
        let jobs = [large(), large()];
        let error = rig.queue.enqueue_many(jobs).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PayloadStore);
        assert_eq!(rig.queue.counts().await.unwrap().waiting, 0);
        // The same request once more.
        rig.objects.be(Mood::Well);
        let job = request.await.unwrap();
        assert_eq!(job.enqueued(), Enqueued::New);
        assert!(rig.queue.remove(job.id()).await.is_ok());
    }
}

#[tokio::test]
async fn a_caller_waits_no_longer_for_the_store_than_it_says() {
    let rig = Rig::new().await;
    rig.objects.be(Mood::Hangs);
    let asked = Instant::now();
    let limit = Duration::from_millis(300);
    let waited = rig.queue.enqueue(large()).result().within(limit).await;
    assert_eq!(waited.unwrap_err().kind(), ErrorKind::PayloadStore);
    assert!(asked.elapsed() < PATIENCE);
    assert_eq!(rig.queue.counts().await.unwrap().waiting, 0);
}

#[tokio::test]
async fn a_caller_waits_no_longer_for_the_clean_up_and_it_goes_on() {
    let rig = Rig::new().await;
    let proxy = Proxy::start(rig.server.tcp_addr());
    let claim_check = ClaimCheck::over(OVER, rig.objects.clone());
    let builder = Oxcart::builder().claim_check(claim_check);
    let oxcart = builder.connect(&proxy.url()).await.unwrap();
    let queue = oxcart.queue("scans").unwrap();
    queue.enqueue(large()).await.unwrap();
    proxy.refuse(true);
    proxy.cut_all();
    let slow = Duration::from_secs(3);
    let becomes_slow = async {
        eventually_async(PATIENCE, async || rig.objects.len() == 2).await;
        rig.objects.be(Mood::Slow(slow));
    };
    let limit = Duration::from_millis(700);
    let asked = Instant::now();
    let waits = async {
        let waited = queue.enqueue(large()).result().within(limit).await;
        (waited.unwrap_err().kind(), asked.elapsed())
    };
    let ((kind, waited), ()) = tokio::join!(waits, becomes_slow);
    assert_eq!(kind, ErrorKind::NotSent);
    // Not for the store, and not for the two seconds of those without a limit.
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    eventually_async(PATIENCE, async || rig.objects.len() == 1).await;
}

#[tokio::test]
async fn a_duplicate_leaves_the_object_of_the_first_and_deletes_its_own() {
    let rig = Rig::new().await;
    let id = JobId::new("a_b/c".replace('/', ".")).unwrap();
    let first = rig
        .queue
        .enqueue(large())
        .id(id.clone())
        .unique("k")
        .await
        .unwrap();
    let object = rig.objects.names();
    let by_id = rig.queue.enqueue(large()).id(id.clone()).await.unwrap();
    let by_key = rig.queue.enqueue(large()).unique("k").await.unwrap();
    let many = [
        rig.queue.enqueue(large()).unique("k"),
        rig.queue.enqueue(large()).id(id),
    ];
    let many = rig.queue.enqueue_many(many).await.unwrap();
    for other in [&by_id, &by_key].into_iter().chain(&many) {
        assert_eq!(other.id(), first.id());
        assert_ne!(other.enqueued(), Enqueued::New);
    }
    assert_eq!(rig.objects.names(), object);
}

#[tokio::test]
async fn many_jobs_put_their_payloads_and_go_on_where_the_store_failed() {
    let rig = Rig::new().await;
    let jobs = || (0..600).map(|n| if n % 3 == 0 { large() } else { of_bytes(n) });
    let mut many = rig.queue.enqueue_many(jobs());
    rig.objects.be(Mood::Fails);
    let error = (&mut many).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PayloadStore);
    assert_eq!(rig.queue.counts().await.unwrap().waiting, 0);
    rig.objects.be(Mood::Well);
    let handles = (&mut many).await.unwrap();
    assert_eq!(handles.len(), 600);
    assert_eq!(
        (rig.objects.len(), rig.queue.counts().await.unwrap().waiting),
        (200, 600)
    );
    for (handle, job) in handles.iter().zip(jobs()).step_by(97) {
        let info = rig
            .queue
            .load_payload(rig.info(handle.id()).await)
            .await
            .unwrap();
        assert_eq!(info.reveal().job::<Scan>().unwrap(), job);
    }
}

#[tokio::test]
async fn payloads_are_bounded_also_in_the_store() {
    let rig = Rig::with(|it| it.payload_max(5 * OVER)).await;
    rig.queue.enqueue(of_bytes(5 * OVER - 100)).await.unwrap();
    let error = rig.queue.enqueue(of_bytes(5 * OVER)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("ClaimCheck::payload_max"),
        "{error}"
    );
    assert_eq!(rig.objects.len(), 1);
    // Less than the limit of the store, and too much for Redis.
    let builder = Oxcart::builder().payload_max(2_000);
    let claim_check = ClaimCheck::over(OVER, rig.objects.clone());
    let tight = rig.connect(builder.claim_check(claim_check)).await;
    tight
        .queue("scans")
        .unwrap()
        .enqueue(of_bytes(3_000))
        .await
        .unwrap();
    assert_eq!(rig.objects.len(), 2);
}

/// What one payload makes many jobs of, or what goes to a job that nobody knows before, stays in Redis.
#[tokio::test]
async fn other_ways_keep_their_payloads_in_redis() {
    let rig = Rig::new().await;
    let replacing = Unique::by("k").on_duplicate(OnDuplicate::Replace);
    let job = rig.queue.enqueue(large()).unique(replacing).await.unwrap();
    let info = rig.info(job.id()).await.reveal();
    assert_eq!(info.job::<Scan>().unwrap(), large());
    let encoded = rig.queue.enqueue(large()).encode().unwrap();
    rig.queue.feed_encoded("log", [(1, encoded)]).await.unwrap();
    let schedule = rig.queue.schedule("hourly").every(crate::HOUR);
    schedule.job(large()).await.unwrap();
    assert_eq!(rig.objects.len(), 0);
    let too_large = of_bytes(2 * 1024 * 1024);
    assert_eq!(
        rig.queue
            .enqueue(too_large.clone())
            .encode()
            .unwrap_err()
            .kind(),
        ErrorKind::Invalid
    );
    rig.queue.enqueue(too_large).await.unwrap();
    assert_eq!(rig.objects.len(), 1);
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let over = |bytes| ClaimCheck::over(bytes, Objects::default());
    for (claim_check, why) in [
        (over(1_023), "1024"),
        (over(2_000).payload_max(1_999), "ClaimCheck::payload_max"),
        (over(2_000).timeout(Duration::ZERO), "time limit"),
        (over(2_000).timeout(Duration::from_secs(301)), "300s"),
        (
            over(2_000).grace(Duration::from_secs(3_599)),
            "the least age",
        ),
        (
            over(2_000).sweep_every(Duration::from_millis(9)),
            "the least period",
        ),
    ] {
        let builder = Oxcart::builder().claim_check(claim_check);
        let error = builder.connect("redis://127.0.0.1:1/").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// Redis is away: the payload is put and nothing is added, so it is deleted again.
#[tokio::test]
async fn what_redis_did_not_get_is_deleted_in_the_store() {
    let rig = Rig::new().await;
    let builder = Oxcart::builder().call_timeout(Duration::from_millis(300));
    let claim_check = ClaimCheck::over(OVER, rig.objects.clone());
    let oxcart = rig.connect(builder.claim_check(claim_check)).await;
    let queue = oxcart.queue("scans").unwrap();
    queue.enqueue(of_bytes(1)).await.unwrap();
    rig.server.kill();
    // Until the connection is known to be closed, a request may have been sent.
    eventually_async(PATIENCE, async || {
        let error = queue.enqueue(large()).await.unwrap_err();
        error.kind() == ErrorKind::NotSent
    })
    .await;
    let before = rig.objects.len();
    assert_eq!(
        queue.enqueue(large()).await.unwrap_err().kind(),
        ErrorKind::NotSent
    );
    assert_eq!(rig.objects.len(), before);
}
