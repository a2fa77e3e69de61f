//! Old payloads are read by new workers, and new ones wait for a worker that knows them.

use std::time::Duration;

use oxcart::{
    Batch, Batched, Changed, ErrorKind, Failure, Job, JobState, Outcome, Oxcart, Queue, State,
    Upcasters, Worker, WorkerBuilder,
};
use serde::{Deserialize, Serialize};

use super::{Placed, PlacedV1, PlacedV2, Seen, placed};
use crate::support::workers::run;
use crate::support::{Server, eventually, eventually_async};

const LIMIT: Duration = Duration::from_secs(20);

/// A worker that notes jobs of this type.
fn noting<J: Job<Output = ()> + Sync>(queue: &Queue, seen: &Seen<J>) -> WorkerBuilder {
    let note = async |job: J, seen: State<Seen<J>>| {
        seen.note(job);
        Ok::<_, Failure>(())
    };
    Worker::builder(queue)
        .state(seen.clone())
        .handle::<J, (State<Seen<J>>,)>(note)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_version_1_is_read_by_version_3_and_one_of_version_3_waits_for_it() {
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let (orders, billing) = (
        oxcart.topic("orders").unwrap(),
        oxcart.queue("billing").unwrap(),
    );
    orders.subscribe("billing", &billing).await.unwrap();
    let (old, new) = (Seen::new(), Seen::new());
    let old_worker = run(noting::<PlacedV1>(&billing, &old));
    let newer = orders.publish(placed(1, 100)).await.unwrap();
    // The old worker has tried it, and has gone on with the next one.
    eventually_async(LIMIT, || async {
        let job = billing.job(&newer.id).await.unwrap();
        job.is_some_and(|job| job.bounces > 0)
    })
    .await;
    orders
        .publish(PlacedV1 { order: 2, euros: 2 })
        .await
        .unwrap();
    eventually(LIMIT, || old.len() == 1).await;
    assert_eq!(old.take(), [PlacedV1 { order: 2, euros: 2 }]);
    let waiting = billing.job(&newer.id).await.unwrap().expect("it waits");
    assert_eq!((waiting.version, waiting.failed), (3, 0));
    assert_eq!(waiting.state, JobState::Waiting);
    let new_worker = run(noting::<Placed>(&billing, &new));
    eventually(LIMIT, || new.len() == 1).await;
    assert_eq!(new.take(), [placed(1, 100)]);
    old_worker.stop().await;
    let event = PlacedV1 { order: 3, euros: 3 };
    orders.publish(event).await.unwrap();
    let event = PlacedV2 {
        order: 4,
        cents: 44,
    };
    orders.publish(event).await.unwrap();
    eventually(LIMIT, || new.len() == 2).await;
    let mut seen = new.take();
    seen.sort_by_key(|placed| placed.order);
    assert_eq!(seen, [placed(3, 300), placed(4, 44)]);
    let jobs = billing.job(&newer.id).await.unwrap().expect("it is kept");
    assert_eq!((jobs.state, jobs.failed), (JobState::Completed, 0));
    new_worker.stop().await;
}

#[tokio::test]
async fn a_worker_passes_over_what_is_too_new_and_each_finds_the_worker_that_knows_it() {
    let oxcart = Oxcart::in_memory();
    let orders = oxcart.queue("orders").unwrap();
    let (first, second, third) = (Seen::new(), Seen::new(), Seen::new());
    let first_worker = noting::<PlacedV1>(&orders, &first).build().unwrap();
    let second_worker = noting::<PlacedV2>(&orders, &second).build().unwrap();
    let third_worker = noting::<Placed>(&orders, &third).build().unwrap();
    orders.enqueue(placed(3, 300)).await.unwrap();
    orders
        .enqueue(PlacedV2 { order: 2, cents: 2 })
        .await
        .unwrap();
    orders
        .enqueue(PlacedV1 { order: 1, euros: 1 })
        .await
        .unwrap();
    let ran = first_worker.drain().await;
    let bounced = |outcome: &Outcome| matches!(outcome, Outcome::Bounced { .. });
    assert_eq!(ran.iter().filter(|it| bounced(&it.outcome)).count(), 2);
    assert_eq!(first.take(), [PlacedV1 { order: 1, euros: 1 }]);
    assert!(
        first_worker.drain().await.is_empty(),
        "they are not offered to it again"
    );
    assert_eq!(second_worker.drain().await.len(), 1);
    assert_eq!(second.take(), [PlacedV2 { order: 2, cents: 2 }]);
    assert_eq!(third_worker.drain().await.len(), 1);
    assert_eq!(third.take(), [placed(3, 300)]);
    assert_eq!(orders.counts().await.unwrap().left(), 0);
}

#[tokio::test]
async fn what_nobody_knows_for_a_day_is_dead_and_says_why() {
    let oxcart = Oxcart::in_memory();
    let orders = oxcart.queue("orders").unwrap();
    let worker = noting::<PlacedV1>(&orders, &Seen::new()).build().unwrap();
    let job = orders.enqueue(placed(3, 300)).await.unwrap();
    worker.drain().await;
    for _ in 0..3 {
        oxcart.advance_time(Duration::from_secs(24 * 60 * 60));
        worker.drain().await;
    }
    let job = job.info().await.unwrap().expect("it is kept");
    assert_eq!(job.state, JobState::Dead);
    assert!(
        job.last_error().contains("version 3 of `order-placed`"),
        "{}",
        job.last_error()
    );
}

/// Their names are paused by the operator, whatever their versions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_name_holds_back_what_was_handed_back_as_too_new() {
    let server = Server::start();
    let at_redis = Oxcart::connect(&server.url()).await.unwrap();
    for oxcart in [at_redis, Oxcart::in_memory()] {
        let orders = oxcart.queue("orders").unwrap();
        let named = orders.jobs_named("order-placed").unwrap();
        let job = orders.enqueue(placed(3, 300)).await.unwrap();
        let old_worker = run(noting::<PlacedV1>(&orders, &Seen::new()));
        eventually_async(LIMIT, || async {
            job.info().await.unwrap().is_some_and(|job| job.bounces > 0)
        })
        .await;
        old_worker.stop().await;
        named.pause().await.unwrap();
        let (seen, others) = (Seen::new(), Seen::<Other>::new());
        let worker = noting::<Placed>(&orders, &seen).state(others.clone());
        let worker = run(
            worker.handle(async |other: Other, others: State<Seen<Other>>| {
                others.note(other);
                Ok::<_, Failure>(())
            }),
        );
        // When another one of the queue has run, the worker has asked for all that it can run.
        for _ in 0..3 {
            orders
                .enqueue(Other {})
                .await
                .unwrap()
                .result()
                .await
                .unwrap();
        }
        assert_eq!((others.len(), seen.len()), (3, 0));
        named.resume().await.unwrap();
        eventually(LIMIT, || seen.len() == 1).await;
        worker.stop().await;
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Other {}

impl Job for Other {
    const NAME: &'static str = "other";
    type Output = ();
}

#[tokio::test]
async fn batches_read_old_payloads_and_hand_back_new_ones() {
    let oxcart = Oxcart::in_memory();
    let orders = oxcart.queue("orders").unwrap();
    let seen: Seen<PlacedV2> = Seen::new();
    let worker = Worker::builder(&orders)
        .state(seen.clone())
        .handle_batch(
            Batch::up_to(5),
            async |batch: Vec<Batched<PlacedV2>>, seen: State<Seen<PlacedV2>>| {
                for one in batch {
                    seen.note(one.job.clone());
                    one.complete(());
                }
                Ok::<_, Failure>(())
            },
        )
        .build()
        .unwrap();
    orders.enqueue(placed(3, 300)).await.unwrap();
    orders
        .enqueue(PlacedV1 { order: 1, euros: 1 })
        .await
        .unwrap();
    orders
        .enqueue(PlacedV2 { order: 2, cents: 2 })
        .await
        .unwrap();
    worker.drain().await;
    let cents: Vec<_> = seen.take().iter().map(|placed| placed.cents).collect();
    assert_eq!(cents, [100, 2]);
    assert_eq!(orders.counts().await.unwrap().waiting, 1);
}

#[derive(Serialize, Deserialize)]
struct Nowhere {}

impl Job for Nowhere {
    const NAME: &'static str = "nowhere";
    const VERSION: u32 = 3;
    type Output = ();

    fn upcasters() -> Upcasters<Self> {
        Upcasters::since(1).then(|_: PlacedV1| Self {})
    }
}

#[derive(Serialize, Deserialize)]
struct Zeroth {}

impl Job for Zeroth {
    const NAME: &'static str = "zeroth";
    const VERSION: u32 = 0;
    type Output = ();
}

#[tokio::test]
async fn upcasters_that_lead_nowhere_are_found_before_anything_runs() {
    let orders = Oxcart::in_memory().queue("orders").unwrap();
    let built = Worker::builder(&orders).handle(async |_: Nowhere| Ok::<_, Failure>(()));
    let error = built.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let why = error.to_string();
    assert!(
        why.contains("`nowhere`") && why.contains("lead to version 2"),
        "{why}"
    );
    let batch = Worker::builder(&orders)
        .handle_batch(Batch::up_to(2), async |_: Vec<Batched<Nowhere>>| {
            Ok::<_, Failure>(())
        });
    assert_eq!(batch.build().unwrap_err().kind(), ErrorKind::Invalid);
    let error = orders.enqueue(Zeroth {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let job = orders.enqueue(Nowhere {}).await.unwrap();
    let info = job.info().await.unwrap().expect("it waits");
    assert_eq!(
        info.job::<Nowhere>().err().map(|error| error.kind()),
        Some(ErrorKind::Invalid)
    );
}

#[derive(Debug, Serialize, Deserialize)]
struct Fussy {}

impl Job for Fussy {
    const NAME: &'static str = "order-placed";
    const VERSION: u32 = 2;
    type Output = ();

    fn upcasters() -> Upcasters<Self> {
        Upcasters::since(1).then(|old: PlacedV1| {
            assert!(old.euros > 0, "nothing to pay");
            Self {}
        })
    }
}

#[tokio::test]
async fn an_upcaster_that_panics_fails_its_attempt_alone() {
    let orders = Oxcart::in_memory().queue("orders").unwrap();
    for euros in [0, 7] {
        let job = PlacedV1 { order: 1, euros };
        orders.enqueue(job).attempts(1).await.unwrap();
    }
    let worker = Worker::builder(&orders).handle(async |_: Fussy| Ok::<_, Failure>(()));
    let ran = worker.build().unwrap().drain().await;
    let outcomes: Vec<_> = ran.iter().map(|it| it.outcome.as_str()).collect();
    assert_eq!(outcomes, ["dead", "completed"]);
}

#[tokio::test]
async fn a_version_stays_with_its_payload() {
    let orders = Oxcart::in_memory().queue("orders").unwrap();
    let job = orders.enqueue(placed(3, 300)).await.unwrap();
    let version = async || job.info().await.unwrap().expect("it waits").version;
    assert_eq!(
        orders.edit(job.id()).attempts(4).await.unwrap(),
        Changed::Done
    );
    assert_eq!(version().await, 3);
    let old = PlacedV1 { order: 3, euros: 5 };
    assert_eq!(
        orders.edit(job.id()).payload(&old).await.unwrap(),
        Changed::Done
    );
    assert_eq!(version().await, 1);
    let info = job.info().await.unwrap().expect("it waits");
    assert_eq!(info.job::<Placed>().unwrap(), placed(3, 500));
    assert_eq!(info.payload::<PlacedV1>().unwrap(), old);
    let of_two = PlacedV2 { order: 3, cents: 5 };
    let edit = orders.edit(job.id()).payload(&of_two);
    edit.version(1_001).await.unwrap_err();
    let edit = orders.edit(job.id()).payload(&of_two);
    assert_eq!(edit.version(2).await.unwrap(), Changed::Done);
    assert_eq!(version().await, 2);
    orders.assert_enqueued(|job: &Placed| *job == placed(3, 5));
    // What a program enqueues whose type does not know the version.
    let raw = orders.enqueue(PlacedV1 { order: 9, euros: 9 });
    let raw = raw.version(7).await.unwrap();
    let raw = raw.info().await.unwrap().expect("it waits");
    assert_eq!(raw.version, 7);
    let error = raw.job::<Placed>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible);
}
