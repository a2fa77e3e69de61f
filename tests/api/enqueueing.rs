//! Getting jobs into a queue.

use std::time::{Duration, SystemTime};

use deadpool_redis::{Manager, Pool};
use oxcart::{
    Backoff, Changed, Enqueue, Enqueued, ErrorKind, Failure, Job, JobId, JobOptions, JobState,
    Oxcart, Retention,
};
use serde::{Deserialize, Serialize};

use crate::rig::{Number, Rig, Running};
use crate::support::ids;

#[tokio::test]
async fn every_option_arrives() {
    let rig = Rig::new().await;
    let sent = rig
        .queue
        .enqueue(Number(1))
        .priority(7)
        .attempts(3)
        .backoff(Backoff::fixed(Duration::from_secs(2)))
        .timeout(Duration::from_secs(9))
        .keep(Retention::Nothing)
        .delay(Duration::from_secs(100))
        .header("tenant", "one")
        .header("trace", "abc")
        .header("tenant", "two")
        .await
        .unwrap();
    assert_eq!(sent.enqueued(), Enqueued::New);
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!(
        (info.name.as_str(), info.state),
        ("number", JobState::Delayed)
    );
    assert_eq!((info.priority, info.attempts), (7, 3));
    assert_eq!(info.timeout, Some(Duration::from_secs(9)));
    let wait = info.due_at.unwrap().duration_since(info.enqueued_at);
    assert_eq!(wait, Duration::from_secs(100));
    assert_eq!(info.payload::<Number>().unwrap().0, 1);
    let headers = [("trace", "abc"), ("tenant", "two")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(info.headers, headers);
}

#[tokio::test]
async fn g3_an_id_that_exists_is_already_there_also_twice_in_one_batch() {
    let rig = Rig::new().await;
    let id = || JobId::new("invoice-1").unwrap();
    let first = rig.queue.enqueue(Number(1)).id(id()).await.unwrap();
    assert_eq!(first.enqueued(), Enqueued::New);
    let again = rig
        .queue
        .enqueue(Number(2))
        .id(id())
        .priority(1)
        .await
        .unwrap();
    assert_eq!(again.enqueued(), Enqueued::AlreadyThere);
    let info = again.info().await.unwrap().unwrap();
    assert_eq!(
        (info.payload::<Number>().unwrap().0, info.priority),
        (1, 500)
    );

    let twin = || rig.queue.enqueue(Number(3)).id(JobId::new("twin").unwrap());
    let both = rig.queue.enqueue_many([twin(), twin()]).await.unwrap();
    assert_eq!(both[0].enqueued(), Enqueued::New);
    assert_eq!(both[1].enqueued(), Enqueued::AlreadyThere);
    assert_eq!(rig.counts().await.totals.added, 2);
}

#[tokio::test]
async fn many_jobs_are_enqueued_in_order_and_each_has_a_handle() {
    let rig = Rig::new().await;
    let sent = rig
        .queue
        .enqueue_many((0..1_000).map(Number))
        .await
        .unwrap();
    assert_eq!(sent.len(), 1_000);
    let waiting = ids(&rig.queue, JobState::Waiting).await;
    assert!(waiting.iter().eq(sent.iter().map(|handle| handle.id())));
    assert!(
        rig.queue
            .enqueue_many(Vec::<Number>::new())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_job_type_names_its_queue_and_its_options() {
    #[derive(Serialize, Deserialize)]
    struct Billed;
    impl Job for Billed {
        const NAME: &'static str = "billed";
        const QUEUE: &'static str = "billing";
        type Output = ();
        fn options() -> JobOptions {
            JobOptions::new().attempts(2).priority(3)
        }
    }
    let rig = Rig::new().await;
    let sent = rig.oxcart.enqueue(Billed).await.unwrap();
    assert_eq!(sent.queue().name(), "billing");
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!((info.attempts, info.priority), (2, 3));
    rig.queue.enqueue(Number(1)).await.unwrap();
    crate::support::eventually_async(Duration::from_secs(5), async || {
        rig.oxcart.queues().await.unwrap() == ["billing", "test"]
    })
    .await;
}

/// Payloads are maps with named fields: what one side does not know, the other leaves out.
#[tokio::test]
async fn an_optional_field_is_a_compatible_change_in_both_directions() {
    #[derive(Serialize, Deserialize)]
    struct Old {
        user: u64,
    }
    #[derive(Serialize, Deserialize)]
    struct New {
        user: u64,
        #[serde(default)]
        greeting: Option<String>,
    }
    impl Job for Old {
        const NAME: &'static str = "welcome";
        type Output = ();
    }
    impl Job for New {
        const NAME: &'static str = "welcome";
        type Output = ();
    }
    let rig = Rig::new().await;
    let old = rig.queue.enqueue(Old { user: 1 }).await.unwrap();
    let new = rig
        .queue
        .enqueue(New {
            user: 2,
            greeting: Some("hi".into()),
        })
        .await
        .unwrap();
    let old: New = old.info().await.unwrap().unwrap().payload().unwrap();
    assert_eq!((old.user, old.greeting), (1, None));
    let new: Old = new.info().await.unwrap().unwrap().payload().unwrap();
    assert_eq!(new.user, 2);
}

#[tokio::test]
async fn a_pool_that_the_application_has_serves_as_well() {
    if crate::support::road::is_skipped_in_a_cluster("pool of an application") {
        return;
    }
    let rig = Rig::new().await;
    // Over TLS: tests/tls.
    let manager = Manager::new(rig.server.plain_url()).unwrap();
    let pool = Pool::builder(manager).max_size(2).build().unwrap();
    let oxcart = Oxcart::with_pool(pool).await.unwrap();
    let queue = oxcart.queue("pooled").unwrap();
    let worker = oxcart::Worker::builder(&queue).handle(async |Number(n)| Ok::<_, Failure>(n + 1));
    let running = Running::start(worker);
    assert_eq!(queue.enqueue(Number(1)).result().await.unwrap(), 2);
    // The pool's own response timeout of half a second must not cut what blocks for longer.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(queue.enqueue(Number(2)).result().await.unwrap(), 3);
    let told = running.stop().await;
    let trouble = |event: &_| matches!(event, oxcart::WorkerEvent::RedisTrouble { .. });
    assert!(!told.iter().any(trouble), "{told:?}");
}

#[tokio::test]
async fn a_time_in_the_past_is_now() {
    let rig = Rig::new().await;
    let past = SystemTime::now() - Duration::from_secs(3_600);
    let sent = rig.queue.enqueue(Number(1)).at(past).await.unwrap();
    assert_eq!(sent.info().await.unwrap().unwrap().state, JobState::Waiting);
}

#[tokio::test]
async fn jobs_are_removed_unless_they_run() {
    let rig = Rig::new().await;
    let sent = rig
        .queue
        .enqueue(Number(1))
        .delay(Duration::from_secs(60))
        .await
        .unwrap();
    assert!(rig.queue.remove(sent.id()).await.unwrap().is_done());
    assert_eq!(
        rig.queue.remove(sent.id()).await.unwrap(),
        Changed::NotFound
    );
    assert!(sent.info().await.unwrap().is_none());
    assert!(sent.result().await.unwrap_err().is_not_found());
}

/// Two producers that make one id, which cannot be: here the second is told what the first made.
#[tokio::test]
async fn g1_an_id_that_is_not_as_new_as_it_claims_costs_neither_job() {
    let rig = Rig::new().await;
    let taken = async |request: &Enqueue<Number>| {
        let id = request.job_id().clone();
        let other = rig.queue.enqueue(Number(1)).id(id.clone()).await.unwrap();
        assert_eq!(other.enqueued(), Enqueued::New);
        id
    };
    let mut request = rig.queue.enqueue(Number(2));
    let id = taken(&request).await;
    let error = (&mut request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.job_id()),
        (ErrorKind::Refused, Some(&id))
    );
    assert!(error.is_retryable());
    let handle = (&mut request).await.unwrap();
    assert_eq!(handle.enqueued(), Enqueued::New);
    assert_ne!(handle.id(), &id);

    let request = rig.queue.enqueue(Number(2));
    let id = taken(&request).await;
    let mut many = rig.queue.enqueue_many([request]);
    let error = (&mut many).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.job_id()),
        (ErrorKind::Refused, Some(&id))
    );
    let handles = (&mut many).await.unwrap();
    assert_eq!(handles[0].enqueued(), Enqueued::New);
    assert_ne!(handles[0].id(), &id);

    let counts = rig.counts().await;
    assert_eq!((counts.waiting, counts.totals.clashed), (4, 2));
}
