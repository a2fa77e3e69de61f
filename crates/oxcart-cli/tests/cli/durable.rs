//! Durable steps, signals and outboxes, as an operator sees them.

use std::time::Duration;

use oxcart::{Context, Failure, Job, JobId, JobState, Worker};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::json::check;
use crate::rig::{PATIENCE, Rig};
use crate::support::eventually_async;

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Serialize, Deserialize)]
struct Order {
    key: String,
}

impl Job for Order {
    const NAME: &'static str = "order";
    const SECRET: &'static [&'static str] = &["key"];
    type Output = Value;
}

async fn fulfil(order: Order, context: Context) -> Result<Value, Failure> {
    context.checkpoint(&41).await?;
    let receipt = async || Ok(json!({ "key": order.key, "euros": 7 }));
    context.step("charge", receipt).await?;
    let approval = context.wait_for::<Value>("approved by", HOUR).await?;
    Ok(approval.unwrap_or(Value::Null))
}

async fn ordered(rig: &Rig) -> JobId {
    let key = "s3cret".to_owned();
    let job = rig.queue.enqueue(Order { key }).await.unwrap();
    job.id().clone()
}

async fn work_until(rig: &Rig, id: &JobId, state: JobState) {
    let worker = Worker::builder(&rig.queue).handle(fulfil).build().unwrap();
    let reached = eventually_async(PATIENCE, async || {
        rig.queue.job(id).await.unwrap().unwrap().state == state
    });
    worker.run_until(reached).await.unwrap();
}

#[tokio::test]
async fn a_job_that_waits_says_for_what_and_gets_its_signal() {
    let rig = Rig::new().await;
    let id = ordered(&rig).await;
    let id_text = id.as_str();
    let signal = ["signal", "billing", id_text, "approved by"];
    let early = rig.run(&signal).expect(1).err;
    assert!(early.contains("has not come there yet"), "{early}");
    work_until(&rig, &id, JobState::Delayed).await;

    let show = ["job", "show", "billing", id_text];
    let told = rig.run(&show).expect(0).out;
    for part in [
        "  waits for     signal `approved by`, for 59 m at most\n",
        "  checkpoint    1 byte\n",
        "STEP         STATE    WHEN",
        "charge       done ",
        "approved by  waiting  ",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let next = format!("\noxcart signal billing {id} 'approved by' VALUE\n");
    assert!(told.ends_with(&next), "{told}");
    assert!(!told.contains("euros"), "{told}");
    let told = rig.run(&[&show[..], &["--outputs"]].concat()).expect(0).out;
    assert!(told.contains(r#"{"euros":7,"key":"(secret)"}"#), "{told}");
    assert!(told.contains("1 byte  41\n"), "{told}");
    let reveal = [&show[..], &["--outputs", "--reveal"]].concat();
    let told = rig.run(&reveal).expect(0).out;
    assert!(told.contains(r#""key":"s3cret""#), "{told}");

    let object = |more: &[&str]| {
        let said = rig.run(&[&show[..], &["--json"], more].concat()).expect(0);
        check("job", &said.objects());
        said.object()
    };
    let job = object(&[]);
    let steps = &job["steps"];
    assert_eq!(
        (&steps[0]["name"], &steps[0]["state"], &steps[0]["output"]),
        (&json!("charge"), &json!("done"), &Value::Null)
    );
    assert!(steps[0]["bytes"].as_u64().unwrap() > 10, "{steps}");
    assert_eq!(steps[1]["state"], "waiting");
    assert_eq!(steps[1]["due"], job["due_at"]);
    assert_eq!(job["checkpoint_bytes"], 1);
    assert_eq!(object(&["--outputs"])["steps"][0]["output"]["euros"], 7);

    let mistyped = ["signal", "billing", id_text, "aproved by"];
    let mistyped = rig.run(&mistyped).expect(1).err;
    assert!(
        mistyped.contains("did you mean `approved by`?"),
        "{mistyped}"
    );
    let no_json = [&signal[..], &["{"]].concat();
    rig.run(&no_json).expect(2);
    let given = [
        &signal[..],
        &[r#"{"by":"Ana"}"#, "--operator", "ada", "--json"],
    ]
    .concat();
    let said = rig.run(&given).expect(0);
    check("signalled", &said.objects());
    assert_eq!(said.object()["changed"], true);
    let again = rig.run(&given).expect(0);
    check("signalled", &again.objects());
    assert_eq!(again.object()["changed"], false);
    let audit = rig.run(&["audit", "billing", "--json"]).expect(0).objects();
    assert_eq!(
        (
            &audit[0]["operator"],
            &audit[0]["action"],
            &audit[0]["target"]
        ),
        (
            &json!("ada"),
            &json!("signal"),
            &json!(format!("{id} approved by"))
        )
    );

    work_until(&rig, &id, JobState::Completed).await;
    let job = object(&[]);
    assert_eq!(
        (&job["result"]["by"], &job["steps"][1]["state"]),
        (&json!("Ana"), &json!("signalled"))
    );
    rig.run(&signal).expect(1);
    rig.run(&["signal", "billing", "nobody", "x"]).expect(3);
}

#[tokio::test]
async fn a_job_that_was_asked_to_end_says_so_while_it_runs() {
    let rig = Rig::new().await;
    rig.queue.enqueue(crate::rig::Charge::new(1)).await.unwrap();
    rig.claim_and_die().await;
    let id = rig.ids("active").remove(0);
    let show = ["job", "show", "billing", &id];
    assert!(!rig.run(&show).expect(0).out.contains("asked to end"));
    let cancel = [
        "job",
        "cancel",
        "billing",
        &id,
        "--reason",
        "wrong price",
        "--yes",
    ];
    rig.run(&cancel).expect(0);
    let told = rig.run(&show).expect(0).out;
    assert!(told.contains("  asked to end  wrong price\n"), "{told}");
    let job = rig.run(&[&show[..], &["--json"]].concat()).expect(0);
    check("job", &job.objects());
    assert_eq!(job.object()["cancel_requested"], "wrong price");
}

#[tokio::test]
async fn what_waits_for_other_queues_is_listed() {
    let rig = Rig::new().await;
    rig.queue.enqueue(crate::rig::Charge::new(1)).await.unwrap();
    let list = ["outbox", "ls"];
    let none = rig.run(&list).expect(0);
    assert!(
        none.out.is_empty() && none.err.contains("no message"),
        "{}",
        none.err
    );
    rig.plant_message("billing", "mail");
    let told = rig.run(&list).expect(0).out;
    let lines: Vec<Vec<&str>> = told
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["QUEUE", "MESSAGES", "OLDEST", "FOR"]);
    assert_eq!(
        (lines[1][0], lines[1][1], lines[1].last()),
        ("billing", "1", Some(&"mail"))
    );
    let said = rig.run(&["outbox", "ls", "billing", "--json"]).expect(0);
    check("outgoing", &said.objects());
    assert_eq!(
        (&said.object()["to"], &said.object()["messages"]),
        (&json!("mail"), &json!(1))
    );
    rig.run(&["outbox", "ls", "biling"]).expect(3);
}
