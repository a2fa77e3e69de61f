//! What a job is: its type, its options, its record, its states and its outcomes.

pub(crate) mod attempt;
pub(crate) mod cloud_event;
pub(crate) mod failure;
pub(crate) mod head;
pub(crate) mod headers;
pub(crate) mod history;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod replies;
pub(crate) mod secret;
pub(crate) mod state;
pub(crate) mod traits;
pub(crate) mod upcasters;
pub(crate) mod version;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::policy::order::Order;
use crate::policy::unique::Unique;
use options::JobOptions;
use upcasters::Upcasters;

/// A type of job: its payload, its name on the wire and what it gives back.
///
/// The payload is stored as MessagePack with named fields, so adding a field that is an
/// `Option` or has `#[serde(default)]` is a compatible change in both directions, also to a
/// payload that is a unit struct (`struct Ping;`). One inside of a payload is an empty list: write
/// `struct Ping {}` where it may get fields. The name is part of the stored job: renaming the Rust
/// type changes nothing, changing `NAME` does.
///
/// # What a payload may hold
///
/// Values that serde reads as they were written. A type that has a form for people is sent in that form, so that it can
/// be read inside of tagged and untagged enums and flattened fields as well: an
/// [`IpAddr`](std::net::IpAddr) takes up to 40 bytes, a UUID 38. The producer refuses, with
/// [`ErrorKind::Codec`](crate::ErrorKind::Codec), the type and the place in it:
///
/// - a `Some` that is written like `None`: `Some(None)`, `Some(())`;
/// - a number of 128 bits where serde buffers: in tagged and untagged enums and flattened fields;
/// - lists and maps that are nested more than 128 deep;
/// - what its own type does not read back. That is tried with the first 8 payloads of each type on
///   each thread, and always with one that holds a number of 128 bits.
///
/// The same holds for an [`Output`](Self::Output): a result that its waiter could not read ends the
/// job as dead, with an attempt of the kind [`BadResult`](crate::AttemptKind::BadResult).
///
/// ```
/// use oxcart::{Backoff, Job, JobOptions};
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
///
/// #[derive(Serialize, Deserialize)]
/// struct SendWelcome {
///     user: u64,
/// }
///
/// impl Job for SendWelcome {
///     const NAME: &'static str = "send-welcome";
///     const QUEUE: &'static str = "mail";
///     type Output = ();
///
///     fn options() -> JobOptions {
///         JobOptions::new().attempts(5).timeout(Duration::from_secs(30))
///     }
/// }
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The name that producers and workers agree on: 1 to 128 bytes, no white space, no control
    /// characters and none of `: / # ~ { }`.
    const NAME: &'static str;

    /// The queue in which jobs of this type live, if it is always the same one: [`Oxcart::enqueue`](crate::Oxcart::enqueue)
    /// puts them there, and any other queue refuses them, when they are enqueued and when a worker is built that
    /// has a handler for them.
    ///
    /// A type that is sent to several queues leaves it out. Where a single call or worker is an exception, because the
    /// jobs move from one queue to another for instance, it says so: [`Enqueue::any_queue`](crate::Enqueue::any_queue),
    /// [`WorkerBuilder::any_queue`](crate::WorkerBuilder::any_queue).
    const QUEUE: &'static str = "";

    /// Fields of the payload that must not be shown: `"card"` is a field of this name wherever it is, `"customer.address"` the one at
    /// this place, from the top. The names are stored with each job of this type, so that programs that do not know the type
    /// mask these fields, too: in [`JobInfo::payload`](crate::JobInfo::payload), in what the command `oxcart` prints, and in exports. The
    /// handler gets the job as it was enqueued. Default: none.
    ///
    /// What is stored in Redis is not encrypted, and an error that a handler returns is shown as it is.
    ///
    /// ```
    /// # use oxcart::Job;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Charge {
    ///     order: u64,
    ///     card: String,
    /// }
    ///
    /// impl Job for Charge {
    ///     const NAME: &'static str = "charge";
    ///     const SECRET: &'static [&'static str] = &["card"];
    ///     type Output = ();
    /// }
    /// ```
    const SECRET: &'static [&'static str] = &[];

    /// The version of the payload: 1 to 1,000. It is stored with each job of this type, unless it is 1. Give it the next number when the payload
    /// changes so that serde alone could not read the old one, and say in [`upcasters`](Self::upcasters) what becomes of the old one.
    ///
    /// A worker reads this version and the older ones. It hands a job of a newer version back without a failed attempt, for a worker that
    /// knows the version. Default: 1.
    const VERSION: u32 = 1;

    /// What the handler gives back, and [`JobHandle::result`](crate::JobHandle::result) gives
    /// to the callers that wait for it. `()` if nothing.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// The options of every job of this type, unless they are changed where it is enqueued.
    #[must_use]
    fn options() -> JobOptions {
        JobOptions::new()
    }

    /// How payloads of older versions are read: a step from each version to the next; see [`Upcasters`]. Default: there is one
    /// version.
    fn upcasters() -> Upcasters<Self> {
        Upcasters::since(version::FIRST)
    }

    /// The [unique key](Unique) of a job of this type, made of its fields, so that no caller can forget it.
    /// [`Enqueue::unique`](crate::Enqueue::unique) gives a single job another one. Default: none, or what
    /// [`options`](Self::options) says.
    ///
    /// ```
    /// # use oxcart::{Job, Unique};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Reindex {
    ///     shop: u64,
    /// }
    ///
    /// impl Job for Reindex {
    ///     const NAME: &'static str = "reindex";
    ///     type Output = ();
    ///
    ///     fn unique(&self) -> Option<Unique> {
    ///         Some(Unique::by(self.shop.to_string()))
    ///     }
    /// }
    /// ```
    #[must_use]
    fn unique(&self) -> Option<Unique> {
        None
    }

    /// The group of a job of this type, made of its fields, so that no caller can forget it: a tenant, a customer, an account.
    /// [`Enqueue::group`](crate::Enqueue::group) gives a single job another one. A job has a group or an order, not both: else it is
    /// refused when it is enqueued. Default: none, or what [`options`](Self::options) says.
    ///
    /// ```
    /// # use oxcart::Job;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Import {
    ///     tenant: u64,
    /// }
    ///
    /// impl Job for Import {
    ///     const NAME: &'static str = "import";
    ///     type Output = ();
    ///
    ///     fn group(&self) -> Option<String> {
    ///         Some(format!("tenant-{}", self.tenant))
    ///     }
    /// }
    /// ```
    #[must_use]
    fn group(&self) -> Option<String> {
        None
    }

    /// The [order](Order) of a job of this type, made of its fields, so that no caller can forget it.
    /// [`Enqueue::ordered_by`](crate::Enqueue::ordered_by) gives a single job another one. Default: none, or what
    /// [`options`](Self::options) says.
    ///
    /// ```
    /// # use oxcart::{Job, OnFailure, Order};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Ship {
    ///     order: u64,
    /// }
    ///
    /// impl Job for Ship {
    ///     const NAME: &'static str = "ship";
    ///     type Output = ();
    ///
    ///     fn ordered_by(&self) -> Option<Order> {
    ///         Some(Order::by(format!("order-{}", self.order)).on_failure(OnFailure::Halt))
    ///     }
    /// }
    /// ```
    #[must_use]
    fn ordered_by(&self) -> Option<Order> {
        None
    }
}

/// The options of this job, as its type gives them.
pub(crate) fn options_of<J: Job>(job: &J) -> JobOptions {
    let mut options = J::options();
    if let Some(unique) = job.unique() {
        options = options.unique(unique);
    }
    if let Some(group) = job.group() {
        options = options.group(group);
    }
    if let Some(order) = job.ordered_by() {
        options = options.ordered_by(order);
    }
    options
}

/// Whether the payload of a job of the type `name` is small enough.
pub(crate) fn check_payload_size(name: &str, payload: &[u8], max: usize) -> Result<(), Error> {
    if payload.len() <= max {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the payload of `{name}` has {} bytes; {max} are allowed (OxcartBuilder::payload_max)",
        payload.len()
    )))
}

/// Whether jobs of this type may be in this queue. `if_meant`: what to write where it is an exception.
pub(crate) fn check_queue<J: Job>(queue: &str, if_meant: &str) -> Result<(), Error> {
    if J::QUEUE.is_empty() || J::QUEUE == queue {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "jobs of type `{}` are for the queue `{}` (`Job::QUEUE`), and this is `{queue}`; if that is meant, \
         write {if_meant}",
        J::NAME,
        J::QUEUE
    )))
}
