//! What a handler enqueues and publishes carries its cause; nothing else does.

use std::time::Duration;

use oxcart::{
    Batch, Batched, Context, Failure, Flow, Job, JobInfo, Next, Oxcart, Queue, State, Topic, Worker,
};
use serde::{Deserialize, Serialize};

use super::Seen;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Step(u32);

impl Job for Step {
    const NAME: &'static str = "step";
    type Output = ();
}

/// Another type, for the same queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Start {}

impl Job for Start {
    const NAME: &'static str = "start";
    type Output = ();
}

/// Correlation and causation.
fn causes(job: &JobInfo) -> [Option<String>; 2] {
    let header = |key| {
        let mut headers = job.headers.iter();
        let found = headers.find(|(known, _)| known == key);
        found.map(|(_, value)| value.clone())
    };
    ["correlationid", "causationid"].map(header)
}

async fn waiting(queue: &Queue, step: u32) -> JobInfo {
    queue.assert_enqueued(|job: &Step| job.0 == step)
}

/// Both of these.
fn both(correlation: &str, causation: &str) -> [Option<String>; 2] {
    [correlation, causation].map(|id| Some(id.to_owned()))
}

#[tokio::test]
async fn a_chain_of_jobs_has_one_correlation_and_each_its_cause() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue("steps").unwrap();
    let seen: Seen<(String, String, Option<String>)> = Seen::new();
    let worker = Worker::builder(&queue).state(seen.clone()).handle(
        async |Step(number): Step,
               context: Context,
               seen: State<Seen<(String, String, Option<String>)>>| {
            let causation = context.causation_id().map(str::to_owned);
            seen.note((
                context.id().to_string(),
                context.correlation_id().to_owned(),
                causation,
            ));
            if number < 3 {
                context.queue().enqueue(Step(number + 1)).await?;
            }
            Ok::<_, Failure>(())
        },
    );
    let worker = worker.build().unwrap();
    let first = queue.enqueue(Step(1)).await.unwrap();
    worker.drain().await;
    let chain = seen.take();
    let first = first.id().to_string();
    assert_eq!(chain.len(), 3);
    assert_eq!(chain[0], (first.clone(), first.clone(), None));
    for pair in chain.windows(2) {
        let (cause, job) = (&pair[0], &pair[1]);
        assert_eq!((&job.1, job.2.as_ref()), (&first, Some(&cause.0)));
    }
    // A request of a customer is the first cause.
    queue
        .enqueue(Step(2))
        .correlation_id("request-7")
        .await
        .unwrap();
    worker.drain().await;
    let ids: Vec<_> = seen.take().into_iter().map(|it| it.1).collect();
    assert_eq!(ids, ["request-7", "request-7"]);
}

#[tokio::test]
async fn whatever_the_handler_makes_has_its_cause_and_nothing_else_has() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue("steps").unwrap();
    let topic = oxcart.topic("facts").unwrap();
    let worker = Worker::builder(&queue)
        .state(topic.clone())
        .wrap(async |context: Context, next: Next| {
            if context.attempt().name == Start::NAME {
                let enqueued = context.queue().enqueue(Step(10)).await;
                enqueued.expect("it is enqueued");
            }
            next.run(context).await
        })
        .handle(async |_: Start, queue: Queue, topic: State<Topic>| {
            queue.enqueue(Step(1)).await?;
            queue.enqueue_many([Step(2), Step(3)]).await?;
            let parent = Flow::new(queue.enqueue(Step(4))).child(queue.enqueue(Step(5)));
            parent.await?;
            topic.publish(Step(6)).await?;
            let own = queue.enqueue(Step(7));
            own.causation_id("mine").header("k", "v").await?;
            let spawned = tokio::spawn(queue.enqueue(Step(8)).into_future());
            spawned.await.map_err(Failure::retry)??;
            let schedule = queue.schedule("hourly").every(Duration::from_secs(3_600));
            schedule.job(Step(9)).await?;
            Ok::<_, Failure>(())
        });
    let worker = worker.build().unwrap();
    let start = queue.enqueue(Start {}).await.unwrap();
    let id = start.id().to_string();
    assert_eq!(causes(&start.info().await.unwrap().unwrap()), [None, None]);
    let ran = worker.drain().await;
    assert!(ran[0].outcome.is_completed(), "{}", ran[0].outcome);
    let of_it = both(&id, &id);
    for step in [1, 2, 3, 5, 10] {
        assert_eq!(causes(&waiting(&queue, step).await), of_it, "{step}");
    }
    assert_eq!(causes(&waiting(&queue, 7).await), both(&id, "mine"));
    assert_eq!(causes(&waiting(&queue, 8).await), [None, None]);
    let schedule = queue.schedule("hourly").info().await.unwrap();
    let tick = schedule.and_then(|schedule| schedule.next_tick);
    oxcart.advance_to(tick.expect("it goes on"));
    worker.drain().await;
    assert_eq!(causes(&waiting(&queue, 9).await), [None, None]);
}

#[tokio::test]
async fn an_event_passes_its_cause_on_to_every_queue() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue("steps").unwrap();
    let topic = oxcart.topic("facts").unwrap();
    let listening = oxcart.queue("listening").unwrap();
    topic.subscribe("listening", &listening).await.unwrap();
    let publisher = Worker::builder(&queue).state(topic.clone()).handle(
        async |_: Start, topic: State<Topic>| {
            topic.publish(Step(1)).await?;
            Ok::<_, Failure>(())
        },
    );
    let seen: Seen<[Option<String>; 2]> = Seen::new();
    let listener = Worker::builder(&listening).state(seen.clone()).handle(
        async |_: Step, context: Context, seen: State<Seen<[Option<String>; 2]>>| {
            let causation = context.causation_id().map(str::to_owned);
            seen.note([Some(context.correlation_id().to_owned()), causation]);
            Ok::<_, Failure>(())
        },
    );
    let start = queue.enqueue(Start {}).await.unwrap();
    publisher.build().unwrap().drain().await;
    listener.build().unwrap().drain().await;
    let id = start.id().as_str();
    assert_eq!(seen.take(), [both(id, id)]);
}

#[tokio::test]
async fn it_can_be_switched_off_and_never_breaks_the_limit_of_headers() {
    let off = Oxcart::builder().causes(false).in_memory().unwrap();
    for (oxcart, added) in [(off, false), (Oxcart::in_memory(), true)] {
        let queue = oxcart.queue("steps").unwrap();
        let worker = Worker::builder(&queue).handle(async |_: Start, queue: Queue| {
            queue.enqueue(Step(1)).await?;
            let full = queue.enqueue(Step(2));
            full.header("k", "v".repeat(1_000)).await?;
            Ok::<_, Failure>(())
        });
        queue.enqueue(Start {}).await.unwrap();
        let ran = worker.build().unwrap().drain().await;
        assert!(ran[0].outcome.is_completed(), "{}", ran[0].outcome);
        assert_eq!(causes(&waiting(&queue, 1).await)[1].is_some(), added);
        assert_eq!(causes(&waiting(&queue, 2).await), [None, None]);
    }
}

#[tokio::test]
async fn a_batch_has_many_causes_and_says_which_one_it_means() {
    let queue = Oxcart::in_memory().queue("steps").unwrap();
    let worker = Worker::builder(&queue).handle_batch(
        Batch::up_to(2),
        async |batch: Vec<Batched<Start>>, queue: Queue| {
            queue.enqueue(Step(1)).await?;
            let cause = batch[0].context();
            let request = queue.enqueue(Step(2)).causation_id(cause.id().as_str());
            request.correlation_id(cause.correlation_id()).await?;
            batch.into_iter().for_each(|one| one.complete(()));
            Ok::<_, Failure>(())
        },
    );
    let start = queue.enqueue(Start {}).await.unwrap();
    worker.build().unwrap().drain().await;
    let id = start.id().as_str();
    assert_eq!(causes(&waiting(&queue, 1).await), [None, None]);
    assert_eq!(causes(&waiting(&queue, 2).await), both(id, id));
}
