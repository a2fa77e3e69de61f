//! What handlers get, and what becomes of jobs whose payloads cannot be read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxcart::{
    AttemptKind, Backoff, Batch, Batched, Context, DeadReason, Ended, Failure, JobId, JobState,
    Queue, State, Worker, WorkerBuilder,
};

use crate::objects::Mood;
use crate::support::eventually_async;
use crate::support::workers::run;
use crate::{PATIENCE, Rig, Scan, large, of_bytes};

const SHORT: Duration = Duration::from_millis(10);

/// What handlers have got.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Scan>>>);

impl Seen {
    fn all(&self) -> Vec<Scan> {
        self.0.lock().unwrap().clone()
    }
}

async fn measure(scan: Scan, seen: State<Seen>) -> Result<usize, Failure> {
    seen.0.lock().unwrap().push(scan.clone());
    Ok(scan.text.len())
}

fn worker(queue: &Queue, seen: &Seen) -> WorkerBuilder {
    Worker::builder(queue).state(seen.clone()).handle(measure)
}

async fn is_in(rig: &Rig, id: &JobId, state: JobState) -> bool {
    rig.info(id).await.state == state
}

#[tokio::test]
async fn a_handler_gets_its_job_wherever_the_payload_was() {
    let rig = Rig::new().await;
    let seen = Seen::default();
    let running = run(worker(&rig.queue, &seen));
    let large_one = rig.queue.enqueue(large()).await.unwrap();
    assert_eq!(large_one.result().await.unwrap(), large().text.len());
    let small = rig.queue.enqueue(of_bytes(7)).await.unwrap();
    assert_eq!(small.result().await.unwrap(), 7);
    assert_eq!(seen.all(), [large(), of_bytes(7)]);
    running.stop().await;
}

/// What a handler enqueues by the same connection goes to the store as well.
#[tokio::test]
async fn a_handler_enqueues_large_jobs() {
    let rig = Rig::new().await;
    let again = async |scan: Scan, context: Context, queue: Queue| {
        if context.attempt().id.as_str() == "first" {
            let next = queue.enqueue(scan).id(JobId::new("second")?);
            next.await?;
        }
        Ok::<_, Failure>(0)
    };
    let running = run(Worker::builder(&rig.queue).handle(again));
    let first = rig.queue.enqueue(large()).id(JobId::new("first").unwrap());
    first.await.unwrap().result().await.unwrap();
    let second = JobId::new("second").unwrap();
    assert!(rig.info(&second).await.ticket().is_some());
    let second = rig.queue.handle::<Scan>(second);
    second.result().await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn the_jobs_of_a_batch_get_their_payloads() {
    let rig = Rig::new().await;
    let seen = Seen::default();
    let measure = async |scans: Vec<Batched<Scan>>, seen: State<Seen>| {
        for scan in scans {
            seen.0.lock().unwrap().push(scan.job.clone());
            let length = scan.job.text.len();
            scan.complete(length);
        }
        Ok::<_, Failure>(())
    };
    let batch = Batch::up_to(4).within(Duration::from_millis(50));
    let worker = Worker::builder(&rig.queue)
        .concurrency(8)
        .state(seen.clone());
    let running = run(worker.handle_batch(batch, measure));
    let lengths = [30_000, 5, 40_000, 6];
    let sent = rig.queue.enqueue_many(lengths.map(of_bytes)).await.unwrap();
    for (one, length) in sent.iter().zip(lengths) {
        assert_eq!(one.result().await.unwrap(), length);
    }
    assert_eq!(seen.all().len(), 4);
    running.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_fails_the_attempt_and_a_later_one_succeeds() {
    let rig = Rig::with(|it| it.timeout(Duration::from_millis(200))).await;
    let seen = Seen::default();
    for mood in [Mood::Fails, Mood::Hangs] {
        let request = rig
            .queue
            .enqueue(large())
            .backoff(Backoff::fixed(SHORT))
            .attempts(50);
        let job = request.await.unwrap();
        rig.objects.be(mood);
        let running = run(worker(&rig.queue, &seen));
        eventually_async(PATIENCE, async || rig.info(job.id()).await.failed >= 2).await;
        let info = rig.info(job.id()).await;
        let attempt = &info.history[0];
        assert_eq!(attempt.kind, AttemptKind::Error);
        assert!(
            attempt.error.contains("could not be read"),
            "{}",
            attempt.error
        );
        rig.objects.be(Mood::Well);
        assert_eq!(job.result().await.unwrap(), large().text.len());
        running.stop().await;
    }
}

#[tokio::test]
async fn a_payload_that_is_lost_or_another_one_is_dead_at_once() {
    let rig = Rig::new().await;
    let seen = Seen::default();
    let running = run(worker(&rig.queue, &seen));
    for (mood, why) in [
        (Mood::Cuts, "it has less than"),
        (Mood::Adds, "it has more than"),
        (Mood::Garbles, "SHA-256"),
        (Mood::Well, "there is no payload in the object"),
    ] {
        let delayed = rig.queue.enqueue(large()).delay(Duration::from_millis(200));
        let job = delayed.await.unwrap();
        match mood {
            Mood::Well => rig.objects.lose(),
            mood => rig.objects.be(mood),
        }
        assert!(job.result().await.unwrap_err().is_dead());
        let info = rig.info(job.id()).await;
        assert_eq!(info.ended, Some(Ended::Dead(DeadReason::Undecodable)));
        assert_eq!((info.failed, info.history.len()), (1, 1), "one attempt");
        assert!(info.last_error().contains(why), "{}", info.last_error());
        // Whoever looks is told the same.
        let error = rig.queue.load_payload(info).await.unwrap_err();
        assert!(
            error.is_payload_lost() && error.to_string().contains(why),
            "{error}"
        );
        assert!(error.job_id() == Some(job.id()) && !error.is_retryable());
        // An object that comes back can be read again.
        if mood != Mood::Well {
            rig.objects.be(Mood::Well);
            assert!(rig.queue.replay(job.id()).await.unwrap().is_done());
            assert_eq!(job.result().await.unwrap(), large().text.len());
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_worker_without_a_store_leaves_the_job_to_others() {
    let rig = Rig::new().await;
    let seen = Seen::default();
    let without = rig.without_store().await;
    let job = rig.queue.enqueue(large()).attempts(1).await.unwrap();
    let blind = run(worker(&without, &seen));
    eventually_async(PATIENCE, async || rig.info(job.id()).await.bounces > 0).await;
    blind.stop().await;
    let info = rig.info(job.id()).await;
    assert_eq!((info.failed, seen.all().len()), (0, 0));
    let error = without.load_payload(info).await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
    assert!(
        error.to_string().contains("OxcartBuilder::claim_check"),
        "{error}"
    );
    let running = run(worker(&rig.queue, &seen));
    assert_eq!(job.result().await.unwrap(), large().text.len());
    running.stop().await;
}

/// A ticket that somebody has written into Redis.
#[tokio::test]
async fn a_ticket_for_something_else_reads_and_deletes_nothing() {
    let rig = Rig::new().await;
    let seen = Seen::default();
    let job = rig.queue.enqueue(large()).await.unwrap();
    let other = rig.oxcart.queue("other").unwrap();
    let theirs = other.enqueue(large()).await.unwrap();
    let record: Vec<u8> = rig
        .server
        .ask(&["HGET", "oxcart:{scans}:jobs", job.id().as_str()]);
    // Of the same length.
    let [mine, foreign] = [b"oxcart/scans/", b"oxcart/other/"];
    let at = record
        .windows(mine.len())
        .position(|part| part == mine)
        .unwrap();
    let mut forged = record.clone();
    forged[at..at + mine.len()].copy_from_slice(foreign);
    assert_ne!(record, forged);
    let client = redis::Client::open(rig.server.socket_url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut set = redis::cmd("HSET");
    set.arg("oxcart:{scans}:jobs")
        .arg(job.id().as_str())
        .arg(forged);
    let () = set.query(&mut connection).unwrap();
    let running = run(worker(&rig.queue, &seen));
    assert!(job.result().await.unwrap_err().is_dead());
    assert!(
        rig.info(job.id())
            .await
            .last_error()
            .contains("not the name of an object")
    );
    assert_eq!((rig.objects.gets(), rig.objects.len()), (0, 2));
    let info = other.job(theirs.id()).await.unwrap().unwrap();
    other.load_payload(info).await.unwrap();
    running.stop().await;
}

/// The store is slower than a lease lasts: it is renewed meanwhile.
#[tokio::test]
async fn a_lease_is_renewed_while_a_payload_is_read() {
    let rig = Rig::new().await;
    let seen = Seen::default();
    let job = rig.queue.enqueue(large()).await.unwrap();
    rig.objects.be(Mood::Slow(Duration::from_secs(3)));
    let lease = Duration::from_secs(1);
    let workers = [(); 2].map(|()| run(worker(&rig.queue, &seen).lease(lease)));
    assert_eq!(job.result().await.unwrap(), large().text.len());
    assert_eq!((seen.all().len(), rig.objects.gets()), (1, 1));
    for worker in workers {
        worker.stop().await;
    }
}

/// A worker that stops hands the job back, however long the store takes.
#[tokio::test]
async fn a_worker_that_stops_does_not_wait_for_the_store() {
    let rig = Rig::new().await;
    let seen = Seen::default();
    let job = rig.queue.enqueue(large()).attempts(1).await.unwrap();
    rig.objects.be(Mood::Hangs);
    let grace = Duration::from_millis(100);
    let running = run(worker(&rig.queue, &seen).grace(grace));
    eventually_async(PATIENCE, async || {
        is_in(&rig, job.id(), JobState::Active).await
    })
    .await;
    running.stop().await;
    assert!(is_in(&rig, job.id(), JobState::Waiting).await);
    assert_eq!(rig.info(job.id()).await.failed, 0);
}
