//! Jobs that leave as CloudEvents, and CloudEvents that become jobs and events.

use std::process::Stdio;

use oxcart::{Job, JobState, Upcasters};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::json::check;
use crate::rig::{Charge, HOUR, PATIENCE, Rig, Said};
use crate::support::eventually_async;

#[derive(Serialize, Deserialize)]
struct PlacedV1 {
    order: u64,
}

/// The second version, with a secret.
#[derive(Serialize, Deserialize)]
struct Placed {
    order: u64,
    card: String,
}

impl Job for Placed {
    const NAME: &'static str = "order-placed";
    const VERSION: u32 = 2;
    const SECRET: &'static [&'static str] = &["card"];
    type Output = ();

    fn upcasters() -> Upcasters<Self> {
        Upcasters::since(1).then(|old: PlacedV1| Self {
            order: old.order,
            card: String::new(),
        })
    }
}

fn placed(order: u64) -> Placed {
    let card = "4111".to_owned();
    Placed { order, card }
}

fn event(id: &str) -> Value {
    json!({ "specversion": "1.0", "id": id, "type": "charge", "source": "/shop", "data": { "order": 7 } })
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

/// Of a tally: how many it was asked for, were done, and were there.
pub(crate) fn numbers(said: &Said) -> [u64; 3] {
    let tally = said.object();
    check("tally", std::slice::from_ref(&tally));
    ["asked", "done", "in_other_state"].map(|name| tally[name].as_u64().unwrap())
}

#[tokio::test]
async fn jobs_go_out_and_come_back_with_all_that_they_say() {
    let rig = Rig::new().await;
    let request = rig.queue.enqueue(placed(17)).header("subject", "order-17");
    let request = request.correlation_id("request-7").causation_id("click-1");
    let request = request.header("tenant", "acme").header("X-Other", "stays");
    let job = request.await.unwrap();
    rig.queue.enqueue(Charge::new(1)).delay(HOUR).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.jsonl");
    let file = file.to_str().unwrap();
    let export = ["job", "export", "billing", file, "--reveal", "--json"];
    let said = rig.run(&export).expect(0);
    assert_eq!(numbers(&said), [2, 2, 0]);
    let text = std::fs::read_to_string(file).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    check("cloud-event", &events);
    let first = &events[0];
    for (attribute, value) in [
        ("id", job.id().as_str()),
        ("type", "order-placed"),
        ("source", "oxcart:oxcart/billing"),
        ("subject", "order-17"),
        ("correlationid", "request-7"),
        ("causationid", "click-1"),
        ("tenant", "acme"),
        ("schemaversion", "2"),
    ] {
        assert_eq!(first[attribute], value, "{attribute}");
    }
    assert_eq!(first["data"], json!({ "order": 17, "card": "4111" }));
    assert_eq!(first.get("masked"), None);

    let import = [
        "job",
        "import",
        "other",
        file,
        "--attempts",
        "3",
        "--priority",
        "7",
        "--json",
    ];
    let unknown = rig.run(&import).expect(3);
    assert!(
        unknown.err.contains("--new-queue makes it"),
        "{}",
        unknown.err
    );
    let new = [&import[..], &["--new-queue"]].concat();
    assert_eq!(numbers(&rig.run(&new).expect(0)), [2, 2, 0]);
    assert_eq!(numbers(&rig.run(&import).expect(0)), [2, 0, 2]);
    let other = rig.oxcart.queue("other").unwrap();
    let back = other.job(job.id()).await.unwrap().expect("it is there");
    assert_eq!((back.version, back.priority, back.attempts), (2, 7, 3));
    assert_eq!(back.state, JobState::Waiting);
    assert_eq!(back.payload::<Placed>().unwrap().order, 17);
    assert_eq!(other.counts().await.unwrap().waiting, 2);
    let again = rig.run(&["job", "export", "other", "--reveal"]).expect(0);
    assert_eq!(again.objects(), events);
    assert_eq!(again.err, "note: 2 jobs exported\n");
    let told = rig.run(&["job", "import", "other", file]).expect(0).out;
    assert!(
        told.contains("2 jobs there already, and left alone"),
        "{told}"
    );
    let audit = rig.run(&["audit", "other", "--json"]).expect(0).objects();
    let actions: Vec<_> = audit.iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["import", "reveal", "import", "import"]);
}

#[tokio::test]
async fn states_and_filters_choose() {
    let rig = Rig::filled().await;
    let chosen = |args: &[&str]| {
        let args = [&["job", "export", "billing"], args].concat();
        rig.run(&args).expect(0).objects().len()
    };
    for (args, expected) in [
        (&["--state", "dead"][..], 4),
        (&["--state", "dead,delayed"], 5),
        (&["--state", "dead", "--error", "declined"], 3),
        (&["--header", "trace=abc"], 3),
        (&["--name", "refund"], 0),
    ] {
        assert_eq!(chosen(args), expected, "{args:?}");
    }
    let all = rig
        .run(&["job", "ls", "billing", "--all", "--json"])
        .expect(0);
    let ids =
        |said: &Said| -> Vec<Value> { said.objects().iter().map(|it| it["id"].clone()).collect() };
    assert_eq!(ids(&rig.run(&["job", "export", "billing"])), ids(&all));
    assert!(
        rig.run(&["job", "export", "biling"])
            .expect(3)
            .err
            .contains("billing")
    );
}

#[tokio::test]
async fn what_is_secret_stays_in_the_queue_unless_it_is_revealed_and_noted() {
    let rig = Rig::new().await;
    rig.enqueue(Charge::new(1)).await;
    rig.queue.enqueue(placed(17)).await.unwrap();
    let masked = rig.run(&["job", "export", "billing"]).expect(0);
    assert!(!masked.out.contains("4111"), "{}", masked.out);
    let of_order = &masked.objects()[1];
    assert_eq!(
        (&of_order["masked"], &of_order["data"]["card"]),
        (&json!("true"), &json!("(secret)"))
    );
    assert_eq!(rig.run(&["audit", "billing", "--json"]).expect(0).out, "");
    for args in [
        &["job", "import", "other", "-", "--new-queue"][..],
        &["topic", "publish", "orders", "-", "--new-topic"],
    ] {
        let refused = rig.run_with(args, &masked.out).expect(2);
        for part in ["line 2", "masked", "--reveal", "before it"] {
            assert!(refused.err.contains(part), "{part}: {}", refused.err);
        }
    }
    let other = rig.oxcart.queue("other").unwrap();
    assert_eq!(
        other.counts().await.unwrap().waiting,
        1,
        "what stands before it is there"
    );
    let export = [
        "job",
        "export",
        "billing",
        "--name",
        "order-placed",
        "--reveal",
    ];
    assert!(rig.run(&export).expect(0).out.contains("4111"));
    let audit = rig.run(&["audit", "billing", "--json"]).expect(0).object();
    assert_eq!(audit["action"], "reveal");
    let target = audit["target"].as_str().unwrap();
    assert!(
        target.contains("export of jobs: ") && target.ends_with("name=order-placed"),
        "{target}"
    );
}

#[tokio::test]
async fn one_array_is_read_as_lines_are() {
    let rig = Rig::new().await;
    let array = json!([event("a"), event("b"), event("a")]);
    let import = ["job", "import", "billing", "-", "--json"];
    let pretty = serde_json::to_string_pretty(&array).unwrap();
    assert_eq!(
        numbers(&rig.run_with(&import, &pretty).expect(0)),
        [3, 2, 1]
    );
    assert_eq!(rig.ids("waiting"), ["a", "b"]);
    assert_eq!(numbers(&rig.run_with(&import, "[]").expect(0)), [0, 0, 0]);
    assert_eq!(numbers(&rig.run_with(&import, "\n").expect(0)), [0, 0, 0]);
    // Nothing of an array that is cut off.
    let cut = rig.run_with(
        &import,
        &pretty.replace("\"b\"", "\"c\"")[..pretty.len() - 3],
    );
    let error: Value = serde_json::from_str(&cut.expect(2).err).unwrap();
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("the array is no JSON, line "),
        "{message}"
    );
    let mut second = event("d");
    second["specversion"] = "0.3".into();
    let array = json!([event("c"), second]);
    let pretty = serde_json::to_string_pretty(&array).unwrap();
    let line = pretty[..pretty.rfind("  {\n").unwrap()].lines().count() + 1;
    let bad = rig
        .run_with(&["job", "import", "billing", "-"], &pretty)
        .expect(2);
    assert!(
        bad.err.contains(&format!("line {line}: ")),
        "{line}: {}",
        bad.err
    );
    assert_eq!(rig.ids("waiting"), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_bad_line_is_named_and_what_stands_before_it_is_there() {
    let rig = Rig::new().await;
    let good: Vec<_> = (0..300).map(|n| event(&format!("job-{n:03}"))).collect();
    let mut no_id = event("x");
    no_id.as_object_mut().unwrap().remove("id");
    let mut binary = event("y");
    binary["data_base64"] = "AAEC".into();
    let mut odd = event("z");
    odd["subject"] = "".into();
    for (number, (bad, what)) in [
        ("{\"specversion\": \"1.0\",", "line 302 is no CloudEvent"),
        ("17", "line 302 is no CloudEvent"),
        (&no_id.to_string(), "missing field `id`"),
        (
            &binary.to_string(),
            "line 302: the CloudEvent \"y\" has data in base64",
        ),
        (
            &odd.to_string(),
            "line 302: the CloudEvent \"z\" has a `subject`",
        ),
        (&event("a/b").to_string(), "line 302: "),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("{}\n{bad}\n{}", lines(&good), event("behind"));
        let said = rig
            .run_with(&["job", "import", "billing", "-"], &text)
            .expect(2);
        assert!(said.err.contains(what), "{bad}: {}", said.err);
        assert!(
            said.err.contains("imported before it: 300 jobs"),
            "{bad}: {}",
            said.err
        );
        assert_eq!(rig.queue.counts().await.unwrap().waiting, 300, "{number}");
    }
    let missing = rig
        .run(&["job", "import", "billing", "no-such-file"])
        .expect(2);
    assert!(
        missing.err.contains("cannot read no-such-file"),
        "{}",
        missing.err
    );
}

#[tokio::test]
async fn what_comes_through_a_pipe_does_not_wait_for_more_and_ctrl_c_ends_it() {
    use std::io::Write;
    let rig = Rig::new().await;
    let mut command = rig.program();
    command.args(["job", "import", "billing", "-"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut program = command.spawn().unwrap();
    let mut input = program.stdin.take().unwrap();
    writeln!(input, "{}", event("a")).unwrap();
    let waiting = async |number| rig.queue.counts().await.unwrap().waiting == number;
    eventually_async(PATIENCE, async || waiting(1).await).await;
    let id = nix::unistd::Pid::from_raw(program.id().try_into().unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    let said = Said::from(program.wait_with_output().unwrap()).expect(130);
    assert!(
        said.err.contains("interrupted: 1 job imported"),
        "{}",
        said.err
    );
    drop(input);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_published_each_once() {
    let rig = Rig::new().await;
    let mut second = event("b");
    second["subject"] = "order-7".into();
    second["schemaversion"] = 2.into();
    second["tenant"] = "acme".into();
    let text = lines(&[event("a"), second, event("a")]);
    let publish = ["topic", "publish", "orders", "-", "--json"];
    let unknown = rig.run_with(&publish, &text).expect(3);
    assert!(
        unknown.err.contains("--new-topic makes it"),
        "{}",
        unknown.err
    );
    assert!(rig.oxcart.topics().await.unwrap().is_empty());
    let new = [&publish[..], &["--new-topic"]].concat();
    let done = rig.run_with(&new, &text).expect(0);
    check("published", &done.objects());
    let expected = json!({ "topic": "orders", "events": 3, "new": 2, "there": 1 });
    assert_eq!(done.object(), expected);
    let array = json!([event("a"), event("c")]).to_string();
    let done = rig.run_with(&publish, &array).expect(0).object();
    assert_eq!(
        done,
        json!({ "topic": "orders", "events": 2, "new": 1, "there": 1 })
    );
    let told = rig
        .run_with(&["topic", "publish", "orders", "-"], &array)
        .expect(0)
        .out;
    assert!(
        told.contains("0 events published in `orders`; 2 events there already"),
        "{told}"
    );
    let near = rig
        .run_with(&["topic", "publish", "order", "-"], &array)
        .expect(3);
    assert!(near.err.contains("did you mean `orders`?"), "{}", near.err);
    let bad = rig.run_with(
        &["topic", "publish", "orders", "-"],
        &format!("{}\n{{}}\n", event("d")),
    );
    let bad = bad.expect(2).err;
    assert!(
        bad.contains("line 2 is no CloudEvent") && bad.contains("published before it: 1 event"),
        "{bad}"
    );

    let topic = rig.oxcart.topic("orders").unwrap();
    assert_eq!(topic.info().await.unwrap().published, 4);
    topic
        .subscribe("billing", &rig.queue)
        .starting(oxcart::Start::Kept)
        .await
        .unwrap();
    rig.work_until(async || rig.queue.counts().await.unwrap().completed == 3)
        .await;
    let job = rig
        .queue
        .job(&"b".parse().unwrap())
        .await
        .unwrap()
        .expect("it has come");
    assert_eq!(job.version, 2);
    for header in [
        ("subject", "order-7"),
        ("tenant", "acme"),
        ("source", "/shop"),
    ] {
        let header = (header.0.to_owned(), header.1.to_owned());
        assert!(
            job.headers.contains(&header),
            "{header:?}: {:?}",
            job.headers
        );
    }
}

/// The application keeps events for longer than a handle does by itself.
#[tokio::test]
async fn publishing_drops_no_older_event() {
    let rig = Rig::new().await;
    let month = 30 * 24 * HOUR.as_secs() * 1_000_000;
    let now: Vec<u64> = rig.server.ask(&["TIME"]);
    let old = format!("{}-1", now[0] * 1_000_000 - month);
    let log = "oxcart:{topic/news}:published";
    rig.server
        .cli(&["XADD", log, &old, "id", "old", "event", "old"]);
    rig.run_with(
        &["topic", "publish", "news", "-", "--new-topic"],
        &event("a").to_string(),
    )
    .expect(0);
    assert_eq!(rig.server.ask::<u64>(&["XLEN", log]), 2);
}
