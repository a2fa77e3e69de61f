//! The table as a terminal shows it: ours in bold, what is better in green, what is worse in red.

use std::io::IsTerminal;

use crate::contenders::Contender;
use crate::experiments::Row;
use crate::results::Entry;
use crate::table::{OURS, Verdict, figure, number, ratio, times};
use crate::table::{notes, shown_peers, shown_rows, verdicts, version};

const NAME: usize = 32;
const FIGURE: usize = 10;
const RATIO: usize = 7;

/// The codes of a terminal.
const PLAIN: &str = "";
const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";

/// A word or a figure in its column. The first of a line stands on the left, the others on the right.
struct Cell {
    text: String,
    width: usize,
    style: &'static str,
}

fn cell(text: impl Into<String>, width: usize, style: &'static str) -> Cell {
    Cell {
        text: text.into(),
        width,
        style,
    }
}

/// What is printed when all is done.
pub(crate) fn show(entries: &[Entry]) -> String {
    let color = std::io::stdout().is_terminal();
    let peers = shown_peers(entries);
    let head = |style, text: &dyn Fn(&Contender) -> String| {
        let cells = peers
            .iter()
            .map(|peer| cell(text(peer), width(peer), style));
        line(std::iter::once(cell("", NAME, PLAIN)).chain(cells), color)
    };
    let mut out = head(BOLD, &|peer| peer.name.to_owned());
    out += &head(DIM, &|peer| version(entries, peer));
    for row in shown_rows(entries) {
        out += &line(figures(entries, row, &peers), color);
        for verdict in verdicts(entries, row) {
            out += &line([reached(&verdict)], color);
        }
    }
    out += "\n×: how many times better oxcart is than this one; below 1 it is worse.\n";
    for note in notes(entries) {
        out += &format!("{note}\n");
    }
    out
}

fn figures(entries: &[Entry], row: &Row, peers: &[&Contender]) -> Vec<Cell> {
    let ours = figure(entries, row, OURS);
    let name = format!("{}, {}", row.name, row.unit);
    let mut cells = vec![cell(name, NAME, PLAIN)];
    for peer in peers {
        let theirs = figure(entries, row, peer.name);
        let text = theirs.map_or_else(|| "-".to_owned(), number);
        if peer.name == OURS {
            cells.push(cell(text, FIGURE, BOLD));
            continue;
        }
        let better = ours
            .zip(theirs)
            .map(|(ours, theirs)| ratio(row, ours, theirs));
        let style = match better {
            _ if peer.floor => DIM,
            Some(better) if better < 1.0 => RED,
            _ => GREEN,
        };
        cells.push(cell(text, FIGURE, PLAIN));
        cells.push(cell(better.map_or_else(String::new, times), RATIO, style));
    }
    cells
}

fn reached(verdict: &Verdict) -> Cell {
    let (mark, style) = if verdict.met {
        ("✓", GREEN)
    } else {
        ("✗", RED)
    };
    let text = format!("    {mark} {}: {}", verdict.wanted, verdict.reached);
    cell(text, NAME, style)
}

fn width(peer: &Contender) -> usize {
    match peer.name {
        OURS => FIGURE,
        _ => FIGURE + RATIO,
    }
}

fn line(cells: impl IntoIterator<Item = Cell>, color: bool) -> String {
    let mut out = String::new();
    for (at, Cell { text, width, style }) in cells.into_iter().enumerate() {
        let gap = " ".repeat(width.saturating_sub(text.chars().count()));
        let painted = match color && !style.is_empty() && !text.is_empty() {
            true => format!("\x1b[{style}m{text}\x1b[0m"),
            false => text,
        };
        out += &match at {
            0 => painted + &gap,
            _ => gap + &painted,
        };
    }
    out.trim_end().to_owned() + "\n"
}
