//! How many suspects run at a time in this process.
//!
//! A suspect is a job whose worker died while it ran. If it is what kills workers, each suspect
//! that runs beside it is blamed for its crash. So a process that knows nothing of its suspects
//! begins with a few, and with each two that end without a crash it runs one more: what killed the
//! last process is met in a small group, and harmless suspects are soon done. A crash ends the process
//! with what it had learned. A suspect that another crash could bring near to being dead runs alone
//! (`lua/lib/suspects.lua`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::store::advance::Suspects;

/// Suspects that run together while nothing is known of them.
const TOGETHER_AT_FIRST: usize = 4;
/// So many that ended without a crash allow one more.
const PROOFS_FOR_ONE_MORE: usize = 2;
/// If no suspect has run for so long, the next ones come from another crash.
const FORGET_AFTER: Duration = Duration::from_secs(2);

/// One per process, whatever the number of workers: a crash takes all of them down.
static SUSPECTS: Mutex<Process> = Mutex::new(Process {
    asked: false,
    running: 0,
    one_is_alone: false,
    proven: 0,
    last_end: None,
});

struct Process {
    /// A call that may bring suspects is under way: how many is not known.
    asked: bool,
    running: usize,
    /// The suspect that runs must run alone.
    one_is_alone: bool,
    /// So many have ended without a crash.
    proven: usize,
    last_end: Option<Instant>,
}

fn process() -> MutexGuard<'static, Process> {
    SUSPECTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The turn to ask for suspects; given back when dropped.
#[derive(Debug)]
pub(crate) struct SuspectTurn {
    at_most: usize,
    none_runs: bool,
}

impl SuspectTurn {
    pub(crate) fn try_take() -> Option<Self> {
        let mut process = process();
        let idle_since = process.last_end.filter(|_| process.running == 0);
        if idle_since.is_some_and(|end| end.elapsed() >= FORGET_AFTER) {
            (process.proven, process.last_end) = (0, None);
        }
        let together = TOGETHER_AT_FIRST + process.proven / PROOFS_FOR_ONE_MORE;
        let room = together.saturating_sub(process.running);
        if process.asked || process.one_is_alone || room == 0 {
            return None;
        }
        process.asked = true;
        Some(Self {
            at_most: room,
            none_runs: process.running == 0,
        })
    }

    /// Which suspects a call may ask for.
    pub(crate) fn suspects(&self) -> Suspects {
        Suspects {
            at_most: self.at_most,
            alone: self.none_runs,
        }
    }

    /// So many suspects were claimed: a permit for each. `one_is_alone`: it is the only
    /// one, and must stay so.
    pub(crate) fn brought(self, suspects: usize, one_is_alone: bool) -> Vec<SuspectPermit> {
        let mut process = process();
        process.running += suspects;
        process.one_is_alone = one_is_alone;
        let permit = || SuspectPermit { began: false };
        std::iter::repeat_with(permit).take(suspects).collect()
    }
}

impl Drop for SuspectTurn {
    fn drop(&mut self) {
        process().asked = false;
    }
}

/// The right to run a suspect; given back when dropped.
#[derive(Debug)]
pub(crate) struct SuspectPermit {
    began: bool,
}

impl SuspectPermit {
    /// The suspect begins: its end will prove something.
    pub(crate) fn begin(&mut self) {
        self.began = true;
    }
}

impl Drop for SuspectPermit {
    fn drop(&mut self) {
        let mut process = process();
        process.running -= 1;
        process.one_is_alone &= process.running > 0;
        if self.began {
            process.proven += 1;
            process.last_end = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, for what it tests is there once in the process.
    #[test]
    fn g6_suspects_prove_themselves_in_groups_that_grow_or_alone() {
        let turn = SuspectTurn::try_take().unwrap();
        let asked = turn.suspects();
        assert_eq!((asked.at_most, asked.alone), (TOGETHER_AT_FIRST, true));
        for _ in 0..2 {
            assert!(SuspectTurn::try_take().is_none(), "one asks at a time");
        }
        let mut running = turn.brought(TOGETHER_AT_FIRST, false);
        running.iter_mut().for_each(SuspectPermit::begin);
        assert!(SuspectTurn::try_take().is_none(), "no room for more");

        // Two have ended: room for them and for one more.
        running.truncate(TOGETHER_AT_FIRST - PROOFS_FOR_ONE_MORE);
        let turn = SuspectTurn::try_take().unwrap();
        let asked = turn.suspects();
        assert_eq!((asked.at_most, asked.alone), (3, false));
        drop(turn);
        running.clear();
        let turn = SuspectTurn::try_take().unwrap();
        let asked = turn.suspects();
        assert_eq!((asked.at_most, asked.alone), (TOGETHER_AT_FIRST + 2, true));

        // It has few stalls to spare.
        let alone = turn.brought(1, true);
        assert!(SuspectTurn::try_take().is_none(), "it runs alone");
        drop(alone);
        drop(SuspectTurn::try_take().unwrap());

        process().last_end = Instant::now().checked_sub(FORGET_AFTER);
        let turn = SuspectTurn::try_take().unwrap();
        let asked = turn.suspects();
        assert_eq!(asked.at_most, TOGETHER_AT_FIRST, "another crash");
        assert!(turn.brought(0, false).is_empty());
    }
}
