//! Pages show what happens: what other processes do, and that Redis is gone or back.

use std::time::Duration;

use oxcart::{JobId, Oxcart};
use oxcart_dashboard::Role;

use crate::devtools::Devtools;
use crate::site::{BASE, How, Site, letter};

/// The first argument of a process of this program that only enqueues.
pub(crate) const OTHER_PROCESS: &str = "enqueue-one";
const LIVE: Duration = Duration::from_secs(2);
/// A machine that is busy with other tests may be late once, and then again.
const TRIES: usize = 5;

/// What such a process does.
pub(crate) async fn enqueue(url: &str, queue: &str, id: &str) {
    let oxcart = Oxcart::connect(url).await.unwrap();
    let queue = oxcart.queue(queue).unwrap();
    let id = JobId::new(id).unwrap();
    queue.enqueue(letter(How::End)).id(id).await.unwrap();
}

pub(crate) async fn a_job_of_another_process_appears(site: &Site, devtools: &Devtools) {
    let page = site.page(devtools, Role::Viewer).await;
    site.queue("news").enqueue(letter(How::End)).await.unwrap();
    page.go(&format!("{BASE}/queues/news/jobs?state=waiting"))
        .await;
    let mut quickest = Duration::MAX;
    for number in 0..TRIES {
        let id = format!("from-elsewhere-{number}");
        let program = std::env::current_exe().unwrap();
        let mut other = tokio::process::Command::new(program);
        other.args([OTHER_PROCESS, &site.redis.url(), "news", &id]);
        assert!(other.status().await.unwrap().success());
        quickest = quickest.min(page.until_shown(&id).await);
        if quickest < LIVE {
            break;
        }
    }
    assert!(quickest < LIVE, "it took {quickest:?}");

    // The page stays as it is: nothing was loaded anew.
    page.eval("window.isTheSame = true").await;
    enqueue(&site.redis.url(), "news", "the-last").await;
    page.until_shown("the-last").await;
    page.until("window.isTheSame === true").await;
    assert_eq!(page.complaints(), Vec::<String>::new());
    page.close().await;
}

/// On a Redis of its own, because it stops it.
pub(crate) async fn a_lost_redis_is_told_and_the_page_recovers(_: &Site, devtools: &Devtools) {
    let site = Site::start().await;
    site.queue("mail").enqueue(letter(How::End)).await.unwrap();
    let page = site.page(devtools, Role::Viewer).await;
    page.until_shown("mail").await;
    page.until_shown("live").await;
    site.redis.kill();
    page.until_shown("not connected").await;
    page.until_shown("mail").await;
    site.redis.restart();
    site.queue("letters")
        .enqueue(letter(How::End))
        .await
        .unwrap();
    page.until_shown("letters").await;
    page.until("!document.body.innerText.includes('not connected')")
        .await;
    page.close().await;
}
