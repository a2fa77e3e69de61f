//! A webhook: the notification as JSON, signed.

use std::fmt;
use std::time::Duration;

use oxcart::{AlertNotification, Context, Failure, Handler, States};

use crate::destination::Destination;
use crate::error::Error;
use crate::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};

/// The id of the job that delivers: the same for each attempt, so that a receiver knows what it has got already.
pub const DELIVERY_HEADER: &str = "oxcart-delivery";

/// Posts alerts to a URL: as JSON, in the form of [`AlertNotification`]. It is a handler, to be given to
/// [`WorkerBuilder::handle`](oxcart::WorkerBuilder::handle).
///
/// ```no_run
/// # use oxcart_alerts::Webhook;
/// # use std::time::Duration;
/// # fn example() -> Result<(), oxcart_alerts::Error> {
/// let webhook = Webhook::new("https://pager.example.com/oxcart")?
///     .secret("a long random text")
///     .timeout(Duration::from_secs(5));
/// # drop(webhook);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Webhook {
    destination: Destination,
    secret: Option<Vec<u8>>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("destination", &self.destination)
            .field("is_signed", &self.secret.is_some())
            .finish()
    }
}

impl Webhook {
    /// To this URL, by `https://` or `http://`. Nothing is sent yet. Trusted are the CAs that the system trusts, or those in `SSL_CERT_FILE`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a URL that cannot be used, or if TLS is asked for and the system trusts no CA.
    pub fn new(url: &str) -> Result<Self, Error> {
        Ok(Self {
            destination: Destination::new(url)?,
            secret: None,
        })
    }

    /// What requests are signed with; the receiver has the same, and calls [`verify`](crate::verify). 32 random bytes are a good one. Default: none, and
    /// requests are not signed.
    #[must_use]
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.secret = Some(secret.as_ref().to_vec());
        self
    }

    /// How long a delivery may take, from looking up the host to the head of the answer. Default 10 s.
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

    /// Posts a notification, under the id of the job that delivers it.
    ///
    /// # Errors
    ///
    /// If the receiver does not answer with 2xx; see [`ErrorKind`](crate::ErrorKind).
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the receiver may or may not get the notification.
    pub async fn send(
        &self,
        notification: &AlertNotification,
        delivery: &str,
    ) -> Result<(), Error> {
        let body = serde_json::to_vec(notification)
            .map_err(|error| Error::invalid(format!("the notification is no JSON: {error}")))?;
        let signed = self.secret.as_ref().map(|secret| sign(secret, &body));
        let mut headers = vec![(DELIVERY_HEADER, delivery)];
        if let Some((timestamp, signature)) = &signed {
            headers.push((TIMESTAMP_HEADER, timestamp));
            headers.push((SIGNATURE_HEADER, signature));
        }
        self.destination.post(body, &headers).await
    }
}

impl Handler<AlertNotification, ()> for Webhook {
    fn check(_: &States) -> Result<(), oxcart::Error> {
        Ok(())
    }

    async fn call(&self, notification: AlertNotification, context: Context) -> Result<(), Failure> {
        let sent = self.send(&notification, context.id().as_str());
        sent.await.map_err(Failure::retry)
    }
}
