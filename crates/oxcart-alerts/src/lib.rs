//! Where the alerts of oxcart go: a [`Webhook`] or [`Slack`]. Each is a handler for [`AlertNotification`](oxcart::AlertNotification), so what is
//! not delivered is retried as any job is.
//!
//! ```no_run
//! use oxcart::{Oxcart, Worker};
//! use oxcart_alerts::Webhook;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let oxcart = Oxcart::connect("redis://127.0.0.1/").await?;
//! let webhook = Webhook::new("https://pager.example.com/oxcart")?.secret("a long random text");
//! let teller = Worker::builder(&oxcart.queue("alerts")?).handle(webhook).build()?;
//! # drop(teller);
//! # Ok(()) }
//! ```
//!
//! A job has one handler. One that tells several places calls [`Webhook::send`] and [`Slack::send`] one after the other; if one of them fails,
//! both are told again.
//!
//! # What is safe
//!
//! - Addresses that are not public (of this machine, of private networks, of cloud metadata services) are refused unless they are allowed. What is checked is
//!   the address that is connected to, so a name that leads to another address the second time makes no difference.
//! - No redirect is followed: an answer other than 2xx is an error, and is retried.
//! - A delivery takes 10 s at most, unless set. Nothing of the body of an answer is read.
//! - No URL is shown in errors or debug output, but for its host: the URLs of Slack are secrets.

#![warn(clippy::unwrap_used, clippy::panic, missing_debug_implementations)]

mod address;
mod destination;
mod error;
mod signature;
mod slack;
mod webhook;

pub use crate::error::{Error, ErrorKind};
pub use crate::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, verify};
pub use crate::slack::Slack;
pub use crate::webhook::{DELIVERY_HEADER, Webhook};
