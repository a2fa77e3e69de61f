//! What workers have counted, minute by minute.

use std::collections::BTreeMap;

use crate::memory::Apply;
use crate::memory::state::{Collection, State};
use crate::policy::minute::{MINUTE_MS, MINUTES, QUIET_MINUTES};
use crate::policy::tally::Tallies;
use crate::store::history::{Found, History};

/// The minutes of a day; each is written anew a day later.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) minutes: BTreeMap<u64, Minute>,
    /// What the queue had counted when it was last written down.
    pub(crate) last: String,
}

#[derive(Debug, Default)]
pub(crate) struct Minute {
    number: u64,
    at_ms: u64,
    sums: String,
    tallies: Tallies,
}

impl Minute {
    /// As it is stored.
    pub(crate) fn text(&self) -> String {
        let (first, lines) = (&self.sums, self.tallies.lines());
        let line_break = if lines.is_empty() { "" } else { "\n" };
        format!("{} {} {first}{line_break}{lines}", self.number, self.at_ms)
    }
}

impl State {
    /// Adds what a worker has counted.
    pub(crate) fn tally(&mut self, lines: &str) {
        let number = self.now_ms() / MINUTE_MS;
        let sums = self.sums();
        if lines.is_empty() && !number.is_multiple_of(QUIET_MINUTES) && self.counted.last == sums {
            return;
        }
        let at_ms = self.now_ms();
        let minute = self.counted.minutes.entry(number % MINUTES).or_default();
        if minute.number != number {
            minute.tallies = Tallies::default();
        }
        (minute.number, minute.at_ms) = (number, at_ms);
        minute.sums.clone_from(&sums);
        minute.tallies.add_lines(lines);
        self.counted.last = sums;
    }

    fn sums(&self) -> String {
        let total = |name: &&str| self.totals.get(name).copied().unwrap_or(0);
        let names = [
            "added",
            "replayed",
            "completed",
            "cancelled",
            "dead",
            "retried",
        ];
        let waiting = [
            Collection::Waiting,
            Collection::Suspects,
            Collection::Unhandled,
            Collection::Blocked,
        ];
        let waiting: usize = waiting.map(|collection| self.len(collection)).iter().sum();
        let numbers = names.iter().map(total).chain([waiting as u64]);
        let words: Vec<String> = numbers.map(|number| number.to_string()).collect();
        words.join(" ")
    }
}

impl Apply for History {
    fn apply(&self, state: &mut State) -> Found {
        let now_ms = state.now_ms();
        let ago = (0..self.limit).map(|n| self.from.saturating_sub(n));
        let minute = |ago: u64| {
            let number = now_ms / MINUTE_MS - ago;
            let minute = state.counted.minutes.get(&(number % MINUTES));
            minute.map(Minute::text).unwrap_or_default()
        };
        Found {
            now_ms,
            minutes: ago.map(minute).collect(),
        }
    }
}
