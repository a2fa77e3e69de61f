//! What was counted in one minute, as it is stored.

use crate::policy::tally::Tallies;

/// The minutes of which something is kept: a day.
pub(crate) const MINUTES: u64 = 1_440;
/// A queue in which nothing happens is written down so often.
pub(crate) const QUIET_MINUTES: u64 = 10;
/// The length of a minute, in ms.
pub(crate) const MINUTE_MS: u64 = 60_000;

/// What a queue has counted since it was made, and how many jobs wait.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) added: u64,
    pub(crate) replayed: u64,
    pub(crate) completed: u64,
    pub(crate) cancelled: u64,
    pub(crate) dead: u64,
    pub(crate) retried: u64,
    pub(crate) waiting: u64,
}

impl Sums {
    /// Jobs that were to be run.
    pub(crate) fn arrived(&self) -> u64 {
        self.added.saturating_add(self.replayed)
    }

    /// Jobs that have ended.
    pub(crate) fn departed(&self) -> u64 {
        let ended = self.completed.saturating_add(self.cancelled);
        ended.saturating_add(self.dead)
    }
}

/// One minute.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Minute {
    /// Its number since 1970.
    pub(crate) number: u64,
    /// When a worker reported last.
    pub(crate) at_ms: u64,
    /// What the queue had counted then.
    pub(crate) sums: Sums,
    pub(crate) tallies: Tallies,
}

impl Minute {
    /// A first line of numbers, and a line for each name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (first, lines) = text.split_once('\n').unwrap_or((text, ""));
        let mut numbers = first.split(' ').map(|word| word.parse().ok());
        let mut next = || numbers.next().flatten();
        let mut minute = Self {
            number: next()?,
            at_ms: next()?,
            sums: Sums {
                added: next()?,
                replayed: next()?,
                completed: next()?,
                cancelled: next()?,
                dead: next()?,
                retried: next()?,
                waiting: next()?,
            },
            tallies: Tallies::default(),
        };
        minute.tallies.add_lines(lines);
        Some(minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_read_as_it_is_stored() {
        let minute = Minute::parse("7 420001 10 1 4 3 2 9 5\n4 9 2 3 - 7:18 mail\nnoise").unwrap();
        assert_eq!((minute.number, minute.at_ms), (7, 420_001));
        assert_eq!((minute.sums.arrived(), minute.sums.departed()), (11, 9));
        assert_eq!(minute.sums.waiting, 5);
        assert_eq!(minute.tallies.lines(), "4 9 2 3 - 7:18 mail");
        for bad in ["", "7", "7 1 2 3 4 5 6 7 x"] {
            assert_eq!(Minute::parse(bad), None, "{bad}");
        }
    }
}
