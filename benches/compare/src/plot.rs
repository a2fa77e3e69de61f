//! The plot: a panel for each row, a bar for each peer, drawn by hand as SVG.

use std::fmt::Write;

use crate::contenders::Contender;
use crate::experiments::{Better, Row};
use crate::results::Entry;
use crate::table::{self, OURS};

const COLUMNS: usize = 3;
const PANEL: f64 = 320.0;
const MARGIN: f64 = 24.0;
const HEAD: f64 = 74.0;
const TITLE: f64 = 34.0;
const BAR: f64 = 17.0;
/// Where the bars begin, after the names.
const BARS: f64 = 106.0;
/// The longest bar; beside it stands its figure.
const LONGEST: f64 = 120.0;

/// What is seen of a bar.
fn color(peer: &Contender) -> &'static str {
    match peer.name {
        OURS => "#d9480f",
        _ if peer.floor => "#adb5bd",
        _ => "#5c7cfa",
    }
}

/// The whole picture.
pub(crate) fn svg(entries: &[Entry], machine: &str) -> String {
    let peers = table::shown_peers(entries);
    let rows = table::shown_rows(entries);
    let panel = TITLE + BAR * peers.len() as f64 + MARGIN;
    let width = MARGIN + COLUMNS as f64 * PANEL;
    let height = HEAD + rows.len().div_ceil(COLUMNS) as f64 * panel + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text(
        &mut out,
        MARGIN,
        30.0,
        "font-size=\"17\" font-weight=\"600\"",
        "oxcart beside other queues",
    );
    let legend = "medians of one run; grey: bare Redis Streams, no queue on top";
    text(&mut out, MARGIN, 48.0, "fill=\"#495057\"", legend);
    text(
        &mut out,
        MARGIN,
        63.0,
        "fill=\"#868e96\" font-size=\"9\"",
        machine,
    );
    for (at, row) in rows.iter().enumerate() {
        let x = MARGIN + (at % COLUMNS) as f64 * PANEL;
        let y = HEAD + (at / COLUMNS) as f64 * panel;
        draw(&mut out, (x, y), row, &peers, entries);
    }
    out += "</svg>\n";
    out
}

fn draw(out: &mut String, (x, y): (f64, f64), row: &Row, peers: &[&Contender], all: &[Entry]) {
    let better = match row.better {
        Better::More => "more is better",
        Better::Less => "less is better",
    };
    text(
        out,
        x,
        y + 18.0,
        "font-weight=\"600\" font-size=\"12\"",
        row.name,
    );
    let unit = format!("{}, {better}", row.unit);
    text(
        out,
        x + PANEL - MARGIN,
        y + 18.0,
        "text-anchor=\"end\" fill=\"#868e96\"",
        &unit,
    );
    let figures = || peers.iter().map(|peer| table::figure(all, row, peer.name));
    let most = figures().flatten().fold(f64::MIN_POSITIVE, f64::max);
    for (at, (peer, figure)) in peers.iter().zip(figures()).enumerate() {
        let top = y + TITLE - 6.0 + BAR * at as f64;
        let base = top + BAR - 5.0;
        let weight = if peer.name == OURS {
            "font-weight=\"600\""
        } else {
            ""
        };
        let end = format!("text-anchor=\"end\" {weight}");
        text(out, x + BARS - 6.0, base, &end, peer.name);
        let long = figure.map_or(0.0, |figure| (figure / most * LONGEST).max(1.0));
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{long:.1}\" height=\"{:.1}\" rx=\"2\" fill=\"{}\"/>",
            x + BARS,
            top + 2.0,
            BAR - 5.0,
            color(peer),
        );
        let label = figure.map_or_else(|| "–".to_owned(), table::number);
        text(out, x + BARS + long + 5.0, base, weight, &label);
    }
}

fn text(out: &mut String, x: f64, y: f64, style: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    // Writing to a string cannot fail.
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{text}</text>");
}
