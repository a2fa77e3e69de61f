//! Events reach each subscription once, in order, also one that joins later, falls behind or is removed.

use std::time::{Duration, Instant, SystemTime};

use oxcart::{
    Context, EventFilter, EventOrder, Failure, JobId, Oxcart, Start, State, Worker, WorkerEvent,
};

use super::{Paid, Placed, SECOND, Seen, noting, oxcart_at};
use crate::support::workers::run;
use crate::support::{Server, eventually, eventually_async};

const LIMIT: Duration = Duration::from_secs(20);

fn placed(orders: impl IntoIterator<Item = u64>) -> Vec<String> {
    orders
        .into_iter()
        .map(|order| format!("placed {order}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_every_subscription_in_order() {
    let server = Server::start();
    let oxcart = oxcart_at(&server).await;
    let orders = oxcart.topic("orders").unwrap();
    let (billing, audit) = (
        oxcart.queue("billing").unwrap(),
        oxcart.queue("audit").unwrap(),
    );
    assert!(orders.subscribe("billing", &billing).await.unwrap());
    assert!(!orders.subscribe("billing", &billing).await.unwrap());
    let (seen, seen_late) = (Seen::default(), Seen::default());
    let worker = run(noting(&billing, &seen));
    let event = orders
        .publish(Placed { order: 0 })
        .subject("order-0")
        .await
        .unwrap();
    eventually(LIMIT, || seen.len() == 1).await;
    let began = Instant::now();
    let many = (1..=600).map(|order| orders.publish(Placed { order }));
    let published = orders.publish_many(many).await.unwrap();
    assert!(event.position < published[0].position);
    assert!(event.is_new && published.iter().all(|event| event.is_new));
    assert!(
        published
            .windows(2)
            .all(|pair| pair[0].position < pair[1].position)
    );
    // Joins later, and gets all that is kept; another one begins where it is told.
    orders
        .subscribe("audit", &audit)
        .starting(Start::Kept)
        .await
        .unwrap();
    let late_worker = run(noting(&audit, &seen_late));
    orders.publish(Placed { order: 601 }).await.unwrap();
    eventually(LIMIT, || seen.len() == 602 && seen_late.len() == 602).await;
    assert!(began.elapsed() < 30 * SECOND);
    assert_eq!(seen.all(), placed(0..=601));
    assert_eq!(seen_late.all(), placed(0..=601));
    eventually_async(LIMIT, async || {
        let info = orders.info().await.unwrap();
        info.subscriptions.iter().all(|it| it.behind == 0)
    })
    .await;
    let info = orders.info().await.unwrap();
    assert_eq!((info.kept, info.published), (602, 602));
    let names: Vec<_> = info
        .subscriptions
        .iter()
        .map(|it| (&it.name[..], it.missed))
        .collect();
    assert_eq!(names, [("audit", 0), ("billing", 0)]);
    assert_eq!(oxcart.topics().await.unwrap(), ["orders"]);
    assert_eq!(oxcart.queues().await.unwrap(), ["audit", "billing"]);
    worker.stop().await;
    late_worker.stop().await;
}

/// An event that was published again, because nobody knew whether it was there, is there once.
#[tokio::test]
async fn g3_an_event_is_published_once_under_its_id() {
    let oxcart = Oxcart::in_memory();
    let orders = oxcart.topic("orders").unwrap();
    let queue = oxcart.queue("billing").unwrap();
    orders.subscribe("billing", &queue).await.unwrap();
    let id = JobId::new("request-17").unwrap();
    let publish = || orders.publish(Placed { order: 1 }).id(id.clone());
    let first = publish().await.unwrap();
    let again = publish().await.unwrap();
    assert_eq!((&again.id, again.position), (&id, first.position));
    assert!(first.is_new && !again.is_new);
    assert_eq!(first.id, id);
    let seen = Seen::default();
    let worker = noting(&queue, &seen).build().unwrap();
    assert_eq!(worker.drain().await.len(), 1);
    assert_eq!(publish().await.unwrap(), again);
    assert_eq!(worker.drain().await.len(), 0);
    assert_eq!(seen.all(), ["placed 1"]);
}

#[tokio::test]
async fn a_subscription_gets_what_it_wants() {
    let oxcart = Oxcart::in_memory();
    let orders = oxcart.topic("orders").unwrap();
    let queue = |name| oxcart.queue(name).unwrap();
    let of_europe = EventFilter::new().subject_starts_with("eu-");
    let of_acme = EventFilter::new().event::<Paid>().header("tenant", "acme");
    orders.subscribe("all", &queue("all")).await.unwrap();
    orders
        .subscribe("eu", &queue("eu"))
        .only(of_europe)
        .await
        .unwrap();
    orders
        .subscribe("acme", &queue("acme"))
        .only(of_acme.clone())
        .await
        .unwrap();
    orders
        .publish(Placed { order: 1 })
        .subject("eu-1")
        .await
        .unwrap();
    orders
        .publish(Paid { order: 1 })
        .subject("eu-1")
        .header("tenant", "acme")
        .await
        .unwrap();
    orders
        .publish(Paid { order: 2 })
        .header("tenant", "other")
        .await
        .unwrap();
    for (name, wanted) in [
        ("all", &["placed 1", "paid 1", "paid 2"][..]),
        ("eu", &["placed 1", "paid 1"]),
        ("acme", &["paid 1"]),
    ] {
        let seen = Seen::default();
        noting(&queue(name), &seen).build().unwrap().drain().await;
        assert_eq!(seen.all(), wanted, "{name}");
    }
    let info = orders.info().await.unwrap();
    // What is not wanted is passed over, and not behind.
    assert!(
        info.subscriptions.iter().all(|it| it.behind == 0),
        "{info:?}"
    );
    let acme = info
        .subscriptions
        .iter()
        .find(|it| it.name == "acme")
        .unwrap();
    assert_eq!(acme.wants, Some((of_acme, EventOrder::AsPublished)));
    // It wants something else from now on, and stays where it is.
    assert!(!orders.subscribe("acme", &queue("acme")).await.unwrap());
    orders.publish(Placed { order: 3 }).await.unwrap();
    let seen = Seen::default();
    noting(&queue("acme"), &seen).build().unwrap().drain().await;
    assert_eq!(seen.all(), ["placed 3"]);
}

#[tokio::test]
async fn subscriptions_begin_at_a_moment_and_end_when_they_are_removed() {
    let oxcart = Oxcart::in_memory();
    let orders = oxcart.topic("orders").unwrap();
    let queue = oxcart.queue("billing").unwrap();
    let mut moments = Vec::new();
    for order in 1..=3 {
        let event = orders.publish(Placed { order }).await.unwrap();
        moments.push(SystemTime::UNIX_EPOCH + Duration::from_micros(event.position));
        oxcart.advance_time(10 * SECOND);
    }
    let seen = Seen::default();
    let worker = noting(&queue, &seen).build().unwrap();
    orders
        .subscribe("late", &queue)
        .starting(Start::At(moments[1]))
        .await
        .unwrap();
    worker.drain().await;
    assert_eq!(seen.all(), placed([2, 3]));
    assert!(orders.unsubscribe("late").await.unwrap());
    assert!(!orders.unsubscribe("late").await.unwrap());
    orders.publish(Placed { order: 4 }).await.unwrap();
    worker.drain().await;
    assert_eq!(seen.len(), 2);
    // Made again, it begins anew: with what is published from now on, or with all that is kept.
    orders.subscribe("late", &queue).await.unwrap();
    orders.publish(Placed { order: 5 }).await.unwrap();
    worker.drain().await;
    assert_eq!(seen.all(), placed([2, 3, 5]));
    // The events whose jobs are still known are not run again: a queue knows each job once.
    orders.unsubscribe("late").await.unwrap();
    orders
        .subscribe("late", &queue)
        .starting(Start::Kept)
        .await
        .unwrap();
    worker.drain().await;
    assert_eq!(seen.all(), placed([2, 3, 5, 1, 4]));
    orders.delete().await.unwrap();
    assert!(oxcart.topics().await.unwrap().is_empty());
    assert_eq!(orders.info().await.unwrap().kept, 0);
    orders.publish(Placed { order: 6 }).await.unwrap();
    worker.drain().await;
    assert_eq!(seen.len(), 5);
}

/// Events of one subject run one after the other, also if one of them fails for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_one_subject_are_kept_in_order() {
    let server = Server::start();
    let oxcart = oxcart_at(&server).await;
    let orders = oxcart.topic("orders").unwrap();
    let queue = oxcart.queue("billing").unwrap();
    let by_subject = EventOrder::OfSubject;
    orders
        .subscribe("billing", &queue)
        .ordered_by(by_subject)
        .await
        .unwrap();
    let seen = Seen::default();
    let worker = Worker::builder(&queue)
        .concurrency(8)
        .state(seen.clone())
        .handle(async |event: Placed, context: Context, seen: State<Seen>| {
            if event.order == 0 && context.attempt().number == 1 {
                return Err(Failure::retry("not yet"));
            }
            let subject = context.header("subject").unwrap_or("none").to_owned();
            seen.note(format!("{subject} {}", event.order));
            Ok(())
        });
    let worker = run(worker);
    let many = (0..40).map(|order| {
        let subject = format!("s{}", order % 2);
        orders.publish(Placed { order }).subject(subject)
    });
    orders.publish_many(many).await.unwrap();
    eventually(LIMIT, || seen.len() == 40).await;
    for (subject, first) in [("s0", 0), ("s1", 1)] {
        let of_subject = seen.all().into_iter().filter(|it| it.starts_with(subject));
        let wanted: Vec<String> = (first..40)
            .step_by(2)
            .map(|order| format!("{subject} {order}"))
            .collect();
        assert_eq!(of_subject.collect::<Vec<_>>(), wanted);
    }
    worker.stop().await;
}

/// A subscription whose queue nobody works on misses what is dropped, and the worker that comes at last says how much.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missed_is_told_loudly() {
    let server = Server::start();
    let oxcart = oxcart_at(&server).await;
    let orders = oxcart
        .topic("orders")
        .unwrap()
        .keep(SECOND * 3_600, 64 * 1024)
        .unwrap();
    let queue = oxcart.queue("billing").unwrap();
    orders.subscribe("billing", &queue).await.unwrap();
    let text = "x".repeat(1_000);
    for from in [1, 101] {
        let many =
            (from..from + 100).map(|order| orders.publish(Placed { order }).header("a", &text));
        orders.publish_many(many).await.unwrap();
    }
    let kept = orders.info().await.unwrap().kept;
    assert!((40..=100).contains(&kept), "{kept}");
    let (seen, told) = (Seen::default(), Seen::default());
    let said = told.clone();
    let worker = noting(&queue, &seen).on_event(move |event| {
        if let WorkerEvent::EventsMissed { topic, events, .. } = event {
            said.note(format!("{topic} {events}"));
        }
    });
    let worker = run(worker);
    eventually(LIMIT, || seen.len() as u64 == kept).await;
    assert_eq!(told.all(), [format!("orders {}", 200 - kept)]);
    assert_eq!(seen.all(), placed(201 - kept..=200));
    eventually_async(LIMIT, async || {
        let info = orders.info().await.unwrap();
        let it = &info.subscriptions[0];
        (it.behind, it.missed) == (0, 200 - kept)
    })
    .await;
    worker.stop().await;
}

/// The worker that feeds a queue stops, or dies without a word: another one goes on, within seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_worker_feeds_the_queue_when_the_first_stops() {
    let server = Server::start();
    let oxcart = oxcart_at(&server).await;
    let orders = oxcart.topic("orders").unwrap();
    let queue = oxcart.queue("billing").unwrap();
    orders.subscribe("billing", &queue).await.unwrap();
    let seen = Seen::default();
    let first = run(noting(&queue, &seen));
    orders.publish(Placed { order: 1 }).await.unwrap();
    eventually(LIMIT, || seen.len() == 1).await;
    let second = run(noting(&queue, &seen));
    for order in 2..=3 {
        orders.publish(Placed { order }).await.unwrap();
    }
    first.stop().await;
    orders.publish(Placed { order: 4 }).await.unwrap();
    let began = Instant::now();
    eventually(LIMIT, || seen.len() == 4).await;
    assert!(began.elapsed() < 8 * SECOND, "{:?}", began.elapsed());
    second.stop().await;
    assert_eq!(seen.all(), placed(1..=4));
}

/// An event that only a newer version can read waits for workers of that version, and so do those behind it; those before it do not, and no other topic does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_version_published_is_left_to_its_workers() {
    let server = Server::start();
    let oxcart = oxcart_at(&server).await;
    let queue = oxcart.queue("billing").unwrap();
    let (orders, other) = (
        oxcart.topic("orders").unwrap(),
        oxcart.topic("other").unwrap(),
    );
    orders.subscribe("billing", &queue).await.unwrap();
    other.subscribe("billing", &queue).await.unwrap();
    let first = orders.publish(Placed { order: 1 }).await.unwrap();
    let newer = format!("{}-2", first.position + 1);
    let log = "oxcart:{topic/orders}:published";
    server.cli(&[
        "XADD",
        log,
        &newer,
        "id",
        "newer",
        "event",
        "leap of a newer version",
    ]);
    orders.publish(Placed { order: 2 }).await.unwrap();
    let seen = Seen::default();
    let worker = run(noting(&queue, &seen));
    eventually(LIMIT, || seen.len() == 1).await;
    let is_left = async || {
        let holders: String = server.ask(&["HGET", "oxcart:{billing}:subscribed", "orders"]);
        holders.contains(" - 0")
    };
    eventually_async(LIMIT, is_left).await;
    other.publish(Paid { order: 1 }).await.unwrap();
    eventually(LIMIT, || seen.len() == 2).await;
    // A worker of that version has taken it: as far as this one is concerned, it is gone.
    server.cli(&["XDEL", log, &newer]);
    eventually(3 * LIMIT, || seen.len() == 3).await;
    assert_eq!(seen.all(), ["placed 1", "paid 1", "placed 2"]);
    worker.stop().await;
}

/// A queue whose jobs wait takes no more events than it can hold, and goes on when there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_has_enough_to_do_is_not_fed() {
    let server = Server::start();
    let oxcart = oxcart_at(&server).await;
    let orders = oxcart.topic("orders").unwrap();
    let queue = oxcart.queue("billing").unwrap();
    orders.subscribe("billing", &queue).await.unwrap();
    queue.pause().await.unwrap();
    let worker = run(noting(&queue, &Seen::default()).concurrency(100));
    for from in [0, 6_000] {
        let many = (from..from + 6_000).map(|order| orders.publish(Placed { order }));
        orders.publish_many(many).await.unwrap();
    }
    let waiting = async || queue.counts().await.unwrap().waiting;
    eventually_async(LIMIT, async || waiting().await >= 10_000).await;
    tokio::time::sleep(SECOND).await;
    let held = waiting().await;
    assert!(held <= 10_256, "{held} jobs wait");
    queue.resume().await.unwrap();
    let done = async || queue.counts().await.unwrap().totals.completed == 12_000;
    eventually_async(3 * LIMIT, done).await;
    worker.stop().await;
}

/// A queue that is deleted has no subscriptions any more; nobody would take the events.
#[tokio::test]
async fn a_deleted_queue_is_subscribed_to_nothing() {
    let oxcart = Oxcart::in_memory();
    let orders = oxcart.topic("orders").unwrap();
    let queue = oxcart.queue("billing").unwrap();
    orders.subscribe("billing", &queue).await.unwrap();
    queue.delete().await.unwrap();
    assert_eq!(orders.info().await.unwrap().subscriptions, []);
    assert!(orders.subscribe("billing", &queue).await.unwrap());
}

/// A type of event that has a group, or an order of its own, is ordered as the subscription says.
#[tokio::test]
async fn the_order_of_a_subscription_counts_more_than_that_of_the_type() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Grouped;
    impl oxcart::Job for Grouped {
        const NAME: &'static str = "grouped";
        type Output = ();
        fn options() -> oxcart::JobOptions {
            oxcart::JobOptions::new().group("tenant")
        }
    }
    let oxcart = Oxcart::in_memory();
    let orders = oxcart.topic("orders").unwrap();
    for (name, order) in [
        ("plain", EventOrder::AsPublished),
        ("ordered", EventOrder::OfSubject),
    ] {
        let queue = oxcart.queue(name).unwrap();
        orders
            .subscribe(name, &queue)
            .ordered_by(order)
            .await
            .unwrap();
    }
    let event = orders.publish(Grouped).subject("s").await.unwrap();
    for (name, group, key) in [
        ("plain", Some("tenant"), None),
        ("ordered", None, Some("s")),
    ] {
        let queue = oxcart.queue(name).unwrap();
        noting(&queue, &Seen::default())
            .build()
            .unwrap()
            .drain()
            .await;
        let job = queue.job(&event.id).await.unwrap().unwrap();
        assert_eq!(
            (job.group.as_deref(), job.order.as_deref()),
            (group, key),
            "{name}"
        );
    }
}
