//! Alerts: which fire, and that somebody knows of one.

use oxcart::{AlertRule, Alerts, Condition};

use crate::json::check;
use crate::rig::{Charge, Rig};

/// One alert fires, and one is well.
async fn judged(rig: &Rig) {
    rig.enqueue(Charge::new(1)).await;
    let about = |rule: AlertRule| rule.on_queues(["billing"]);
    let alerts = Alerts::new(&rig.oxcart, "alerts").unwrap();
    let alerts = alerts
        .rule(about(AlertRule::new("deep", Condition::waiting_above(0))))
        .rule(about(AlertRule::new(
            "dead",
            Condition::dead_letters_above(0),
        )));
    alerts.judge().await.unwrap();
}

#[tokio::test]
async fn alerts_are_listed_and_acknowledged() {
    let rig = Rig::new().await;
    let mistyped = rig.run(&["alert", "ls"]).expect(3);
    assert!(
        mistyped.err.contains("no queue `alerts`"),
        "{}",
        mistyped.err
    );
    let nothing = rig.run(&["alert", "ls", "billing"]).expect(0);
    assert!(nothing.err.contains("no alerts"), "{}", nothing.err);
    judged(&rig).await;
    let table = rig.run(&["alerts", "ls"]).expect(0).out;
    let rows: Vec<_> = table.lines().skip(1).collect();
    assert_eq!(rows.len(), 2, "{table}");
    assert!(
        rows[0].contains("deep") && rows[0].contains("firing"),
        "{table}"
    );
    assert!(
        rows[1].contains("dead") && rows[1].contains("ok"),
        "{table}"
    );

    let ack = &["alert", "ack", "deep", "billing", "--operator", "ann"];
    let said = rig.run(ack).expect(0).out;
    assert!(said.contains("known to ann"), "{said}");
    let again = rig.run(&["alert", "ack", "deep", "billing"]).expect(0).out;
    assert!(again.contains("known to ann already"), "{again}");
    let firing = rig.run(&["alert", "ls", "--firing"]).expect(0).out;
    assert_eq!(firing.lines().count(), 2, "{firing}");
    assert!(firing.contains("ann"), "{firing}");
    let other = rig.run(&["alert", "ack", "deap", "billing"]).expect(3);
    assert!(other.err.contains("deep billing"), "{}", other.err);
    let audit = rig.run(&["audit", "alerts"]).expect(0).out;
    assert!(audit.contains("acknowledge alert"), "{audit}");
}

#[tokio::test]
async fn alerts_are_told_as_their_schemas_say() {
    let rig = Rig::new().await;
    judged(&rig).await;
    let ack = &["alert", "ack", "deep", "billing", "--json"];
    for _ in 0..2 {
        check("acknowledged", &rig.run(ack).expect(0).objects());
    }
    let listed = rig.run(&["alert", "ls", "--json"]).expect(0).objects();
    assert_eq!(listed.len(), 2);
    check("alert", &listed);
}
