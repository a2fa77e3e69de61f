//! Verbs that change something.

use std::time::Duration;

use oxcart::{JobState, Rate};
use serde_json::json;

use crate::rig::{Charge, HOUR, Rig};
use crate::support::Server;

#[tokio::test]
async fn a_job_is_enqueued_with_a_key_an_order_and_an_end() {
    let rig = Rig::filled().await;
    let enqueue = |args: &[&str]| {
        let args = [&["job", "enqueue", "billing", "charge", "{}"], args].concat();
        rig.run(&args)
    };
    let keyed = ["--unique", "user-7", "--expires-in", "1h", "--weight", "2"];
    let first = enqueue(&[&keyed[..], &["--id", "first", "--json"]].concat()).expect(0);
    assert_eq!(first.object()["new"], true);
    let second = enqueue(&[&keyed[..], &["--json"]].concat())
        .expect(0)
        .object();
    assert_eq!(
        (&second["id"], &second["new"]),
        (&json!("first"), &json!(false))
    );
    let told = enqueue(&keyed).expect(0).out;
    assert!(
        told.contains("first") && told.contains("has this unique key"),
        "{told}"
    );
    enqueue(&["--ordered-by", "a", "--on-failure", "halt"]).expect(0);
    enqueue(&["--on-failure", "halt"]).expect(2);
    enqueue(&["--ordered-by", "a", "--on-failure", "perhaps"]).expect(2);
    let events = rig.run(&["events", "billing", "--event", "ded"]).expect(2);
    assert!(events.err.contains("dead"), "{}", events.err);
}

#[tokio::test]
async fn a_job_is_enqueued_by_its_name_and_runs() {
    let rig = Rig::without_queue(Server::start()).await;
    let enqueue = |args: &[&str]| {
        let args = [&["job", "enqueue", "billing", "charge"], args].concat();
        rig.run(&args)
    };
    enqueue(&[r#"{"order": 1}"#]).expect(3);
    let first = enqueue(&[r#"{"order": 1}"#, "--new-queue", "--id", "first", "--json"]).expect(0);
    assert_eq!(first.object()["id"], "first");
    let again = enqueue(&["{}", "--id", "first"]).expect(0);
    assert!(again.out.contains("already"), "{}", again.out);
    let args = [
        "-",
        "--priority",
        "7",
        "--attempts",
        "2",
        "--delay",
        "1h",
        "--timeout",
        "30s",
        "--keep",
        "2d",
    ];
    let more = [
        "--group",
        "tenant-7",
        "--header",
        "trace=abc",
        "--id",
        "second",
    ];
    let args = [&["job", "enqueue", "billing", "charge"][..], &args, &more].concat();
    rig.run_with(&args, r#"{"order": 2}"#).expect(0);
    rig.run(&[
        "job",
        "enqueue",
        "billing",
        "charge",
        r#"{"order": 3}"#,
        "--ordered-by",
        "a",
    ])
    .expect(0);

    let second = rig
        .run(&["job", "show", "billing", "second", "--json"])
        .expect(0)
        .object();
    assert_eq!(
        (&second["state"], &second["priority"]),
        (&json!("delayed"), &json!(7))
    );
    assert_eq!(
        (&second["attempts"], &second["timeout_ms"]),
        (&json!(2), &json!(30_000))
    );
    assert_eq!(
        (&second["group"], &second["headers"]),
        (&json!("tenant-7"), &json!({"trace": "abc"}))
    );
    assert_eq!(second["payload"], json!({"order": 2}));
    rig.work_until(async || rig.queue.counts().await.unwrap().completed == 2)
        .await;
    let first = rig
        .run(&["job", "show", "billing", "first", "--json"])
        .expect(0)
        .object();
    assert_eq!(first["result"], "receipt 1");
}

#[tokio::test]
async fn a_job_is_edited_promoted_cancelled_and_removed() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(Charge::new(1)).delay(HOUR).await.unwrap();
    let id = job.id().as_str();
    let edit = [
        "job",
        "edit",
        "billing",
        id,
        "--payload",
        r#"{"order":9}"#,
        "--priority",
        "3",
        "--attempts",
        "1",
    ];
    rig.run(&edit).expect(0);
    let info = job.info().await.unwrap().unwrap();
    assert_eq!(
        (
            info.priority,
            info.attempts,
            info.payload::<Charge>().unwrap().order
        ),
        (3, 1, 9)
    );
    rig.run(&["job", "promote", "billing", id]).expect(0);
    assert_eq!(job.info().await.unwrap().unwrap().state, JobState::Waiting);
    rig.run(&["job", "edit", "billing", id, "--delay", "2h"])
        .expect(0);
    assert_eq!(job.info().await.unwrap().unwrap().state, JobState::Delayed);
    rig.run(&[
        "job",
        "cancel",
        "billing",
        id,
        "--reason",
        "not wanted",
        "--yes",
    ])
    .expect(0);
    let shown = rig
        .run(&["job", "show", "billing", id, "--json"])
        .expect(0)
        .object();
    assert_eq!(
        shown["ended"],
        json!({"how": "cancelled", "reason": "not wanted"})
    );
    rig.run(&["job", "remove", "billing", id, "--yes"])
        .expect(0);
    assert!(job.info().await.unwrap().is_none());
}

#[tokio::test]
async fn a_queue_is_paused_set_and_deleted() {
    let rig = Rig::filled().await;
    for (verb, paused) in [
        ("pause", true),
        ("pause", true),
        ("resume", false),
        ("resume", false),
    ] {
        rig.run(&["queue", verb, "billing"]).expect(0);
        assert_eq!(rig.queue.counts().await.unwrap().paused, paused);
    }
    let set = [
        "queue",
        "settings",
        "billing",
        "--keep-completed",
        "2h",
        "--keep-at-most",
        "unlimited",
    ];
    let more = [
        "--group-rate",
        "10/1m/smooth",
        "--max-stalls",
        "7",
        "--keep-events",
        "5000",
        "--group-concurrency",
        "3",
        "--rate",
        "100/1s",
        "--json",
    ];
    let now = rig.run(&[&set[..], &more].concat()).expect(0).object();
    assert_eq!(
        (&now["keep_completed_ms"], &now["keep_at_most"]),
        (&json!(7_200_000), &json!(null))
    );
    assert_eq!(
        (&now["group_concurrency"], &now["set_by"]["max_stalls"]),
        (&json!(3), &json!("operator"))
    );
    assert_eq!(
        (&now["rate"], &now["concurrency"]),
        (&json!("100/1s"), &json!(null))
    );
    assert_eq!(
        (&now["group_rate"], &now["set_by"]["group_rate"]),
        (&json!("10/1m/smooth"), &json!("operator"))
    );
    let one = ["queue", "settings", "billing", "--concurrency", "5"];
    let both = rig
        .run(&[&one[..], &["--json"]].concat())
        .expect(0)
        .object();
    assert_eq!(
        (
            &both["rate"],
            &both["concurrency"],
            &both["set_by"]["concurrency"]
        ),
        (&json!("100/1s"), &json!(5), &json!("operator"))
    );
    let none = ["queue", "settings", "billing", "--rate", "unlimited"];
    let none = rig
        .run(&[&none[..], &["--json"]].concat())
        .expect(0)
        .object();
    assert_eq!(
        (&none["rate"], &none["concurrency"]),
        (&json!(null), &json!(5))
    );
    let set = [
        "queue",
        "settings",
        "billing",
        "--group-concurrency",
        "unlimited",
        "--keep-completed",
        "nothing",
    ];
    let shown = rig.run(&set).expect(0).out;
    assert!(shown.contains("keep_completed     nothing"), "{shown}");
    let deleted = rig
        .run(&[
            "queue",
            "delete",
            "billing",
            "--with-jobs",
            "--yes",
            "--json",
        ])
        .expect(0)
        .object();
    assert_eq!(
        (&deleted["dead"], &deleted["schedules"]),
        (&json!(4), &json!(2))
    );
    assert_eq!(rig.oxcart.queues().await.unwrap(), ["mail"]);
}

#[tokio::test]
async fn a_group_is_paused_and_limited() {
    let rig = Rig::filled().await;
    let group = rig.queue.group("tenant-7").unwrap();
    rig.run(&["group", "pause", "billing", "tenant-7"])
        .expect(0);
    assert!(group.info().await.unwrap().paused);
    rig.run(&["group", "resume", "billing", "tenant-7"])
        .expect(0);
    rig.run(&["group", "concurrency", "billing", "tenant-7", "2"])
        .expect(0);
    let info = group.info().await.unwrap();
    assert_eq!((info.paused, info.concurrency), (false, Some(2)));
    let listed = rig
        .run(&["group", "ls", "billing", "--json"])
        .expect(0)
        .object();
    assert_eq!(
        (&listed["waiting"], &listed["concurrency"]),
        (&json!(3), &json!(2))
    );
    rig.run(&["group", "concurrency", "billing", "tenant-7", "default"])
        .expect(0);
    assert_eq!(group.info().await.unwrap().concurrency, None);
    rig.run(&["group", "rate", "billing", "tenant-7", "10/1s"])
        .expect(0);
    let rate = group.info().await.unwrap().rate;
    assert_eq!(rate, Some(Rate::burst(10, Duration::from_secs(1))));
    rig.run(&["group", "rate", "billing", "tenant-7", "default"])
        .expect(0);
    assert_eq!(group.info().await.unwrap().rate, None);
    rig.run(&["group", "pause", "billing", "tenant-8", "--new-group"])
        .expect(0);
    assert!(
        rig.queue
            .group("tenant-8")
            .unwrap()
            .info()
            .await
            .unwrap()
            .paused
    );
}

#[tokio::test]
async fn a_schedule_is_paused_triggered_and_removed() {
    let rig = Rig::filled().await;
    let nightly = rig.queue.schedule("nightly");
    for (verb, paused) in [("pause", true), ("resume", false)] {
        rig.run(&["schedule", verb, "billing", "nightly"]).expect(0);
        assert_eq!(nightly.info().await.unwrap().unwrap().paused, paused);
    }
    let made = rig
        .run(&["schedule", "trigger", "billing", "nightly", "--json"])
        .expect(0)
        .object();
    let id = made["job_id"].as_str().unwrap();
    assert!(rig.ids("waiting").iter().any(|waiting| waiting == id));
    rig.run(&["schedule", "rm", "billing", "nightly", "--yes"])
        .expect(0);
    assert!(nightly.info().await.unwrap().is_none());
}

#[tokio::test]
async fn orphans_are_listed_put_back_and_removed() {
    let rig = Rig::filled().await;
    let orphans = |option: &[&str]| {
        rig.run(&[&["queue", "orphans", "billing", "--yes"], option].concat())
            .expect(0)
    };
    // When the job of the group is gone, the next one of it gets in line.
    for (option, waiting) in [("--put-back", 4), ("--remove", 1)] {
        let key: Vec<String> = rig.server.ask(&["KEYS", "*billing*:waiting*"]);
        assert_eq!(rig.server.ask::<u64>(&["DEL", &key[0]]), 1, "{key:?}");
        assert_eq!(orphans(&[]).out.lines().count(), 4);
        let said = orphans(&[option, "--json"]).object();
        assert_eq!(said["done"], 4, "{option}");
        assert_eq!(rig.queue.counts().await.unwrap().waiting, waiting);
    }
}

#[tokio::test]
async fn a_queue_is_drained_and_cleaned_in_steps() {
    let rig = Rig::filled().await;
    let counts = async || rig.queue.counts().await.unwrap();
    let before = counts().await;
    rig.run(&["queue", "drain", "billing"]).expect(2);
    assert_eq!(counts().await, before);
    let drained = rig.run(&["queue", "drain", "billing", "--json", "--yes"]);
    let drained = drained.expect(0).object();
    assert_eq!(drained["done"], json!(before.waiting + before.blocked));
    assert_eq!((counts().await.waiting, counts().await.delayed), (0, 1));
    let promoted = rig.run(&["job", "promote", "billing", "--all", "--yes", "--json"]);
    assert_eq!(promoted.expect(0).object()["done"], 1);
    assert_eq!((counts().await.waiting, counts().await.delayed), (1, 0));
    let clean = [
        "queue", "clean", "billing", "--state", "dead", "--yes", "--json",
    ];
    let clean = |older: &[&str]| rig.run(&[&clean[..], older].concat()).expect(0).object();
    assert_eq!(clean(&["--older-than", "1h"])["done"], 0);
    assert_eq!(
        clean(&["--older-than", "0s", "--name", "refund"])["done"],
        0
    );
    assert_eq!(clean(&["--older-than", "0s"])["done"], 4);
    assert_eq!(counts().await.dead, 0);
    rig.run(&[
        "queue",
        "clean",
        "billing",
        "--state",
        "active",
        "--older-than",
        "0s",
    ])
    .expect(2);
    rig.run(&["job", "promote", "billing"]).expect(2);
}

#[tokio::test]
async fn a_typing_mistake_moves_no_job_to_a_queue_of_that_name() {
    let rig = Rig::filled().await;
    let waiting = rig.ids("waiting");
    let to_typo = [
        "job",
        "move",
        "billing",
        &waiting[0],
        "--to",
        "bilings",
        "--yes",
    ];
    rig.run(&to_typo).expect(3);
    assert_eq!(rig.ids("waiting"), waiting);
    rig.run(&[&to_typo[..], &["--new-queue"]].concat())
        .expect(0);
    assert_eq!(rig.ids("waiting").len(), waiting.len() - 1);
}

#[tokio::test]
async fn a_setting_that_drops_all_dead_jobs_is_asked_for() {
    let rig = Rig::filled().await;
    for option in ["--keep-dead", "--keep-dead-at-most"] {
        let value = if option == "--keep-dead" { "0s" } else { "0" };
        let args = ["queue", "settings", "billing", option, value];
        let before = rig.queue.settings().await.unwrap();
        let told = rig.run(&args).expect(2);
        assert!(told.err.contains("every dead job"), "{}", told.err);
        assert_eq!(rig.queue.settings().await.unwrap(), before);
        rig.run(&[&args[..], &["--yes"]].concat()).expect(0);
    }
}
