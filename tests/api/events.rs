//! Lifecycle events, from another connection.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use oxcart::{Context, EventKind, EventStream, Failure, JobId, Oxcart, QueueSettings, Timestamp};
use tokio::time::timeout;

use crate::rig::{Number, PATIENCE, Rig, Running};
use crate::support::{eventually, eventually_async, road};

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
        1 if context.attempt().number == 1 => Err("once".into()),
        2 => Err(Failure::cancel("two")),
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

    assert!(rig.queue.replay(dead.id()).await.unwrap().is_done());
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

const STREAM: &str = "oxcart:{test}:events";

/// Reads on until an event satisfies this; gives all of them.
async fn until(
    events: &mut EventStream,
    last: impl Fn(&oxcart::Event) -> bool,
) -> Vec<oxcart::Event> {
    let mut all = Vec::new();
    while all.last().is_none_or(|event| !last(event)) {
        all.push(next(events).await);
    }
    all
}

fn count(events: &[oxcart::Event], name: &str) -> usize {
    events.iter().filter(|e| e.kind.name() == name).count()
}

fn entries(rig: &Rig) -> usize {
    rig.server.ask(&["XLEN", STREAM])
}

/// A job that nobody else has told of, to mark the end.
async fn marked(rig: &Rig, id: &str) -> JobId {
    let id: JobId = id.parse().unwrap();
    rig.queue.enqueue(Number(1)).id(id.clone()).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_rests_is_told_of_each_gap_where_it_is() {
    const JOBS: u32 = 150_000;
    let rig = Rig::new().await;
    let mut events = follow(&rig).await;
    marked(&rig, "first").await;
    // The reader does not read: only the channel and one read that waits behind it hold events here.
    let mut sent: usize = 0;
    while sent < JOBS as usize {
        let jobs = rig.queue.enqueue_many((0..5_000).map(Number)).await;
        sent += jobs.unwrap().len();
    }
    let last = marked(&rig, "last").await;
    let seen = until(&mut events, |e| e.kind == EventKind::Added(last.clone())).await;
    let added = count(&seen, "added");
    assert_eq!(count(&seen, "missed"), 1, "{added} of {sent}");
    assert!(added < sent, "{added} of {sent}: nothing was dropped");
    // Where it is: before it all is there from the first on, and behind it all to the last.
    let gap = seen
        .iter()
        .position(|e| e.kind == EventKind::Missed)
        .unwrap();
    let ids = |events: &[oxcart::Event]| -> Vec<String> {
        let id = |e: &oxcart::Event| e.kind.job_id().unwrap().to_string();
        events.iter().map(id).collect()
    };
    let oldest = "return redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][2][2]";
    let stored: String = rig.server.ask(&["EVAL", oldest, "1", STREAM]);
    let after = ids(&seen[gap + 1..]);
    assert!(
        stored.contains(after.first().unwrap()),
        "not the oldest of all that are kept"
    );
    assert_eq!(ids(&seen[..gap])[0], "first");

    // Nothing lies between what comes now.
    for n in 0..3 {
        let id = marked(&rig, &format!("more-{n}")).await;
        assert_eq!(next(&mut events).await.kind, EventKind::Added(id));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_keeps_up_misses_nothing_and_is_told_of_nothing() {
    const JOBS: u32 = 60_000;
    let rig = Rig::new().await;
    let mut events = follow(&rig).await;
    let sent = rig.queue.enqueue_many((0..JOBS).map(Number));
    let reading = async {
        let mut added = 0;
        while added < JOBS {
            match next(&mut events).await.kind {
                EventKind::Added(_) => added += 1,
                other => panic!("{other:?} after {added}"),
            }
        }
    };
    let (sent, ()) = tokio::join!(sent, reading);
    assert_eq!(sent.unwrap().len(), JOBS as usize);
    // A cursor of any age is as good, as long as what follows it is kept.
    let mut again = rig.queue.events_after("0-0".parse().unwrap());
    for _ in 0..JOBS {
        assert!(matches!(next(&mut again).await.kind, EventKind::Added(_)));
    }
}

#[tokio::test]
async fn a_stream_that_is_deleted_goes_on_and_what_was_unread_is_missed() {
    let rig = Rig::new().await;
    let mut events = follow(&rig).await;
    let first = marked(&rig, "first").await;
    assert_eq!(next(&mut events).await.kind, EventKind::Added(first));
    // All of it was read: nothing is missed.
    rig.server.cli(&["DEL", STREAM]);
    let second = marked(&rig, "second").await;
    let event = next(&mut events).await;
    assert_eq!(event.kind, EventKind::Added(second));
    drop(events);
    marked(&rig, "third").await;
    rig.server.cli(&["DEL", STREAM]);
    let fourth = marked(&rig, "fourth").await;
    let mut events = rig.queue.events_after(event.cursor);
    let missed = next(&mut events).await;
    assert_eq!(
        (missed.kind, missed.cursor),
        (EventKind::Missed, event.cursor)
    );
    assert_eq!(next(&mut events).await.kind, EventKind::Added(fourth));
}

#[tokio::test]
async fn everything_is_deleted_under_a_reader_and_it_goes_on() {
    let rig = Rig::new().await;
    let mut events = follow(&rig).await;
    let mut last = Timestamp::from_millis(0);
    for n in 0..3 {
        let id = marked(&rig, &format!("job-{n}")).await;
        let event = next(&mut events).await;
        assert_eq!(event.kind, EventKind::Added(id));
        last = event.at;
    }
    rig.server.cli(&["FLUSHALL"]);
    // In the same millisecond the new entry would lie before the cursor, and be among those missed.
    let this_is_over = Duration::from_millis(last.as_millis() + 1);
    let since_epoch = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    eventually(PATIENCE, || since_epoch() >= this_is_over).await;
    let after = marked(&rig, "after").await;
    assert_eq!(next(&mut events).await.kind, EventKind::Missed);
    assert_eq!(next(&mut events).await.kind, EventKind::Added(after));
    assert_eq!(entries(&rig), 1);
}

/// Events are dropped in a queue that is idle for a day, and where none are kept. The numbers go on.
#[tokio::test]
async fn who_begins_to_read_where_the_stream_is_gone_has_missed_nothing() {
    let rig = Rig::new().await;
    marked(&rig, "first").await;
    rig.server.cli(&["DEL", STREAM]);
    let mut events = rig.queue.events().await.unwrap();
    let second = marked(&rig, "second").await;
    assert_eq!(next(&mut events).await.kind, EventKind::Added(second));

    let keep = |events| QueueSettings::new().keep_events(events);
    rig.queue.change_settings(keep(0)).await.unwrap();
    let mut late = rig.queue.events().await.unwrap();
    marked(&rig, "third").await;
    rig.queue.change_settings(keep(9)).await.unwrap();
    let mut later = rig.queue.events().await.unwrap();
    let fourth = EventKind::Added(marked(&rig, "fourth").await);
    assert_eq!(next(&mut later).await.kind, fourth);
    assert_eq!(next(&mut late).await.kind, EventKind::Missed);
    assert_eq!(next(&mut late).await.kind, fourth);
}

/// Older data, or a clock that is behind: the entries come before what was read last.
#[tokio::test]
async fn a_cursor_that_lies_in_the_future_is_not_waited_for() {
    let rig = Rig::new().await;
    marked(&rig, "old").await;
    let mut events = rig.queue.events_after("99999999999999-17".parse().unwrap());
    assert_eq!(next(&mut events).await.kind, EventKind::Missed);
    let new = marked(&rig, "new").await;
    assert_eq!(next(&mut events).await.kind, EventKind::Added(new));

    // Under a reader, too: it has read an entry of tomorrow, and then the server begins anew.
    let tomorrow = Timestamp::from(SystemTime::now()).as_millis() + 86_400_000;
    rig.server
        .cli(&["XADD", STREAM, &format!("{tomorrow}-3"), "added", "odd"]);
    assert!(matches!(next(&mut events).await.kind, EventKind::Added(_)));
    rig.server.cli(&["FLUSHALL"]);
    let begun = marked(&rig, "begun").await;
    assert_eq!(next(&mut events).await.kind, EventKind::Missed);
    let then = marked(&rig, "then").await;
    let seen = until(&mut events, |e| e.kind == EventKind::Added(then.clone())).await;
    assert!(
        count(&seen, "added") <= 2,
        "{begun} may be seen, then `then`: {seen:?}"
    );
}

#[tokio::test]
async fn numbers_go_on_whatever_the_clock_shows_and_whoever_has_written_there() {
    let rig = Rig::new().await;
    let mut events = follow(&rig).await;
    let first = marked(&rig, "first").await;
    assert_eq!(next(&mut events).await.kind, EventKind::Added(first));
    // As after a clock that went back by a day.
    let tomorrow = Timestamp::from(SystemTime::now()).as_millis() + 86_400_000;
    let ahead = format!("{tomorrow}-2");
    rig.server.cli(&["XADD", STREAM, &ahead, "added", "odd"]);
    assert!(matches!(next(&mut events).await.kind, EventKind::Added(_)));
    for n in 0..3 {
        let id = marked(&rig, &format!("job-{n}")).await;
        let event = next(&mut events).await;
        assert_eq!(
            (event.kind, event.at.as_millis()),
            (EventKind::Added(id), tomorrow)
        );
    }
    // The number is lost with the rest of `meta`.
    rig.server.cli(&["DEL", "oxcart:{test}:meta"]);
    let id = marked(&rig, "without-meta").await;
    assert_eq!(next(&mut events).await.kind, EventKind::Added(id));
    // There is no larger number under that time.
    let full = format!("{tomorrow}-{}", u64::MAX);
    rig.server.cli(&["XADD", STREAM, &full, "added", "odd"]);
    let id = marked(&rig, "behind-all").await;
    let seen = until(&mut events, |e| e.kind == EventKind::Added(id.clone())).await;
    assert_eq!(count(&seen, "missed"), 2, "{seen:?}");
}

/// A backup, or a replica that had not seen the last writes.
#[tokio::test]
async fn a_server_that_comes_back_with_older_data_is_read_on_from_there() {
    let rig = Rig::new().await;
    let mut events = follow(&rig).await;
    let kept = marked(&rig, "kept").await;
    assert_eq!(next(&mut events).await.kind, EventKind::Added(kept));
    rig.server.cli(&["SAVE"]);
    for n in 0..5 {
        let id = marked(&rig, &format!("lost-{n}")).await;
        assert_eq!(next(&mut events).await.kind, EventKind::Added(id));
    }
    rig.server.kill();
    rig.server.restart();
    let id: JobId = "after".parse().unwrap();
    eventually_async(PATIENCE, async || {
        rig.queue.enqueue(Number(1)).id(id.clone()).await.is_ok()
    })
    .await;
    let seen = until(&mut events, |e| e.kind == EventKind::Added(id.clone())).await;
    assert!(count(&seen, "missed") >= 1, "{seen:?}");
    assert_eq!(count(&seen, "added"), 1, "{seen:?}");
}

#[tokio::test]
async fn a_reader_is_told_why_it_reads_nothing_and_goes_on_when_it_can() {
    let rig = Rig::new().await;
    let mut events = follow(&rig).await;
    let first = marked(&rig, "first").await;
    assert_eq!(next(&mut events).await.kind, EventKind::Added(first));
    let reasons: [(&[&str], &[&str], &str); 2] = [
        (
            &["ACL", "SETUSER", road::user(), "-xread"],
            &["ACL", "SETUSER", road::user(), "+xread"],
            "xread",
        ),
        (
            &["RENAME", STREAM, "{test}elsewhere"],
            &["RENAME", "{test}elsewhere", STREAM],
            "WRONGTYPE",
        ),
    ];
    for (forbid, allow, reason) in reasons {
        rig.server.cli(forbid);
        if reason == "WRONGTYPE" {
            rig.server.cli(&["SET", STREAM, "no stream"]);
        }
        // The read under way is let through, or is not answered any more.
        rig.server
            .cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let event = next(&mut events).await;
        let EventKind::Interrupted { error } = &event.kind else {
            panic!("{event:?}");
        };
        assert!(error.contains(reason), "{error}");
        assert_eq!(event.kind.job_id(), None);
        rig.server.cli(allow);
        let id = format!("after-{reason}");
        eventually_async(PATIENCE, async || {
            rig.queue
                .enqueue(Number(1))
                .id(id.parse().unwrap())
                .await
                .is_ok()
        })
        .await;
        let event = next(&mut events).await;
        assert_eq!(event.kind, EventKind::Added(id.parse().unwrap()));
    }
}
