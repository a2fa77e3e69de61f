//! Actions that take a while: how fast they go, and that they stop.

use std::time::{Duration, Instant};

use oxcart::Queue;
use oxcart_dashboard::Role;

use crate::acting::assert_quiet;
use crate::devtools::Devtools;
use crate::page::Page;
use crate::site::{BASE, How, Site, letter, work};
use crate::support::eventually_async;

const PATIENCE: Duration = Duration::from_secs(30);

/// A queue with dead letters of one cause.
async fn dead(site: &Site, name: &str, letters: u64) -> Queue {
    let queue = site.queue(name);
    for _ in 0..letters {
        let request = queue.enqueue(letter(How::Fail)).attempts(1);
        request.await.unwrap();
    }
    let working = work(&queue);
    let are_dead = eventually_async(PATIENCE, async || {
        queue.counts().await.unwrap().dead == letters
    });
    are_dead.await;
    drop(working);
    queue
}

/// From the page of dead letters: asks for a replay of the group at a rate, reads what it would do, and says yes.
async fn replay(page: &Page, queue: &str, per_second: &str, letters: u64) {
    let bulk = format!("{BASE}/queues/{queue}/bulk");
    page.go(&format!("{BASE}/queues/{queue}/dead")).await;
    page.type_into("article.dead input[name=per_second]", per_second)
        .await;
    page.send_form(&bulk, "replay").await;
    page.until_shown(&format!("{letters} jobs")).await;
    page.until_shown(&format!("At most {per_second} job")).await;
    page.send_form(&bulk, "replay").await;
}

pub(crate) async fn dead_letters_are_replayed_at_the_rate_that_was_typed(
    site: &Site,
    devtools: &Devtools,
) {
    let queue = dead(site, "paced", 8).await;
    let page = site.page(devtools, Role::Operator).await;
    let began = Instant::now();
    replay(&page, "paced", "2", 8).await;
    page.until_shown("at most 2 jobs in a second").await;
    let left = async || queue.counts().await.unwrap().dead;
    let done = eventually_async(PATIENCE, async || {
        // Never more than the rate allows for the time since before it began.
        let back = 8 - left().await;
        let allowed = 2.0 * began.elapsed().as_secs_f64() + 2.0;
        assert!(back as f64 <= allowed, "{back} after {allowed}");
        back == 8
    });
    done.await;
    assert!(began.elapsed() >= Duration::from_secs(3));
    page.until_shown("is done").await;
    assert_eq!(queue.counts().await.unwrap().waiting, 8);
    assert_quiet(&page);
    page.close().await;
}

pub(crate) async fn a_task_stops_when_it_is_told_to(site: &Site, devtools: &Devtools) {
    let queue = dead(site, "stopped", 40).await;
    let page = site.page(devtools, Role::Operator).await;
    replay(&page, "stopped", "1", 40).await;
    page.until_shown("goes on").await;
    page.send_by("form[action$='/stop'] button").await;
    page.until_shown("The task stops after its next step.")
        .await;
    page.until_shown("was stopped").await;
    // Nothing is left to stop, and what was not replayed is as it was.
    page.until("document.querySelector(\"form[action$='/stop']\") === null")
        .await;
    let left = queue.counts().await.unwrap();
    assert!(left.dead > 0, "{left:?}");
    assert_eq!(left.dead + left.waiting, 40);
    page.go(&format!("{BASE}/tasks")).await;
    page.until_shown("was stopped").await;
    assert_quiet(&page);
    page.close().await;
}
