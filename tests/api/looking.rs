//! What a person on call sees: pages of jobs, all that is known of one, and what a change answers.

use std::time::Duration;

use futures::TryStreamExt;
use oxcart::{
    Changed, Ended, Failure, Job, JobCursor, JobId, JobInfo, JobState, Oxcart, Persistence,
    Product, Worker,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::rig::{Number, Rig, Running};
use crate::support::{ids, road};

#[tokio::test]
async fn pages_follow_each_other_whatever_happens_between_them() {
    let rig = Rig::new().await;
    let sent = rig.queue.enqueue_many((0..600).map(Number)).await.unwrap();
    let waiting = || rig.queue.jobs(JobState::Waiting);
    let first = waiting().limit(3).await.unwrap();
    let numbers = |jobs: &[JobInfo]| -> Vec<u32> {
        let payload = |job: &JobInfo| job.payload::<Number>().unwrap().0;
        jobs.iter().map(payload).collect()
    };
    assert_eq!(numbers(&first.jobs), [0, 1, 2]);
    // The one before the next page is gone, and so are others; one comes, in front.
    for gone in &sent[1..5] {
        assert!(rig.queue.remove(gone.id()).await.unwrap().is_done());
    }
    rig.queue.enqueue(Number(9_999)).front().await.unwrap();
    let cursor = first.next.unwrap().to_string();
    let cursor: JobCursor = cursor.parse().unwrap();
    let second = waiting().limit(3).after(cursor.clone()).await.unwrap();
    assert_eq!(numbers(&second.jobs), [5, 6, 7]);
    let rest: Vec<JobInfo> = waiting()
        .after(cursor)
        .stream()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(numbers(&rest), (5..600).collect::<Vec<_>>());
    let all = waiting().await.unwrap();
    assert_eq!((all.jobs.len(), numbers(&all.jobs)[0]), (256, 9_999));

    // Backward from a cursor come the jobs before it; from the end, the last ones.
    let before = second.next.unwrap();
    let before = waiting().newest_first().after(before).limit(2);
    assert_eq!(numbers(&before.await.unwrap().jobs), [6, 5]);
    let last = waiting().newest_first().limit(3).await.unwrap();
    assert_eq!(numbers(&last.jobs), [599, 598, 597]);
    let reversed: Vec<JobInfo> = waiting()
        .newest_first()
        .stream()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(reversed.len(), 597);
    assert!(numbers(&reversed[..595]).into_iter().eq((5..600).rev()));

    // Of jobs that few calls find, all come, each once, in the stream; a call reads no more than a bound.
    let last = &reversed[0];
    let found = waiting().id_prefix(last.id.as_str());
    let page = found.clone().await.unwrap();
    assert!(page.jobs.is_empty() && page.next.is_some());
    let found: Vec<JobInfo> = found.stream().try_collect().await.unwrap();
    assert_eq!(numbers(&found), [599]);
    let named = |name: &str| waiting().named(name).limit(1);
    assert_eq!(named(&last.name).await.unwrap().jobs.len(), 1);
    assert!(named("another").await.unwrap().jobs.is_empty());
    let long = waiting().error_contains("x".repeat(5_000)).await;
    assert!(long.unwrap_err().is_invalid());
    let info = rig.queue.job(&last.id).await.unwrap().unwrap();
    assert_eq!((info.position, last.position), (Some(596), None));

    let dead = rig.queue.jobs(JobState::Dead);
    let none = dead.clone().await.unwrap();
    assert!(none.jobs.is_empty() && none.unreadable.is_empty() && none.next.is_none());
    let error = dead.after(all.next.unwrap()).await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
}

#[tokio::test]
async fn one_read_tells_how_a_job_ended_when_and_with_which_result() {
    async fn even(Number(n): Number) -> Result<u32, Failure> {
        match n % 2 {
            0 => Ok(n * 10),
            _ => Err(Failure::cancel("odd")),
        }
    }
    let rig = Rig::new().await;
    let sent = rig
        .queue
        .enqueue_many([Number(4), Number(5)])
        .await
        .unwrap();
    let running = Running::start(rig.worker().handle(even));
    rig.until(|counts| counts.completed == 2).await;
    running.stop().await;

    let done = sent[0].info().await.unwrap().unwrap();
    assert_eq!(
        (done.state, &done.ended),
        (JobState::Completed, &Some(Ended::Completed))
    );
    assert_eq!(done.result::<u32>().unwrap(), Some(40));
    assert!(done.result::<String>().unwrap_err().is_codec());
    assert!(done.ended_at.unwrap() >= done.enqueued_at);
    let cancelled = sent[1].info().await.unwrap().unwrap();
    assert_eq!(cancelled.state, JobState::Cancelled);
    assert_eq!(cancelled.ended, Some(Ended::Cancelled("odd".to_owned())));
    assert_eq!(cancelled.result::<u32>().unwrap(), None);
    assert_eq!(ids(&rig.queue, JobState::Completed).await, [done.id]);
    assert_eq!(ids(&rig.queue, JobState::Cancelled).await, [cancelled.id]);
}

#[tokio::test]
async fn a_schedule_tells_that_its_last_job_was_cancelled() {
    async fn unwanted(_: Number) -> Result<u32, Failure> {
        Err(Failure::cancel("nobody wants it"))
    }
    let rig = Rig::new().await;
    let once = rig.queue.schedule("once").every(Duration::from_millis(100));
    once.limit(1).job(Number(1)).await.unwrap();
    let running = Running::start(rig.worker().handle(unwanted));
    rig.until(|counts| counts.totals.cancelled == 1).await;
    running.stop().await;
    let info = rig.queue.schedule("once").info().await.unwrap().unwrap();
    let (_, state) = info.last_job.unwrap();
    assert_eq!(state, Some(JobState::Cancelled));
}

#[tokio::test]
async fn debug_shows_headers_and_sizes_and_no_payload() {
    #[derive(Serialize, Deserialize)]
    struct Secret {
        card: String,
    }
    impl Job for Secret {
        const NAME: &'static str = "secret";
        type Output = ();
    }
    let rig = Rig::new().await;
    let card = "4242".to_owned();
    let request = rig.queue.enqueue(Secret { card }).header("tenant", "acme");
    let before = format!("{request:?}");
    let sent = request.await.unwrap();
    let info = format!("{:?}", sent.info().await.unwrap().unwrap());
    for shown in [&before, &info] {
        assert!(
            shown.contains("tenant") && shown.contains("acme"),
            "{shown}"
        );
        assert!(
            !shown.contains("4242") && !shown.contains("52, 50"),
            "{shown}"
        );
    }
    assert!(info.contains("payload: \"11 bytes\""), "{info}");
}

#[tokio::test]
async fn a_job_that_runs_is_left_alone_and_that_is_an_answer() {
    static GATE: Semaphore = Semaphore::const_new(0);
    async fn gated(Number(n): Number) -> Result<u32, Failure> {
        GATE.acquire().await?.forget();
        Ok(n)
    }
    let rig = Rig::new().await;
    let sent = rig.queue.enqueue(Number(1)).await.unwrap();
    let running = Running::start(rig.worker().handle(gated));
    running.until_started(1).await;
    let runs = Changed::InState(JobState::Active);
    assert_eq!(rig.queue.remove(sent.id()).await.unwrap(), runs);
    assert_eq!(rig.queue.replay(sent.id()).await.unwrap(), runs);
    GATE.add_permits(1);
    assert_eq!(sent.result().await.unwrap(), 1);
    assert_eq!(rig.queue.remove(sent.id()).await.unwrap(), Changed::Done);
    let nobody = JobId::generate();
    assert_eq!(rig.queue.remove(&nobody).await.unwrap(), Changed::NotFound);
    running.stop().await;
}

#[tokio::test]
async fn an_error_of_a_single_call_says_what_was_tried_on_which_queue() {
    let rig = Rig::new().await;
    let meta = "oxcart:{test}:meta";
    rig.server.ask::<String>(&["SET", meta, "of another type"]);
    let counts = rig.queue.counts().await.unwrap_err().to_string();
    assert!(
        counts.starts_with("`counts` on the queue `test`: "),
        "{counts}"
    );
    let pause = rig.queue.pause().await.unwrap_err().to_string();
    assert!(
        pause.starts_with("`pause` on the queue `test`: "),
        "{pause}"
    );
    assert!(pause.contains("WRONGTYPE"), "{pause}");
}

#[derive(Serialize, Deserialize)]
struct Resize {}

impl Job for Resize {
    const NAME: &'static str = "resize";
    const QUEUE: &'static str = "photos";
    type Output = ();
}

#[tokio::test]
async fn a_type_that_names_its_queue_is_refused_by_others_unless_that_is_meant() {
    async fn resize(_: Resize) -> Result<(), Failure> {
        Ok(())
    }
    let rig = Rig::new().await;
    let refused = |error: oxcart::Error| {
        let text = error.to_string();
        assert!(error.is_invalid(), "{text}");
        let says = |word| text.contains(word);
        assert!(
            says("`photos`") && says("`test`") && says(".any_queue()"),
            "{text}"
        );
    };
    refused(rig.queue.enqueue(Resize {}).await.unwrap_err());
    refused(rig.queue.enqueue_many([Resize {}]).await.unwrap_err());
    let hourly = rig
        .queue
        .schedule("hourly")
        .every(Duration::from_secs(3_600));
    refused(hourly.job(Resize {}).await.unwrap_err());
    refused(rig.worker().handle(resize).build().unwrap_err());

    rig.queue.enqueue(Resize {}).any_queue().await.unwrap();
    drop(rig.worker().handle(resize).any_queue().build().unwrap());
    rig.oxcart.enqueue(Resize {}).await.unwrap();
    let photos = rig.oxcart.queue(Resize::QUEUE).unwrap();
    photos.enqueue(Resize {}).await.unwrap();
    drop(Worker::builder(&photos).handle(resize).build().unwrap());
    assert_eq!(photos.counts().await.unwrap().waiting, 2);
}

#[tokio::test]
async fn a_server_tells_how_it_is_set_up_and_what_it_denies() {
    let rig = Rig::new().await;
    let server = rig.oxcart.server().await.unwrap();
    let product = server.product;
    assert!(
        matches!(product, Some(Product::Redis | Product::Valkey)),
        "{product:?}"
    );
    assert!(server.version.is_some());
    assert_eq!(server.eviction.as_deref(), Some("noeviction"));
    // By `CONFIG GET`, which the documented user may not call.
    let persistence = (!road::is_acl()).then_some(Persistence::Nothing);
    assert_eq!(server.persistence, persistence);
    assert_eq!(server.save_failed, Some(false));
    assert_eq!(server.memory_max, Some(u64::MAX));
    assert!(server.memory.unwrap() > 100_000);
    assert!(server.round_trip > Duration::ZERO);
    let time = server.time.unwrap();
    let differ = time
        .duration_since(server.asked_at)
        .max(server.asked_at.duration_since(time));
    assert!(differ < Duration::from_secs(2), "{differ:?}");
    assert_eq!(server.denied, Some(Vec::new()));

    // What it does not tell is unknown. A command of another user's key is denied as well.
    let ops = [
        "ACL", "SETUSER", "ops", "on", ">word", "~other:*", "+@all", "-info", "-config",
    ];
    rig.server.cli(&ops);
    let url = rig.server.open_url().replace("://", "://ops:word@");
    let other = Oxcart::builder()
        .namespace("other")
        .connect(&url)
        .await
        .unwrap();
    let server = other.server().await.unwrap();
    assert!(server.eviction.is_none() && server.persistence.is_none() && server.memory.is_none());
    assert!(server.save_failed.is_none() && server.memory_max.is_none());
    assert_eq!(server.denied.unwrap(), ["info"]);
    let ours = Oxcart::connect(&url).await.unwrap();
    let denied = ours.server().await.unwrap().denied.unwrap();
    let contains = |name: &str| denied.iter().any(|it| it == name);
    assert!(
        contains("zadd") && contains("unlink") && contains("xread"),
        "{denied:?}"
    );
    assert!(
        !contains("time") && !contains("client unblock"),
        "{denied:?}"
    );
}
