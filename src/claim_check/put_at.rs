//! How long ago payloads were put into a store whose jobs are not sent yet.

use std::time::{Duration, Instant, SystemTime};

use crate::error::{Error, ErrorKind};

/// Jobs whose payloads were put longer ago are not sent any more: a sweep may take these payloads for orphans. A try that may have run is repeated for
/// half an hour behind that, and together this is less than the least age of an orphan.
const SENT_WITHIN: Duration = Duration::from_secs(20 * 60);
/// What waits for others, to go in one call with them, waits no longer.
const WAITS: Duration = Duration::from_secs(5 * 60);
/// After this, nobody repeats what may have run.
const REPEATED_WITHIN: Duration = Duration::from_secs(50 * 60);
// While one waits, one more may be put.
const _: () = assert!(WAITS.as_secs() + super::TIMEOUT_MAX.as_secs() < SENT_WITHIN.as_secs());
const _: () = assert!(REPEATED_WITHIN.as_secs() < super::GRACE_MIN.as_secs());

/// The moment at which the first of some payloads began to be put.
///
/// By two clocks: the one goes on while the machine sleeps, as the clock of the store does; the other cannot be set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PutAt {
    machine: Instant,
    world: SystemTime,
}

impl PutAt {
    pub(crate) fn now() -> Self {
        Self {
            machine: Instant::now(),
            world: SystemTime::now(),
        }
    }

    /// The larger one counts: what is taken for older than it is, is not sent, and that does no harm.
    fn age(self) -> Duration {
        let by_world = self.world.elapsed().unwrap_or_default();
        self.machine.elapsed().max(by_world)
    }

    /// Why jobs with these payloads are not sent any more, if they are not.
    pub(crate) fn too_late(self) -> Option<String> {
        let age = self.age();
        (age > SENT_WITHIN)
            .then(|| format!("its payload was put into the store {age:.0?} ago, and may be gone"))
    }

    /// Whether jobs are to go now, though more would fit into their call.
    pub(crate) fn is_to_go(self) -> bool {
        self.age() > WAITS
    }

    /// Whether a job is not even sent again that may have been added.
    pub(crate) fn is_too_late_to_repeat(self) -> bool {
        self.age() > REPEATED_WITHIN
    }

    /// Refuses jobs whose payloads may be gone.
    pub(crate) fn check(self) -> Result<(), Error> {
        match self.too_late() {
            None => Ok(()),
            Some(why) => Err(Error::new(
                ErrorKind::PayloadLost,
                format!("{why}; make a new request of the jobs that are not there"),
            )),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    impl PutAt {
        /// So long ago by the clock that goes on while the machine sleeps, and just now by the other one.
        pub(crate) fn ago(age: Duration) -> Self {
            let now = Self::now();
            Self {
                world: now.world - age,
                ..now
            }
        }
    }

    #[test]
    fn the_larger_age_counts() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let ages = [(19, false, false), (21, true, false), (51, true, true)];
        for (age, is_late, is_over) in ages {
            let put = PutAt::ago(minutes(age));
            assert_eq!(put.too_late().is_some(), is_late);
            assert_eq!(put.is_too_late_to_repeat(), is_over);
            let checked = put.check();
            assert_eq!(checked.is_err_and(|error| error.is_payload_lost()), is_late);
        }
        assert!(!PutAt::ago(minutes(4)).is_to_go() && PutAt::ago(minutes(6)).is_to_go());
        let now = PutAt::now();
        // A clock that was set back.
        let back = PutAt {
            world: now.world + minutes(90),
            ..now
        };
        assert!(back.too_late().is_none());
        // A machine that was just started has no such moment.
        if let Some(machine) = now.machine.checked_sub(minutes(21)) {
            let old = PutAt { machine, ..back };
            assert!(old.too_late().is_some());
        }
    }
}
