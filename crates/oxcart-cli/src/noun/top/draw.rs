//! What is on the screen: the list of queues.

use std::time::Instant;

use console::truncate_str;
use oxcart::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::inside;
use super::state::State;
use super::watched::Watched;
use crate::noun::queue::held_back;
use crate::term::look::Tint;
use crate::text::bars::sparkline;
use crate::text::when::rough;

/// Less room is of no use.
const WIDTH_MIN: u16 = 40;
const HEIGHT_MIN: u16 = 10;

/// When it is drawn, and whether there may be colours.
#[derive(Clone, Copy)]
pub(super) struct Pen {
    pub(super) now: Timestamp,
    pub(super) instant: Instant,
    pub(super) colours: bool,
}

impl Pen {
    pub(super) fn style(self, tint: Tint) -> Style {
        let colour = |colour| match self.colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        };
        match tint {
            Tint::Plain => Style::new(),
            Tint::Strong => Style::new().add_modifier(Modifier::BOLD),
            Tint::Faint => Style::new().add_modifier(Modifier::DIM),
            Tint::Good => colour(Color::Green),
            Tint::Busy => colour(Color::Cyan),
            Tint::Held => colour(Color::Yellow),
            Tint::Bad => colour(Color::Red),
        }
    }

    pub(super) fn span<'a>(self, tint: Tint, text: impl Into<String>) -> Span<'a> {
        Span::styled(text.into(), self.style(tint))
    }

    pub(super) fn cell<'a>(self, tint: Tint, text: impl Into<String>) -> Cell<'a> {
        Cell::new(text.into()).style(self.style(tint))
    }

    pub(super) fn number<'a>(self, tint: Tint, text: impl Into<String>) -> Cell<'a> {
        let text = Text::from(text.into()).alignment(Alignment::Right);
        Cell::new(text).style(self.style(tint))
    }
}

/// Five columns at most.
pub(super) fn short(number: u64) -> String {
    match number {
        0..=99_999 => number.to_string(),
        100_000..=999_999 => format!("{}k", number / 1_000),
        1_000_000..=9_999_999 => format!("{:.1}M", number as f64 / 1e6),
        10_000_000..=999_999_999 => format!("{}M", number / 1_000_000),
        _ => format!("{:.0e}", number as f64),
    }
}

/// A rate in a second.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0".to_owned(),
        rate if rate < 99.95 => format!("{rate:.1}"),
        rate => short(rate.round() as u64),
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, state: &State, pen: Pen) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let text = format!("{WIDTH_MIN} columns and {HEIGHT_MIN} lines are needed; q quits");
        return frame.render_widget(Paragraph::new(text), area);
    }
    let [title, body, message, help] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_title(frame, title, state, pen);
    match &state.inside {
        Some(looked) => inside::draw(frame, body, state, looked, pen),
        None => draw_queues(frame, body, state, pen),
    }
    frame.render_widget(message_of(state, pen), message);
    draw_help(frame, help, state, pen);
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, state: &State, pen: Pen) {
    let mut left = vec![
        pen.span(Tint::Strong, " oxcart"),
        pen.span(Tint::Faint, format!("  {}", state.namespace)),
    ];
    if let Some(inside) = &state.inside {
        left.push(pen.span(Tint::Faint, "  ›  "));
        left.push(pen.span(Tint::Strong, inside.queue.clone()));
    }
    frame.render_widget(Line::from(left), area);
    let number = state.names.len();
    let s = if number == 1 { "" } else { "s" };
    let shown = state.on_screen();
    let part = match shown.len() < number {
        true => format!("{} to {} of {number} queues", shown.start + 1, shown.end),
        false => format!("{number} queue{s}"),
    };
    let clock = pen.now.to_string();
    let clock = clock.get(11..19).unwrap_or_default();
    let right = match state.inside.is_some() || !state.is_read {
        true => format!("{clock} UTC "),
        false => format!("{part}  {clock} UTC "),
    };
    let right = Line::from(pen.span(Tint::Faint, right)).alignment(Alignment::Right);
    frame.render_widget(right, area);
}

fn draw_queues(frame: &mut Frame<'_>, area: Rect, state: &State, pen: Pen) {
    let [_, area] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    if state.names.is_empty() {
        let text = match state.is_read {
            true => " there is no queue in this namespace yet; see --namespace and --url",
            false => " reading",
        };
        return frame.render_widget(pen.span(Tint::Faint, text), area);
    }
    // What is wider goes to the name and to the bars.
    let bars = (area.width.saturating_sub(50) / 2).clamp(8, 60);
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(5),
        Constraint::Length(5),
        Constraint::Length(5),
        Constraint::Length(bars),
    ];
    let name_width = usize::from(area.width.saturating_sub(7 * 3 + 6 + 5 * 3 + 8 + bars));
    let rows = state.on_screen().filter_map(|place| {
        let name = state.names.get(place)?;
        let watched = state.watched.get(name);
        let row = row(name, watched, pen, name_width, usize::from(bars));
        Some(match place == state.selected {
            true => row.style(Style::new().add_modifier(Modifier::REVERSED)),
            false => row,
        })
    });
    let titles = [
        "WAITING", "BLOCKED", "DELAYED", "ACTIVE", "DEAD", "IN/S", "OUT/S",
    ];
    let titles = titles.map(|title| pen.number(Tint::Faint, title));
    let first = pen.cell(Tint::Faint, " QUEUE");
    let header = [first].into_iter().chain(titles);
    let header = Row::new(header.chain([pen.cell(Tint::Faint, "LAST MINUTE")]));
    let table = Table::new(rows, widths).header(header).column_spacing(1);
    frame.render_widget(table, area);
}

fn row<'a>(
    name: &str,
    watched: Option<&Watched>,
    pen: Pen,
    name_width: usize,
    bars: usize,
) -> Row<'a> {
    let name = truncate_str(&format!(" {name}"), name_width, "…").into_owned();
    let Some(watched) = watched else {
        return Row::new([pen.cell(Tint::Plain, name)]);
    };
    let counts = &watched.counts;
    let number = |tint: Tint, number: u64| pen.number(tint.unless_zero(number), short(number));
    let rates = watched.rates();
    let shown = |of: Option<f64>| match of {
        None => pen.number(Tint::Faint, "·"),
        Some(0.0) => pen.number(Tint::Faint, "0"),
        Some(of) => pen.number(Tint::Plain, rate(of)),
    };
    let why = held_back(counts);
    let last = match why.is_empty() {
        true => pen.cell(
            Tint::Good.unless_zero(watched.departed().iter().sum()),
            last_bars(watched, bars),
        ),
        false => pen.cell(Tint::Held, truncate_str(&why, bars, "…").into_owned()),
    };
    Row::new([
        pen.cell(Tint::Strong, name),
        number(Tint::Plain, counts.waiting),
        number(Tint::Held, counts.blocked),
        number(Tint::Plain, counts.delayed),
        number(Tint::Busy, counts.active),
        number(Tint::Bad, counts.dead),
        shown(rates.map(|rates| rates.arrivals)),
        shown(rates.map(|rates| rates.departures)),
        last,
    ])
}

/// The last bar is the newest, and at the right.
pub(super) fn last_bars(watched: &Watched, width: usize) -> String {
    let departed = watched.departed();
    let shown = departed.len().saturating_sub(width);
    let bars = sparkline(&departed[shown..], width);
    format!("{bars:>width$}")
}

fn message_of<'a>(state: &State, pen: Pen) -> Line<'a> {
    if let Some(deed) = &state.asked {
        let question = pen.span(Tint::Held, format!(" {}? ", deed.question()));
        return Line::from(vec![question, pen.span(Tint::Strong, "[y/N]")]);
    }
    if let Some((since, why)) = &state.lost {
        let ago = rough(pen.instant.duration_since(*since));
        let text = format!(" ✗ no connection for {ago}, trying again: {why}");
        return Line::from(pen.span(Tint::Bad, text));
    }
    match state.told(pen.instant) {
        Some(text) => Line::from(pen.span(Tint::Good, format!(" {text}"))),
        None => Line::default(),
    }
}

fn draw_help(frame: &mut Frame<'_>, area: Rect, state: &State, pen: Pen) {
    let is_paused = state
        .chosen()
        .and_then(|queue| state.watched.get(queue))
        .is_some_and(|watched| watched.counts.paused);
    let p = if is_paused { "resume" } else { "pause" };
    let keys: &[(&str, &str)] = match (&state.asked, &state.inside) {
        (Some(_), _) => &[("y", "yes"), ("any other key", "no")],
        (None, None) => &[
            ("↑ ↓", "choose"),
            ("Enter", "look into"),
            ("p", p),
            ("q", "quit"),
        ],
        (None, Some(_)) => &[
            ("↑ ↓", "choose a group of dead letters"),
            ("r", "replay it"),
            ("p", p),
            ("Esc", "back"),
            ("q", "quit"),
        ],
    };
    let mut line = Vec::new();
    for (key, what) in keys {
        line.push(pen.span(Tint::Strong, format!(" {key}")));
        line.push(pen.span(Tint::Faint, format!(" {what} ")));
    }
    frame.render_widget(Line::from(line), area);
}
