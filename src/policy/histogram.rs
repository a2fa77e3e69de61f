//! How long things took, as counts in buckets. Each bucket is a fifth wider than the one before it, so what is told of a time is right to a
//! tenth; histograms of several workers and minutes are added up.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;

/// The first bucket counts times of up to 10 µs.
const FIRST_US: f64 = 10.0;
const GROWTH: f64 = 1.2;
/// The last bucket begins at more than a year.
const LAST: u8 = 159;

/// How many times fell into each bucket. As text: `<bucket>:<times>,..`, or `-` for none.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Histogram(BTreeMap<u8, u64>);

impl Histogram {
    pub(crate) fn record(&mut self, took: Duration) {
        let bucket = (took.as_micros() as f64 / FIRST_US).log(GROWTH).ceil();
        // What is not positive is in the first one.
        let bucket = bucket.clamp(0.0, f64::from(LAST)) as u8;
        *self.0.entry(bucket).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (bucket, times) in &other.0 {
            let sum = self.0.entry(*bucket).or_default();
            *sum = sum.saturating_add(*times);
        }
    }

    /// The time that this part of all times (0 to 1) does not exceed.
    pub(crate) fn quantile(&self, part: f64) -> Option<Duration> {
        let all: u64 = self
            .0
            .values()
            .fold(0, |sum, times| sum.saturating_add(*times));
        let rank = ((all as f64 * part).ceil() as u64).max(1);
        let mut below = 0u64;
        let bucket = self.0.iter().find(|(_, times)| {
            below = below.saturating_add(**times);
            below >= rank
        });
        bucket.map(|(bucket, _)| middle(*bucket))
    }

    /// What is no bucket is passed over: another program may have written it.
    pub(crate) fn parse(text: &str) -> Self {
        let words = text.split(',').filter_map(|word| {
            let (bucket, times) = word.split_once(':')?;
            let bucket = bucket.parse().ok().filter(|bucket| *bucket <= LAST)?;
            Some((bucket, times.parse().ok()?))
        });
        Self(words.collect())
    }
}

/// What is told of the times in a bucket: it is as far from the smallest as from the largest of them, in proportion.
fn middle(bucket: u8) -> Duration {
    let largest = FIRST_US * GROWTH.powi(bucket.into());
    Duration::from_nanos((largest * 2_000.0 / (1.0 + GROWTH)) as u64)
}

impl Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        for (n, (bucket, times)) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(f, "{comma}{bucket}:{times}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_time_is_right_to_a_tenth() {
        for us in [
            12,
            77,
            1_000,
            12_345,
            999_999,
            60_000_000,
            86_400_000_000,
            1_000_000_000_000,
        ] {
            let mut histogram = Histogram::default();
            histogram.record(Duration::from_micros(us));
            let told = histogram.quantile(0.5).unwrap().as_secs_f64() * 1e6;
            assert!((told / us as f64 - 1.0).abs() < 0.1, "{us} µs: {told}");
        }
        let mut extreme = Histogram::default();
        extreme.record(Duration::ZERO);
        extreme.record(Duration::MAX);
        assert_eq!(extreme.to_string(), "0:1,159:1");
    }

    #[test]
    fn quantiles_are_those_of_all_times_together() {
        let of = |times: std::ops::Range<u64>| {
            let mut histogram = Histogram::default();
            for ms in times {
                histogram.record(Duration::from_millis(ms));
            }
            histogram
        };
        let mut all = of(1..501);
        all.add(&of(501..1_001));
        assert_eq!(all, of(1..1_001));
        for (part, ms) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let told = all.quantile(part).unwrap().as_secs_f64() * 1_000.0;
            assert!((told / ms - 1.0).abs() < 0.1, "{part}: {told}");
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut histogram = Histogram::default();
        assert_eq!(Histogram::parse(&histogram.to_string()), histogram);
        for ms in [1, 5, 5, 1_000] {
            histogram.record(Duration::from_millis(ms));
        }
        assert_eq!(Histogram::parse(&histogram.to_string()), histogram);
        assert_eq!(Histogram::parse("3:4,x,300:1,5:y"), Histogram::parse("3:4"));
    }
}
