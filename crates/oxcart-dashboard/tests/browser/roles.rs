//! Who may do what: the pages show no button for what is forbidden, and a request that is made without a button is refused.

use oxcart::JobState;
use oxcart_dashboard::Role;

use crate::acting::{id, post};
use crate::devtools::Devtools;
use crate::page::{Page, Screen};
use crate::site::{BASE, Site, token};

/// Everything that can be done to a queue that `Site::fill` has filled, below its path.
const OPERATOR: [&str; 8] = [
    "/pause",
    "/resume",
    "/jobs/dead-0/replay",
    "/jobs/waiting-0/cancel",
    "/jobs/delayed-0/promote",
    "/schedules/nightly/pause",
    "/schedules/nightly/resume",
    "/schedules/nightly/run",
];
const ADMIN: [&str; 4] = [
    "/jobs/dead-0/remove",
    "/jobs/dead-0/edit",
    "/schedules/nightly/remove",
    // With the action `remove`.
    "/bulk",
];

pub(crate) async fn nobody_is_let_in_without_a_token(site: &Site, devtools: &Devtools) {
    let page = Page::open(devtools, &site.served.origin, Screen::Phone).await;
    for path in [
        "",
        "/queues/mail",
        "/api/overview",
        "/queues/mail/jobs/dead-0",
    ] {
        page.go(&format!("{BASE}{path}")).await;
        let shown = page.eval("document.body.innerText").await;
        assert!(
            !shown.as_str().unwrap().contains("send-letter"),
            "{path}: {shown}"
        );
    }
    page.go(&format!("{BASE}/login")).await;
    page.sign_in("a token that is wrong").await;
    page.until("document.querySelector('[role=alert]') !== null")
        .await;
    page.sign_in(&token(Role::Viewer)).await;
    page.until("document.querySelector('input[name=token]') === null")
        .await;
    // Whoever signs out is out, also with the browser's way back.
    page.send_form(&format!("{BASE}/logout"), "").await;
    page.go(BASE).await;
    page.until("document.querySelector('input[name=token]') !== null")
        .await;
    page.close().await;
}

pub(crate) async fn a_viewer_can_change_nothing(site: &Site, devtools: &Devtools) {
    let _working = site.fill("seen").await;
    let queue = site.queue("seen");
    let before = queue.counts().await.unwrap();
    let page = site.page(devtools, Role::Viewer).await;
    for path in [
        "",
        "/jobs?state=dead",
        "/jobs/dead-0",
        "/dead",
        "/schedules",
        "/jobs?state=active",
    ] {
        page.go(&format!("{BASE}/queues/seen{path}")).await;
        let forms = "[...document.querySelectorAll('form[method=post]')].filter((form) => !form.action.endsWith('/logout')).length";
        assert_eq!(page.eval(forms).await, 0, "{path}");
    }
    assert_eq!(page.complaints(), Vec::<String>::new());
    for path in OPERATOR.iter().chain(&ADMIN) {
        let path = format!("{BASE}/queues/seen{path}");
        assert_eq!(post(&page, &path, true).await, 403, "{path}");
    }
    let after = queue.counts().await.unwrap();
    assert_eq!(
        (after.paused, after.dead, after.delayed),
        (before.paused, before.dead, before.delayed)
    );
    let job = queue.job(&id("waiting-0")).await.unwrap().unwrap();
    assert_ne!(job.state, JobState::Cancelled);
    let schedules = queue.schedules().await.unwrap();
    assert!(!schedules[0].paused, "{schedules:?}");
    page.close().await;
}

pub(crate) async fn an_operator_can_not_do_what_an_admin_can(site: &Site, devtools: &Devtools) {
    let _working = site.fill("operated").await;
    let queue = site.queue("operated");
    let page = site.page(devtools, Role::Operator).await;
    for path in ADMIN {
        let path = format!("{BASE}/queues/operated{path}");
        assert_eq!(post(&page, &path, true).await, 403, "{path}");
    }
    let job = queue.job(&id("dead-0")).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Dead);
    for path in OPERATOR {
        let path = format!("{BASE}/queues/operated{path}");
        assert_eq!(post(&page, &path, true).await, 303, "{path}");
    }
    page.close().await;
}

pub(crate) async fn a_form_of_another_site_is_refused(site: &Site, devtools: &Devtools) {
    let _working = site.fill("ours").await;
    let queue = site.queue("ours");
    let page = site.page(devtools, Role::Admin).await;
    // From our own origin, with a proof that was guessed.
    let pause = format!("{BASE}/queues/ours/pause");
    assert_eq!(post(&page, &pause, false).await, 403);
    // From another origin, where the browser says so: `localhost` is another one than `127.0.0.1`.
    let _ = page.complaints();
    let elsewhere = "data:text/html,<form method=post action=";
    let elsewhere = format!(
        "{elsewhere}{}{pause}><button>win a prize</button></form>",
        site.served.origin
    );
    page.go(&elsewhere).await;
    page.eval("document.querySelector('button').click()").await;
    page.until("location.protocol === 'http:' && document.readyState === 'complete'")
        .await;
    assert!(page.status().await >= 400);
    assert!(!queue.counts().await.unwrap().paused);
    page.close().await;
}
