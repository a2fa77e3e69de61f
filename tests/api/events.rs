//! Lifecycle events, from another connection.

use std::time::Duration;

use futures::StreamExt;
use oxcart::{Context, EventKind, EventStream, Failure, JobId, Oxcart, Timestamp};
use tokio::time::timeout;

use crate::rig::{Number, PATIENCE, Rig, Running};
use crate::support::eventually_async;

async fn next(events: &mut EventStream) -> oxcart::Event {
    let next = timeout(PATIENCE, events.next()).await;
    next.expect("an event in time").expect("the stream goes on")
}

/// The names of the next events, until `last` has come.
async fn names_until(events: &mut EventStream, last: &str) -> Vec<String> {
    let mut names = Vec::new();
    while names.last().is_none_or(|name| name != last) {
        let event = timeout(PATIENCE, events.next()).await;
        let event = event.unwrap_or_else(|_| panic!("no more after {names:?}"));
        names.push(event.expect("the stream goes on").kind.name().to_owned());
    }
    names
}

async fn number(Number(n): Number, context: Context) -> Result<u32, Failure> {
    match n {
        0 => Err(Failure::dead("zero")),
        1 if context.attempt() == 1 => Err("once".into()),
        2 => Err(Failure::discard("two")),
        _ => {
            context.progress(&n).await?;
            Ok(n)
        }
    }
}

/// From another connection.
async fn follow(rig: &Rig) -> EventStream {
    let oxcart = Oxcart::connect(&rig.server.url()).await.unwrap();
    oxcart.queue("test").unwrap().events().await.unwrap()
}

#[tokio::test]
async fn every_kind_of_event_in_the_order_it_happened() {
    let rig = Rig::new().await;
    let mut events = follow(&rig).await;
    let running = Running::start(rig.worker().concurrency(1).handle(number));
    rig.queue.enqueue(Number(7)).await.unwrap();
    let names = names_until(&mut events, "drained").await;
    assert_eq!(
        names,
        ["added", "active", "progress", "completed", "drained"]
    );

    let short = oxcart::Backoff::fixed(Duration::from_millis(5));
    rig.queue.enqueue(Number(1)).backoff(short).await.unwrap();
    let names = names_until(&mut events, "drained").await;
    let wanted = [
        "added",
        "active",
        "retrying",
        "waiting",
        "active",
        "progress",
        "completed",
        "drained",
    ];
    assert_eq!(names, wanted);

    let dead = rig
        .queue
        .enqueue(Number(0))
        .delay(Duration::from_millis(5))
        .await
        .unwrap();
    let names = names_until(&mut events, "drained").await;
    assert_eq!(
        names,
        ["added", "delayed", "waiting", "active", "dead", "drained"]
    );

    rig.queue.enqueue(Number(2)).await.unwrap();
    let names = names_until(&mut events, "drained").await;
    assert_eq!(names, ["added", "active", "cancelled", "drained"]);
    running.stop().await;

    rig.queue.replay(dead.id()).await.unwrap();
    rig.queue.pause().await.unwrap();
    rig.queue.resume().await.unwrap();
    let names = names_until(&mut events, "resumed").await;
    assert_eq!(names, ["replayed", "paused", "resumed"]);
}

#[tokio::test]
async fn a_stream_is_resumed_behind_the_last_event_seen_within_a_batch_too() {
    let rig = Rig::new().await;
    let mut events = follow(&rig).await;
    let sent = rig.queue.enqueue_many((0..10).map(Number)).await.unwrap();
    let mut seen: Vec<JobId> = Vec::new();
    let mut cursor = None;
    for _ in 0..4 {
        let event = next(&mut events).await;
        seen.extend(event.kind.job_id().cloned());
        cursor = Some(event.cursor);
    }
    drop(events);
    let stored = cursor.unwrap().to_string();
    let mut events = rig.queue.events_after(stored.parse().unwrap());
    for _ in 0..6 {
        seen.extend(next(&mut events).await.kind.job_id().cloned());
    }
    let ids: Vec<_> = sent.iter().map(|handle| handle.id().clone()).collect();
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn what_was_dropped_meanwhile_is_reported_as_missed() {
    let rig = Rig::new().await;
    let mut events = follow(&rig).await;
    rig.queue.enqueue(Number(1)).await.unwrap();
    let cursor = next(&mut events).await.cursor;
    drop(events);
    let stream = "oxcart:{test}:events";
    rig.queue.enqueue(Number(2)).await.unwrap();
    rig.queue.enqueue(Number(3)).await.unwrap();
    rig.server.cli(&["XTRIM", stream, "MAXLEN", "1"]);
    let mut events = rig.queue.events_after(cursor);
    assert_eq!(next(&mut events).await.kind, EventKind::Missed);
    assert!(matches!(next(&mut events).await.kind, EventKind::Added(_)));
}

#[tokio::test]
async fn a_stream_survives_its_connection() {
    let rig = Rig::new().await;
    let mut events = follow(&rig).await;
    rig.server
        .cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    eventually_async(PATIENCE, async || {
        rig.queue.enqueue(Number(1)).await.is_ok()
    })
    .await;
    let event = next(&mut events).await;
    assert!(matches!(event.kind, EventKind::Added(_)), "{event:?}");
    assert!(event.at > Timestamp::from_millis(0));
}
