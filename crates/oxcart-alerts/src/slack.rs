//! Slack, and what understands the same: a line of text.

use std::time::Duration;

use oxcart::{AlertNotification, Context, Failure, Handler, States};
use serde_json::json;

use crate::destination::Destination;
use crate::error::Error;

/// Posts alerts as text to an incoming webhook of Slack, or of what understands the same (Mattermost, Rocket.Chat, Discord under `/slack`). It is a handler, to
/// be given to [`WorkerBuilder::handle`](oxcart::WorkerBuilder::handle). Everybody who knows the URL can
/// write into the channel, so it is never shown.
///
/// ```no_run
/// # use oxcart_alerts::Slack;
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let slack = Slack::new(&std::env::var("SLACK_WEBHOOK_URL")?)?;
/// # drop(slack);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Slack {
    destination: Destination,
}

impl Slack {
    /// To this URL. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// As [`Webhook::new`](crate::Webhook::new).
    pub fn new(url: &str) -> Result<Self, Error> {
        let destination = Destination::new(url)?;
        Ok(Self { destination })
    }

    /// How long a delivery may take. Default 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.destination = self.destination.with_timeout(timeout);
        self
    }

    /// The receiver may be on this machine or in a private network. Allow it only if nobody else chooses the URL.
    #[must_use]
    pub fn allow_private_addresses(mut self) -> Self {
        self.destination = self.destination.with_any_address();
        self
    }

    /// Posts a notification.
    ///
    /// # Errors
    ///
    /// As [`Webhook::send`](crate::Webhook::send).
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the receiver may or may not get the notification.
    pub async fn send(&self, notification: &AlertNotification) -> Result<(), Error> {
        let body = json!({ "text": escaped(&notification.text()), "mrkdwn": false });
        self.destination
            .post(body.to_string().into_bytes(), &[])
            .await
    }
}

/// In the way of Slack: so no name is taken for a link, or calls everybody in the channel.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

impl Handler<AlertNotification, ()> for Slack {
    fn check(_: &States) -> Result<(), oxcart::Error> {
        Ok(())
    }

    async fn call(&self, notification: AlertNotification, _: Context) -> Result<(), Failure> {
        self.send(&notification).await.map_err(Failure::retry)
    }
}
