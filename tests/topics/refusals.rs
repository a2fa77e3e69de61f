//! What cannot be is refused, with a word on why, and writes nothing.

use oxcart::{ErrorKind, EventFilter, JobId, Oxcart};

use super::{Placed, SECOND, oxcart_at};
use crate::support::Server;

#[derive(serde::Serialize, serde::Deserialize)]
struct Keyed;

impl oxcart::Job for Keyed {
    const NAME: &'static str = "keyed";
    type Output = ();

    fn options() -> oxcart::JobOptions {
        oxcart::JobOptions::new().unique("k")
    }
}

#[tokio::test]
async fn names_and_limits_that_cannot_be_are_refused() {
    let oxcart = Oxcart::in_memory();
    for name in ["", "a/b", "a b", &"x".repeat(123)] {
        let error = oxcart.topic(name).unwrap_err();
        assert!(error.is_invalid());
        assert!(error.to_string().contains("topic name"), "{error}");
    }
    let longest = "x".repeat(122);
    assert_eq!(oxcart.topic(&longest).unwrap().name(), longest);
    let topic = || oxcart.topic("orders").unwrap();
    for (time, bytes) in [
        (59 * SECOND, 1 << 20),
        (60 * SECOND, 0),
        (60 * SECOND, 1 << 60),
        (SECOND * u32::MAX, 1 << 20),
    ] {
        assert!(topic().keep(time, bytes).unwrap_err().is_invalid());
    }
    let queue = oxcart.queue("billing").unwrap();
    let nobody = EventFilter::new().header("a", "1").header("a", "2");
    for refused in [
        topic().subscribe("a b", &queue).await,
        topic().subscribe("billing", &queue).only(nobody).await,
    ] {
        assert!(refused.unwrap_err().is_invalid());
    }
    assert!(topic().unsubscribe("").await.unwrap_err().is_invalid());
    let large = topic()
        .publish(Placed { order: 1 })
        .header("a", "x".repeat(1_025))
        .await;
    assert!(large.unwrap_err().is_invalid());
    for subject in ["", &"x".repeat(513)] {
        let refused = topic().publish(Placed { order: 1 }).subject(subject).await;
        assert!(refused.unwrap_err().is_invalid());
    }
    let refused = topic().publish(Keyed).await.unwrap_err();
    assert!(refused.to_string().contains("unique key"), "{refused}");
    let id = JobId::new("same").unwrap();
    let twice = [1, 2].map(|order| topic().publish(Placed { order }).id(id.clone()));
    let error = topic().publish_many(twice).await.unwrap_err();
    assert!(error.is_invalid());
    assert_eq!(error.job_id(), Some(&id));
    assert!(oxcart.topics().await.unwrap().is_empty());
    assert!(oxcart.queues().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_event_that_is_too_large_is_refused() {
    let server = Server::start();
    let oxcart = Oxcart::builder()
        .payload_max(100)
        .connect(&server.url())
        .await
        .unwrap();
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Large(String);
    impl oxcart::Job for Large {
        const NAME: &'static str = "large";
        type Output = ();
    }
    let topic = oxcart.topic("orders").unwrap();
    let error = topic.publish(Large("x".repeat(200))).await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
    assert_eq!(topic.info().await.unwrap().published, 0);
}

/// A queue gets each event once, so it has one subscription of a topic; and a name stands for one queue.
#[tokio::test]
async fn two_subscriptions_of_one_queue_are_refused() {
    let oxcart = Oxcart::in_memory();
    let topic = oxcart.topic("orders").unwrap();
    let (billing, other) = (
        oxcart.queue("billing").unwrap(),
        oxcart.queue("other").unwrap(),
    );
    topic.subscribe("billing", &billing).await.unwrap();
    let error = topic.subscribe("again", &billing).await.unwrap_err();
    assert!(error.is_invalid());
    assert!(
        error
            .to_string()
            .contains("`billing` of the topic `orders`"),
        "{error}"
    );
    let error = topic.subscribe("billing", &other).await.unwrap_err();
    assert!(error.is_invalid());
    assert!(
        error.to_string().contains("feeds the queue `billing`"),
        "{error}"
    );
    let names: Vec<_> = topic
        .info()
        .await
        .unwrap()
        .subscriptions
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["billing"]);
    assert_eq!(oxcart.queues().await.unwrap(), ["billing"]);
    // A topic and a queue of one name share nothing.
    let namesake = oxcart.topic("billing").unwrap();
    namesake.publish(Placed { order: 1 }).await.unwrap();
    assert_eq!(billing.counts().await.unwrap().left(), 0);
    billing.delete().await.unwrap();
    assert_eq!(namesake.info().await.unwrap().kept, 1);
}

/// The process that removed a subscription died before it had told the queue, of which no worker runs.
#[tokio::test]
async fn a_queue_that_was_not_told_of_a_removal_can_be_subscribed_again() {
    let server = Server::start();
    let oxcart = oxcart_at(&server).await;
    let topic = oxcart.topic("orders").unwrap();
    let queue = oxcart.queue("billing").unwrap();
    topic.subscribe("old", &queue).await.unwrap();
    let _: u64 = server.ask(&["HDEL", "oxcart:{topic/orders}:subscriptions", "old"]);
    assert!(topic.subscribe("new", &queue).await.unwrap());
    let fed: u64 = server.ask(&["HLEN", "oxcart:{billing}:fed"]);
    assert_eq!(fed, 1);
}

#[tokio::test]
async fn a_queue_elsewhere_is_refused() {
    let server = Server::start();
    let here = oxcart_at(&server).await;
    let there = Oxcart::builder()
        .namespace("test")
        .connect(&server.url())
        .await
        .unwrap();
    let error = here
        .topic("orders")
        .unwrap()
        .subscribe("mail", &there.queue("mail").unwrap())
        .await
        .unwrap_err();
    assert!(error.is_invalid());
    assert!(error.to_string().contains("another connection"), "{error}");
}

#[tokio::test]
async fn a_topic_has_so_many_subscriptions_at_most() {
    let oxcart = Oxcart::in_memory();
    let topic = oxcart.topic("orders").unwrap();
    for n in 0..256 {
        let queue = oxcart.queue(&format!("q{n}")).unwrap();
        topic.subscribe(format!("s{n}"), &queue).await.unwrap();
    }
    let queue = oxcart.queue("late").unwrap();
    let error = topic.subscribe("late", &queue).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    for n in 0..256 {
        let topic = oxcart.topic(&format!("t{n}")).unwrap();
        topic.subscribe("s", &queue).await.unwrap();
    }
    let error = oxcart
        .topic("t256")
        .unwrap()
        .subscribe("s", &queue)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_eq!(
        oxcart
            .topic("t256")
            .unwrap()
            .info()
            .await
            .unwrap()
            .subscriptions
            .len(),
        0
    );
}
