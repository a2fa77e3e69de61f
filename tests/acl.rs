//! The access rules of `docs/security.md`: enough for everything, and nothing of it too much.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use oxcart::{JobState, Oxcart, Queue, QueueSettings, Retention};
use support::Server;
use support::access::{NOT_MISSED, denied, documented};
use support::everything::a_bit_of_everything;
use support::jobs::{Scene, Work};
use support::workers::{QUEUE, drained, run, worker};

/// Name and password, as the page has them.
const SIGNED_IN: &str = "app:a-long-password";
const SECOND: Duration = Duration::from_secs(1);

/// What the library sends by itself, beside scripts. The last one is redis-rs', for another database than 0.
const SENT: [&str; 12] = [
    "eval",
    "evalsha",
    "client|id",
    "client|unblock",
    "bzpopmin",
    "sadd",
    "smembers",
    "srem",
    "xread",
    "xrevrange",
    "info",
    "select",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

async fn everything_works_with(rule: &[String], database: u32) {
    let server = Server::start();
    // The user may be there already, with more.
    let _ = server.try_cli(&["ACL", "DELUSER", "app"]);
    let mut rule: Vec<&str> = rule.iter().map(String::as_str).collect();
    rule.extend(support::road::is_cluster().then_some("+cluster|slots"));
    server.cli(&rule);
    server.cli(&["ACL", "LOG", "RESET"]);
    let signed_in = format!("://{SIGNED_IN}@");
    let url = server.open_url().replace("://", &signed_in) + &database.to_string();

    let oxcart = Oxcart::connect(&url).await.unwrap();
    assert_eq!(oxcart.server().await.unwrap().denied, Some(Vec::new()));
    let queue = oxcart.queue(QUEUE).unwrap();
    let mut events = queue.events().await.unwrap();
    let scene = Scene::new();
    let running = run(worker(&queue, &scene).concurrency(20).lease(SECOND));
    a_bit_of_everything(&queue, &scene, 10).await;

    let schedule = queue.schedule("often").every(SECOND).limit(2);
    schedule.job(Work::Quick).await.unwrap();
    assert_eq!(queue.schedules().await.unwrap().len(), 1);
    queue.pause().await.unwrap();
    let waits = queue.enqueue(Work::Quick).keep(Retention::For(60 * SECOND));
    let waits = waits.await.unwrap();
    assert_eq!(support::ids(&queue, JobState::Waiting).await.len(), 1);
    assert!(queue.job(waits.id()).await.unwrap().is_some());
    queue.resume().await.unwrap();
    waits.result().within(20 * SECOND).await.unwrap();
    queue.schedule("often").trigger().await.unwrap();
    queue.schedule("often").pause().await.unwrap();
    queue.schedule("often").resume().await.unwrap();
    queue.schedule("often").remove().await.unwrap();
    assert_eq!(oxcart.queues().await.unwrap(), [QUEUE]);
    drained(&queue, 20 * SECOND).await;
    assert!(events.next().await.is_some());
    let settings = QueueSettings::new().keep_events(1_000);
    queue.change_settings(settings).await.unwrap();
    assert_eq!(queue.settings().await.unwrap().keep_events, 1_000);
    assert_eq!(queue.orphans().put_back().await.unwrap(), 0);
    events_reach_the_queue(&oxcart, &queue).await;
    running.stop().await;
    queue.delete().with_jobs().await.unwrap();
    let missed: Vec<_> = denied(&server, "app")
        .into_iter()
        .filter(|denied| !NOT_MISSED.contains(&denied.as_str()))
        .collect();
    assert!(missed.is_empty(), "{missed:?}");
}

/// A topic is used, until events are dropped from its log, and deleted.
async fn events_reach_the_queue(oxcart: &Oxcart, queue: &Queue) {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Fact(String);
    impl oxcart::Job for Fact {
        const NAME: &'static str = "fact";
        type Output = ();
    }
    let topic = oxcart.topic("facts").unwrap();
    let topic = topic.keep(60 * SECOND, 64 * 1024).unwrap();
    topic.subscribe("all", queue).await.unwrap();
    let before = queue.counts().await.unwrap().totals.added;
    for _ in 0..10 {
        topic.publish(Fact("x".repeat(10_000))).await.unwrap();
    }
    let all_are_taken = async || {
        let info = topic.info().await.unwrap();
        assert!(info.kept < 10, "{info:?}");
        info.subscriptions[0].behind == 0
    };
    support::eventually_async(20 * SECOND, all_are_taken).await;
    assert!(queue.counts().await.unwrap().totals.added > before);
    assert_eq!(oxcart.topics().await.unwrap(), ["facts"]);
    assert!(topic.unsubscribe("all").await.unwrap());
    topic.delete().await.unwrap();
}

#[tokio::test]
async fn the_rule_by_category_is_enough() {
    everything_works_with(&documented()[0], 0).await;
}

#[tokio::test]
async fn the_rule_by_command_is_enough() {
    everything_works_with(&documented()[1], 0).await;
}

#[tokio::test]
async fn in_another_database_too() {
    if support::road::is_skipped_in_a_cluster("database but 0") {
        return;
    }
    for rule in documented() {
        everything_works_with(&rule, 3).await;
    }
}

/// Those that the harness uses for the whole suite.
#[test]
fn the_suite_runs_with_the_rule_of_the_page() {
    let rule = documented()[0].join(" ");
    assert!(rule.ends_with(support::road::RULE), "{rule}");
    assert_eq!(documented().len(), 2);
}

/// Every command that stands in a script or is sent by the library, and no other.
#[test]
fn the_rule_by_command_names_what_is_used() {
    let rule = documented()[1].clone();
    let named: BTreeSet<String> = rule
        .iter()
        .filter_map(|word| word.strip_prefix('+'))
        .map(str::to_owned)
        .collect();
    let mut used: BTreeSet<String> = SENT.map(str::to_owned).into();
    used.extend(in_scripts(&root().join("lua")));
    let missing: Vec<_> = used.difference(&named).collect();
    let needless: Vec<_> = named.difference(&used).collect();
    assert!(missing.is_empty(), "docs/security.md lacks {missing:?}");
    assert!(needless.is_empty(), "nothing uses {needless:?}");
}

/// Of what stands between quotes in capital letters: the names of commands and of their options.
fn in_scripts(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(in_scripts(&path));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .flat_map(|line| [line, "\n"])
            .collect();
        for (at, quoted) in code.split('\'').enumerate() {
            let is_word = quoted.chars().all(|c| c.is_ascii_uppercase());
            if at % 2 == 1 && quoted.len() > 1 && is_word && !OPTIONS.contains(&quoted) {
                let container = match quoted {
                    "XINFO" => "xinfo|stream".to_owned(),
                    command => command.to_lowercase(),
                };
                found.insert(container);
            }
        }
    }
    found
}

const OPTIONS: [&str; 12] = [
    "BYLEX",
    "MATCH",
    "LIMIT",
    "WITHSCORES",
    "MAXLEN",
    "MINID",
    "STREAM",
    "COUNT",
    "NX",
    "XX",
    "GT",
    "LT",
];
