//! When payloads are deleted, and when they are not.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use oxcart::{
    Error, ErrorKind, Failure, JobHandle, JobId, JobState, Queue, QueueSettings, Retention, Worker,
    WorkerBuilder,
};
use tokio::time::sleep;

use crate::objects::Mood;
use crate::support::eventually_async;
use crate::support::workers::run;
use crate::{HOUR, PATIENCE, Rig, Scan, large, of_bytes};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What fails is dead at once.
fn worker(queue: &Queue) -> WorkerBuilder {
    Worker::builder(queue).handle(async |scan: Scan| match scan.text.len() % 2 {
        0 => Ok(scan.text.len()),
        _ => Err(Failure::dead("an odd length")),
    })
}

async fn swept(rig: &Rig) -> (u64, u64) {
    let swept = rig.queue.sweep_payloads(HOUR).await.unwrap();
    (swept.objects, swept.deleted)
}

#[tokio::test]
async fn the_payload_of_a_job_that_is_not_kept_is_deleted_soon() {
    let rig = Rig::new().await;
    let running = run(worker(&rig.queue));
    let keep = |job: Scan, keep| rig.queue.enqueue(job).keep(keep);
    let gone = keep(large(), Retention::Nothing).await.unwrap();
    let stays = keep(large(), Retention::For(HOUR)).await.unwrap();
    let stays = stays.result().await.map(|_| stays.id().clone()).unwrap();
    eventually_async(PATIENCE, async || rig.objects.len() == 1).await;
    assert!(!rig.is_there(gone.id()).await);
    assert_eq!(
        rig.objects.names(),
        [rig.info(&stays).await.ticket().unwrap().object.clone()]
    );
    running.stop().await;
}

/// The store is away just then: the sweep deletes it later.
#[tokio::test]
async fn what_could_not_be_deleted_is_found_by_the_sweep_of_a_worker() {
    let rig = Rig::with(|it| it.sweep_every(Duration::from_secs(1))).await;
    let settings = QueueSettings::new().keep_completed(Retention::Nothing);
    rig.queue.change_settings(settings).await.unwrap();
    let job = rig.queue.enqueue(large()).await.unwrap();
    rig.queue.enqueue(large()).delay(DAY).await.unwrap();
    assert!(rig.queue.remove(job.id()).await.unwrap().is_done());
    rig.objects.be(Mood::Fails);
    let running = run(worker(&rig.queue));
    sleep(Duration::from_secs(2)).await;
    rig.objects.be(Mood::Well);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.objects.len(), 2, "it is not old enough");
    rig.objects.age(HOUR);
    eventually_async(PATIENCE, async || rig.objects.len() == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_sweep_deletes_what_no_job_has_and_nothing_else() {
    let rig = Rig::new().await;
    let running = run(worker(&rig.queue).concurrency(4));
    let dead = rig.queue.enqueue(of_bytes(30_001)).await.unwrap();
    assert!(dead.result().await.unwrap_err().is_dead());
    let done = rig
        .queue
        .enqueue(large())
        .keep(Retention::For(DAY))
        .await
        .unwrap();
    done.result().await.unwrap();
    running.stop().await;
    let waiting = rig.queue.enqueue(large()).await.unwrap();
    let delayed = rig.queue.enqueue(large()).delay(DAY).await.unwrap();
    let removed = rig.queue.enqueue(large()).await.unwrap();
    assert!(rig.queue.remove(removed.id()).await.unwrap().is_done());
    let foreign = [
        "oxcart/scans/readme.txt",
        "oxcart/other/a/0123456789abcdefghjkmnpqrs",
    ];
    for name in foreign {
        rig.objects.add_foreign(name);
    }
    assert_eq!(swept(&rig).await, (5, 0), "all are young");
    rig.objects.age(HOUR);
    assert_eq!(swept(&rig).await, (5, 1));
    assert_eq!(swept(&rig).await, (4, 0));
    assert_eq!(rig.objects.len(), 4 + foreign.len());
    for job in [&dead, &done, &waiting, &delayed] {
        let info = rig.info(job.id()).await;
        rig.queue.load_payload(info).await.unwrap();
    }
    // A dead letter is replayed: its payload is there.
    assert!(rig.queue.replay(dead.id()).await.unwrap().is_done());
    assert_eq!(swept(&rig).await, (4, 0));
}

#[tokio::test]
async fn a_sweep_of_young_objects_or_without_a_store_is_refused() {
    let rig = Rig::new().await;
    let young = rig
        .queue
        .sweep_payloads(HOUR - Duration::from_secs(1))
        .await;
    let without = rig.without_store().await.sweep_payloads(HOUR).await;
    for error in [young.unwrap_err(), without.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    rig.objects.be(Mood::Fails);
    let error = rig.queue.sweep_payloads(HOUR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PayloadStore);
}

/// A payload that was put, and whose job is not there yet.
#[tokio::test]
async fn a_job_that_is_on_its_way_keeps_its_payload() {
    let rig = Rig::with(|it| it.sweep_every(Duration::from_secs(1))).await;
    let running = run(worker(&rig.queue));
    rig.queue.pause().await.unwrap();
    let enqueue = async |n: usize| {
        let jobs = (0..20).map(|_| of_bytes(20_000 + 2 * n));
        rig.queue.enqueue_many(jobs).await.unwrap()
    };
    let mut all: Vec<JobHandle<Scan>> = Vec::new();
    for n in 0..10 {
        let (more, _) = tokio::join!(enqueue(n), swept(&rig));
        all.extend(more);
    }
    assert_eq!(rig.objects.len(), 200);
    rig.queue.resume().await.unwrap();
    for job in &all {
        job.result().await.unwrap();
    }
    running.stop().await;
}

#[tokio::test]
async fn the_payloads_of_a_queue_that_is_deleted_are_orphans() {
    let rig = Rig::new().await;
    rig.queue
        .enqueue_many((0..300).map(|_| large()))
        .await
        .unwrap();
    let other = rig.oxcart.queue("scans-2").unwrap();
    other.enqueue(large()).await.unwrap();
    rig.queue.delete().with_jobs().await.unwrap();
    rig.objects.age(HOUR);
    assert_eq!(swept(&rig).await, (300, 300));
    assert_eq!(rig.objects.len(), 1);
}

#[tokio::test]
async fn an_edit_takes_another_object_and_deletes_the_first() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(large()).await.unwrap();
    let first = rig.objects.names();
    let edit = async |scan: Scan| rig.queue.edit(job.id()).payload(&scan).await.unwrap();
    assert!(edit(of_bytes(40_000)).await.is_done());
    let second = rig.objects.names();
    assert!(second.len() == 1 && second != first);
    let loaded = rig
        .queue
        .load_payload(rig.info(job.id()).await)
        .await
        .unwrap();
    assert_eq!(loaded.reveal().job::<Scan>().unwrap(), of_bytes(40_000));
    assert!(edit(of_bytes(4)).await.is_done());
    assert_eq!(rig.objects.len(), 0);
    let info = rig.info(job.id()).await;
    assert!(info.ticket().is_none());
    assert_eq!(info.reveal().job::<Scan>().unwrap(), of_bytes(4));
    // Something else than the payload changes nothing of it.
    assert!(edit(large()).await.is_done());
    let names = rig.objects.names();
    assert!(
        rig.queue
            .edit(job.id())
            .priority(3)
            .attempts(2)
            .await
            .unwrap()
            .is_done()
    );
    assert_eq!(rig.objects.names(), names);
    // Too late: it is gone.
    assert!(rig.queue.remove(job.id()).await.unwrap().is_done());
    assert!(!edit(large()).await.is_done());
    assert_eq!(rig.objects.names(), names);
    rig.objects.be(Mood::Fails);
    let failed = rig.queue.edit(job.id()).payload(&large()).await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::PayloadStore);
}

/// The store may be away.
fn done<T>(result: Result<T, Error>) {
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::PayloadStore, "{error}");
    }
}

/// Jobs come and go in all ways; at the end the store has what jobs have, and nothing else.
#[tokio::test]
async fn the_store_has_what_jobs_have_after_a_random_run() {
    let rig = Rig::new().await;
    let seed = std::env::var("OXCART_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("OXCART_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    // What a crashed worker had is soon taken back.
    let short = || {
        worker(&rig.queue)
            .concurrency(3)
            .lease(Duration::from_secs(1))
    };
    let mut running = Some(run(short()));
    let id = |random: &mut Rng| JobId::new(format!("job-{}", random.u8(..40))).unwrap();
    for _ in 0..400 {
        let (one, bytes) = (id(&mut random), random.usize(9_000..30_000));
        match random.u8(..12) {
            0..4 => {
                let request = rig.queue.enqueue(of_bytes(bytes)).id(one);
                let request = request.unique(format!("key-{}", random.u8(..20)));
                let keep = [Retention::Nothing, Retention::For(DAY)][random.usize(..2)];
                done(request.keep(keep).await);
            }
            4 => {
                let many = (0..random.usize(..5)).map(|_| of_bytes(bytes));
                done(rig.queue.enqueue_many(many).await);
            }
            5 => done(rig.queue.remove(&one).await),
            6 => done(rig.queue.replay(&one).await),
            7 => done(rig.queue.edit(&one).payload(&of_bytes(bytes)).await),
            8 => done(rig.queue.sweep_payloads(HOUR).await),
            9 => rig
                .objects
                .be([Mood::Well, Mood::Fails, Mood::FailsAfterwards][random.usize(..3)]),
            10 => {
                // A caller that gives up.
                let request = rig.queue.enqueue(of_bytes(bytes)).id(one);
                let limit = Duration::from_micros(random.u64(..3_000));
                drop(tokio::time::timeout(limit, request.into_future()).await);
            }
            _ => match running.take() {
                Some(worker) => worker.crash().await,
                None => running = Some(run(short())),
            },
        }
        if random.bool() {
            rig.objects.be(Mood::Well);
        }
    }
    rig.objects.be(Mood::Well);
    drop(running.take());
    let resting = run(short());
    let left = async || rig.queue.counts().await.unwrap();
    eventually_async(PATIENCE, async || {
        left().await.active + left().await.waiting == 0
    })
    .await;
    resting.stop().await;
    rig.objects.age(HOUR);
    swept(&rig).await;
    let mut wanted = BTreeSet::new();
    for state in [
        JobState::Waiting,
        JobState::Delayed,
        JobState::Completed,
        JobState::Dead,
    ] {
        for id in crate::support::ids(&rig.queue, state).await {
            wanted.extend(
                rig.info(&id)
                    .await
                    .ticket()
                    .map(|ticket| ticket.object.clone()),
            );
        }
    }
    let there: BTreeSet<String> = rig.objects.names().into_iter().collect();
    assert_eq!(there, wanted);
}
