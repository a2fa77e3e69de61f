//! How many leases this worker can keep over its connection to Redis.
//!
//! A lease that cannot be renewed in time is lost. Its job then begins elsewhere, where the same may
//! happen. The number of leases that can be kept is not known beforehand: it is measured with each
//! round of renewals, and grows as long as the rounds are quick enough.

use std::time::Duration;

/// A round of renewals may take this part of the lease: it begins when a third of the lease is over,
/// and is to be done before handlers are told to end, with time to spare.
const PART_OF_LEASE: u32 = 4;
/// A renewal waits this part of the lease for its answer. So it can be repeated once before the lease is
/// over. An answer that comes later than a round may take is still of use.
const PATIENCE_PART: u32 = 3;
/// Leases a second of their length, before anything is measured.
const AT_FIRST_PER_SECOND: f64 = 1_024.0;
/// The limit grows by this factor at most from one round to the next, because nothing larger was tried.
const GROWTH: usize = 4;

/// The number of leases that can be kept.
#[derive(Debug)]
pub(crate) struct LeaseCapacity {
    round_at_most: Duration,
    at_first: usize,
    leases: usize,
}

impl LeaseCapacity {
    pub(crate) fn new(lease: Duration) -> Self {
        let at_first = (lease.as_secs_f64() * AT_FIRST_PER_SECOND) as usize;
        Self {
            round_at_most: lease / PART_OF_LEASE,
            at_first,
            leases: at_first,
        }
    }

    pub(crate) fn leases(&self) -> usize {
        self.leases
    }

    /// A round of so many renewals took this long.
    pub(crate) fn renewed(&mut self, leases: usize, took: Duration) {
        if leases == 0 {
            // Jobs that end before a renewal need no capacity: after a slow round the limit grows again.
            let more = self.leases.saturating_mul(2).min(self.at_first);
            self.leases = self.leases.max(more);
            return;
        }
        let rounds = self.round_at_most.as_secs_f64() / took.as_secs_f64().max(0.000_1);
        let possible = (leases as f64 * rounds) as usize;
        self.leases = if took <= self.round_at_most {
            let tried = leases.saturating_mul(GROWTH) + self.at_first;
            self.leases.max(possible.min(tried))
        } else {
            possible.max(1)
        };
    }

    /// A round was to renew so many leases, and got no answer in time.
    pub(crate) fn failed(&mut self, leases: usize) {
        self.leases = self.leases.min((leases / 2).max(1));
    }
}

/// How long the answer to a renewal may take.
pub(crate) fn patience(lease: Duration) -> Duration {
    lease / PATIENCE_PART
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(1);
    const QUICK: Duration = Duration::from_millis(50);

    #[test]
    fn g2_what_is_claimed_grows_with_what_was_renewed_in_time() {
        let mut capacity = LeaseCapacity::new(LEASE);
        assert_eq!(capacity.leases(), 1_024);
        capacity.renewed(10, QUICK);
        assert_eq!(capacity.leases(), 1_024, "ten tell little");
        capacity.renewed(1_000, QUICK);
        assert_eq!(capacity.leases(), 5_000);
        capacity.renewed(5_000, QUICK);
        assert_eq!(capacity.leases(), 5_000 * 4 + 1_024);
    }

    #[test]
    fn g2_what_cannot_be_renewed_in_time_is_not_claimed() {
        let mut capacity = LeaseCapacity::new(LEASE);
        capacity.renewed(1_000, LEASE);
        assert_eq!(capacity.leases(), 250);
        capacity.failed(250);
        assert_eq!(capacity.leases(), 125);
        capacity.renewed(125, LEASE / 8);
        assert_eq!(capacity.leases(), 250, "as many as there is time for");
        capacity.renewed(1, 10 * LEASE);
        assert_eq!(capacity.leases(), 1, "but one is always tried");
        for _ in 0..20 {
            capacity.renewed(0, QUICK);
        }
        assert_eq!(
            capacity.leases(),
            1_024,
            "jobs that need no renewal are as many as before"
        );
    }
}
