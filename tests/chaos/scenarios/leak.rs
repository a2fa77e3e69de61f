//! After everything is drained and trimmed, the keys and their bytes are where they were.

use std::collections::BTreeMap;
use std::time::Duration;

use oxcart::{Queue, QueueSettings, Retention};

use crate::battery::Stage;
use crate::field::{Field, SECOND};
use crate::findings::{Findings, thousands};
use crate::load::Told;
use crate::support::everything::a_bit_of_everything;
use crate::support::jobs::Work;
use crate::support::{Server, eventually_async};

/// What a number that has grown by some digits, and the table it is in, may add to a key.
const SLACK: i64 = 512;
/// What is kept of a lane's last call: an answer that names up to as many jobs as it claimed.
const LANE_MAX: i64 = 8 * 1024;

pub(crate) async fn run(stage: Stage) -> Findings {
    let rounds = stage.pick(1, 10);
    let of_each = stage.pick(300, 2_000);
    let mut findings = Findings::default();
    let mut field = Field::new(Server::options()).await;
    field.work(|builder| {
        builder
            .concurrency(40)
            .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing))
    });
    // Once, so that everything that comes to stay is there.
    // Answers are kept for a minute for those who wait for them.
    let waiters = stage.pick(0, 100);
    everything(&field, 2, waiters).await;
    let before = measure(&field).await;
    let mut jobs = 0;
    for _ in 0..rounds {
        jobs += everything(&field, of_each, waiters).await;
    }
    let after = measure(&field).await;

    let gained: Vec<&String> = after
        .keys()
        .filter(|key| !before.contains_key(*key))
        .collect();
    findings.must(gained.is_empty(), || format!("new keys: {gained:?}"));
    let mut grown = 0;
    for (key, bytes) in &after {
        let more = bytes - before.get(key).copied().unwrap_or(0);
        if key.ends_with(":calls") {
            // A lane that fell silent is forgotten after an hour.
            let lanes: i64 = field.blocking(|server| server.ask(&["HLEN", key]));
            let allowed = 8 + 4 * rounds as i64;
            findings.must(lanes <= allowed, || format!("{lanes} lanes, not {allowed}"));
            findings.must(more <= lanes * LANE_MAX, || {
                format!("{key} grew by {more} bytes")
            });
        } else {
            grown += more.max(0);
            findings.must(more <= SLACK, || format!("{key} grew by {more} bytes"));
        }
    }
    findings.note(format!(
        "DBSIZE {} before and {} after; {} bytes before, {} after (calls of silent lanes are \
         kept for an hour), others grew by {grown} bytes",
        before.len(),
        after.len(),
        thousands(before.values().sum::<i64>() as usize),
        thousands(after.values().sum::<i64>() as usize),
    ));
    let told = Told::default();
    field
        .close(&mut findings, &told, 1, |before, _| {
            matches!(before.how.as_str(), "failed" | "dropped" | "cancelled")
        })
        .await;
    findings.load = format!("{} jobs of every kind", thousands(jobs));
    findings.faults = format!("{} crashed workers, failures, replays", rounds + 1);
    findings
}

/// Answers how many jobs that were.
async fn everything(field: &Field, of_each: usize, waiters: usize) -> usize {
    a_bit_of_everything(&field.queue, &field.scene, of_each).await;
    // Somebody waits for some of them.
    let waits = (0..waiters).map(|_| {
        let request = field.queue.enqueue(Work::Quick);
        request.result().within(5 * SECOND).into_future()
    });
    for outcome in futures::future::join_all(waits).await {
        outcome.expect("a result");
    }
    6 * of_each + of_each.min(10) + waiters
}

/// The bytes of every key, once nothing is left to be trimmed.
async fn measure(field: &Field) -> BTreeMap<String, i64> {
    settle(&field.direct).await;
    field.blocking(|server| {
        // Capped by a number of ids, not of bytes: what is in them is not to be compared.
        for stream in ["events", "finished"] {
            server.cli(&["XTRIM", &format!("oxcart:{{work}}:{stream}"), "MAXLEN", "0"]);
        }
        let keys: Vec<String> = server.ask(&["KEYS", "*"]);
        let size = |key: String| {
            let bytes = server.ask(&["MEMORY", "USAGE", &key, "SAMPLES", "0"]);
            (key, bytes)
        };
        // What workers report comes with their first report, whenever that is; it is bounded, and expires by itself.
        let reported = [":about", ":history", ":workers"];
        let stays = |key: &String| {
            !key.ends_with(":wake") && !reported.iter().any(|end| key.ends_with(end))
        };
        keys.into_iter().filter(stays).map(size).collect()
    })
}

/// Answers that somebody waited for are kept for a minute.
async fn settle(queue: &Queue) {
    let nothing_is_kept = async || {
        let counts = queue.counts().await.expect("it is there");
        counts.left() + counts.completed + counts.dead == 0
    };
    eventually_async(Duration::from_secs(120), nothing_is_kept).await;
}
