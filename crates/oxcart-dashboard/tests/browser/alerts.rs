//! Alerts of the application: who acknowledges them, and that the page says so.

use oxcart::{AlertRule, AlertState, Alerts, Condition};
use oxcart_dashboard::Role;

use crate::acting::{assert_quiet, post};
use crate::devtools::Devtools;
use crate::site::{BASE, How, Site, letter};

/// Where the dashboard looks if nothing else is said.
const ALERTS: &str = "alerts";

pub(crate) async fn an_operator_acknowledges_an_alert_and_a_viewer_does_not(
    site: &Site,
    devtools: &Devtools,
) {
    for queue in ["rings", "rings-on"] {
        let queue = site.queue(queue);
        queue.enqueue(letter(How::End)).await.unwrap();
    }
    let deep = AlertRule::new("deep", Condition::waiting_above(0));
    let alerts = Alerts::new(&site.oxcart, ALERTS).unwrap();
    let alerts = alerts.rule(deep.on_queues(["rings", "rings-on"]));
    alerts.judge().await.unwrap();
    let acknowledged_by = async |queue: &str| {
        let known = alerts.list().await.unwrap();
        let found = known.into_iter().find(|it| it.queue == queue).unwrap();
        assert_eq!(found.state, AlertState::Firing);
        found.acknowledged_by
    };
    let (at, to) = (
        format!("{BASE}/alerts"),
        format!("{BASE}/alerts/acknowledge"),
    );

    let page = site.page(devtools, Role::Viewer).await;
    page.go(&at).await;
    page.until_shown("rings-on").await;
    let forms = format!("document.querySelectorAll('form[action=\"{to}\"]').length");
    assert_eq!(page.eval(&forms).await, 0);
    assert_eq!(post(&page, &to, true).await, 403);
    assert_eq!(acknowledged_by("rings").await, None);
    page.close().await;

    let page = site.page(devtools, Role::Operator).await;
    page.go(&at).await;
    assert_eq!(page.eval(&forms).await, 2);
    page.send_by("button[aria-label='Acknowledge deep on rings']")
        .await;
    page.until_shown("The alert deep on rings is not told again")
        .await;
    page.until_shown("acknowledged by otto").await;
    assert_eq!(acknowledged_by("rings").await.as_deref(), Some("otto"));
    // The other one still asks.
    assert_eq!(page.eval(&forms).await, 1);
    assert_eq!(acknowledged_by("rings-on").await, None);
    assert_quiet(&page);
    page.close().await;
}
