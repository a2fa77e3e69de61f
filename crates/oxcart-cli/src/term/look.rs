//! What the output may look like: colours and the width, if it goes to a terminal.

use std::env;
use std::fmt::Display;

use console::{Style, Term};
use indicatif::HumanCount;
use oxcart::JobState;

/// How something is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tint {
    Plain,
    /// What a person looks for first.
    Strong,
    /// What can be passed over.
    Faint,
    Good,
    Busy,
    Held,
    Bad,
}

impl Tint {
    pub(crate) fn of_state(state: JobState) -> Self {
        match state {
            JobState::Active => Self::Busy,
            JobState::Blocked | JobState::Delayed => Self::Held,
            JobState::Completed => Self::Good,
            JobState::Cancelled => Self::Faint,
            JobState::Dead => Self::Bad,
            _ => Self::Plain,
        }
    }

    /// Numbers that are zero can be passed over.
    pub(crate) fn unless_zero(self, number: u64) -> Self {
        match number {
            0 => Self::Faint,
            _ => self,
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dim(),
            Self::Good => Style::new().green(),
            Self::Busy => Style::new().cyan(),
            Self::Held => Style::new().yellow(),
            Self::Bad => Style::new().red(),
        }
    }
}

/// What stdout is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) colours: bool,
    /// Columns of the terminal; nothing is cut if it is none.
    pub(crate) width: Option<usize>,
}

impl Look {
    pub(crate) fn of_stdout() -> Self {
        let term = Term::stdout();
        let width = || usize::from(term.size_checked().map_or(80, |(_, columns)| columns));
        Self {
            colours: wants_colours(&term),
            width: term.is_term().then(width),
        }
    }

    pub(crate) fn paint(self, tint: Tint, text: impl Display) -> String {
        let style = tint.style().force_styling(self.colours);
        style.apply_to(text).to_string()
    }

    /// With separators of thousands, where a person reads it.
    pub(crate) fn count(self, number: u64) -> String {
        match self.width {
            Some(_) => HumanCount(number).to_string(),
            None => number.to_string(),
        }
    }
}

/// A terminal that can show them, and nobody has said no (<https://no-color.org>).
pub(crate) fn wants_colours(term: &Term) -> bool {
    let said = |name: &str| env::var_os(name).unwrap_or_default();
    term.is_term() && said("NO_COLOR").is_empty() && said("TERM") != "dumb"
}

/// `1 job`, `2 jobs`
pub(crate) fn jobs(number: u64) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} job{s}", HumanCount(number))
}
