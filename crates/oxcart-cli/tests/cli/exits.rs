//! The exit codes, and what is said with them.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::rig::{Charge, Rig, Said, program};
use crate::support::{Port, Server};

#[tokio::test]
async fn what_is_not_there_is_3_with_the_nearest_name() {
    let rig = Rig::filled().await;
    let id = &rig.ids("dead")[0];
    let mut slip = id.clone();
    slip.pop();
    for (args, meant) in [
        (&["queue", "show", "biling"][..], "did you mean `billing`?"),
        (&["job", "ls", "Mail"], "did you mean `mail`?"),
        (&["job", "show", "billing", &slip], id),
        (&["job", "show", "mail", id], "it is in `billing`"),
        (
            &["job", "cancel", "billing", "nobody", "--yes"],
            "there is no job nobody",
        ),
        (
            &["job", "promote", "billing", "nobody"],
            "there is no job nobody",
        ),
        (
            &["job", "edit", "billing", "nobody", "--now"],
            "there is no job nobody",
        ),
        (
            &["dead", "replay", "billing", "nobody"],
            "there is no job nobody",
        ),
        (
            &["dead", "show", "billing", &rig.ids("waiting")[0]],
            "is not dead: it is waiting",
        ),
        (
            &["group", "show", "billing", "tenant-8"],
            "did you mean `tenant-7`?",
        ),
        (&["group", "pause", "billing", "tenant-8"], "--new-group"),
        (
            &["schedule", "show", "billing", "nigthly"],
            "did you mean `nightly`?",
        ),
        (&["job", "enqueue", "payments", "charge"], "--new-queue"),
        (&["doctor", "biling"], "did you mean `billing`?"),
    ] {
        let said = rig.run(args).expect(3);
        assert!(said.err.contains(meant), "{args:?}: {}", said.err);
        assert_eq!(
            said.out
                .lines()
                .filter(|line| !line.starts_with('·'))
                .count(),
            0,
            "{args:?}"
        );
    }
}

#[tokio::test]
async fn wrong_usage_is_2_and_points_at_the_place() {
    let rig = Rig::filled().await;
    let waiting = &rig.ids("waiting")[0];
    for (args, told) in [
        (
            &["dead", "ls", "billing", "--older-than", "5 parsecs"][..],
            "    ^ `parsecs` is no unit",
        ),
        (
            &["job", "ls", "billing", "--header", "trace"],
            "       ^ `=` and a value",
        ),
        (
            &["job", "ls", "billing", "--state", "limbo"],
            "waiting, blocked, delayed",
        ),
        (
            &["job", "ls", "billing", "--after", "nowhere"],
            "is no cursor",
        ),
        (
            &["job", "enqueue", "billing", "charge", r#"{"order": }"#],
            "            ^ expected value",
        ),
        (
            &["job", "enqueue", "billing", "charge", "@/does/not/exist"],
            "/does/not/exist",
        ),
        (
            &["job", "edit", "billing", waiting, "--payload", "{"],
            "no JSON",
        ),
        (&["job", "edit", "billing", waiting], "required"),
        (&["job", "show", "billing", "no spaces"], "white space"),
        (&["queue", "show", "a:b"], "the queue name"),
        (
            &["group", "concurrency", "billing", "tenant-7", "0"],
            "from 1 on",
        ),
        (
            &["group", "rate", "billing", "tenant-7", "0/1s"],
            "a rate of 0",
        ),
        (
            &["group", "rate", "billing", "tenant-7", "unlimited"],
            "how many jobs",
        ),
        (
            &["queue", "settings", "billing", "--keep-completed", "4000d"],
            "10 years",
        ),
        (&["dead", "replay", "billing"], "--all"),
        (
            &["dead", "replay", "billing", "a", "--name", "charge"],
            "not both",
        ),
        (
            &["events", "billing", "mail", "--after", "1-0"],
            "name that queue",
        ),
        (
            &["queue", "ls", "--tls-ca", "/does/not/exist"],
            "cannot read /does/not/exist",
        ),
        (&["queue", "ls", "--namespace", "no spaces"], "namespace"),
        (&["frobnicate"], "unrecognized subcommand"),
    ] {
        let said = rig.run(args).expect(2);
        assert!(said.err.contains(told), "{args:?}: {}", said.err);
    }
    // With --json it is told as JSON.
    let said = rig.run(&["queue", "show", "--json"]).expect(2);
    let error: serde_json::Value = serde_json::from_str(said.err.trim()).unwrap();
    assert_eq!(error["exit"], 2);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("required"), "{message}");
    let said = rig.run(&["quue", "ls", "--json"]).expect(2);
    let error: serde_json::Value = serde_json::from_str(said.err.trim()).unwrap();
    assert!(error["hint"].as_str().unwrap().contains("queue"), "{error}");
    assert!(
        rig.run(&["--json", "--help"])
            .expect(0)
            .out
            .contains("Usage")
    );
}

#[tokio::test]
async fn without_a_terminal_and_yes_nothing_is_destroyed() {
    let rig = Rig::filled().await;
    let before = rig.queue.counts().await.unwrap();
    let waiting = &rig.ids("waiting")[0];
    for (args, jobs) in [
        (&["dead", "remove", "billing", "--all"][..], "4 jobs"),
        (
            &["dead", "purge", "billing", "--older-than", "0s"],
            "4 jobs",
        ),
        (&["dead", "replay", "billing", "--all"], "4 jobs"),
        (&["job", "remove", "billing", waiting], "1 job"),
        (&["job", "cancel", "billing", waiting], "1 job"),
        (&["queue", "delete", "billing", "--with-jobs"], "13 jobs"),
        (&["schedule", "remove", "billing", "nightly"], "nightly"),
    ] {
        let said = rig.run(args).expect(2);
        assert!(
            said.err.contains(jobs) && said.err.contains("--yes"),
            "{args:?}: {}",
            said.err
        );
    }
    assert_eq!(rig.queue.counts().await.unwrap(), before);
    assert_eq!(rig.queue.schedules().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_done_is_1() {
    let rig = Rig::filled().await;
    let dead = &rig.ids("dead")[0];
    let said = rig.run(&["job", "promote", "billing", dead]).expect(1);
    assert!(
        said.err.contains("is dead") && said.err.contains("oxcart dead replay billing"),
        "{}",
        said.err
    );
    let completed = &rig.ids("completed")[0];
    rig.run(&["job", "cancel", "billing", completed, "--yes"])
        .expect(1);
    rig.run(&["dead", "replay", "billing", completed]).expect(1);
    // A queue that holds something is deleted only if that is said; nobody is asked before that.
    let said = rig.run(&["queue", "delete", "billing"]).expect(1);
    assert!(said.err.contains("--with-jobs"), "{}", said.err);
    assert!(said.err.contains("4 jobs dead") && said.err.contains("2 schedules"));
    let order = rig.queue.enqueue(Charge::new(70)).ordered_by("a").await;
    let (order, edit) = (order.unwrap(), ["job", "edit", "billing"]);
    let edit = [&edit[..], &[order.id().as_str(), "--priority", "1"]].concat();
    assert!(rig.run(&edit).expect(1).err.contains("has an order"));
    // A job whose unique key another one has got.
    let unique = || rig.queue.enqueue(Charge::failing(80, "no")).unique("k");
    unique().await.unwrap();
    let failed = rig.queue.counts().await.unwrap().dead + 1;
    rig.work_until(async || rig.queue.counts().await.unwrap().dead == failed)
        .await;
    let dead = rig.ids("dead").pop().unwrap();
    let other = unique().await.unwrap();
    let said = rig.run(&["dead", "replay", "billing", &dead]).expect(1);
    assert!(
        said.err.contains("another job has the unique key"),
        "{}",
        said.err
    );
    assert!(!said.out.contains('✓'), "{}", said.out);
    let key = ["job", "show", "billing", "--name", "charge", "--key"];
    let shown = rig.run(&[&key[..], &["k", "--json"]].concat()).expect(0);
    assert_eq!(shown.object()["id"], other.id().as_str());
    rig.run(&[&key[..], &["free"]].concat()).expect(3);
}

#[test]
fn a_redis_that_is_not_there_or_silent_is_4_in_bounded_time() {
    let nobody = Port::claim();
    let url = format!("redis://{}/", nobody.address());
    let run = |url: &str| {
        let started = Instant::now();
        let said = Said::from(
            program(url)
                .args(["queue", "ls", "--json"])
                .output()
                .unwrap(),
        )
        .expect(4);
        assert!(
            started.elapsed() < Duration::from_secs(15),
            "{:?}",
            started.elapsed()
        );
        let error: serde_json::Value = serde_json::from_str(said.err.trim()).unwrap();
        assert_eq!(
            (error["exit"].as_u64(), error["kind"].as_str()),
            (Some(4), Some("Unreachable"))
        );
    };
    run(&url);
    let silent = Server::start();
    silent.pause();
    run(&silent.url());
    silent.resume();
}

#[tokio::test]
async fn what_is_no_redis_for_us_is_1() {
    let rig = Rig::new().await;
    rig.server.cli(&["CONFIG", "SET", "requirepass", "secret"]);
    let said = rig.run(&["queue", "ls"]).expect(1);
    assert!(said.err.contains("error:"), "{}", said.err);
}

#[tokio::test]
async fn a_closed_pipe_is_no_error() {
    let rig = Rig::new().await;
    let jobs = (0..3_000).map(Charge::new);
    rig.queue.enqueue_many(jobs).await.unwrap();
    for args in [
        &["job", "ls", "billing", "--all"][..],
        &["job", "ls", "billing", "--all", "--json"],
        &["completions", "zsh"],
        &["man"],
    ] {
        let mut command = rig.program();
        command
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut first = [0; 16];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut first)
            .unwrap();
        drop(child.stdout.take());
        let said = Said::from(child.wait_with_output().unwrap()).expect(0);
        assert_eq!(said.err, "", "{args:?}");
    }
}
