//! Fixtures: payloads as each released version of a type wrote them, kept as text beside the code, so that a test finds the change
//! after which an old one cannot be read.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::codec::{self, Dialect};
use crate::job::Job;
use crate::job::reader::Reader;

/// One line of text that holds this job as the program of today stores it: the name and the version of its type, and the payload in hexadecimal.
/// Write it to a file when a version is released, and let a test give the file to [`assert_readable`] from then on. Only with the feature `memory`.
///
/// ```
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Charge { euros: u64 }
/// # impl Job for Charge { const NAME: &'static str = "charge"; type Output = (); }
/// assert_eq!(oxcart::fixture_of(&Charge { euros: 7 }), "charge 1 81a56575726f7307");
/// ```
///
/// # Panics
///
/// If it cannot be encoded.
#[must_use]
#[track_caller]
pub fn fixture_of<J: Job>(job: &J) -> String {
    let payload = codec::encode_to_be_read("a job's payload", job);
    let payload = payload.unwrap_or_else(|error| panic!("{error}"));
    let mut line = format!("{} {} ", J::NAME, J::VERSION);
    for byte in payload {
        write!(line, "{byte:02x}").expect("a text takes all");
    }
    line
}

/// Asserts that every version of a type that was ever released is still read, and gives what was read, in the order of the lines. `fixtures` has a
/// line of [`fixture_of`] for each version before the present one, from the oldest that its [upcasters](Job::upcasters) read; for the present
/// one it may have some. Empty lines, and lines that begin with `//`, are passed over. Only with the feature `memory`.
///
/// ```
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Charge { cents: u64 }
/// # #[derive(Serialize, Deserialize)] struct ChargeV1 { euros: u64 }
/// # impl Job for Charge {
/// #     const NAME: &'static str = "charge"; const VERSION: u32 = 2; type Output = ();
/// #     fn upcasters() -> Upcasters<Self> { Upcasters::since(1).then(|old: ChargeV1| Charge { cents: old.euros * 100 }) }
/// # }
/// let released = "charge 1 81a56575726f7307";      // include_str!("fixtures/charge.txt")
/// assert_eq!(oxcart::assert_readable::<Charge>(released)[0].cents, 700);
/// ```
///
/// # Panics
///
/// If a line cannot be read as a `J`, is of a newer version, or is no fixture; if a version has no line; or if the upcasters do not lead to the version of
/// the type.
#[track_caller]
pub fn assert_readable<J: Job>(fixtures: &str) -> Vec<J> {
    let reader = Reader::<J>::new();
    if let Err(error) = reader.check() {
        panic!("{error}");
    }
    let (mut versions, mut read) = (BTreeSet::new(), Vec::new());
    for line in fixtures.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let Some((version, payload)) = parsed::<J>(line) else {
            panic!(
                "no fixture of `{}`: {line:?}; `fixture_of` writes them",
                J::NAME
            );
        };
        match reader.read_payload(&payload, Dialect::Readable, version) {
            Ok(job) => read.push(job),
            Err(error) => panic!(
                "what version {version} of `{}` wrote cannot be read any more: {error}; the fixture: {line}",
                J::NAME
            ),
        }
        versions.insert(version);
    }
    let mut released = reader.oldest()..J::VERSION;
    if let Some(version) = released.find(|version| !versions.contains(version)) {
        panic!(
            "there is no fixture of version {version} of `{}`; write one with `fixture_of`, in the program that has this version",
            J::NAME
        );
    }
    read
}

/// The version and the payload.
fn parsed<J: Job>(line: &str) -> Option<(u32, Vec<u8>)> {
    let mut words = line.split(' ');
    let (name, version, hex) = (words.next()?, words.next()?, words.next()?);
    if name != J::NAME || words.next().is_some() || hex.len() % 2 != 0 {
        return None;
    }
    let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let payload = (0..hex.len()).step_by(2).map(byte);
    Some((version.parse().ok()?, payload.collect::<Option<_>>()?))
}
