//! At most one suspect at a time in this process.
//!
//! A suspect is a job whose worker died while it ran. If it is what kills workers, it must not
//! run beside other suspects, or each of them would be blamed for its crashes.

use std::sync::atomic::{AtomicBool, Ordering};

/// One per process, whatever the number of workers: a crash takes all of them down.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The right to run a suspect; given back when dropped.
#[derive(Debug)]
pub(crate) struct SuspectPermit(());

impl SuspectPermit {
    pub(crate) fn try_take() -> Option<Self> {
        let taken = TAKEN.swap(true, Ordering::AcqRel);
        (!taken).then(|| Self(()))
    }
}

impl Drop for SuspectPermit {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g6_who_asks_in_vain_takes_the_permit_from_nobody() {
        let held = SuspectPermit::try_take();
        assert!(held.is_some());
        for _ in 0..2 {
            assert!(SuspectPermit::try_take().is_none());
        }
        drop(held);
        assert!(SuspectPermit::try_take().is_some());
    }
}
