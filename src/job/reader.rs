//! Reads payloads of one type of job, whatever version of it wrote them.

use crate::codec::{self, Dialect};
use crate::error::{Error, ErrorKind};
use crate::job::Job;
use crate::job::record::Record;
use crate::job::upcasters::Upcasters;
use crate::job::version::{FIRST, check_version};

/// Made once for each handler.
pub(crate) struct Reader<J> {
    upcasters: Upcasters<J>,
}

impl<J: Job> Reader<J> {
    pub(crate) fn new() -> Self {
        Self {
            upcasters: J::upcasters(),
        }
    }

    /// The oldest version that it reads.
    pub(crate) fn oldest(&self) -> u32 {
        self.upcasters.since
    }

    /// Whether the upcasters lead to the version of the type.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (name, version) = (J::NAME, J::VERSION);
        check_version(name, version)?;
        let (since, steps) = (self.oldest(), self.upcasters.steps.len());
        if since < FIRST {
            return Err(Error::invalid(format!(
                "the upcasters of `{name}` begin with version 0; versions count from {FIRST}"
            )));
        }
        let leads_to = u64::from(since) + steps as u64;
        if leads_to != u64::from(version) {
            return Err(Error::invalid(format!(
                "the upcasters of `{name}` begin with version {since} and have {steps} steps, so they lead to version {leads_to}, and \
                 `Job::VERSION` is {version}; each step leads from one version to the next, and `Upcasters::since({version})` reads no older one"
            )));
        }
        Ok(())
    }

    pub(crate) fn read(&self, record: &Record) -> Result<J, Error> {
        self.read_payload(&record.payload, record.dialect, record.version)
    }

    pub(crate) fn read_payload(
        &self,
        payload: &[u8],
        dialect: Dialect,
        version: u32,
    ) -> Result<J, Error> {
        if version == J::VERSION {
            return codec::decode("a job's payload", payload, dialect);
        }
        let step = version.checked_sub(self.oldest());
        let step = step.and_then(|step| self.upcasters.steps.get(step as usize));
        step.ok_or_else(|| self.unknown(version))?(payload, dialect)
    }

    fn unknown(&self, version: u32) -> Error {
        let (name, since, last) = (J::NAME, self.oldest(), J::VERSION);
        let read = match since == last {
            true => format!("version {last}"),
            false => format!("versions {since} to {last}"),
        };
        Error::new(
            ErrorKind::Incompatible,
            format!("the payload is version {version} of `{name}`, and this program reads {read}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct One {
        euros: u64,
    }

    #[derive(Serialize, Deserialize)]
    struct Two {
        cents: u64,
    }

    /// The third version, which reads those from `SINCE` on if there are `STEPS` steps from there to it.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Three<const SINCE: u32, const STEPS: usize> {
        cents: u64,
        currency: String,
    }

    impl<const SINCE: u32, const STEPS: usize> Job for Three<SINCE, STEPS> {
        const NAME: &'static str = "charge";
        const VERSION: u32 = 3;
        type Output = ();

        fn upcasters() -> Upcasters<Self> {
            let last = |old: Two| Self {
                cents: old.cents,
                currency: "EUR".to_owned(),
            };
            match STEPS {
                0 => Upcasters::since(SINCE),
                1 => Upcasters::since(SINCE).then(last),
                _ => Upcasters::since(SINCE)
                    .then(|old: One| Two {
                        cents: old.euros * 100,
                    })
                    .then(last),
            }
        }
    }

    fn encoded(value: &impl Serialize) -> Vec<u8> {
        codec::encode("a job's payload", value).unwrap()
    }

    fn error<const SINCE: u32, const STEPS: usize>() -> Option<Error> {
        Reader::<Three<SINCE, STEPS>>::new().check().err()
    }

    #[test]
    fn each_version_goes_through_the_steps_behind_it() {
        let reader = Reader::<Three<1, 2>>::new();
        reader.check().unwrap();
        let three = Three {
            cents: 700,
            currency: "EUR".to_owned(),
        };
        let payloads = [
            encoded(&One { euros: 7 }),
            encoded(&Two { cents: 700 }),
            encoded(&three),
        ];
        for (version, payload) in (1..).zip(&payloads) {
            let read = reader.read_payload(payload, Dialect::Readable, version);
            assert_eq!(read.unwrap(), three, "{version}");
            let wrong = reader.read_payload(&[0xc0], Dialect::Readable, version);
            assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Codec, "{version}");
        }
    }

    #[test]
    fn a_version_that_is_not_known_is_a_typed_error() {
        let payload = encoded(&Two { cents: 700 });
        for version in [0, 1, 4, u32::MAX] {
            let reader = Reader::<Three<2, 1>>::new();
            reader.check().unwrap();
            let read = reader.read_payload(&payload, Dialect::Readable, version);
            let error = read.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Incompatible);
            let why =
                format!("version {version} of `charge`, and this program reads versions 2 to 3");
            assert!(error.to_string().contains(&why), "{error}");
        }
    }

    #[test]
    fn upcasters_that_lead_nowhere_are_a_typed_error() {
        assert!(error::<3, 0>().is_none() && error::<2, 1>().is_none());
        for (error, why) in [
            (error::<1, 0>(), "lead to version 1"),
            (error::<1, 1>(), "lead to version 2"),
            (error::<2, 2>(), "lead to version 4"),
            (error::<0, 2>(), "versions count from 1"),
            (error::<{ u32::MAX }, 1>(), "lead to version 4294967296"),
        ] {
            let error = error.expect("it leads nowhere");
            assert!(error.is_invalid(), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn versions_count_from_one() {
        assert!(check_version("charge", 1).is_ok() && check_version("charge", 1_000).is_ok());
        for version in [0, 1_001] {
            assert!(check_version("charge", version).unwrap_err().is_invalid());
        }
    }
}
