//! Topics whose subscriptions do not keep up.

use std::time::Duration;

use oxcart::SubscriptionInfo;

use crate::noun::doctor::report::{Finding, Level, Report};
use crate::session::Session;
use crate::text::quoted::quoted;
use crate::text::when::rough;
use crate::trouble::Trouble;

/// A subscription that is behind for so long does not keep up, or nobody works on its queue.
const LATE: Duration = Duration::from_secs(30);

pub(super) async fn check(session: &Session, report: &mut Report) -> Result<(), Trouble> {
    for name in session.oxcart.topics().await? {
        let info = session.oxcart.topic(&name)?.info().await?;
        for it in &info.subscriptions {
            late(&name, it, report);
        }
    }
    Ok(())
}

fn late(topic: &str, it: &SubscriptionInfo, report: &mut Report) {
    let SubscriptionInfo {
        name,
        queue,
        behind,
        behind_for,
        missed,
        ..
    } = it;
    if *behind_for < LATE {
        return;
    }
    let mut what = format!(
        "the subscription `{name}` of the topic `{topic}` is {behind} events behind, or {}",
        rough(*behind_for)
    );
    if *missed > 0 {
        what += &format!("; it has missed {missed} events");
    }
    let finding = Finding::new(Level::Problem, "topic", Some(queue), what)
        .advice("is a worker of this queue running, and does the queue have room? what is not taken in time is missed")
        .command(format!("oxcart worker ls {}", quoted(queue)));
    report.add(finding);
}
