//! Alerts of the application: who sees them, and who may acknowledge them.

use oxcart::{AlertRule, AlertState, Alerts, Condition};
use serde_json::json;

use crate::rig::{ADMIN, BILLING, Browser, OPERATOR, Program, Rig, VIEWER};

/// Two alerts that fire: on the queue `mail`, in which a job waits, and on `billing`.
async fn firing(rig: &Rig) -> Alerts {
    rig.enqueue("billing").await;
    let deep = AlertRule::new("deep", Condition::waiting_above(0)).on_queues(["mail", "billing"]);
    let alerts = Alerts::new(&rig.oxcart, "alerts").unwrap().rule(deep);
    alerts.judge().await.unwrap();
    let known = alerts.list().await.unwrap();
    let firing = known.iter().filter(|it| it.state == AlertState::Firing);
    assert_eq!(firing.count(), 2, "{known:?}");
    alerts
}

#[tokio::test]
async fn an_operator_acknowledges_an_alert_and_a_viewer_does_not() {
    let rig = Rig::new().await;
    let alerts = firing(&rig).await;
    let router = rig.router();
    let which = json!({"rule": "deep", "queue": "mail"});
    let viewer = Program::new(&router, VIEWER);
    let path = "/api/alerts/acknowledge";
    viewer.post(path, which.clone()).await.expect(403);
    // An admin of another queue does not learn of this one.
    let bob = Program::new(&router, BILLING);
    bob.post(path, which.clone()).await.expect(404);

    let operator = Program::new(&router, OPERATOR);
    operator.post(path, which.clone()).await.expect(200);
    operator.post(path, which).await.expect(409);
    let none = json!({"rule": "none", "queue": "mail"});
    operator.post(path, none).await.expect(409);
    let known = alerts.list().await.unwrap();
    let mail = known.iter().find(|it| it.queue == "mail").unwrap();
    assert_eq!(mail.acknowledged_by.as_deref(), Some("oda"));
    let shown = operator.get("/api/alerts").await.expect(200).json();
    let rules = shown["rules"].as_array().unwrap();
    let mail = rules.iter().find(|it| it["queue"] == "mail").unwrap();
    assert_eq!(mail["acknowledged_by"], "oda", "{shown}");
}

#[tokio::test]
async fn alerts_are_on_their_page_for_those_who_see_the_queue() {
    let rig = Rig::new().await;
    firing(&rig).await;
    let router = rig.router();
    let browser = Browser::signed_in(&router, "", OPERATOR).await;
    let page = browser.get("/alerts").await.expect(200);
    assert!(
        page.text.contains("Acknowledge deep on mail"),
        "{}",
        page.text
    );
    let fields = [("rule", "deep"), ("queue", "mail")];
    let answer = browser
        .submit("/alerts/acknowledge", &fields)
        .await
        .expect(303);
    assert_eq!(answer.header("location"), "/alerts");
    let page = browser.get("/alerts").await.expect(200);
    assert!(page.text.contains("acknowledged by "), "{}", page.text);

    let bob = Program::new(&router, BILLING);
    let shown = bob.get("/api/alerts").await.expect(200).json();
    let rules = shown["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 1, "{shown}");
    assert_eq!(rules[0]["queue"], "billing");
}

#[tokio::test]
async fn a_dashboard_of_other_alerts_shows_none_of_these() {
    let rig = Rig::new().await;
    firing(&rig).await;
    let router = rig.dashboard().alerts_of("others").router();
    let admin = Program::new(&router, ADMIN);
    let shown = admin.get("/api/alerts").await.expect(200).json();
    assert_eq!(shown["rules"], json!([]));
}
