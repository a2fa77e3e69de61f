//! How it looks: colours, columns and the progress bar; plain text when the output is no terminal.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const WIDTH: usize = 78;
const LABEL: usize = 10;

#[derive(Clone, Copy)]
pub(crate) enum Tint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

/// The screen, or whatever standard output is. Everything is written through this.
pub(crate) struct Screen {
    colored: bool,
    bar: ProgressBar,
    started: Instant,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        let target = match terminal && !dumb {
            true => ProgressDrawTarget::stdout_with_hz(20),
            false => ProgressDrawTarget::hidden(),
        };
        Self {
            colored: terminal && !dumb && set("NO_COLOR").is_none(),
            bar: ProgressBar::with_draw_target(Some(0), target),
            started: Instant::now(),
        }
    }

    pub(crate) fn paint(&self, tint: Tint, text: impl Display) -> String {
        let code = match tint {
            Tint::Bold => 1,
            Tint::Dim => 2,
            Tint::Red => 31,
            Tint::Green => 32,
            Tint::Yellow => 33,
            Tint::Cyan => 36,
        };
        match self.colored {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_string(),
        }
    }

    /// One line, above the bar if there is one.
    pub(crate) fn line(&self, text: impl Display) {
        // The reader has gone, as `head` does: nothing more is written.
        self.bar.suspend(|| {
            let _ = writeln!(std::io::stdout(), "{text}");
        });
    }

    /// A line over the whole width, with a word in it.
    pub(crate) fn rule(&self, word: &str) {
        let rest = "─".repeat(WIDTH.saturating_sub(word.chars().count() + 1));
        let word = self.paint(Tint::Bold, word);
        self.line(format!("\n  {word} {}", self.paint(Tint::Dim, rest)));
    }

    /// A label and what it labels; an empty label goes on with the one before.
    pub(crate) fn row(&self, label: &str, text: impl Display) {
        let label = self.paint(Tint::Dim, format!("{label:LABEL$}"));
        self.line(format!("  {label} {text}"));
    }

    /// Something that happens now.
    pub(crate) fn note(&self, tint: Tint, word: &str, text: impl Display) {
        let at = format!("{:7.2} s", self.started.elapsed().as_secs_f64());
        let at = self.paint(Tint::Dim, at);
        let word = self.paint(tint, format!("{word:LABEL$}"));
        self.line(format!("{at}  {word} {text}"));
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The clock of `note` starts, and the bar appears.
    pub(crate) fn start(&mut self, all: usize) {
        self.started = Instant::now();
        let template = match self.colored {
            true => "  {spinner:.cyan} {wide_bar:.cyan/dim} {human_pos:>6} of {human_len}  {msg}",
            false => "  {spinner} {wide_bar} {human_pos:>6} of {human_len}  {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("━━─"));
        }
        self.bar.set_length(all as u64);
        self.bar.reset();
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// What is under way now, beside the bar.
    pub(crate) fn phase(&self, text: &'static str) {
        self.bar.set_message(text);
    }

    pub(crate) fn progress(&self, done: usize) {
        self.bar.set_position(done as u64);
    }

    pub(crate) fn stop(&self) {
        self.bar.finish_and_clear();
    }
}

/// 1234567 as `1,234,567`.
pub(crate) fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 job`, `2,345 jobs`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number as u64))
}

/// `12.3 kB`, `45.6 MB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        ..100_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Below a second in milliseconds, else in seconds.
pub(crate) fn duration(time: Duration) -> String {
    match time.as_millis() {
        ms @ ..1_000 => format!("{ms} ms"),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}

/// The end of a path tells more than its beginning.
pub(crate) fn shortened(path: &str, width: usize) -> String {
    let length = path.chars().count();
    match length > width {
        true => format!(
            "…{}",
            path.chars().skip(length - width + 1).collect::<String>()
        ),
        false => path.to_owned(),
    }
}
