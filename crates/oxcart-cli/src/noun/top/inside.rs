//! What is on the screen: one queue, what runs, and its dead letters.

use console::truncate_str;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Row, Table};

use super::draw::{Pen, last_bars, rate, short};
use super::reading::{Group, Inside, Run, Worker};
use super::state::{Looked, State};
use super::watched::Watched;
use crate::noun::queue::held_back;
use crate::term::look::Tint;
use crate::term::table::one_line;
use crate::text::bars::sparkline;
use crate::text::when::ago;

/// From so many columns on workers have a table of their own.
const WIDE: u16 = 110;
/// Bars of a sparkline.
const BARS: usize = 30;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, looked: &Looked, pen: Pen) {
    let [facts, _, runs, dead] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ])
    .areas(area);
    let seen = &looked.seen;
    if let Some(watched) = state.watched.get(&looked.queue) {
        draw_facts(frame, facts, watched, seen, pen);
    }
    if area.width < WIDE {
        draw_runs(frame, runs, seen, pen);
    } else {
        let [left, right] =
            Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(runs);
        draw_runs(frame, left, seen, pen);
        draw_workers(frame, right, seen, pen);
    }
    draw_dead(frame, dead, looked, pen);
}

fn draw_facts(frame: &mut Frame<'_>, area: Rect, watched: &Watched, seen: &Inside, pen: Pen) {
    let counts = &watched.counts;
    let why = held_back(counts);
    let state = match why.is_empty() {
        true => pen.span(Tint::Good, " open"),
        false => pen.span(Tint::Held, format!(" {why}")),
    };
    let mut numbers = Vec::new();
    for (name, number, tint) in [
        ("waiting", counts.waiting, Tint::Strong),
        ("blocked", counts.blocked, Tint::Held),
        ("delayed", counts.delayed, Tint::Strong),
        ("active", counts.active, Tint::Busy),
        ("dead", counts.dead, Tint::Bad),
        ("kept", counts.completed, Tint::Plain),
    ] {
        numbers.push(pen.span(Tint::Faint, format!(" {name} ")));
        numbers.push(pen.span(tint.unless_zero(number), format!("{} ", short(number))));
    }
    let faint = |text: &str| pen.span(Tint::Faint, text);
    let bars = pen.span(Tint::Good, last_bars(watched, BARS));
    let mut rates = vec![faint(" ended, last minute "), bars];
    if let Some(of) = watched.rates() {
        rates.push(faint("  in "));
        rates.push(Span::raw(format!("{}/s", rate(of.arrivals))));
        rates.push(faint("  out "));
        rates.push(Span::raw(format!("{}/s", rate(of.departures))));
    }
    let mut hour = Vec::new();
    let minutes = seen.minutes.as_deref().unwrap_or_default();
    let all: u64 = minutes.iter().sum();
    if all > 0 {
        hour.push(faint(" ended, last hour   "));
        let bars = sparkline(minutes, BARS);
        hour.push(pen.span(Tint::Good, format!("{bars:>BARS$}")));
        hour.push(faint(&format!("  {} in all", short(all))));
    }
    let lines = [state.into(), numbers.into(), rates.into(), hour.into()];
    for (line, row) in lines.into_iter().zip(area.rows()) {
        let line: Line<'_> = line;
        frame.render_widget(line, row);
    }
}

/// A title, and the lines below it.
fn titled(frame: &mut Frame<'_>, area: Rect, title: Vec<Span<'_>>) -> Rect {
    let [head, rest] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Line::from(title), head);
    rest
}

fn draw_runs(frame: &mut Frame<'_>, area: Rect, seen: &Inside, pen: Pen) {
    let mut title = vec![pen.span(Tint::Strong, " What runs")];
    if let Some(workers) = &seen.workers {
        let slots: u64 = workers.iter().map(|worker| worker.concurrency).sum();
        let s = if workers.len() == 1 { "" } else { "s" };
        title.push(match workers.len() {
            0 => pen.span(Tint::Held, "  no worker"),
            number => pen.span(
                Tint::Faint,
                format!("  {number} worker{s} for up to {slots} jobs"),
            ),
        });
    }
    let area = titled(frame, area, title);
    if seen.runs.is_empty() {
        return frame.render_widget(pen.span(Tint::Faint, " nothing"), area);
    }
    let rows = seen.runs.iter().map(|Run { id, name, since }| {
        let since = since.map_or_else(String::new, |since| ago(since, pen.now));
        Row::new([
            pen.cell(Tint::Strong, format!(" {}", one_line(name))),
            pen.cell(Tint::Faint, id.clone()),
            pen.number(Tint::Busy, since),
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(30),
        Constraint::Length(12),
    ];
    frame.render_widget(Table::new(rows, widths), area);
}

fn draw_workers(frame: &mut Frame<'_>, area: Rect, seen: &Inside, pen: Pen) {
    let area = titled(frame, area, vec![pen.span(Tint::Strong, "  Workers")]);
    let workers = match seen.workers.as_deref() {
        None => return,
        Some([]) => {
            return frame.render_widget(pen.span(Tint::Held, "  none"), area);
        }
        Some(workers) => workers,
    };
    let rows = workers.iter().map(|worker| {
        let Worker {
            host,
            process,
            runs,
            concurrency,
        } = worker;
        Row::new([
            pen.cell(Tint::Plain, format!("  {}", one_line(host))),
            pen.cell(Tint::Faint, format!("process {process}")),
            pen.number(
                Tint::Busy.unless_zero(*runs),
                format!("{runs} of {concurrency} "),
            ),
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(16),
        Constraint::Length(12),
    ];
    frame.render_widget(Table::new(rows, widths), area);
}

fn draw_dead(frame: &mut Frame<'_>, area: Rect, looked: &Looked, pen: Pen) {
    let title = vec![
        pen.span(Tint::Strong, " Dead letters"),
        pen.span(Tint::Faint, "  by what they died of"),
    ];
    let area = titled(frame, area, title);
    let Some(groups) = &looked.seen.groups else {
        return;
    };
    if groups.is_empty() {
        return frame.render_widget(pen.span(Tint::Faint, " none"), area);
    }
    // The chosen one is on the screen.
    let height = usize::from(area.height).max(1);
    let first = (looked.selected + 1).saturating_sub(height);
    let error_width = usize::from(area.width.saturating_sub(7 + 20 + 9 + 3));
    let rows = groups.iter().enumerate().skip(first).take(height);
    let rows = rows.map(|(place, group)| {
        let Group {
            name,
            count,
            last_at,
            sample,
            ..
        } = group;
        let error = truncate_str(&one_line(sample), error_width, "…").into_owned();
        let row = Row::new([
            pen.number(Tint::Bad, short(*count)),
            pen.cell(Tint::Strong, one_line(name)),
            pen.cell(Tint::Faint, ago(*last_at, pen.now)),
            pen.cell(Tint::Plain, error),
        ]);
        match place == looked.selected {
            true => row.style(Style::new().add_modifier(Modifier::REVERSED)),
            false => row,
        }
    });
    let widths = [
        Constraint::Length(7),
        Constraint::Length(20),
        Constraint::Length(9),
        Constraint::Fill(1),
    ];
    frame.render_widget(Table::new(rows, widths), area);
}
