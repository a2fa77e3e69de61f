//! A lost Redis shows as such, and the pages recover by themselves.

use std::time::Duration;

use crate::rig::{ADMIN, BILLING, PATIENCE, Program, Rig};
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
