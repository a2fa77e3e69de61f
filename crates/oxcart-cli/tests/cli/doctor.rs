//! What the doctor finds.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::other_clock;
use crate::rig::{Charge, HOUR, PATIENCE, Rig, program};
use crate::support::{Server, eventually_async};

/// A server with nothing wrong.
fn healthy_server() -> Server {
    Server::options().aof_always().start()
}

/// Level and check of each, in order.
fn checks(findings: &[Value]) -> Vec<[String; 2]> {
    let words =
        |finding: &Value| ["level", "check"].map(|name| finding[name].as_str().unwrap().to_owned());
    let mut all: Vec<_> = findings.iter().map(words).collect();
    all.sort();
    all
}

#[tokio::test]
async fn nothing_is_wrong_on_a_healthy_server() {
    let rig = Rig::on(healthy_server()).await;
    rig.enqueue(Charge::new(1)).await;
    rig.work_until(async || rig.queue.counts().await.unwrap().completed == 1)
        .await;
    rig.queue.enqueue(Charge::new(2)).delay(HOUR).await.unwrap();
    rig.queue
        .schedule("pulse")
        .every(HOUR)
        .job(Charge::new(3))
        .await
        .unwrap();
    let said = rig.run(&["doctor"]).expect(0);
    assert!(said.out.contains("nothing is wrong"), "{}", said.out);
    assert_eq!(rig.run(&["doctor", "--json"]).expect(0).out, "");
}

#[tokio::test]
async fn each_planted_problem_is_found_and_told_what_to_do() {
    let rig = Rig::on(Server::start()).await;
    let queue = &rig.queue;
    // A dead job with an order, and one behind it.
    let order = || oxcart::Order::by("account-1").on_failure(oxcart::OnFailure::Halt);
    queue
        .enqueue(Charge::failing(1, "no card"))
        .ordered_by(order())
        .await
        .unwrap();
    // Another one, which lets the jobs behind it go on. The second of them waits for the first.
    queue
        .enqueue(Charge::failing(8, "no card"))
        .ordered_by("account-2")
        .await
        .unwrap();
    rig.work_until(async || queue.counts().await.unwrap().dead == 2)
        .await;
    for n in [9, 10] {
        let behind = queue.enqueue(Charge::new(n)).ordered_by("account-2");
        behind.await.unwrap();
    }
    queue
        .enqueue(Charge::new(2))
        .ordered_by(order())
        .await
        .unwrap();
    // A group that is paused.
    queue.group("tenant-7").unwrap().pause().await.unwrap();
    queue
        .enqueue(Charge::new(3))
        .group("tenant-7")
        .await
        .unwrap();
    // What nobody runs.
    queue.enqueue(Charge::new(4)).await.unwrap();
    // A schedule that is paused, and settings that differ from those of the code.
    queue
        .schedule("nightly")
        .cron("0 3 * * *")
        .job(Charge::new(5))
        .await
        .unwrap();
    queue.schedule("nightly").pause().await.unwrap();
    // A server whose keys may go.
    rig.server
        .cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    // A job that runs, as far as is known.
    queue.enqueue(Charge::new(10)).priority(1).await.unwrap();
    rig.claim_and_die().await;
    // A job that is due for a minute, one whose worker is gone for a minute, and a tick that nobody has fired.
    plant_the_past(&rig).await;
    // Jobs that are in no list.
    let lost = rig.open("lost").await;
    lost.enqueue(Charge::new(6)).await.unwrap();
    let key: Vec<String> = rig.server.ask(&["KEYS", "*lost*:waiting*"]);
    rig.server.cli(&["DEL", &key[0]]);
    let mail = rig.open("mail").await;
    mail.enqueue(Charge::new(7)).await.unwrap();
    mail.pause().await.unwrap();

    // A message for another queue that nobody carries.
    rig.plant_message("lost", "other");

    // A subscription whose queue has not taken an event for a minute.
    rig.plant_old_event("facts", &mail).await;

    let said = rig.run(&["doctor", "--json"]).expect(5);
    let findings = said.objects();
    let expected = [
        ["note", "paused-schedule"],
        ["problem", "eviction"],
        ["problem", "halted-orders"],
        ["problem", "orphans"],
        ["problem", "outbox"],
        ["problem", "overdue"],
        ["problem", "persistence"],
        ["problem", "schedule-not-driven"],
        ["problem", "stuck-leases"],
        ["problem", "topic"],
        ["warning", "dead-letters"],
        ["warning", "paused"],
        ["warning", "paused-group"],
    ];
    assert_eq!(checks(&findings), expected, "{}", said.out);
    assert!(said.out.contains("account-1") && !said.out.contains("account-2"));
    for finding in &findings {
        let advised = !finding["advice"].is_null() || !finding["command"].is_null();
        assert!(advised, "{finding}");
    }

    // What is safe is repaired, and the rest stays as it is.
    rig.run(&["doctor", "lost", "--fix"]).expect(2);
    let fixed = rig
        .run(&["doctor", "lost", "--fix", "--yes", "--json"])
        .expect(5)
        .objects();
    assert!(
        fixed
            .iter()
            .any(|it| it["check"] == "orphans" && it["fixed"] == true),
        "{fixed:?}"
    );
    assert_eq!(lost.counts().await.unwrap().waiting, 1);
}

#[tokio::test]
async fn jobs_that_no_running_worker_has_a_handler_for_are_found() {
    let rig = Rig::on(healthy_server()).await;
    rig.run(&["job", "enqueue", "billing", "fax", "[1]"])
        .expect(0);
    let mut found = Vec::new();
    rig.work_until(async || {
        found = rig.run(&["doctor", "--json", "--quick"]).objects();
        found.iter().any(|it| it["check"] == "no-handler")
    })
    .await;
    let finding = found.iter().find(|it| it["check"] == "no-handler");
    let what = finding.unwrap()["what"].as_str().unwrap();
    assert!(what.contains("fax"), "{what}");
}

#[tokio::test]
async fn payloads_that_are_too_new_for_the_workers_that_run_are_found() {
    let rig = Rig::on(healthy_server()).await;
    let event = r#"{"specversion": "1.0", "id": "new", "type": "charge", "source": "/shop", "schemaversion": "3", "data": {}}"#;
    rig.run_with(&["job", "import", "billing", "-"], event)
        .expect(0);
    let mut found = Vec::new();
    rig.work_until(async || {
        found = rig.run(&["doctor", "--json", "--quick"]).objects();
        found.iter().any(|it| it["check"] == "newer-payload")
    })
    .await;
    let finding = found.iter().find(|it| it["check"] == "newer-payload");
    let finding = finding.unwrap();
    crate::json::check("finding", std::slice::from_ref(finding));
    let said = ["what", "advice"].map(|part| finding[part].as_str().unwrap());
    assert!(
        said[0].contains("1 job or more named charge have a payload of version 3"),
        "{said:?}"
    );
    assert!(
        said[1].contains("deploy workers that know version 3"),
        "{said:?}"
    );
}

#[tokio::test]
async fn jobs_that_are_held_back_are_not_told_as_jobs_without_a_worker() {
    let rig = Rig::on(healthy_server()).await;
    let paused = rig.open("paused").await;
    paused.enqueue(Charge::new(1)).await.unwrap();
    paused.jobs_named("charge").unwrap().pause().await.unwrap();
    // A rate of which a job that failed has used up all.
    let rate = oxcart::Rate::burst(1, HOUR);
    let limited = oxcart::QueueSettings::new().rate(rate);
    rig.queue.change_settings(limited).await.unwrap();
    rig.die(&["no card"]).await;
    rig.enqueue(Charge::new(2)).await;
    let found = rig.run(&["doctor", "--json"]).expect(0).objects();
    let expected = [
        ["note", "rate-used-up"],
        ["warning", "dead-letters"],
        ["warning", "paused-name"],
    ];
    assert_eq!(checks(&found), expected, "{found:?}");
    let command = "oxcart queue resume paused --name charge";
    assert!(found.iter().any(|it| it["command"] == command), "{found:?}");
    let listed = rig.run(&["queue", "ls"]).expect(0).out;
    assert!(listed.contains("rate 1/1h used up"), "{listed}");
    assert!(listed.contains("paused: charge"), "{listed}");
}

#[tokio::test]
async fn what_is_wrong_with_the_server_is_found() {
    let server = Server::options()
        .arg("--save", "3600 1")
        .arg("--dbfilename", "dump.rdb");
    let rig = Rig::on(server.start()).await;
    let found = |url: &str| {
        let said = program(url).args(["doctor", "--json"]).output().unwrap();
        checks(&crate::rig::Said::from(said).objects())
    };
    let url = rig.server.url();
    assert_eq!(found(&url), [[""; 2]; 0]);

    // Two clocks that differ by ten minutes.
    let ahead = other_clock::proxy(rig.server.tcp_addr(), 600);
    assert_eq!(found(&format!("redis://{ahead}/")), [["warning", "clock"]]);

    // A user who may not do everything.
    rig.server.cli(&[
        "ACL",
        "SETUSER",
        "ops",
        "on",
        ">word",
        "~*",
        "+@all",
        "-client|unblock",
        "-hset",
    ]);
    let of_ops = url.replace("://", "://ops:word@");
    assert_eq!(found(&of_ops), [["problem", "denied-command"]]);
    let mut said = program(&of_ops);
    let said = said.arg("doctor").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let address = rig.server.tcp_addr();
    let (host, port) = (address.ip(), address.port());
    let command =
        format!("redis-cli -h {host} -p {port} ACL SETUSER NAME '~oxcart:*' +client|unblock +hset");
    assert!(said.contains(&command), "{said}");

    // A memory that is nearly full.
    let used: u64 = rig.server.info("used_memory").trim().parse().unwrap();
    let max = (used + used / 40).to_string();
    rig.server.cli(&["CONFIG", "SET", "maxmemory", &max]);
    assert_eq!(found(&url), [["problem", "memory"]]);
    rig.server.cli(&["CONFIG", "SET", "maxmemory", "0"]);

    // A disk that takes nothing: there is a folder where the file should be.
    std::fs::create_dir(rig.server.folder().join("dump.rdb")).unwrap();
    rig.server.cli(&["BGSAVE"]);
    let failed = || rig.server.info("rdb_last_bgsave_status").trim() == "err";
    eventually_async(PATIENCE, async || failed()).await;
    // Redis then refuses every script that could write, and the script that looks for orphans could.
    assert_eq!(found(&url), [["note", "orphans"], ["problem", "disk"]]);
}

/// What workers wrote down ten minutes ago.
#[tokio::test]
async fn a_backlog_that_grows_is_found() {
    let rig = Rig::on(healthy_server()).await;
    let jobs = (0..150).map(Charge::new);
    rig.queue.enqueue_many(jobs).await.unwrap();
    let grows = || {
        let found = rig
            .run(&["doctor", "--json", "--quick"])
            .expect(5)
            .objects();
        found.iter().any(|it| it["check"] == "backlog-grows")
    };
    assert!(!grows());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let minute = now.unwrap().as_secs() / 60 - 10;
    let (slot, text) = (
        minute % 1_440,
        format!("{minute} {} 0 0 0 0 0 0 0", minute * 60_000),
    );
    let key = "oxcart:{billing}:history";
    rig.server.cli(&["HSET", key, &slot.to_string(), &text]);
    assert!(grows());
}

/// Delayed jobs and ticks whose time passed a minute ago, as if no worker had run since.
async fn plant_the_past(rig: &Rig) {
    let soon = SystemTime::now() + Duration::from_secs(30);
    rig.queue.enqueue(Charge::new(8)).at(soon).await.unwrap();
    rig.queue
        .schedule("pulse")
        .every(HOUR)
        .job(Charge::new(9))
        .await
        .unwrap();
    let past = SystemTime::now() - Duration::from_secs(60);
    let past = past
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis()
        .to_string();
    for end in ["delayed", "ticks", "active"] {
        let keys: Vec<String> = rig.server.ask(&["KEYS", &format!("*billing*:{end}*")]);
        let sorted = keys
            .iter()
            .find(|key| rig.server.ask::<String>(&["TYPE", key]) == "zset");
        let key = sorted.unwrap_or_else(|| panic!("{keys:?}"));
        let members: Vec<String> = rig.server.ask(&["ZRANGE", key, "0", "-1"]);
        // In `active` there is a sentinel as well; it is longer than an id.
        for member in members.iter().filter(|member| member.len() < 64) {
            rig.server.cli(&["ZADD", key, "XX", &past, member]);
        }
    }
}
