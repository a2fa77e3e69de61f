//! The JSON API is what its description says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::rig::{ADMIN, Program, Rig, Send};

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
