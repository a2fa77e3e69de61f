//! A part of a queue is paused: the jobs of one name, or of one group. The others go on.

use std::time::Duration;

use oxcart::{JobId, JobState, Queue};
use oxcart_dashboard::Role;

use crate::acting::{assert_quiet, id};
use crate::devtools::Devtools;
use crate::page::Page;
use crate::site::{BASE, How, Site, letter, work};
use crate::support::eventually_async;

const PATIENCE: Duration = Duration::from_secs(30);

async fn until_ended(queue: &Queue, job: &str) {
    let id = id(job);
    let ended = eventually_async(PATIENCE, async || {
        let job = queue.job(&id).await.unwrap().unwrap();
        job.state == JobState::Completed
    });
    ended.await;
}

/// In the panel of names or groups: types what it is about, and presses the button of that form.
async fn send(page: &Page, field: &str, what: &str, verb: &str) {
    let form = format!("form.fields:has(input[name={field}])[method=post]");
    page.type_into(&format!("{form} input[name={field}]"), what)
        .await;
    let button = match verb {
        "resume" => format!("{form} button[formaction$='/resume']"),
        _ => format!("{form} button:not([formaction])"),
    };
    page.send_by(&button).await;
    assert_eq!(page.status().await, 200);
}

pub(crate) async fn jobs_of_a_name_are_paused_and_resumed(site: &Site, devtools: &Devtools) {
    let queue = site.queue("names");
    let job_id = |text: &str| JobId::new(text).unwrap();
    let page = site.page(devtools, Role::Operator).await;
    let enqueue = async |id: &str| {
        let request = queue.enqueue(letter(How::End));
        request.id(job_id(id)).await.unwrap();
    };
    enqueue("held").await;
    let paused = async || queue.counts().await.unwrap().paused_names;
    page.go(&format!("{BASE}/queues/names")).await;
    // No worker has said anything of this name yet.
    send(&page, "name", "send-letter", "pause").await;
    page.until_shown("Jobs named send-letter are paused.").await;
    assert_eq!(paused().await, ["send-letter"]);
    let _working = work(&queue);
    let other = queue.enqueue(letter(How::End)).named("print-letter");
    let other = other.any_queue().id(job_id("other"));
    other.await.unwrap();
    // The queue as such is not paused, and the page shows that the name is.
    assert!(!queue.counts().await.unwrap().paused);
    page.until_shown("Paused names").await;
    page.send_by("button[aria-label='Resume jobs of the name send-letter']")
        .await;
    page.until_shown("Jobs named send-letter are no longer paused.")
        .await;
    assert!(paused().await.is_empty());
    until_ended(&queue, "held").await;

    // The form does that as well.
    queue
        .jobs_named("send-letter")
        .unwrap()
        .pause()
        .await
        .unwrap();
    send(&page, "name", "send-letter", "resume").await;
    assert!(paused().await.is_empty());
    page.go(&format!("{BASE}/queues/names/audit")).await;
    page.until_shown("otto").await;
    page.until_shown("send-letter").await;
    assert_quiet(&page);
    page.close().await;
}

pub(crate) async fn a_group_is_paused_and_resumed(site: &Site, devtools: &Devtools) {
    let queue = site.queue("groups");
    let enqueue = async |group: &str| {
        let request = queue.enqueue(letter(How::End)).group(group);
        request.id(JobId::new(group).unwrap()).await.unwrap();
    };
    enqueue("acme").await;
    enqueue("initech").await;
    let group = queue.group("acme").unwrap();
    let is_paused = async || group.info().await.unwrap().paused;
    let page = site.page(devtools, Role::Operator).await;
    page.go(&format!("{BASE}/queues/groups")).await;
    send(&page, "group", "acme", "pause").await;
    page.until_shown("The group acme is paused.").await;
    assert!(is_paused().await);
    let _working = work(&queue);
    until_ended(&queue, "initech").await;
    let held = queue.job(&id("acme")).await.unwrap().unwrap();
    assert_eq!(held.state, JobState::Blocked);

    send(&page, "group", "acme", "resume").await;
    page.until_shown("The group acme is no longer paused.")
        .await;
    assert!(!is_paused().await);
    until_ended(&queue, "acme").await;
    assert_quiet(&page);
    page.close().await;
}
