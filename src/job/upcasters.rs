//! Payloads that an earlier version of their type wrote, brought to the version that this program has.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::codec::{self, Dialect};
use crate::error::Error;

/// Reads a payload of one version, and makes a `T` of it.
type Read<T> = Arc<dyn Fn(&[u8], Dialect) -> Result<T, Error> + Send + Sync>;

/// The way from the payloads of earlier versions of a type to the one that this program has: one step from each version to the next, as
/// functions from type to type. For [`Job::upcasters`](crate::Job::upcasters).
///
/// It begins with the oldest version that is read, and ends with the type itself:
///
/// ```
/// use oxcart::{Job, Upcasters};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Charge {
///     customer: u64,
///     cents: u64,
///     currency: String,
/// }
///
/// /// As version 1 wrote it.
/// #[derive(Serialize, Deserialize)]
/// struct ChargeV1 {
///     customer: u64,
///     euros: u64,
/// }
///
/// /// As version 2 wrote it.
/// #[derive(Serialize, Deserialize)]
/// struct ChargeV2 {
///     customer: u64,
///     cents: u64,
/// }
///
/// impl Job for Charge {
///     const NAME: &'static str = "charge";
///     const VERSION: u32 = 3;
///     type Output = ();
///
///     fn upcasters() -> Upcasters<Self> {
///         Upcasters::since(1)
///             .then(|old: ChargeV1| ChargeV2 { customer: old.customer, cents: old.euros * 100 })
///             .then(|old| Charge { customer: old.customer, cents: old.cents, currency: "EUR".into() })
///     }
/// }
/// ```
///
/// The number of steps has to lead from the first version to [`Job::VERSION`](crate::Job::VERSION): else a worker with a handler for the type is not built
/// ([`ErrorKind::Invalid`](crate::ErrorKind::Invalid)).
#[must_use = "it is what `Job::upcasters` gives"]
pub struct Upcasters<T> {
    /// The oldest version that is read.
    pub(in crate::job) since: u32,
    /// For each version before the last, from the oldest on.
    pub(in crate::job) steps: Vec<Read<T>>,
}

impl<T: DeserializeOwned + 'static> Upcasters<T> {
    /// The oldest version that is read is this one. Without further steps it is the only one. Jobs of older versions are handed back until
    /// a worker comes that reads them, and are dead in the end.
    pub fn since(version: u32) -> Self {
        Self {
            since: version,
            steps: Vec::new(),
        }
    }

    /// A step from this version to the next. It is called in the attempt: if it panics, that attempt has failed. A field that the older version
    /// does not know needs a value here.
    pub fn then<U>(self, step: impl Fn(T) -> U + Send + Sync + 'static) -> Upcasters<U> {
        let step = Arc::new(step);
        let mut steps: Vec<Read<U>> = Vec::with_capacity(self.steps.len() + 1);
        for read in self.steps {
            let step = Arc::clone(&step);
            steps.push(Arc::new(move |payload, dialect| {
                read(payload, dialect).map(|old| step(old))
            }));
        }
        steps.push(Arc::new(move |payload, dialect| {
            codec::decode("a job's payload", payload, dialect).map(|old| step(old))
        }));
        let since = self.since;
        Upcasters { since, steps }
    }
}

impl<T> fmt::Debug for Upcasters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upcasters")
            .field("since", &self.since)
            .field("steps", &self.steps.len())
            .finish()
    }
}
