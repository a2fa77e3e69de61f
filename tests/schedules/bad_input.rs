//! What cannot be is refused with an error that says what to mend, and nothing is written.

use std::time::{Duration, SystemTime};

use oxcart::{Error, ErrorKind, Missed, Schedule, ScheduleBuilder, Timestamp};

use crate::support::jobs::{Scene, Work};
use crate::support::workers::{server_and_queue, worker};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_refused_and_nothing_is_written() {
    let (server, queue) = server_and_queue().await;
    let named = |name: &str| queue.schedule(name).cron("@daily").job(Work::Quick);
    let cron = |expression: &str| queue.schedule("s").cron(expression);
    let daily = || cron("@daily");
    let plain = |schedule: ScheduleBuilder| schedule.job(Work::Quick);
    let now = SystemTime::now();
    let wrong: Vec<(Schedule, &str)> = vec![
        (named(""), "name is empty; 1 to 100 bytes"),
        (named(&"x".repeat(101)), "101 bytes; 1 to 100"),
        (named(&"x".repeat(129)), "129 bytes; 1 to 100"),
        (named("a b"), "' '"),
        (named("a#b"), "'#'"),
        (plain(cron("")), "0 fields"),
        (plain(cron(&"0,".repeat(501))), "1002 bytes"),
        (plain(daily().timezone("x".repeat(65))), "65 bytes"),
        (plain(cron("0 61 * * * *")), "      ^^"),
        (plain(cron("0,,5 * * * *")), "side of a comma"),
        (plain(cron("0 0 0 30 2 *")), "never fire"),
        (
            plain(
                cron("0 0 31 2,4 *")
                    .timezone("Europe/Berlin")
                    .ending(now + SECOND),
            ),
            "no day has what the expression asks for",
        ),
        (
            plain(
                cron("0 0 29 2 *")
                    .starting(january(2_101))
                    .ending(january(2_104)),
            ),
            "no tick from its start, 2101-01-01T00:00:00.000Z, to its end, 2104-01-01",
        ),
        (plain(daily().timezone("Europe/Berln")), "Europe/Berlin"),
        (plain(daily().limit(0)), "limit is 0"),
        (
            plain(daily().missed(Missed::FireAll { at_most: 0 })),
            "at_most is 0",
        ),
        (plain(daily().ending(now - SECOND)), "ended"),
        (
            plain(daily().starting(now + SECOND).ending(now)),
            "before it starts",
        ),
        (
            plain(cron("0 0 0 29 2 *").ending(now + 2 * SECOND)),
            "no tick before its end",
        ),
        (plain(daily().jitter(Duration::MAX)), "10 years"),
        (plain(daily().offset(Duration::MAX)), "10 years"),
        (
            plain(queue.schedule("s").every(Duration::ZERO)),
            "interval is 0 ms",
        ),
        (
            plain(queue.schedule("s").every(Duration::from_millis(99))),
            "100 ms",
        ),
        (plain(queue.schedule("s").every(Duration::MAX)), "10 years"),
        (
            plain(queue.schedule("s").every(SECOND).timezone("UTC")),
            "no time zone",
        ),
        (daily().job(Work::carry(2 * 1024 * 1024)), "payload"),
        (
            daily().job(queue.enqueue(Work::Quick).priority(5_000)),
            "5000",
        ),
        (daily().job(queue.enqueue(Work::Quick).at(now)), "`delay`"),
        (
            daily().job(queue.enqueue(Work::Quick).id("x".parse().unwrap())),
            "id of its own",
        ),
    ];
    for (schedule, says) in wrong {
        let error: Error = schedule.await.unwrap_err();
        assert!(error.is_invalid(), "{error:?}");
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    let keys: Vec<String> = server.ask(&["KEYS", "*"]);
    assert!(keys.is_empty(), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_cannot_be_paused_resumed_or_triggered() {
    let (_server, queue) = server_and_queue().await;
    let none = queue.schedule("none");
    for error in [
        none.pause().await.unwrap_err(),
        none.resume().await.unwrap_err(),
        none.trigger().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    assert!(!none.remove().await.unwrap());
    assert_eq!(none.info().await.unwrap(), None);
    assert!(queue.schedules().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_name_reaches_nothing() {
    let (_server, queue) = server_and_queue().await;
    let daily = queue.schedule("s").cron("@daily");
    daily.job(Work::Quick).await.unwrap();
    // That would be a field of the other one.
    let malformed = queue.schedule("s#job");
    for error in [
        malformed.remove().await.unwrap_err(),
        malformed.pause().await.unwrap_err(),
        malformed.resume().await.unwrap_err(),
        malformed.trigger().await.unwrap_err(),
        malformed.info().await.unwrap_err(),
    ] {
        assert!(error.is_invalid(), "{error}");
    }
    queue.schedule("s").trigger().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_not_built_with_schedules_that_cannot_be() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let good = || queue.schedule("s").cron("@daily").job(Work::Quick);
    let bad = queue.schedule("s").cron("@dayly").job(Work::Quick);
    assert!(worker(&queue, &scene).schedule(bad).build().is_err());
    let never = queue.schedule("s").cron("0 0 30 2 *").job(Work::Quick);
    let error = worker(&queue, &scene).schedule(never).build().err();
    let text = error.unwrap().to_string();
    assert!(text.contains("can never fire"), "{text}");
    let twice = worker(&queue, &scene).schedule(good()).schedule(good());
    let error = twice.build().err().unwrap().to_string();
    assert!(error.contains("two schedules"), "{error}");
    assert!(worker(&queue, &scene).schedule(good()).build().is_ok());
}

/// The first of January.
fn january(year: u64) -> Timestamp {
    // 2101 to 2104 have no leap day before the first of January of any of them.
    const DAYS_TO_2101: u64 = 47_847;
    Timestamp::from_millis((DAYS_TO_2101 + (year - 2_101) * 365) * 24 * 60 * 60 * 1_000)
}

#[test]
fn moments_are_given_as_system_time_or_timestamp() {
    let moment = SystemTime::UNIX_EPOCH + SECOND;
    assert_eq!(Timestamp::from(moment), Timestamp::from_millis(1_000));
}
