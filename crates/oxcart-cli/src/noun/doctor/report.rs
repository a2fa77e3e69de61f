//! What was found.

use serde::Serialize;

use crate::jobs::story::printable;
use crate::term::look::Tint;
use crate::term::out::Out;
use crate::text::wrap::wrapped;
use crate::trouble::Trouble;

/// Where the words begin.
const INDENT: usize = 11;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Level {
    /// Jobs are in danger, or do not go on.
    Problem,
    /// Somebody should look at it.
    Warning,
    /// Good to know.
    Note,
}

/// See `schema/finding.json`.
#[derive(Serialize)]
pub(super) struct Finding {
    level: Level,
    /// Which check has found it.
    check: &'static str,
    queue: Option<String>,
    what: String,
    /// What to do, in words.
    advice: Option<String>,
    /// What to type.
    command: Option<String>,
    /// It was repaired.
    fixed: bool,
}

impl Finding {
    pub(super) fn new(
        level: Level,
        check: &'static str,
        queue: Option<&str>,
        what: impl Into<String>,
    ) -> Self {
        Self {
            level,
            check,
            queue: queue.map(str::to_owned),
            what: what.into(),
            advice: None,
            command: None,
            fixed: false,
        }
    }

    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(super) fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    pub(super) fn fixed(mut self) -> Self {
        self.fixed = true;
        self
    }
}

#[derive(Default)]
pub(super) struct Report(Vec<Finding>);

impl Report {
    pub(super) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(super) fn problems(&self) -> usize {
        let open = self.0.iter().filter(|finding| !finding.fixed);
        open.filter(|finding| finding.level == Level::Problem)
            .count()
    }

    /// The worst first.
    pub(super) fn print(&mut self, out: &mut Out, queues: usize) -> Result<(), Trouble> {
        self.0.sort_by_key(|finding| finding.level);
        if out.json {
            return self.0.iter().try_for_each(|finding| out.json(finding));
        }
        for finding in &self.0 {
            let (tint, level) = match (finding.fixed, finding.level) {
                (true, _) => (Tint::Good, "✓ fixed  "),
                (_, Level::Problem) => (Tint::Bad, "✗ problem"),
                (_, Level::Warning) => (Tint::Held, "! warning"),
                (_, Level::Note) => (Tint::Faint, "· note   "),
            };
            let level = out.paint(tint, level);
            let queue = finding.queue.as_ref();
            let queue = queue.map_or_else(String::new, |queue| format!("{queue}: "));
            let queue = out.paint(Tint::Strong, queue);
            let what = format!("{level}  {queue}{}", printable(&finding.what));
            let indented = |text: &str| format!("{}{text}", " ".repeat(INDENT));
            let width = out.look.width;
            out.line(wrapped(&what, width, INDENT))?;
            if let Some(advice) = &finding.advice {
                out.line(wrapped(&indented(advice), width, INDENT))?;
            }
            if let Some(command) = &finding.command {
                let command = out.paint(Tint::Busy, command);
                out.line(indented(&command))?;
            }
        }
        let summary = match (self.problems(), self.0.len()) {
            (0, 0) => out.paint(Tint::Good, "✓ nothing is wrong"),
            (0, _) => out.paint(Tint::Good, "✓ no problem"),
            (n, _) => out.paint(Tint::Bad, format_args!("✗ {n} to look after")),
        };
        let s = if queues == 1 { "" } else { "s" };
        out.line(format_args!(
            "{summary}; looked at Redis and {queues} queue{s}"
        ))
    }
}
