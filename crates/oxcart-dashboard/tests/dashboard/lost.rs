//! A lost Redis shows as such, and the pages recover by themselves.

use std::time::Duration;

use crate::rig::{ADMIN, PATIENCE, Program, Rig};
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
