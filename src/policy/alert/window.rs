//! How much two totals have grown within a window of time: a few samples are kept with the alert, so it does not matter which
//! process judges.

use serde::{Deserialize, Serialize};

/// A window has about so many samples.
const SAMPLES: u64 = 8;

/// Two totals at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) at_ms: u64,
    pub(crate) totals: [u64; 2],
}

/// What the totals have grown by, and in what time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Growth {
    pub(crate) by: [u64; 2],
    pub(crate) in_ms: u64,
}

/// Notes what the totals are now, and says how much they have grown since the oldest sample: one that is as old as the window, or up to
/// an eighth older; as long as there is none, since the first one.
pub(crate) fn grown(samples: &mut Vec<Sample>, now: Sample, window_ms: u64) -> Growth {
    // The clock was set back, or the queue was deleted and is a new one.
    let is_unlike =
        |last: &Sample| last.at_ms > now.at_ms || (0..2).any(|n| last.totals[n] > now.totals[n]);
    if samples.last().is_some_and(is_unlike) {
        samples.clear();
    }
    let is_due = |last: &Sample| last.at_ms + window_ms / SAMPLES <= now.at_ms;
    if samples.last().is_none_or(is_due) {
        samples.push(now);
    }
    let is_old = |sample: &Sample| sample.at_ms + window_ms <= now.at_ms;
    let old = samples.iter().take_while(|sample| is_old(sample)).count();
    samples.drain(..old.saturating_sub(1));
    let first = samples.first().copied().unwrap_or(now);
    Growth {
        by: [0, 1].map(|n| now.totals[n].saturating_sub(first.totals[n])),
        in_ms: now.at_ms.saturating_sub(first.at_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: u64, total: u64) -> Sample {
        let totals = [total, 0];
        Sample { at_ms, totals }
    }

    #[test]
    fn growth_is_that_of_the_window_and_few_samples_are_kept() {
        let mut samples = Vec::new();
        // One a second.
        for second in 0..1_000 {
            let growth = grown(&mut samples, at(second * 1_000, second), 80_000);
            let covered = growth.in_ms / 1_000;
            assert_eq!(growth.by[0], covered);
            assert!(covered <= 90 && covered >= second.min(80), "{covered}");
            assert!(samples.len() <= 10);
        }
    }

    #[test]
    fn what_goes_back_begins_anew() {
        let mut samples = Vec::new();
        grown(&mut samples, at(1_000, 5), 80_000);
        let growth = grown(&mut samples, at(20_000, 3), 80_000);
        assert_eq!((growth.by[0], growth.in_ms), (0, 0));
        let growth = grown(&mut samples, at(10_000, 4), 80_000);
        assert_eq!((growth.by[0], growth.in_ms), (0, 0));
    }
}
