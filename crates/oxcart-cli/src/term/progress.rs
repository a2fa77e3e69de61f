//! How far long work is, on stderr, if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::look::wants_colours;

/// Work that is done sooner shows nothing.
const SHOWN_AFTER: Duration = Duration::from_millis(300);

/// A bar that appears if the work takes long.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: std::time::Instant,
    done: u64,
    total: u64,
    what: &'static str,
}

impl Progress {
    /// With a total of 0 nobody knows how much it is, and only what is done is told.
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        Self {
            bar: ProgressBar::hidden(),
            started: std::time::Instant::now(),
            done: 0,
            total,
            what,
        }
    }

    pub(crate) fn advance(&mut self, by: u64) {
        self.done += by;
        if self.bar.is_hidden() && self.started.elapsed() > SHOWN_AFTER {
            // Hidden as well, if stderr is no terminal.
            self.bar = ProgressBar::new(self.total).with_message(self.what);
            let colour = if wants_colours(&console::Term::stderr()) {
                ".cyan/dim"
            } else {
                ""
            };
            let template = match self.total {
                0 => "{msg} {human_pos}".to_owned(),
                _ => format!(
                    "{{msg}} {{bar:24{colour}}} {{human_pos}} of {{human_len}}, {{eta}} left"
                ),
            };
            if let Ok(style) = ProgressStyle::with_template(&template) {
                self.bar.set_style(style.progress_chars("━━─"));
            }
        }
        self.bar.set_length(self.total.max(self.done));
        self.bar.set_position(self.done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
