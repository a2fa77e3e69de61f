//! Versions of the payloads of one type of job.

use crate::error::Error;

/// The version of a type that says nothing of versions. Jobs of it carry no version.
pub(crate) const FIRST: u32 = 1;
/// There is a step for each version before the last, and each is one more function in a chain of calls.
const VERSION_MAX: u32 = 1_000;

/// Whether a payload of jobs of this name can have this version.
pub(crate) fn check_version(name: &str, version: u32) -> Result<(), Error> {
    if (FIRST..=VERSION_MAX).contains(&version) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the version of `{name}` is {version}; {FIRST} to {VERSION_MAX} are allowed"
    )))
}
