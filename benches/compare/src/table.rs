//! The table: a row each, a column for each peer, and beside each of their figures how many times
//! better ours is. The terminal, the documentation and the plot show it in their own ways.

use crate::contenders::{self, Contender};
use crate::experiments::{self, Better, Row, Target};
use crate::results::{Entry, find};

pub(crate) const OURS: &str = "oxcart";

/// How many times better ours is; below 1, theirs is.
pub(crate) fn ratio(row: &Row, ours: f64, theirs: f64) -> f64 {
    match row.better {
        Better::More => ours / theirs,
        Better::Less => theirs / ours,
    }
}

/// The figure of a peer, if it has one.
pub(crate) fn figure(entries: &[Entry], row: &Row, peer: &str) -> Option<f64> {
    find(entries, row.name, peer)?.median
}

/// `312,410`, `12.3`, `0.412`: three digits at least, and no more than tell something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => {
            let digits = format!("{value:.0}");
            let mut grouped = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            grouped
        }
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

pub(crate) fn times(ratio: f64) -> String {
    match ratio {
        large if large >= 10.0 => format!("{ratio:.0}×"),
        middle if middle >= 2.0 => format!("{ratio:.1}×"),
        _ => format!("{ratio:.2}×"),
    }
}

/// What is to be reached, what was, and whether that is enough.
pub(crate) struct Verdict {
    pub(crate) wanted: String,
    pub(crate) reached: String,
    pub(crate) met: bool,
}

/// One for each target of the row that these figures can decide.
pub(crate) fn verdicts(entries: &[Entry], row: &Row) -> Vec<Verdict> {
    let Some(ours) = figure(entries, row, OURS) else {
        return Vec::new();
    };
    let least_better = |taken: &dyn Fn(&Contender) -> bool| {
        contenders::ALL
            .iter()
            .filter(|peer| peer.name != OURS && taken(peer))
            .filter_map(|peer| figure(entries, row, peer.name))
            .map(|theirs| ratio(row, ours, theirs))
            .min_by(f64::total_cmp)
    };
    let at_least = |wanted: f64, of: &str, reached: f64| Verdict {
        wanted: format!("≥ {wanted}× {of}"),
        reached: times(reached),
        met: reached >= wanted,
    };
    let verdict = |target: &Target| match *target {
        Target::BullMq(wanted) => {
            let reached = least_better(&|peer| peer.name.starts_with("bullmq"))?;
            Some(at_least(wanted, "the better BullMQ", reached))
        }
        Target::Everyone(wanted) => {
            let reached = least_better(&|peer| !peer.floor)?;
            Some(at_least(wanted, "every queue", reached))
        }
        Target::Own(limit) => Some(Verdict {
            wanted: format!("≤ {limit} {}", row.unit),
            reached: number(ours),
            met: ours <= limit,
        }),
        Target::Row(other, limit) => {
            let multiple = ours / find(entries, other, OURS)?.median?;
            Some(Verdict {
                wanted: format!("≤ {limit}× {other}"),
                reached: times(multiple),
                met: multiple <= limit,
            })
        }
    };
    row.targets.iter().filter_map(verdict).collect()
}

pub(crate) fn shown_peers(entries: &[Entry]) -> Vec<&'static Contender> {
    let there = |peer: &&Contender| entries.iter().any(|entry| entry.peer == peer.name);
    contenders::ALL.iter().filter(there).collect()
}

pub(crate) fn shown_rows(entries: &[Entry]) -> Vec<&'static Row> {
    experiments::rows()
        .filter(|row| entries.iter().any(|entry| entry.row == row.name))
        .collect()
}

pub(crate) fn version(entries: &[Entry], peer: &Contender) -> String {
    let entry = entries.iter().find(|entry| entry.peer == peer.name);
    entry.map_or_else(String::new, |entry| entry.version.clone())
}

/// Why there are dashes: each reason once, with the rows it holds for.
pub(crate) fn notes(entries: &[Entry]) -> Vec<String> {
    let mut notes: Vec<(String, String, Vec<&str>)> = Vec::new();
    for entry in entries {
        let Some(reason) = &entry.note else { continue };
        let same = |(peer, known, _): &&mut (String, String, Vec<&str>)| {
            peer == &entry.peer && known == reason
        };
        match notes.iter_mut().find(same) {
            Some((_, _, rows)) => rows.push(&entry.row),
            None => notes.push((entry.peer.clone(), reason.clone(), vec![&entry.row])),
        }
    }
    let caveats = shown_peers(entries)
        .into_iter()
        .filter_map(|peer| Some(format!("{} {}", peer.name, peer.caveat?)));
    let reasons = notes
        .into_iter()
        .map(|(peer, reason, rows)| format!("{peer}, {}: {reason}", rows.join(", ")));
    caveats.chain(reasons).collect()
}
