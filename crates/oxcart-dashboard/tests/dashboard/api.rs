//! The JSON API is what its description says.

use std::collections::BTreeSet;

use oxcart::{Failure, Flow, Job, JobState, Saga, Worker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rig::{ADMIN, PATIENCE, Program, Rig, Send};
use crate::support::eventually_async;

/// The schema of an answer, with all that it refers to.
fn schema(description: &Value, path: &str, method: &str, status: &str) -> Value {
    let operation = &description["paths"][path][method];
    let schema = &operation["responses"][status]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} is not described");
    let mut schema = schema.clone();
    schema["components"] = description["components"].clone();
    schema
}

#[track_caller]
fn check(description: &Value, path: &str, answer: &Value) {
    let schema = schema(description, path, "get", "200");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(answer)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{path}: {errors:#?}\n{answer:#}");
}

#[tokio::test]
async fn every_answer_is_what_the_description_says() {
    let rig = Rig::new().await;
    rig.queue.enqueue(Send::failing("disk full")).await.unwrap();
    rig.until_dead(1).await;
    let hour = std::time::Duration::from_secs(3_600);
    let schedule = rig.queue.schedule("nightly").every(hour);
    schedule.job(Send::to("ada")).await.unwrap();
    rig.queue
        .enqueue(Send::to("ada"))
        .group("g")
        .delay(hour)
        .await
        .unwrap();
    let admin = Program::new(&rig.router(), ADMIN);
    admin
        .post("/api/queues/mail/pause", json!({}))
        .await
        .expect(200);
    let bulk = json!({"action": "replay", "state": "dead", "dry_run": true});
    admin.post("/api/queues/mail/bulk", bulk).await.expect(200);
    let dead = rig.queue.jobs(oxcart::JobState::Dead).await.unwrap();
    let id = dead.jobs[0].id.to_string();

    let description = admin.get("/api/openapi.json").await.expect(200).json();
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().unwrap();
    let mut read = BTreeSet::new();
    for (path, operations) in paths {
        let Some(_) = operations.get("get") else {
            continue;
        };
        let asked = path
            .replace("{queue}", "mail")
            .replace("{job}", &id)
            .replace("{task}", "1");
        let answer = admin.get(&asked).await.expect(200);
        check(&description, path, &answer.json());
        assert!(answer.header("oxcart-read-at").ends_with('Z'), "{path}");
        read.insert(asked);
    }
    for state in ["dead", "delayed", "completed"] {
        let asked = format!("/api/queues/mail/jobs?state={state}");
        let answer = admin.get(&asked).await.expect(200).json();
        check(&description, "/api/queues/{queue}/jobs", &answer);
        assert!(!answer["jobs"].as_array().unwrap().is_empty(), "{answer}");
    }
    assert!(read.len() >= 16);
}

/// Two steps, of which the second fails for good, and so does the undo of the first.
#[derive(Serialize, Deserialize)]
struct Fulfil;

impl Job for Fulfil {
    const NAME: &'static str = "fulfil";
    type Output = ();
}

async fn fulfil(_: Fulfil, saga: Saga) -> Result<(), Failure> {
    let pay = || async { Ok::<_, Failure>(7_u64) };
    saga.step("pay <b>", pay).undo(refund).await?;
    let ship = || async { Err::<(), _>(Failure::dead("no lorry")) };
    saga.step("ship", ship).await
}

async fn refund(_: u64) -> Result<(), Failure> {
    Err(Failure::dead("the bank is closed"))
}

#[tokio::test]
async fn a_job_is_shown_with_its_steps_and_its_children() {
    let rig = Rig::new().await;
    let flow = Flow::new(rig.queue.enqueue(Send::to("ada")));
    let flow = flow.child(rig.queue.enqueue(Fulfil)).await.unwrap();
    let worker = Worker::builder(&rig.queue).handle(fulfil).build().unwrap();
    let dead = eventually_async(PATIENCE, async || {
        rig.queue.counts().await.unwrap().dead == 1
    });
    worker.run_until(dead).await.unwrap();

    let admin = Program::new(&rig.router(), ADMIN);
    let description = admin.get("/api/openapi.json").await.expect(200).json();
    let path = "/api/queues/{queue}/jobs/{job}";
    let read = async |id: &str| {
        let job = admin.get(&format!("/api/queues/mail/jobs/{id}")).await;
        let job = job.expect(200).json();
        check(&description, path, &job);
        let page = admin.get(&format!("/queues/mail/jobs/{id}")).await;
        (job, page.expect(200).text)
    };
    let (parent, page) = read(flow.id().as_str()).await;
    let children = parent["children"].as_array().unwrap();
    assert_eq!(children.len(), 1);
    assert_eq!(parent["saga"], Value::Null);
    let id = children[0]["id"].as_str().unwrap();
    assert!(
        page.contains(&format!("/queues/mail/jobs/{id}\"")),
        "{page}"
    );
    assert!(page.contains("0 of 1 job ended, 1 dead"), "{page}");

    let (saga, page) = read(id).await;
    assert_eq!(saga["parent"], flow.id().as_str());
    assert_eq!(
        (&saga["saga"]["state"], &saga["saga"]["reason"]),
        (&json!("stuck"), &json!("no lorry"))
    );
    let steps = saga["steps"].as_array().unwrap().iter();
    let steps: Vec<_> = steps.map(|step| (&step["name"], &step["state"])).collect();
    assert_eq!(
        steps,
        [
            (&json!("pay <b>"), &json!("done")),
            (&json!("ship"), &json!("failed"))
        ]
    );
    assert!(
        page.contains("pay &lt;b&gt;") && page.contains("Leave out its undo"),
        "{page}"
    );

    // As an operator does who has undone it by hand.
    let id = oxcart::JobId::new(id).unwrap();
    rig.queue.saga(&id).skip_undo("pay <b>").await.unwrap();
    let replayed = rig.queue.replay(&id).await.unwrap();
    assert_eq!(replayed, oxcart::Changed::Done);
    let worker = Worker::builder(&rig.queue).handle(fulfil).build().unwrap();
    let cancelled = eventually_async(PATIENCE, async || {
        let job = rig.queue.job(&id).await.unwrap().unwrap();
        job.state == JobState::Cancelled
    });
    worker.run_until(cancelled).await.unwrap();
    // Another dashboard has read nothing before.
    let admin = Program::new(&rig.router(), ADMIN);
    let job = admin.get(&format!("/api/queues/mail/jobs/{id}")).await;
    let job = job.expect(200).json();
    check(&description, path, &job);
    assert_eq!(job["ended"]["how"], "compensated");
    let parent = admin
        .get(&format!("/api/queues/mail/jobs/{}", flow.id()))
        .await;
    let parent = parent.expect(200).json();
    assert_eq!(parent["children"][0]["ended"]["how"], "compensated");
}

#[tokio::test]
async fn what_is_described_is_there_and_nothing_else() {
    let description: Value = serde_json::from_str(include_str!("../../api/openapi.json")).unwrap();
    let described: BTreeSet<(String, String)> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            let methods = operations.as_object().unwrap().keys();
            methods.map(move |method| (method.clone(), path.clone()))
        })
        .collect();
    let routes: BTreeSet<(String, String)> = oxcart_dashboard::api_routes()
        .map(|(method, path)| (method.to_owned(), path))
        .collect();
    assert_eq!(described, routes);
}

#[tokio::test]
async fn an_error_says_what_is_wrong_in_json() {
    let rig = Rig::new().await;
    let admin = Program::new(&rig.router(), ADMIN);
    for (path, status, kind) in [
        ("/api/queues/nope", 404, "not-found"),
        ("/api/queues/mail/jobs/nope", 404, "not-found"),
        ("/api/queues/mail/jobs?failed=x", 400, "invalid"),
        ("/api/nowhere", 404, "not-found"),
    ] {
        let error = admin.get(path).await.expect(status).json();
        assert_eq!(error["error"]["kind"], kind, "{error}");
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    }
}

/// Larger than what Redis and its scripts count with.
#[tokio::test]
async fn the_page_of_the_audit_before_any_number_is_there() {
    let rig = Rig::new().await;
    let admin = Program::new(&rig.router(), ADMIN);
    admin
        .post("/api/queues/mail/pause", json!({}))
        .await
        .expect(200);
    for before in [u64::MAX, 1 << 53, (1 << 53) - 1] {
        let path = format!("/api/queues/mail/audit?before={before}");
        let audit = admin.get(&path).await.expect(200).json();
        assert_eq!(audit["entries"][0]["number"], 1, "{before}");
    }
}

#[tokio::test]
async fn metrics_are_there_for_prometheus() {
    let rig = Rig::new().await;
    let admin = Program::new(&rig.router(), ADMIN);
    let metrics = admin.get("/metrics").await.expect(200);
    assert!(
        metrics
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let line = "oxcart_jobs_in_state{queue=\"mail\",state=\"waiting\"} 1\n";
    assert!(metrics.text.contains(line), "{}", metrics.text);
    crate::promtool::assert_accepts(&metrics.text);
}
