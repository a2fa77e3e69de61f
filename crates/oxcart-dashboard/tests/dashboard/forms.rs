//! Forms of our pages are carried out; those of other sites are not.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::rig::{Browser, HOST_NAME, OPERATOR, Program, Rig, VIEWER, ask};

#[tokio::test]
async fn a_form_of_our_page_is_carried_out_and_says_so() {
    let rig = Rig::new().await;
    let browser = Browser::signed_in(&rig.router(), "", OPERATOR).await;
    browser.get("/queues/mail").await.expect(200);
    let answer = browser.submit("/queues/mail/pause", &[]).await.expect(303);
    assert_eq!(answer.header("location"), "/queues/mail");
    assert!(rig.queue.counts().await.unwrap().paused);
    let page = browser.get("/queues/mail").await.expect(200);
    assert!(page.text.contains("The queue is paused."), "{}", page.text);
    // It is said once.
    let page = browser.get("/queues/mail").await.expect(200);
    assert!(!page.text.contains("The queue is paused."));
    let back = [("back", "/queues/mail/jobs?state=dead")];
    let answer = browser
        .submit("/queues/mail/resume", &back)
        .await
        .expect(303);
    assert_eq!(answer.header("location"), "/queues/mail/jobs?state=dead");
    let entries = rig.queue.audit().await.unwrap();
    let who: Vec<_> = entries
        .iter()
        .map(|it| (&*it.operator, &*it.action))
        .collect();
    assert_eq!(who, [("oda", "resume"), ("oda", "pause")]);
}

/// The script of the page that is left reads that page again, because the form has changed something.
#[tokio::test]
async fn what_was_done_is_told_to_a_page_that_is_opened_and_not_to_a_script() {
    let rig = Rig::new().await;
    let router = rig.router();
    let read = async |what: &str| {
        let request = Request::get("/")
            .header("authorization", format!("Bearer {OPERATOR}"))
            .header("host", HOST_NAME)
            .header("cookie", "oxcart_notice=It%20is%20done")
            .header("sec-fetch-dest", what);
        let answer = ask(&router, request.body(Body::empty()).unwrap()).await;
        let answer = answer.expect(200);
        let is_told = answer.text.contains("It is done");
        let is_taken = format!("{:?}", answer.headers).contains("oxcart_notice=");
        (is_told, is_taken)
    };
    assert_eq!(read("empty").await, (false, false));
    assert_eq!(read("document").await, (true, true));
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let rig = Rig::new().await;
    let browser = Browser::signed_in(&rig.router(), "", OPERATOR).await;
    browser.get("/").await.expect(200);
    let csrf = browser.cookie("oxcart_csrf").unwrap();
    let body = format!("csrf={csrf}");
    let path = "/queues/mail/pause";
    for site in ["cross-site", "same-site", "none"] {
        browser
            .send("POST", path, body.clone(), site)
            .await
            .expect(403);
    }
    for wrong in ["", "csrf=", "csrf=00000000000000000000000000000000"] {
        let answer = browser.send("POST", path, wrong.to_owned(), "same-origin");
        answer.await.expect(403);
    }
    browser
        .send("POST", "/login", format!("token={VIEWER}"), "cross-site")
        .await
        .expect(403);
    assert!(!rig.queue.counts().await.unwrap().paused);
    browser
        .send("POST", path, body, "same-origin")
        .await
        .expect(303);
}

#[tokio::test]
async fn a_body_is_bounded_and_understood() {
    let rig = Rig::new().await;
    let router = rig.router();
    let program = Program::new(&router, OPERATOR);
    let path = "/api/queues/mail/pause";
    let large = json!({ "name": "x".repeat(70_000) });
    program.post(path, large).await.expect(413);
    program.post(path, json!([1, 2])).await.expect(400);
    program
        .post("/api/queues/mail/bulk", json!({"action": "explode"}))
        .await
        .expect(400);
    program
        .post("/api/queues/mail/bulk", json!({"action": "cancel"}))
        .await
        .expect(400);
    program
        .get("/api/queues/mail/jobs?state=nowhere")
        .await
        .expect(400);
    program
        .get("/api/queues/mail/jobs?after=nowhere")
        .await
        .expect(400);
    program
        .get("/api/queues/mail/jobs?older=soon")
        .await
        .expect(400);
    program
        .get("/api/queues/mail/jobs/no%20job")
        .await
        .expect(400);
    program.get("/api/queues/%00/jobs").await.expect(400);
    program.get("/api/tasks/x").await.expect(400);
    program.get("/api/tasks/77").await.expect(404);
    assert!(!rig.queue.counts().await.unwrap().paused);
}
