//! Jobs that go to another queue, or leave and come back as dead letters.

use futures::{StreamExt, TryStreamExt};
use oxcart::{
    Changed, ClaimCheck, DeadLetter, Error, ErrorKind, Failure, JobState, Oxcart, Queue, Worker,
};

use crate::objects::{Mood, Objects};
use crate::support::workers::run;
use crate::{HOUR, OVER, Rig, Scan, large, of_bytes};

async fn measured(queue: &Queue, id: &oxcart::JobId) -> usize {
    let measure = async |scan: Scan| Ok::<_, Failure>(scan.text.len());
    let running = run(Worker::builder(queue).handle(measure));
    let length = queue.handle::<Scan>(id.clone()).result().await.unwrap();
    running.stop().await;
    length
}

/// A dead job with a large payload.
async fn dead(queue: &Queue) -> oxcart::JobId {
    let fails = async |_: Scan| Err::<usize, _>(Failure::dead("as asked"));
    let running = run(Worker::builder(queue).handle(fails));
    let job = queue.enqueue(large()).await.unwrap();
    assert!(job.result().await.unwrap_err().is_dead());
    running.stop().await;
    job.id().clone()
}

#[tokio::test]
async fn a_job_that_is_moved_takes_its_payload_along() {
    let rig = Rig::new().await;
    let other = rig.oxcart.queue("other").unwrap();
    let died = dead(&rig.queue).await;
    let waits = rig.queue.enqueue(of_bytes(40_000)).await.unwrap();
    let small = rig.queue.enqueue(of_bytes(4)).await.unwrap();
    let ids = [died.clone(), waits.id().clone(), small.id().clone()];
    let moved = rig.queue.move_many(&ids, &other).await.unwrap();
    assert_eq!(moved, [Changed::Done; 3]);
    let names = rig.objects.names();
    assert!(
        names.len() == 2 && names.iter().all(|name| name.starts_with("oxcart/other/")),
        "{names:?}"
    );
    assert!(other.replay(&died).await.unwrap().is_done());
    rig.objects.age(HOUR);
    assert_eq!(rig.queue.sweep_payloads(HOUR).await.unwrap().objects, 0);
    assert_eq!(other.sweep_payloads(HOUR).await.unwrap().deleted, 0);
    assert_eq!(measured(&other, &died).await, large().text.len());
    assert_eq!(measured(&other, waits.id()).await, 40_000);
}

#[tokio::test]
async fn a_move_without_the_payload_is_refused_and_moves_nothing() {
    let rig = Rig::new().await;
    let other = rig.oxcart.queue("other").unwrap();
    let job = rig.queue.enqueue(large()).await.unwrap();
    let id = [job.id().clone()];
    let without = rig.without_store().await;
    let error = without.move_many(&id, &other).await.unwrap_err();
    assert!(
        error.is_invalid() && error.job_id() == Some(job.id()),
        "{error}"
    );
    rig.objects.be(Mood::Fails);
    let error = rig.queue.move_many(&id, &other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PayloadStore);
    assert_eq!(other.counts().await.unwrap().waiting, 0);
    assert_eq!(rig.info(job.id()).await.state, JobState::Waiting);
    // There is a job of this id already, with another payload.
    rig.objects.be(Mood::Well);
    other
        .enqueue(of_bytes(50_000))
        .id(job.id().clone())
        .await
        .unwrap();
    let moved = rig.queue.move_many(&id, &other).await.unwrap();
    assert_eq!((moved, rig.objects.len()), (vec![Changed::Duplicate], 2));
    // Where there is no store, the payload is kept in Redis if it is small enough for that.
    let plain = Oxcart::builder().payload_max(2 * OVER);
    let plain = rig.connect(plain).await.queue("plain").unwrap();
    let error = rig.queue.move_many(&id, &plain).await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
    let plain = Oxcart::connect(&rig.server.url()).await.unwrap();
    let plain = plain.queue("plain").unwrap();
    assert_eq!(
        rig.queue.move_many(&id, &plain).await.unwrap(),
        [Changed::Done]
    );
    assert_eq!(rig.objects.len(), 1);
    assert_eq!(measured(&plain, job.id()).await, large().text.len());
}

#[tokio::test]
async fn a_job_that_has_lost_its_payload_holds_up_no_move() {
    let rig = Rig::new().await;
    let other = rig.oxcart.queue("other").unwrap();
    let lost = rig.queue.enqueue(large()).await.unwrap();
    rig.objects.lose();
    let well = rig.queue.enqueue(large()).await.unwrap();
    let ids = [lost.id().clone(), well.id().clone()];
    for then in [Changed::Done, Changed::NotFound] {
        let moved = rig.queue.move_many(&ids, &other).await.unwrap();
        assert_eq!(moved, [Changed::InState(JobState::Waiting), then]);
    }
    assert!(rig.is_there(lost.id()).await);
    assert_eq!(measured(&other, well.id()).await, large().text.len());
}

/// A connection that keeps less in Redis than it said for the store.
#[tokio::test]
async fn a_payload_comes_back_as_it_would_be_enqueued() {
    let rig = Rig::new().await;
    let id = {
        let fails = async |_: Scan| Err::<usize, _>(Failure::dead("as asked"));
        let running = run(Worker::builder(&rig.queue).handle(fails));
        let job = rig.queue.enqueue(of_bytes(OVER / 2)).await.unwrap();
        assert!(job.result().await.unwrap_err().is_dead());
        running.stop().await;
        job.id().clone()
    };
    let letters = exported(&rig.queue, true).await;
    let letters: Vec<DeadLetter> = letters.into_iter().map(Result::unwrap).collect();
    let elsewhere = Objects::default();
    let claim_check = ClaimCheck::over(OVER, elsewhere.clone());
    let builder = Oxcart::builder().namespace("second").payload_max(OVER / 5);
    let oxcart = rig.connect(builder.claim_check(claim_check)).await;
    let second = oxcart.queue("scans").unwrap();
    assert_eq!(second.import_dead(letters).await.unwrap().imported, 1);
    assert_eq!(elsewhere.len(), 1);
    assert!(second.replay(&id).await.unwrap().is_done());
    assert_eq!(measured(&second, &id).await, OVER / 2);
}

async fn exported(queue: &Queue, reveal: bool) -> Vec<Result<DeadLetter, Error>> {
    let letters = queue.dead_letters();
    let letters = if reveal { letters.reveal() } else { letters };
    letters.export().collect().await
}

#[tokio::test]
async fn a_dead_letter_is_exported_with_its_payload() {
    let rig = Rig::new().await;
    let id = dead(&rig.queue).await;
    let letters: Vec<DeadLetter> = rig
        .queue
        .dead_letters()
        .reveal()
        .export()
        .try_collect()
        .await
        .unwrap();
    let text = serde_json::to_string(&letters).unwrap();
    // As hexadecimal digits.
    assert!(
        text.contains(&"6162636465".to_string()) && !text.contains("oxcart/scans"),
        "{text}"
    );
    // Its secret fields are masked as those of any other.
    let masked = exported(&rig.queue, false).await.remove(0).unwrap();
    assert!(
        !serde_json::to_string(&masked)
            .unwrap()
            .contains("6162636465")
    );
    assert!(
        rig.queue
            .import_dead([masked])
            .await
            .unwrap_err()
            .is_invalid()
    );

    let elsewhere = Objects::default();
    let claim_check = ClaimCheck::over(OVER, elsewhere.clone());
    let oxcart = rig
        .connect(
            Oxcart::builder()
                .namespace("second")
                .claim_check(claim_check),
        )
        .await;
    let second = oxcart.queue("scans").unwrap();
    for imported in [1, 0] {
        let letters: Vec<DeadLetter> = serde_json::from_str(&text).unwrap();
        let told = second.import_dead(letters).await.unwrap();
        assert_eq!((told.imported, told.there), (imported, 1 - imported));
        assert_eq!(
            elsewhere.len(),
            1,
            "an import that finds its jobs leaves no object"
        );
    }
    assert!(second.replay(&id).await.unwrap().is_done());
    assert_eq!(measured(&second, &id).await, large().text.len());
}

#[tokio::test]
async fn an_export_tells_which_payloads_it_cannot_read() {
    let rig = Rig::new().await;
    let id = dead(&rig.queue).await;
    rig.queue.enqueue(of_bytes(3)).await.unwrap();
    let without = rig.without_store().await;
    let error = exported(&without, true).await.remove(0).unwrap_err();
    assert!(error.is_invalid() && error.job_id() == Some(&id), "{error}");
    rig.objects.be(Mood::Fails);
    let error = exported(&rig.queue, true).await.remove(0).unwrap_err();
    assert!(error.is_payload_store(), "{error}");
    rig.objects.be(Mood::Well);
    rig.objects.lose();
    let error = exported(&rig.queue, true).await.remove(0).unwrap_err();
    assert!(
        error.is_payload_lost() && error.job_id() == Some(&id),
        "{error}"
    );
}
