//! Jobs that are changed before they run.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use oxcart::{Changed, Error, EventKind, Failure, Job, JobId, JobState, State};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::rig::{Number, PATIENCE, Rig, Running};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Not the type of the jobs here.
#[derive(Serialize, Deserialize)]
struct Other;

impl Job for Other {
    const NAME: &'static str = "other";
    type Output = ();
}

/// Any job, for programs that do not know its type.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct AnyJob(serde_json::Value);

impl Job for AnyJob {
    const NAME: &'static str = "any";
    type Output = serde_json::Value;
}

#[tokio::test]
async fn a_job_is_enqueued_and_edited_by_its_name_without_its_type() {
    let rig = Rig::new().await;
    let seven = || AnyJob(serde_json::json!(7));
    let job = rig.queue.enqueue(seven()).named("number").delay(HOUR);
    let job = job.await.unwrap();
    let info = job.info().await.unwrap().unwrap();
    assert_eq!(
        (&*info.name, info.payload::<Number>().unwrap().0),
        ("number", 7)
    );

    let edit = || job.edit().payload(&AnyJob(serde_json::json!(8)));
    for wrong in [edit(), edit().named("other"), job.edit().named("number")] {
        assert!(wrong.await.unwrap_err().is_invalid());
    }
    assert_eq!(edit().named("number").await.unwrap(), Changed::Done);
    let running = Running::start(rig.worker().handle(async |Number(n)| Ok::<_, Failure>(n)));
    assert!(job.edit().now().await.unwrap().is_done());
    assert_eq!(timeout(PATIENCE, job.result()).await.unwrap().unwrap(), 8);
    running.stop().await;

    let malformed = rig.queue.enqueue(seven()).named("no spaces").await;
    assert!(malformed.unwrap_err().is_invalid());
    rig.queue
        .schedule("often")
        .every(HOUR)
        .job(rig.queue.enqueue(seven()).named("number"))
        .await
        .unwrap();
    let schedule = rig.queue.schedule("often").info().await.unwrap().unwrap();
    assert_eq!(schedule.job.as_deref(), Some("number"));
}

#[tokio::test]
async fn a_job_runs_as_it_was_edited() {
    let rig = Rig::new().await;
    let mut events = rig.queue.events().await.unwrap();
    let job = rig.queue.enqueue(Number(7)).delay(HOUR).await.unwrap();
    let edit = job.edit().payload(&Number(8)).priority(10).attempts(3);
    assert_eq!(edit.await.unwrap(), Changed::Done);
    let info = job.info().await.unwrap().unwrap();
    assert_eq!((info.priority, info.attempts), (10, 3));
    assert_eq!(
        (info.payload::<Number>().unwrap().0, info.state),
        (8, JobState::Delayed)
    );

    let soon = SystemTime::now() + HOUR / 2;
    assert_eq!(
        rig.queue.edit(job.id()).at(soon).await.unwrap(),
        Changed::Done
    );
    let due = job.info().await.unwrap().unwrap().due_at.unwrap();
    assert_eq!(due.as_millis(), oxcart::Timestamp::from(soon).as_millis());
    let running = Running::start(rig.worker().handle(async |Number(n)| Ok::<_, Failure>(n)));
    assert_eq!(job.edit().now().await.unwrap(), Changed::Done);
    assert_eq!(timeout(PATIENCE, job.result()).await.unwrap().unwrap(), 8);
    running.stop().await;

    let mut names = Vec::new();
    while names.last() != Some(&"completed") {
        let event = timeout(PATIENCE, events.next()).await.unwrap().unwrap();
        if let EventKind::Edited(id) = &event.kind {
            assert_eq!(id, job.id());
        }
        names.push(event.kind.name());
    }
    let edited = ["edited", "delayed"];
    let told = [
        &["added", "delayed"],
        &edited[..],
        &edited,
        &["edited", "waiting", "active", "completed"],
    ];
    assert_eq!(names, told.concat());
}

#[tokio::test]
async fn what_cannot_be_edited_is_told_and_nothing_is_changed() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(Number(7)).delay(HOUR).await.unwrap();
    let id = job.id();
    let edit = || rig.queue.edit(id);
    let told = [
        edit().await,
        edit().attempts(0).await,
        edit().priority(1_024).await,
        edit()
            .delay(Duration::MAX)
            .now()
            .delay(1_000_000 * HOUR)
            .await,
        edit().priority(3).payload(&Other).await,
    ];
    let words = [
        "nothing to change",
        "attempts is 0",
        "1024",
        "until the job is due",
        "`number`",
    ];
    for (told, words) in told.into_iter().zip(words) {
        let error: Error = told.unwrap_err();
        assert!(error.is_invalid(), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let info = job.info().await.unwrap().unwrap();
    assert_eq!((info.priority, info.attempts), (500, 10));

    let unknown = JobId::new("nobody").unwrap();
    for edit in [
        rig.queue.edit(&unknown).now(),
        rig.queue.edit(&unknown).attempts(3),
    ] {
        assert_eq!(edit.await.unwrap(), Changed::NotFound);
    }
    let held = Arc::new(Notify::new());
    let worker = rig.worker().state(Arc::clone(&held));
    let running = Running::start(worker.handle(
        async |Number(n): Number, held: State<Arc<Notify>>| {
            held.notified().await;
            Ok::<_, Failure>(n)
        },
    ));
    assert!(edit().now().await.unwrap().is_done());
    running.until_started(1).await;
    for state in [JobState::Active, JobState::Completed] {
        let told = [edit().now().await, edit().payload(&Number(9)).await];
        for told in told {
            assert_eq!(told.unwrap(), Changed::InState(state));
        }
        held.notify_one();
        assert_eq!(timeout(PATIENCE, job.result()).await.unwrap().unwrap(), 7);
    }
    running.stop().await;
}

/// Many callers edit one job: each change is whole, and none is lost.
#[tokio::test]
async fn edits_at_the_same_time_do_not_undo_each_other() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(Number(7)).delay(HOUR).await.unwrap();
    let edits = (0..10).flat_map(|n| {
        let payload = job.edit().payload(&Number(100 + n));
        let attempts = job.edit().attempts(20 + n);
        [payload.into_future(), attempts.into_future()]
    });
    let told = futures::future::try_join_all(edits).await.unwrap();
    assert!(told.iter().all(|told| told.is_done()));
    let info = job.info().await.unwrap().unwrap();
    assert!(
        info.payload::<Number>().unwrap().0 >= 100 && info.attempts >= 20,
        "{info:?}"
    );
}
