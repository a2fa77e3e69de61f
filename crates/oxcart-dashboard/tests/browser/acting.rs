//! Each action does what it says, to nothing else, and is noted under the name of the person.

use std::time::Duration;

use oxcart::{JobId, JobState, Queue};
use oxcart_dashboard::Role;
use serde_json::Value;

use crate::devtools::Devtools;
use crate::page::Page;
use crate::site::{BASE, How, Letter, Site, letter};
use crate::support::eventually_async;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn id(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

async fn state(queue: &Queue, of: &str) -> Option<JobState> {
    queue.job(&id(of)).await.unwrap().map(|job| job.state)
}

pub(crate) fn assert_quiet(page: &Page) {
    assert_eq!(page.complaints(), Vec::<String>::new());
}

pub(crate) async fn a_queue_is_paused_and_resumed(site: &Site, devtools: &Devtools) {
    let queue = site.queue("pause");
    queue.enqueue(letter(How::End)).await.unwrap();
    let page = site.page(devtools, Role::Operator).await;
    let at = format!("{BASE}/queues/pause");
    page.go(&at).await;
    page.send_form(&format!("{at}/pause"), "").await;
    assert!(queue.counts().await.unwrap().paused);
    page.until_shown("paused").await;
    page.send_form(&format!("{at}/resume"), "").await;
    assert!(!queue.counts().await.unwrap().paused);

    page.go(&format!("{at}/audit")).await;
    page.until_shown("otto").await;
    assert_quiet(&page);
    page.close().await;
}

pub(crate) async fn one_job_is_changed_as_asked(site: &Site, devtools: &Devtools) {
    let queue = site.queue("jobs");
    let working = site.fill("jobs").await;
    let page = site.page(devtools, Role::Admin).await;
    let at = |job: &str, verb: &str| format!("{BASE}/queues/jobs/jobs/{job}{verb}");
    let act = async |job: &str, verb: &str| {
        assert_eq!(page.go(&at(job, "")).await, 200);
        page.send_form(&at(job, verb), "").await;
        assert_eq!(page.status().await, 200, "{job}{verb}");
    };

    act("active-0", "/cancel").await;
    let ended = eventually_async(PATIENCE, async || {
        state(&queue, "active-0").await != Some(JobState::Active)
    });
    ended.await;
    drop(working);

    act("waiting-0", "/cancel").await;
    assert_eq!(state(&queue, "waiting-0").await, Some(JobState::Cancelled));
    act("delayed-0", "/promote").await;
    assert_ne!(state(&queue, "delayed-0").await, Some(JobState::Delayed));
    act("dead-0", "/replay").await;
    assert_ne!(state(&queue, "dead-0").await, Some(JobState::Dead));
    act("dead-1", "/remove").await;
    assert_eq!(state(&queue, "dead-1").await, None);

    page.go(&at("delayed-1", "")).await;
    page.eval(
        "(() => {
            const field = document.querySelector('textarea[name=payload]');
            field.value = JSON.stringify({ to: 'eve@example.org', text: '<b>', how: 'End' });
        })()",
    )
    .await;
    page.send_form(&at("delayed-1", "/edit"), "").await;
    let job = queue.job(&id("delayed-1")).await.unwrap().unwrap();
    assert_eq!(job.payload::<Letter>().unwrap().to, "eve@example.org");
    assert_eq!(job.state, JobState::Delayed);

    // The others are as they were.
    assert_eq!(state(&queue, "waiting-1").await, Some(JobState::Waiting));
    assert_eq!(
        state(&queue, "completed-0").await,
        Some(JobState::Completed)
    );
    // The script of a page that is left may still ask for the job that was removed.
    let mut complaints = page.complaints();
    complaints.retain(|it| !(it.contains("/jobs/dead-1") && it.contains("404")));
    assert_eq!(complaints, Vec::<String>::new());
    page.close().await;
}

pub(crate) async fn everything_that_matches_is_counted_and_then_changed(
    site: &Site,
    devtools: &Devtools,
) {
    let queue = site.queue("bulk");
    drop(site.fill("bulk").await);
    let counts = async || queue.counts().await.unwrap();
    let page = site.page(devtools, Role::Admin).await;
    let bulk = format!("{BASE}/queues/bulk/bulk");

    // A dry run only counts.
    page.go(&format!("{BASE}/queues/bulk/jobs?state=dead"))
        .await;
    page.send_form(&bulk, "replay").await;
    page.until_shown("2 jobs").await;
    assert_eq!(counts().await.dead, 2);
    // The answer does it, and shows how far it is.
    page.send_form(&bulk, "replay").await;
    let replayed = eventually_async(PATIENCE, async || counts().await.dead == 0);
    replayed.await;
    page.until("document.body.innerText.match(/2 (jobs|of 2)/) !== null")
        .await;

    // Only what matches the filter.
    page.go(&format!(
        "{BASE}/queues/bulk/jobs?state=delayed&id=delayed-1"
    ))
    .await;
    page.send_form(&bulk, "remove").await;
    page.until_shown("1 job").await;
    page.send_form(&bulk, "remove").await;
    let removed = eventually_async(PATIENCE, async || counts().await.delayed == 1);
    removed.await;
    assert_eq!(state(&queue, "delayed-0").await, Some(JobState::Delayed));
    assert_quiet(&page);
    page.close().await;
}

pub(crate) async fn schedules_are_paused_run_and_removed(site: &Site, devtools: &Devtools) {
    let queue = site.queue("ticks");
    // Browsers take the second for the folder above, so it has a `~` in paths.
    let names = [("nightly", "nightly"), ("..", "~..")];
    for (name, _) in names {
        let nightly = queue.schedule(name).cron("0 3 * * *");
        nightly.job(letter(How::End)).await.unwrap();
    }
    let page = site.page(devtools, Role::Admin).await;
    for (name, in_path) in names {
        let schedule = queue.schedule(name);
        let at = |verb: &str| format!("{BASE}/queues/ticks/schedules/{in_path}/{verb}");
        page.go(&format!("{BASE}/queues/ticks/schedules")).await;
        let is_paused = async || schedule.info().await.unwrap().unwrap().paused;
        page.send_form(&at("pause"), "").await;
        assert!(is_paused().await);
        page.send_form(&at("resume"), "").await;
        assert!(!is_paused().await);
        let before = queue.counts().await.unwrap().waiting;
        page.send_form(&at("run"), "").await;
        assert_eq!(queue.counts().await.unwrap().waiting, before + 1);
        page.send_form(&at("remove"), "").await;
        assert!(schedule.info().await.unwrap().is_none());
    }
    assert_quiet(&page);
    page.close().await;
}

/// Sends a form as the page would, with its proof; the answer's status.
pub(crate) async fn post(page: &Page, path: &str, with_proof: bool) -> Value {
    // An action refuses fields that it does not have.
    let fields = match path.rsplit('/').next() {
        Some("bulk") => "action: 'remove', state: 'dead',",
        Some("acknowledge") => "rule: 'deep', queue: 'rings',",
        Some("edit") => "payload: '1',",
        _ => "",
    };
    let path = Value::from(path);
    page.eval(&format!(
        "fetch({path}, {{ method: 'POST', redirect: 'manual', body: new URLSearchParams({{
            csrf: {with_proof} ? document.documentElement.dataset.csrf : 'guessed', {fields}
        }}) }}).then((answer) => answer.type === 'opaqueredirect' ? 303 : answer.status)"
    ))
    .await
}
