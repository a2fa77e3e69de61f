//! The table: a row each, a column for each peer, and beside each of their figures how many times
//! better ours is.

use std::io::IsTerminal;

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
    };
    row.targets.iter().filter_map(verdict).collect()
}

/// What is printed when all is done.
pub(crate) fn terminal(entries: &[Entry]) -> String {
    let color = std::io::stdout().is_terminal();
    let paint = |text: &str, code: &str| match color && !text.is_empty() {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let peers = shown_peers(entries);
    let mut out = String::new();
    let mut push = |cells: Vec<(String, usize, &str)>| {
        let mut line = String::new();
        for (at, (text, width, code)) in cells.iter().enumerate() {
            let gap = " ".repeat(width.saturating_sub(text.chars().count()));
            // The name of the row stands on the left, what is said of it on the right.
            line += &match at {
                0 => paint(text, code) + &gap,
                _ => gap + &paint(text, code),
            };
        }
        out += line.trim_end();
        out.push('\n');
    };
    let mut head = vec![(String::new(), NAME, "")];
    for peer in &peers {
        head.push((peer.name.to_owned(), peer_width(peer), "1"));
    }
    push(head);
    let mut versions = vec![(String::new(), NAME, "")];
    for peer in &peers {
        versions.push((version(entries, peer), peer_width(peer), "2"));
    }
    push(versions);
    for row in shown_rows(entries) {
        let ours = figure(entries, row, OURS);
        let mut cells = vec![(format!("{}, {}", row.name, row.unit), NAME, "")];
        for peer in &peers {
            let theirs = figure(entries, row, peer.name);
            let text = theirs.map_or_else(|| "-".to_owned(), number);
            if peer.name == OURS {
                cells.push((text, WIDTH, "1"));
                continue;
            }
            let better = ours
                .zip(theirs)
                .map(|(ours, theirs)| ratio(row, ours, theirs));
            let code = match better {
                _ if peer.floor => "2",
                Some(better) if better < 1.0 => "31",
                _ => "32",
            };
            cells.push((text, WIDTH, ""));
            cells.push((better.map_or_else(String::new, times), RATIO, code));
        }
        push(cells);
        for Verdict {
            wanted,
            reached,
            met,
        } in verdicts(entries, row)
        {
            let (mark, code) = if met { ("✓", "32") } else { ("✗", "31") };
            push(vec![(
                format!("    {mark} {wanted}: {reached}"),
                NAME,
                code,
            )]);
        }
    }
    out += "\n×: how many times better oxcart is than this one; below 1 it is worse.\n";
    for note in notes(entries) {
        out += &format!("{note}\n");
    }
    out
}

const NAME: usize = 32;
const WIDTH: usize = 10;
const RATIO: usize = 7;

fn peer_width(peer: &Contender) -> usize {
    if peer.name == OURS {
        WIDTH
    } else {
        WIDTH + RATIO
    }
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
