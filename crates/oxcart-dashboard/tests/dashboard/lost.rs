//! A lost Redis shows as such, and the pages recover by themselves.

use std::time::Duration;

use crate::rig::{ADMIN, BILLING, PATIENCE, Program, Rig, VIEWER};
use crate::support::eventually_async;

#[tokio::test]
async fn old_values_are_marked_and_new_ones_come_by_themselves() {
    let rig = Rig::new().await;
    let admin = Program::new(&rig.router(), ADMIN);
    let places = ["/api/overview", "/api/queues/mail", "/api/queues/mail/jobs"];
    for place in places {
        let answer = admin.get(place).await.expect(200);
        assert_eq!(answer.header("oxcart-redis-lost"), "", "{place}");
    }
    rig.server.pause();
    for place in places {
        eventually_async(PATIENCE, async || {
            let answer = admin.get(place).await.expect(200);
            answer.header("oxcart-redis-lost") == "true"
        })
        .await;
    }
    // What was never read cannot be shown, and takes no longer than an answer may.
    let asked = tokio::time::timeout(Duration::from_secs(10), admin.get("/api/queues/mail/audit"));
    let answer = asked.await.unwrap().expect(503);
    assert_eq!(answer.json()["error"]["kind"], "redis-lost");
    admin.get("/queues/mail").await.expect(200);
    admin.get("/metrics").await.expect(503);
    rig.server.resume();
    for place in places {
        eventually_async(PATIENCE, async || {
            let answer = admin.get(place).await.expect(200);
            answer.header("oxcart-redis-lost").is_empty()
        })
        .await;
    }
}

/// Another program has overwritten a key of it, say, or a newer version uses it.
#[tokio::test]
async fn a_queue_that_cannot_be_read_hides_no_other() {
    let rig = Rig::new().await;
    rig.enqueue("broken").await;
    let meta = "oxcart:{broken}:meta";
    rig.server.cli(&["DEL", meta]);
    rig.server.cli(&["SET", meta, "x"]);
    let router = rig.router();
    let admin = Program::new(&router, ADMIN);
    let overview = admin.get("/api/overview").await.expect(200);
    assert_eq!(overview.header("oxcart-redis-lost"), "");
    let overview = overview.json();
    let (broken, mail) = (&overview["queues"][0], &overview["queues"][1]);
    assert!(
        broken["problems"][0]
            .as_str()
            .unwrap()
            .contains("cannot be read")
    );
    assert_eq!(
        (&broken["queue"], &mail["waiting"]),
        (&"broken".into(), &1.into())
    );
    assert_eq!(overview["unread"], 0);
    admin.get("/api/queues/broken").await.expect(500);
    admin.get("/").await.expect(200);
    for page in ["/api/running", "/api/alerts", "/api/queues/mail"] {
        admin.get(page).await.expect(200);
    }
    let metrics = admin.get("/metrics").await.expect(200).text;
    assert!(metrics.contains("queue=\"mail\"") && !metrics.contains("broken"));
    let bob = Program::new(&router, BILLING);
    assert!(
        !bob.get("/api/overview")
            .await
            .expect(200)
            .text
            .contains("broken")
    );
}

#[tokio::test]
async fn somebody_who_asks_for_very_much_holds_others_up_for_some_seconds_at_most() {
    let rig = Rig::new().await;
    let router = rig.router();
    let viewer = Program::new(&router, VIEWER);
    let mut crowded = 0;
    for number in 0..20 {
        let pages = (0..50).map(|page| {
            let (router, path) = (
                &router,
                format!("/api/queues/mail/jobs?id=x{number}x{page}"),
            );
            async move {
                let asked = Program::new(router, VIEWER);
                tokio::time::timeout(Duration::from_millis(10), asked.get(&path)).await
            }
        });
        let answers = futures_util::future::join_all(pages).await;
        let refused = answers
            .iter()
            .flatten()
            .filter(|answer| answer.status == 503);
        crowded += refused.count();
    }
    assert!(crowded > 500, "{crowded} of 1000 were refused");
    let since = std::time::Instant::now();
    eventually_async(PATIENCE, async || {
        viewer.get("/api/queues/mail").await.status == 200
    })
    .await;
    assert!(
        since.elapsed() < Duration::from_secs(15),
        "{:?}",
        since.elapsed()
    );
}
