//! Identifiers: of jobs, of workers, and the fence of an attempt.

mod fresh;

use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;
use crate::name;
use crate::time::Timestamp;

/// The id of a job: unique within its queue, chosen before the job is first sent.
///
/// Unless given, it is a UUIDv7 in lower-case Crockford base32: 26 characters that sort by the
/// time they were made.
///
/// ```
/// # use oxcart::JobId;
/// let made = JobId::generate();
/// assert_eq!(made.as_str().len(), 26);
///
/// let given = JobId::new("invoice-2026-0042")?;
/// assert_eq!(given.as_str(), "invoice-2026-0042");
/// assert!(JobId::new("no spaces").is_err());
/// # Ok::<(), oxcart::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Arc<str>);

impl JobId {
    /// Checks an id: 1 to 128 bytes, no white space, no control characters and none of
    /// `: / # ~ { }`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), which says what is wrong.
    pub fn new(id: impl AsRef<str>) -> Result<Self, Error> {
        name::check("job id", id.as_ref())?;
        Ok(Self(id.as_ref().into()))
    }

    /// A new id that no other call will make: not in this process, nor in a process that is forked from
    /// it, nor elsewhere. The ids of one process sort in the order in which they were made.
    #[must_use]
    pub fn generate() -> Self {
        Self(sortable_base32(fresh::uuid()))
    }

    /// The schedule and the tick that made the job, if the id is one that a schedule gives
    /// (`<schedule>@<tick in ms>`).
    ///
    /// ```
    /// # use oxcart::{JobId, Timestamp};
    /// let id = JobId::new("nightly@1735700400000")?;
    /// let tick = Timestamp::from_millis(1_735_700_400_000);
    /// assert_eq!(id.tick(), Some(("nightly", tick)));
    /// assert_eq!(JobId::generate().tick(), None);
    /// # Ok::<(), oxcart::Error>(())
    /// ```
    #[must_use]
    pub fn tick(&self) -> Option<(&str, Timestamp)> {
        let (schedule, ms) = self.0.rsplit_once('@')?;
        Some((schedule, Timestamp::from_millis(ms.parse().ok()?)))
    }

    /// An id as Redis holds it.
    pub(crate) fn stored(id: &str) -> Self {
        Self(id.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for JobId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for JobId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self, Error> {
        Self::new(id)
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Self::new(id).map_err(serde::de::Error::custom)
    }
}

/// A number that only grows from one claim to the next, so that the guard of a resource can
/// refuse the late writes of an attempt that has lost its job.
///
/// Pass it along with what the handler writes elsewhere; a store that keeps the largest fence
/// it has seen and refuses smaller ones cannot be overwritten by a zombie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fence(pub(crate) u64);

impl Fence {
    /// The number. Below 2^53.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a call that claims jobs gives for them, and a call that ends or extends such an attempt has to
/// show: the claim as Redis holds it, the same for all jobs of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt(Arc<str>);

impl Receipt {
    pub(crate) fn new(claim: &str) -> Self {
        Self(claim.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// When the job was claimed, by the server's clock; 0 if it does not say so.
    pub(crate) fn since_ms(&self) -> u64 {
        let since_ms = self.0.split(' ').nth(1).and_then(|word| word.parse().ok());
        since_ms.unwrap_or(0)
    }

    /// `[a, a, b]` as `[(a, 2), (b, 1)]`: the way in which calls name many of them.
    pub(crate) fn runs<'a>(receipts: impl IntoIterator<Item = &'a Self>) -> Runs<'a> {
        let mut runs: Vec<(&str, usize)> = Vec::new();
        for receipt in receipts {
            match runs.last_mut() {
                Some((last, count)) if *last == receipt.as_str() => *count += 1,
                _ => runs.push((receipt.as_str(), 1)),
            }
        }
        Runs(runs)
    }
}

/// Receipts, each with the number of times it stands in a row; a flat list on the wire.
pub(crate) struct Runs<'a>(Vec<(&'a str, usize)>);

impl Serialize for Runs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(2 * self.0.len()))?;
        for (receipt, count) in &self.0 {
            list.serialize_element(receipt)?;
            list.serialize_element(count)?;
        }
        list.end()
    }
}

/// A new id for a worker or for a lane of calls. No other worker or lane ever has the same id.
///
/// If two senders used one lane, a call of one would be taken for a repeated call of the other, and
/// never be carried out.
pub(crate) fn incarnation() -> String {
    sortable_base32(fresh::uuid()).to_string()
}

/// A number that no other call makes within minutes.
pub(crate) fn number() -> u64 {
    fresh::number()
}

/// Crockford base32, most significant digit first: the text sorts as the number does.
fn sortable_base32(number: u128) -> Arc<str> {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    const LENGTH: usize = 26;
    let text: [u8; LENGTH] = std::array::from_fn(|at| {
        let bits = 5 * (LENGTH - 1 - at);
        DIGITS[(number >> bits & 31) as usize]
    });
    str::from_utf8(&text).expect("the digits are ASCII").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_sortable_and_covers_every_bit() {
        let low = sortable_base32(0);
        let high = sortable_base32(u128::MAX);
        assert_eq!(*low, *"0".repeat(26));
        assert_eq!(*high, *format!("7{}", "z".repeat(25)));
        let mut ids: Vec<_> = (0..100u128).map(|n| sortable_base32(n << 60)).collect();
        let made = ids.clone();
        ids.sort();
        assert_eq!(ids, made);
    }
}
