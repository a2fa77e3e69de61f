//! What is counted of the attempts of one name that ended, and the line in which it is stored.

use std::time::Duration;

use crate::policy::histogram::Histogram;

/// So many names are counted apart from each other, in a minute; what there is beyond that is counted as [`OTHERS`].
pub(crate) const NAMES_AT_MOST: usize = 100;
pub(crate) const OTHERS: &str = "(others)";

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Retried,
    Dead,
    Cancelled,
}

/// How attempts ended, how long the jobs had waited, and how long the attempts took.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) completed: u64,
    pub(crate) retried: u64,
    pub(crate) dead: u64,
    pub(crate) cancelled: u64,
    pub(crate) waits: Histogram,
    pub(crate) runs: Histogram,
}

impl Tally {
    pub(crate) fn record(&mut self, end: End, waited: Option<Duration>, ran: Duration) {
        let count = match end {
            End::Completed => &mut self.completed,
            End::Retried => &mut self.retried,
            End::Dead => &mut self.dead,
            End::Cancelled => &mut self.cancelled,
        };
        *count += 1;
        if let Some(waited) = waited {
            self.waits.record(waited);
        }
        self.runs.record(ran);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, number) in [
            (&mut self.completed, other.completed),
            (&mut self.retried, other.retried),
            (&mut self.dead, other.dead),
            (&mut self.cancelled, other.cancelled),
        ] {
            *sum = sum.saturating_add(number);
        }
        self.waits.add(&other.waits);
        self.runs.add(&other.runs);
    }

    pub(crate) fn line(&self, name: &str) -> String {
        let Self {
            completed,
            retried,
            dead,
            cancelled,
            waits,
            runs,
        } = self;
        format!("{completed} {retried} {dead} {cancelled} {waits} {runs} {name}")
    }

    /// A line, and the name in it.
    pub(crate) fn parse(line: &str) -> Option<(&str, Self)> {
        let mut words = line.splitn(7, ' ');
        let mut next = || words.next();
        let (completed, retried) = (next()?.parse().ok()?, next()?.parse().ok()?);
        let (dead, cancelled) = (next()?.parse().ok()?, next()?.parse().ok()?);
        let (waits, runs) = (Histogram::parse(next()?), Histogram::parse(next()?));
        let tally = Self {
            completed,
            retried,
            dead,
            cancelled,
            waits,
            runs,
        };
        next()
            .filter(|name| !name.is_empty())
            .map(|name| (name, tally))
    }
}

/// Of each name, in the order in which the names came.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tallies(Vec<(String, Tally)>);

impl Tallies {
    /// What is counted of the jobs of this name.
    pub(crate) fn of(&mut self, name: &str) -> &mut Tally {
        let find = |of: &Self, name| of.0.iter().position(|(known, _)| known == name);
        let at = find(self, name).unwrap_or_else(|| {
            let is_full = self.0.len() >= NAMES_AT_MOST;
            let name = if is_full { OTHERS } else { name };
            let others = if is_full { find(self, OTHERS) } else { None };
            others.unwrap_or_else(|| {
                self.0.push((name.to_owned(), Tally::default()));
                self.0.len() - 1
            })
        });
        &mut self.0[at].1
    }

    pub(crate) fn add_lines(&mut self, lines: &str) {
        for (name, tally) in lines.lines().filter_map(Tally::parse) {
            self.of(name).add(&tally);
        }
    }

    pub(crate) fn lines(&self) -> String {
        let lines = self.0.iter().map(|(name, tally)| tally.line(name));
        lines.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_names(self) -> Vec<(String, Tally)> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let mut tally = Tally::default();
        for end in [
            End::Completed,
            End::Completed,
            End::Retried,
            End::Dead,
            End::Cancelled,
        ] {
            tally.record(end, None, Duration::from_millis(7));
        }
        tally.record(End::Dead, Some(Duration::from_secs(3)), Duration::ZERO);
        let line = tally.line("a name");
        assert_eq!(Tally::parse(&line), Some(("a name", tally)));
        for bad in [
            "",
            "1 2 3",
            "1 2 3 4 - -",
            "1 2 3 4 - - ",
            "x 2 3 4 - - name",
        ] {
            assert_eq!(Tally::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_number_of_names_is_bounded() {
        let mut tallies = Tallies::default();
        for n in 0..150 {
            tallies.of(&format!("name-{n}")).completed += 1;
        }
        assert_eq!(tallies.of("name-7").completed, 1);
        assert_eq!(tallies.of("name-120").completed, 50);
        let mut read = Tallies::default();
        read.add_lines(&tallies.lines());
        assert_eq!(read, tallies);
        assert_eq!(read.into_names().len(), NAMES_AT_MOST + 1);
    }
}
