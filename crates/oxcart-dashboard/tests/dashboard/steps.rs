//! What a job has done in steps, what it waits for, and what somebody may do about it; what queues have for others.

use std::time::Duration;

use oxcart::{Context, Failure, Job, JobId, JobState, Saga, Worker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rig::{ADMIN, BILLING, Browser, OPERATOR, PATIENCE, Program, Rig, VIEWER};
use crate::support::eventually_async;

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Serialize, Deserialize)]
struct Order;

impl Job for Order {
    const NAME: &'static str = "order";
    type Output = Value;
}

async fn order(_: Order, context: Context) -> Result<Value, Failure> {
    context.checkpoint(&7).await?;
    let charge = async || Ok("s3cret receipt".to_owned());
    context.step("charge <b>", charge).await?;
    let given = context.wait_for("approved", HOUR).await?;
    Ok(given.unwrap_or(Value::Null))
}

#[derive(Serialize, Deserialize)]
struct Fulfil;

impl Job for Fulfil {
    const NAME: &'static str = "fulfil";
    type Output = ();
}

async fn fulfil(_: Fulfil, saga: Saga) -> Result<(), Failure> {
    let pay = || async { Ok::<_, Failure>(7_u64) };
    saga.step("pay", pay).undo(refund).await?;
    let ship = || async { Err::<(), _>(Failure::dead("no lorry")) };
    saga.step("ship", ship).await
}

async fn refund(_: u64) -> Result<(), Failure> {
    Err(Failure::dead("the bank is closed"))
}

async fn work_until(rig: &Rig, id: &JobId, state: JobState) {
    let worker = Worker::builder(&rig.queue).handle(order).handle(fulfil);
    let reached = eventually_async(PATIENCE, async || {
        rig.queue.job(id).await.unwrap().unwrap().state == state
    });
    worker.build().unwrap().run_until(reached).await.unwrap();
}

#[tokio::test]
async fn a_job_gets_the_signal_for_which_it_waits() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(Order).await.unwrap();
    let id = job.id();
    work_until(&rig, id, JobState::Delayed).await;
    let router = rig.router();
    let [viewer, operator] = [VIEWER, OPERATOR].map(|token| Program::new(&router, token));
    let path = format!("/api/queues/mail/jobs/{id}");
    let shown = viewer.get(&path).await.expect(200).json();
    assert_eq!(shown["stands"], "It waits for the signal `approved`.");
    assert_eq!(shown["checkpoint_bytes"], 1);
    let steps = &shown["steps"];
    assert_eq!(
        (&steps[0]["state"], &steps[0]["bytes"]),
        (&json!("done"), &json!(15))
    );
    assert_eq!(
        (&steps[1]["name"], &steps[1]["state"]),
        (&json!("approved"), &json!("waiting"))
    );
    assert_eq!(steps[1]["due"], shown["line"]["due_at"]);
    let page = |who: &Program| {
        let path = format!("/queues/mail/jobs/{id}");
        let who = Program::new(&who.router, who.token);
        async move { who.get(&path).await.expect(200).text }
    };
    let seen = page(&viewer).await;
    assert!(
        seen.contains("charge &lt;b&gt;") && !seen.contains("s3cret"),
        "{seen}"
    );
    assert!(!seen.contains("/signal\""), "{seen}");
    assert!(page(&operator).await.contains("/signal\""));

    let signal = format!("{path}/signal");
    let body = json!({ "name": "approved", "payload": "by Ana" });
    viewer.post(&signal, body.clone()).await.expect(403);
    let other = json!({ "name": "aproved" });
    let refused = operator.post(&signal, other).await.expect(409);
    assert!(
        refused.text.contains("does not wait for the signal"),
        "{}",
        refused.text
    );
    let browser = Browser::signed_in(&router, "", OPERATOR).await;
    browser.get("/").await;
    let form = format!("/queues/mail/jobs/{id}/signal");
    let no_json = [("name", "approved"), ("payload", "by Ana")];
    browser.submit(&form, &no_json).await.expect(400);
    operator.post(&signal, body.clone()).await.expect(200);
    operator.post(&signal, body).await.expect(409);
    let audit = rig.queue.audit().await.unwrap();
    let target = format!("{id} approved");
    assert_eq!(
        (&*audit[0].operator, &*audit[0].action, &*audit[0].target),
        ("oda", "signal", &*target)
    );
    work_until(&rig, id, JobState::Completed).await;
    let result: Option<Value> = job.info().await.unwrap().unwrap().result().unwrap();
    assert_eq!(result, Some(json!("by Ana")));
    let ended = json!({ "name": "approved" });
    operator.post(&signal, ended).await.expect(409);
    let missing = "/api/queues/mail/jobs/nobody/signal";
    operator
        .post(missing, json!({ "name": "x" }))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_stuck_saga_goes_on_without_an_undo() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(Fulfil).await.unwrap();
    let id = job.id();
    work_until(&rig, id, JobState::Dead).await;
    let router = rig.router();
    let browser = Browser::signed_in(&router, "", OPERATOR).await;
    let path = format!("/queues/mail/jobs/{id}");
    let page = browser.get(&path).await.expect(200).text;
    let skip = format!("{path}/skip");
    assert_eq!(page.matches(&format!("\"{skip}\"")).count(), 1, "{page}");
    assert!(
        page.contains("Go on undoing") && page.contains("value=\"pay\""),
        "{page}"
    );
    let viewer = Browser::signed_in(&router, "", VIEWER).await;
    assert!(!viewer.get(&path).await.expect(200).text.contains("/skip\""));
    viewer.submit(&skip, &[("step", "pay")]).await.expect(403);

    browser.submit(&skip, &[("step", "ship")]).await.expect(409);
    browser.submit(&skip, &[("stepp", "pay")]).await.expect(400);
    let answer = browser.submit(&skip, &[("step", "pay")]).await.expect(303);
    assert_eq!(answer.header("location"), path);
    let admin = Program::new(&router, ADMIN);
    let shown = admin.get(&format!("/api{path}")).await.expect(200).json();
    assert_eq!(shown["steps"][0]["state"], "skipped");
    let audit = rig.queue.audit().await.unwrap();
    assert_eq!(
        (&*audit[0].operator, &*audit[0].action),
        ("oda", "skip undo")
    );
    browser
        .submit(&format!("{path}/replay"), &[])
        .await
        .expect(303);
    work_until(&rig, id, JobState::Cancelled).await;
    browser.submit(&skip, &[("step", "pay")]).await.expect(409);
}

/// Puts a message of the year 2023 for another queue into the outbox of `mail`, as scripts do.
fn plant_message(rig: &Rig, to: &str) {
    const POSITION: &str = "1700000000000000";
    let meta: Vec<String> = rig.server.ask(&["KEYS", "*mail*:meta*"]);
    let member = format!("{to}\0{POSITION}\0job ");
    let client = redis::Client::open(rig.server.socket_url()).unwrap();
    let mut put = redis::pipe();
    put.cmd("ZADD").arg(meta[0].replace("meta", "outbox"));
    put.arg(0).arg(member);
    put.cmd("HSET").arg(&meta[0]).arg("sent").arg(POSITION);
    put.exec(&mut client.get_connection().unwrap()).unwrap();
}

#[tokio::test]
async fn what_a_queue_has_for_others_is_told_to_those_who_know_them() {
    let rig = Rig::new().await;
    rig.enqueue("billing").await;
    let router = rig.router();
    let viewer = Program::new(&router, VIEWER);
    let queue = viewer.get("/api/queues/mail").await.expect(200).json();
    assert_eq!(queue["line"]["outbox"], json!([]));
    assert!(
        !viewer
            .get("/queues/mail")
            .await
            .expect(200)
            .text
            .contains("Outbox")
    );

    plant_message(&rig, "bi<lls");
    // Another dashboard has read nothing before.
    let router = rig.router();
    let viewer = Program::new(&router, VIEWER);
    let queue = viewer.get("/api/queues/mail").await.expect(200).json();
    let outbox = &queue["line"]["outbox"];
    assert_eq!(
        (&outbox[0]["queue"], &outbox[0]["messages"]),
        (&json!("bi<lls"), &json!(1))
    );
    let problems = queue["line"]["problems"].to_string();
    assert!(
        problems.contains("messages for another queue wait"),
        "{problems}"
    );
    let page = viewer.get("/queues/mail").await.expect(200).text;
    assert!(
        page.contains("Outbox") && page.contains("bi&lt;lls"),
        "{page}"
    );
    let metrics = viewer.get("/metrics").await.expect(200).text;
    let wanted = "oxcart_outbox_messages{queue=\"mail\",target=\"bi<lls\"} 1\n";
    assert!(metrics.contains(wanted), "{metrics}");
    crate::promtool::assert_accepts(&metrics);

    // Who sees one queue does not learn of others.
    let access = oxcart_dashboard::Access::nowhere("pia");
    let access = access.in_queue("mail", oxcart_dashboard::Role::Admin);
    let dashboard = oxcart_dashboard::Dashboard::new(&rig.oxcart);
    let only_mail = dashboard.token(BILLING, access).unwrap().router();
    let pia = Program::new(&only_mail, BILLING);
    for path in [
        "/api/queues/mail",
        "/queues/mail",
        "/api/overview",
        "/metrics",
    ] {
        let told = pia.get(path).await.expect(200).text;
        let names_it = ["bi<", "bi&lt;", "bi\\u003c"]
            .iter()
            .any(|name| told.contains(name));
        assert!(told.contains("mail") && !names_it, "{path}: {told}");
    }
}
