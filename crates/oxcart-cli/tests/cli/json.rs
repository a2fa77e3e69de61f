//! What `--json` prints is what the schemas say.

use std::path::PathBuf;

use serde_json::Value;

use crate::rig::{Charge, HOUR, Rig};

fn schema(name: &str) -> jsonschema::Validator {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[track_caller]
pub(crate) fn check(name: &str, objects: &[Value]) {
    assert!(!objects.is_empty(), "nothing to check as {name}");
    let schema = schema(name);
    for object in objects {
        let errors: Vec<_> = schema
            .iter_errors(object)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}\n{object}");
    }
}

#[tokio::test]
async fn every_command_prints_what_its_schema_says() {
    let rig = Rig::filled().await;
    let dead = rig.ids("dead");
    let waiting = rig.ids("waiting");
    let delayed = rig.queue.enqueue(Charge::new(1)).delay(HOUR).await.unwrap();
    let delayed = delayed.id().as_str();
    for (name, args) in [
        ("queue", &["queue", "ls"][..]),
        ("queue", &["queue", "show", "billing"]),
        ("history", &["queue", "history", "billing", "--last", "2h"]),
        ("settings", &["queue", "settings", "billing"]),
        (
            "settings",
            &["queue", "settings", "billing", "--max-stalls", "3"],
        ),
        (
            "settings",
            &[
                "queue",
                "settings",
                "billing",
                "--keep-dead",
                "30d",
                "--keep-dead-at-most",
                "100",
            ],
        ),
        ("pause", &["queue", "pause", "billing"]),
        ("pause", &["queue", "resume", "billing"]),
        ("group", &["group", "ls", "billing"]),
        ("group", &["group", "show", "billing", "tenant-7"]),
        (
            "group",
            &["group", "concurrency", "billing", "tenant-7", "2"],
        ),
        ("group", &["group", "rate", "billing", "tenant-7", "10/1s"]),
        ("pause", &["group", "pause", "billing", "tenant-7"]),
        ("pause", &["group", "resume", "billing", "tenant-7"]),
        ("job", &["job", "ls", "billing", "--all"]),
        ("job", &["job", "show", "billing", &dead[0]]),
        ("job", &["dead", "ls", "billing"]),
        ("job", &["dead", "show", "billing", &dead[0]]),
        ("dead-group", &["dead", "groups", "billing"]),
        ("dead-letter", &["dead", "export", "billing"]),
        ("audit-entry", &["audit", "billing"]),
        ("enqueued", &["job", "enqueue", "billing", "charge", "[1]"]),
        (
            "change",
            &["job", "edit", "billing", delayed, "--priority", "1"],
        ),
        ("change", &["job", "promote", "billing", delayed]),
        ("tally", &["job", "cancel", "billing", delayed, "--yes"]),
        ("tally", &["job", "remove", "billing", delayed, "--yes"]),
        ("tally", &["dead", "replay", "billing", &dead[0]]),
        (
            "tally",
            &["dead", "replay", "billing", "--all", "--dry-run"],
        ),
        ("tally", &["dead", "remove", "billing", &dead[1], "--yes"]),
        (
            "tally",
            &["dead", "purge", "billing", "--older-than", "1h", "--yes"],
        ),
        ("schedule", &["schedule", "ls", "billing"]),
        ("schedule", &["schedule", "show", "billing", "pulse"]),
        ("pause", &["schedule", "pause", "billing", "pulse"]),
        ("pause", &["schedule", "resume", "billing", "pulse"]),
        ("trigger", &["schedule", "trigger", "billing", "pulse"]),
        (
            "removed-schedule",
            &["schedule", "remove", "billing", "pulse", "--yes"],
        ),
        (
            "event",
            &["events", "billing", "--after", "0-0", "-n", "30"],
        ),
        ("orphans", &["queue", "orphans", "billing", "--put-back"]),
        ("bench", &["bench", "-n", "50"]),
        (
            "deleted",
            &["queue", "delete", "mail", "--with-jobs", "--yes"],
        ),
    ] {
        let said = rig.run(&[args, &["--json"]].concat()).expect(0);
        assert_eq!(said.err, "", "{args:?}");
        check(name, &said.objects());
    }
    for args in [
        &["job", "promote", "billing", "--all", "--yes"][..],
        &[
            "queue",
            "clean",
            "mail",
            "--state",
            "waiting",
            "--older-than",
            "0s",
            "--yes",
        ],
        &["queue", "drain", "mail", "--delayed", "--yes"],
        &["queue", "move", "mail", "billing", "--yes"],
        &[
            "queue",
            "move",
            "mail",
            "bulk",
            "--new-queue",
            "--state",
            "waiting,dead",
            "--yes",
        ],
    ] {
        let mail = rig.open("mail").await;
        mail.enqueue(Charge::new(70)).await.unwrap();
        let said = rig.run(&[args, &["--json"]].concat()).expect(0);
        check("tally", &said.objects());
    }
    check(
        "finding",
        &rig.run(&["doctor", "--json"]).expect(5).objects(),
    );
    let left_alone = rig
        .run(&["job", "promote", "billing", &dead[2], "--json"])
        .expect(1);
    check("change", &left_alone.objects());
    let more = rig
        .run(&["job", "ls", "billing", "-n", "1", "--json"])
        .expect(0);
    check("next", &[serde_json::from_str(&more.err).unwrap()]);
    let key: Vec<String> = rig.server.ask(&["KEYS", "*billing*:waiting*"]);
    rig.server.cli(&["DEL", &key[0]]);
    check(
        "orphan",
        &rig.run(&["queue", "orphans", "billing", "--json"])
            .expect(0)
            .objects(),
    );
    for (exit, args) in [
        (1, &["job", "promote", "billing", &dead[2]][..]),
        (2, &["dead", "replay", "billing"]),
        (2, &["job", "enqueue", "billing", "charge", "{"]),
        (3, &["queue", "show", "biling"]),
        (3, &["job", "show", "billing", &waiting[0][1..]]),
    ] {
        let said = rig.run(&[args, &["--json"]].concat()).expect(exit);
        let error: Value = serde_json::from_str(&said.err).unwrap();
        assert_eq!(error["exit"], exit);
        check("error", &[error]);
    }
}

#[tokio::test]
async fn a_worker_is_told_as_its_schema_says() {
    let rig = Rig::new().await;
    let mut told = Vec::new();
    rig.work_until(async || {
        let said = rig.run(&["worker", "ls", "billing", "--json"]).expect(0);
        told = said.objects();
        !told.is_empty()
    })
    .await;
    check("worker", &told);
    let worker = &told[0];
    assert_eq!(worker["handlers"], serde_json::json!(["charge"]));
    assert_eq!(worker["process"], std::process::id());
    assert_eq!(rig.run(&["worker", "ls", "--json"]).expect(0).out, "");
    rig.run(&["worker", "ls", "biling"]).expect(3);
}

/// The handlers of the rig say which order they charge.
#[tokio::test]
async fn the_log_of_a_job_is_told_as_its_schema_says_and_followed_to_its_end() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(Charge::new(7)).await.unwrap();
    let id = job.id().as_str();
    assert_eq!(rig.run(&["job", "logs", "billing", id]).expect(0).out, "");
    let mut followed = rig.program();
    followed.args(["job", "logs", "billing", id, "--follow", "--json"]);
    let followed = followed
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    rig.work_until(async || job.info().await.unwrap().unwrap().ended.is_some())
        .await;
    let followed = crate::rig::Said::from(followed.wait_with_output().unwrap()).expect(0);
    let lines = followed.objects();
    check("log-line", &lines);
    let told: Vec<_> = lines.iter().map(|line| line["text"].clone()).collect();
    assert_eq!(told, ["order 7", "asks\nthe card"]);
    let rest = ["job", "logs", "billing", id, "--after", "1"];
    let rest = rig.run(&rest).expect(0).out;
    assert!(rest.ends_with("  1  asks the card\n"), "{rest}");
    rig.run(&["job", "logs", "billing", "nobody"]).expect(3);
}

#[test]
fn each_schema_is_checked() {
    let here = concat!(
        include_str!("json.rs"),
        include_str!("alerts.rs"),
        include_str!("breakers.rs"),
        include_str!("cloud_events.rs"),
        include_str!("durable.rs"),
        include_str!("sagas.rs"),
        include_str!("topics.rs")
    );
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema");
    let mut number = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file
            .unwrap()
            .path()
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        assert!(here.contains(&format!("\"{name}\"")), "{name}");
        number += 1;
    }
    assert!(number > 15, "{number}");
}
