//! Sagas and flows, as an operator sees them.

use oxcart::{Failure, Flow, Job, JobHandle, JobState, OnDeath, Saga, Worker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::json::check;
use crate::rig::{Charge, PATIENCE, Rig};
use crate::support::eventually_async;

/// Three steps, of which the last fails for good.
#[derive(Serialize, Deserialize)]
struct Fulfil {
    can_refund: bool,
}

impl Job for Fulfil {
    const NAME: &'static str = "fulfil";
    type Output = ();
}

async fn fulfil(job: Fulfil, saga: Saga) -> Result<(), Failure> {
    let can_refund = job.can_refund;
    let ok = |value: bool| move || async move { Ok::<_, Failure>(value) };
    saga.step("reserve", ok(true)).undo(undo).await?;
    saga.step("pay", ok(can_refund)).undo(undo).await?;
    let impossible = || async { Err::<(), _>(Failure::dead("no lorry\nis left")) };
    saga.step("ship", impossible).await
}

async fn undo(works: bool) -> Result<(), Failure> {
    match works {
        true => Ok(()),
        false => Err(Failure::dead("the bank is closed")),
    }
}

async fn ended_as(rig: &Rig, job: &JobHandle<Fulfil>, state: JobState) {
    let worker = Worker::builder(&rig.queue).handle(fulfil).build().unwrap();
    let reached = eventually_async(PATIENCE, async || {
        job.info().await.unwrap().unwrap().state == state
    });
    worker.run_until(reached).await.unwrap();
}

fn states(saga: &Value) -> Vec<(&str, &str)> {
    let steps = saga["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            let text = |name: &str| step[name].as_str().unwrap();
            (text("name"), text("state"))
        })
        .collect()
}

#[tokio::test]
async fn a_stuck_saga_is_shown_with_what_to_do_and_goes_on_without_an_undo() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(Fulfil { can_refund: false });
    let job = job.await.unwrap();
    ended_as(&rig, &job, JobState::Dead).await;
    let id = job.id().as_str();
    let show = ["saga", "show", "billing", id];
    let shown = || {
        let saga = rig.run(&[&show[..], &["--json"]].concat()).expect(0);
        check("saga", &saga.objects());
        saga.object()
    };
    let saga = shown();
    assert_eq!(
        (&saga["state"], &saga["job_state"]),
        (&json!("stuck"), &json!("dead"))
    );
    let all = [("reserve", "done"), ("pay", "done"), ("ship", "failed")];
    assert_eq!(states(&saga), all);
    assert!(
        saga["error"]
            .as_str()
            .unwrap()
            .contains("the bank is closed")
    );
    let told = rig.run(&show).expect(0).out;
    for part in [
        format!("oxcart dead replay billing {id}"),
        format!("oxcart saga skip billing {id} pay\n"),
        format!("oxcart dead remove billing {id}"),
        "undone for    no lorry".to_owned(),
        "the bank is closed".to_owned(),
    ] {
        assert!(told.contains(&part), "{part}\n{told}");
    }

    let story = rig.run(&["job", "show", "billing", id]).expect(0).out;
    assert!(
        story.contains("stuck, 2 of 3 steps done, 0 undone"),
        "{story}"
    );
    assert!(
        story.ends_with(&format!("\noxcart saga show billing {id}\n")),
        "{story}"
    );
    let story = rig
        .run(&["dead", "show", "billing", id, "--json"])
        .expect(0);
    check("job", &story.objects());
    assert_eq!(story.object()["saga"], "stuck");

    let skip = |step: &'static str, more: &[&str]| {
        let args = [&["saga", "skip", "billing", id, step][..], more].concat();
        rig.run(&args)
    };
    assert!(
        skip("pya", &["--yes"])
            .expect(3)
            .err
            .contains("did you mean `pay`?")
    );
    skip("ship", &["--yes"]).expect(1);
    assert!(
        skip("pay", &[])
            .expect(2)
            .err
            .contains("nobody can be asked")
    );
    assert_eq!(states(&shown()), all);
    let operator = ["--operator", "ada", "--yes", "--json"];
    let skipped = skip("pay", &operator).expect(0);
    check("skipped-undo", &skipped.objects());
    assert_eq!(skipped.object()["changed"], true);
    assert_eq!(skip("pay", &operator).expect(0).object()["changed"], false);
    assert_eq!(states(&shown())[1], ("pay", "skipped"));
    let audit = rig.run(&["audit", "billing", "--json"]).expect(0).objects();
    let entry = &audit[0];
    assert_eq!(
        (&entry["operator"], &entry["action"], &entry["target"]),
        (
            &json!("ada"),
            &json!("skip undo"),
            &json!(format!("{id} pay"))
        )
    );

    rig.run(&["dead", "replay", "billing", id]).expect(0);
    ended_as(&rig, &job, JobState::Cancelled).await;
    let saga = shown();
    assert_eq!(saga["state"], "compensated");
    assert_eq!(states(&saga)[0], ("reserve", "undone"));
    assert!(!rig.run(&show).expect(0).out.contains("dead replay"));
}

#[tokio::test]
async fn a_saga_that_was_undone_is_told_as_such() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(Fulfil { can_refund: true });
    let job = job.await.unwrap();
    let id = job.id().as_str();
    rig.run(&["saga", "show", "billing", id]).expect(3);
    rig.run(&["saga", "show", "billing", "nobody"]).expect(3);
    ended_as(&rig, &job, JobState::Cancelled).await;
    let shown = rig.run(&["job", "show", "billing", id, "--json"]).expect(0);
    check("job", &shown.objects());
    let shown = shown.object();
    assert_eq!(
        (&shown["ended"]["how"], &shown["saga"]),
        (&json!("compensated"), &json!("compensated"))
    );
    assert!(
        shown["ended"]["reason"]
            .as_str()
            .unwrap()
            .contains("no lorry")
    );
    let told = rig.run(&["job", "show", "billing", id]).expect(0).out;
    assert!(told.contains("  undone        "), "{told}");
    let listed = ["job", "ls", "billing", "--state", "cancelled"];
    let listed = rig.run(&listed).expect(0).out;
    assert!(
        listed.contains(": undone: ") && listed.contains("no lorry"),
        "{listed}"
    );
    let event = [
        "events",
        "billing",
        "--after",
        "0-0",
        "--event",
        "compensated",
    ];
    let event = rig
        .run(&[&event[..], &["-n", "1", "--json"]].concat())
        .expect(0);
    check("event", &event.objects());
    assert_eq!(event.object()["id"], id);
    assert!(
        rig.run(&["saga", "skip", "billing", id, "reserve", "--yes"])
            .expect(1)
            .err
            .contains("is cancelled")
    );
}

#[test]
fn each_event_is_in_its_schema() {
    let schema: Value = serde_json::from_str(include_str!("../../schema/event.json")).unwrap();
    let names = schema["properties"]["event"]["enum"].as_array().unwrap();
    for name in oxcart::EventKind::NAMES {
        assert!(names.contains(&json!(name)), "{name}");
    }
}

#[tokio::test]
async fn a_flow_is_shown_as_a_tree() {
    let rig = Rig::new().await;
    let enqueue = |order| rig.queue.enqueue(Charge::new(order));
    let inner = Flow::new(enqueue(2)).child(enqueue(3).delay(crate::rig::HOUR));
    let bad = oxcart::Child::new(rig.queue.enqueue(Charge::failing(4, "card 4111")))
        .on_death(OnDeath::Hold);
    let flow = Flow::new(enqueue(1)).child(inner).child(bad).await.unwrap();
    rig.work_until(async || rig.queue.counts().await.unwrap().dead == 1)
        .await;
    let id = flow.id().as_str();
    let show = ["flow", "show", "billing", id];
    let objects = rig
        .run(&[&show[..], &["--json"]].concat())
        .expect(0)
        .objects();
    check("flow-job", &objects);
    let told: Vec<_> = objects
        .iter()
        .map(|job| {
            (
                job["depth"].as_u64().unwrap(),
                job["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(0, "blocked"), (1, "blocked"), (2, "delayed"), (1, "dead")]
    );
    assert_eq!(objects[0]["parent"], Value::Null);
    assert_eq!(objects[2]["parent"], objects[1]["id"]);
    assert_eq!(objects[3]["parent"], id);
    let tree = rig.run(&show).expect(0).out;
    let lines: Vec<_> = tree.lines().collect();
    assert_eq!(lines.len(), 4, "{tree}");
    assert!(
        lines[0].starts_with("charge      ") && lines[2].starts_with("    charge  "),
        "{tree}"
    );
    assert!(
        lines[3].contains("  dead       ") && lines[3].ends_with("card 4111"),
        "{tree}"
    );

    let story = rig.run(&["job", "show", "billing", id]).expect(0).out;
    assert!(
        story.contains(&format!("2 jobs  oxcart flow show billing {id}")),
        "{story}"
    );
    let child = objects[2]["id"].as_str().unwrap();
    let story = rig.run(&["job", "show", "billing", child]).expect(0).out;
    let parent = objects[1]["id"].as_str().unwrap();
    assert!(
        story.contains(&format!("{parent}  oxcart flow show billing {parent}")),
        "{story}"
    );
    let listed = rig
        .run(&["job", "ls", "billing", "--state", "blocked"])
        .expect(0)
        .out;
    assert!(listed.contains("by its children"), "{listed}");

    let dead = objects[3]["id"].as_str().unwrap();
    rig.run(&["dead", "remove", "billing", dead, "--yes"])
        .expect(0);
    let objects = rig
        .run(&[&show[..], &["--json"]].concat())
        .expect(0)
        .objects();
    check("flow-job", &objects);
    assert_eq!(
        (&objects[3]["removed"], &objects[3]["state"]),
        (&json!(true), &Value::Null)
    );
    assert!(rig.run(&show).expect(0).out.contains("  removed"));
    let below = ["flow", "show", "billing", parent];
    assert!(rig.run(&below).expect(0).out.contains(id));
    rig.run(&["flow", "show", "billing", "nobody"]).expect(3);
}
