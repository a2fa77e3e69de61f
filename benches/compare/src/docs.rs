//! What the documentation shows of a run: the plot, and the table between two marks.

use anyhow::{Context, Result};

use crate::experiments::Row;
use crate::results::{Entry, find};
use crate::{plot, table};

const PAGE: &str = "docs/performance.md";
const PLOT: &str = "docs/bench.svg";
const BEGIN: &str = "<!-- written by make bench-compare: begin -->";
const END: &str = "<!-- written by make bench-compare: end -->";

/// Writes both.
pub(crate) fn write(entries: &[Entry], machine: &str) -> Result<()> {
    let plot = crate::repository().join(PLOT);
    std::fs::write(&plot, plot::svg(entries, machine))
        .with_context(|| format!("cannot write {}", plot.display()))?;
    let page = crate::repository().join(PAGE);
    let text = std::fs::read_to_string(&page)
        .with_context(|| format!("cannot read {}", page.display()))?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.with_context(|| format!("{PAGE} has lost its marks"))?;
    let block = block(entries, machine);
    std::fs::write(&page, format!("{before}{BEGIN}\n\n{block}\n{END}{after}"))
        .with_context(|| format!("cannot write {}", page.display()))
}

/// The tables and what belongs to them, in Markdown.
fn block(entries: &[Entry], machine: &str) -> String {
    let mut out = format!("Measured on: {machine}.\n\n");
    out += &comparison(entries);
    out += "\nIn brackets: how many times better oxcart is than this one; below 1 it is worse.\n\n";
    for note in table::notes(entries) {
        out += &format!("- {note}\n");
    }
    out += "\n| to be reached | reached | |\n|---|---|---|\n";
    for row in table::shown_rows(entries) {
        for table::Verdict {
            wanted,
            reached,
            met,
        } in table::verdicts(entries, row)
        {
            let met = if met { "yes" } else { "**no**" };
            out += &format!("| `{}` {wanted} | {reached} | {met} |\n", row.name);
        }
    }
    out += "\nSpread of oxcart's own runs:\n\n";
    out + &spread(entries)
}

fn comparison(entries: &[Entry]) -> String {
    let peers = table::shown_peers(entries);
    let mut out = "|  |".to_owned();
    for peer in &peers {
        out += &format!(" {} {} |", peer.name, table::version(entries, peer));
    }
    out += &format!("\n|---|{}\n", "---:|".repeat(peers.len()));
    for row in table::shown_rows(entries) {
        out += &format!("| `{}`, {} |", row.name, row.unit);
        for peer in &peers {
            out += &format!(" {} |", cell(entries, row, peer.name));
        }
        out.push('\n');
    }
    out
}

fn spread(entries: &[Entry]) -> String {
    let mut out =
        "| | least | median | most | runs | Redis CPU, µs a job | client CPU, µs a job |\n\
                   |---|---:|---:|---:|---:|---:|---:|\n"
            .to_owned();
    let show = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), table::number);
    for row in table::shown_rows(entries) {
        let Some(entry) = find(entries, row.name, table::OURS) else {
            continue;
        };
        out += &format!(
            "| `{}` | {} | {} | {} | {} | {} | {} |\n",
            row.name,
            show(entry.min),
            show(entry.median),
            show(entry.max),
            entry.runs,
            show(entry.redis_cpu_us_per_job),
            show(entry.client_cpu_us_per_job),
        );
    }
    out
}

fn cell(entries: &[Entry], row: &Row, peer: &str) -> String {
    let Some(theirs) = table::figure(entries, row, peer) else {
        return "–".to_owned();
    };
    let ours = table::figure(entries, row, table::OURS).filter(|_| peer != table::OURS);
    match ours {
        None => format!("**{}**", table::number(theirs)),
        Some(ours) => {
            let ratio = table::ratio(row, ours, theirs);
            format!("{} ({})", table::number(theirs), table::times(ratio))
        }
    }
}
