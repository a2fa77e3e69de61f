//! The counts of one queue in the last minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use oxcart::Counts;

/// So many counts are kept: those of a minute.
const KEPT: usize = 61;
/// Rates are those of the last seconds.
const LATELY: usize = 5;
/// Counts that are further apart tell nothing of what was between them.
const GAP: Duration = Duration::from_secs(5);

/// One queue that is on the screen.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) counts: Counts,
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    arrived: u64,
    departed: u64,
}

/// Jobs in a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    pub(super) arrivals: f64,
    pub(super) departures: f64,
}

impl Watched {
    pub(super) fn take(&mut self, counts: Counts, at: Instant) {
        let totals = &counts.totals;
        let sample = Sample {
            at,
            arrived: totals.added + totals.replayed,
            departed: totals.completed + totals.cancelled + totals.dead,
        };
        // It was off the screen for a while, or was deleted and made anew.
        let goes_on = |last: &Sample| {
            at.duration_since(last.at) <= GAP
                && last.arrived <= sample.arrived
                && last.departed <= sample.departed
        };
        if !self.samples.back().is_some_and(goes_on) {
            self.samples.clear();
        }
        self.samples.push_back(sample);
        if self.samples.len() > KEPT {
            self.samples.pop_front();
        }
        self.counts = counts;
    }

    /// None as long as there are no two counts.
    pub(super) fn rates(&self) -> Option<Rates> {
        let last = self.samples.back()?;
        let first = self
            .samples
            .iter()
            .rev()
            .nth(LATELY.min(self.samples.len() - 1))?;
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
        (seconds > 0.0).then(|| Rates {
            arrivals: rate(first.arrived, last.arrived),
            departures: rate(first.departed, last.departed),
        })
    }

    /// How many jobs ended between one look and the next, in the last minute.
    pub(super) fn departed(&self) -> Vec<u64> {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        pairs
            .map(|(before, after)| after.departed - before.departed)
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A queue that has been looked at each second, while so many jobs ended.
    pub(in super::super) fn watched(mut counts: Counts, ended: &[u64], now: Instant) -> Watched {
        let mut watched = Watched::default();
        for (second, ended) in ended.iter().enumerate() {
            counts.totals.added += ended + 1;
            counts.totals.completed += ended;
            watched.take(counts.clone(), now + Duration::from_secs(second as u64));
        }
        watched
    }

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let now = Instant::now();
        let one = watched(Counts::default(), &[3], now);
        assert_eq!((one.rates(), one.departed().len()), (None, 0));
        let ten = watched(Counts::default(), &[100, 100, 100, 7, 7, 7, 7, 7], now);
        let rates = Rates {
            arrivals: 8.0,
            departures: 7.0,
        };
        assert_eq!(ten.rates(), Some(rates));
        assert_eq!(ten.departed(), [100, 100, 7, 7, 7, 7, 7]);
    }

    #[test]
    fn a_gap_and_a_queue_that_was_deleted_begin_anew() {
        let now = Instant::now();
        let mut counts = Counts::default();
        counts.totals.completed = 1;
        let mut of = watched(Counts::default(), &[5; 100], now);
        assert_eq!(of.departed().len(), 60);
        of.take(counts.clone(), now + Duration::from_secs(100));
        assert_eq!(of.rates(), None);
        counts.totals.completed = 9;
        of.take(counts, now + Duration::from_secs(110));
        assert_eq!(of.rates(), None);
    }
}
