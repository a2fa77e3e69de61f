//! What people are told of an alert: a job like any other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::record::EncodedRecord;
use crate::job::{Job, options_of};
use crate::policy::alert::condition::AlertUnit;
use crate::policy::alert::standing::{AlertEvent, Standing};
use crate::policy::backoff::Backoff;
use crate::policy::order::Order;
use crate::time::Timestamp;
use crate::{codec, error::Error};

/// The job that tells of an alert, in the queue that [`Alerts`](crate::Alerts) name. A handler of the application takes it, or one of the package
/// `oxcart-alerts`, which sends it to a webhook or to Slack. It has 12 attempts over about an hour; notifications of one alert are
/// delivered in their order.
///
/// ```
/// # use oxcart::*;
/// async fn tell(notification: AlertNotification) -> Result<(), Failure> {
///     println!("{}", notification.text());
///     Ok(())
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let oxcart = Oxcart::in_memory();
/// let worker = Worker::builder(&oxcart.queue("alerts")?).handle(tell).build()?;
/// # Ok(()) }
/// ```
///
/// As JSON, which is what a webhook gets, it is
///
/// ```json
/// { "event": "fired", "rule": "deep", "queue": "mail", "namespace": "oxcart", "condition": "more than 10000 jobs wait",
///   "value": 12345.0, "threshold": 10000.0, "unit": "jobs", "since_ms": 1795230000000, "at_ms": 1795230060000 }
/// ```
///
/// A later version may add fields, events and units, and takes none away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AlertNotification {
    /// `fired`, `repeated` or `resolved`.
    pub event: AlertEvent,
    /// The name of the rule.
    pub rule: String,
    /// The queue that the alert is about.
    pub queue: String,
    /// The namespace of the queue.
    pub namespace: String,
    /// The condition in plain words.
    pub condition: String,
    /// What was measured, in `unit`. None if the alert is resolved because its rule or its queue is gone.
    #[serde(default)]
    pub value: Option<f64>,
    /// Above which value the condition holds.
    pub threshold: f64,
    /// `jobs`, `stalls`, `seconds` or `ratio` (0 to 1).
    pub unit: AlertUnit,
    /// Since when the condition holds, in ms since 1970, by the server's clock. With the rule and the queue it names this occurrence of the alert: all
    /// its notifications have the same.
    pub since_ms: u64,
    /// When the event happened, in the same form.
    pub at_ms: u64,
}

impl Job for AlertNotification {
    const NAME: &'static str = "oxcart-alert";
    type Output = ();

    fn options() -> JobOptions {
        let (first, longest) = (Duration::from_secs(2), Duration::from_secs(20 * 60));
        JobOptions::new()
            .attempts(12)
            .backoff(Backoff::exponential(first).cap(longest))
            .timeout(Duration::from_secs(60))
    }

    /// Nobody is to hear that an alert fires after hearing that it is resolved.
    fn ordered_by(&self) -> Option<Order> {
        Some(Order::by(format!("{} {}", self.rule, self.queue)))
    }
}

impl AlertNotification {
    /// For people, in one line: `FIRING: deep on mail: more than 10000 jobs wait (12345 jobs), since 2026-11-21T03:00:00.000Z`. Control characters
    /// and marks that turn the direction of a text are left out; what else must be escaped, such as `<` in
    /// HTML, the handler escapes.
    #[must_use]
    pub fn text(&self) -> String {
        let event = match self.event {
            AlertEvent::Fired => "FIRING",
            AlertEvent::Repeated => "STILL FIRING",
            AlertEvent::Resolved => "RESOLVED",
            AlertEvent::Other => "ALERT",
        };
        let value = match self.value {
            Some(value) => self.unit.shown(value),
            None => "its rule or its queue is gone".to_owned(),
        };
        let since = Timestamp::from_millis(self.since_ms);
        let (rule, queue, condition) = (&self.rule, &self.queue, &self.condition);
        let text = format!("{event}: {rule} on {queue}: {condition} ({value}), since {since}");
        text.replace(is_unseen, "")
    }

    pub(crate) fn new(
        event: AlertEvent,
        namespace: &str,
        (rule, queue): (&str, &str),
        standing: &Standing,
        since_ms: u64,
        at_ms: u64,
    ) -> Self {
        Self {
            event,
            rule: rule.to_owned(),
            queue: queue.to_owned(),
            namespace: namespace.to_owned(),
            condition: standing.condition.clone(),
            value: standing.value,
            threshold: standing.threshold,
            unit: standing.unit,
            since_ms,
            at_ms,
        }
    }

    /// As a job that was not sent yet.
    pub(crate) fn job(&self) -> Result<(JobId, EncodedRecord), Error> {
        let payload = codec::encode_to_be_read("an alert notification", self)?;
        let options = options_of(self);
        let record = EncodedRecord::new(Self::NAME, payload, &options, Vec::new());
        Ok((JobId::generate(), record))
    }
}

/// Control characters, and those that turn the direction of a text.
fn is_unseen(c: char) -> bool {
    let turns = ['\u{61c}', '\u{200e}', '\u{200f}'].contains(&c);
    c.is_control() || turns || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
