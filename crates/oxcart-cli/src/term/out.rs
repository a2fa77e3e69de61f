//! What is printed: for people, or as JSON.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use console::Term;
use serde::Serialize;

use super::look::{Look, Tint};
use crate::text::wrap::wrapped;
use crate::trouble::Trouble;

/// Stdout. Nothing else writes to it: a closed pipe ends the program, and is no error.
pub(crate) struct Out {
    pub(crate) look: Look,
    pub(crate) json: bool,
    sink: BufWriter<Stdout>,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            look: Look::of_stdout(),
            json,
            sink: BufWriter::new(io::stdout()),
        }
    }

    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Trouble> {
        Ok(writeln!(self.sink, "{text}")?)
    }

    /// One object in one line.
    pub(crate) fn json(&mut self, object: &impl Serialize) -> Result<(), Trouble> {
        let text = serde_json::to_string(object)
            .map_err(|error| Trouble::error(format!("cannot write JSON: {error}")))?;
        self.line(text)
    }

    /// What was done: a line for people, or the object.
    pub(crate) fn done(
        &mut self,
        object: &impl Serialize,
        text: impl Display,
    ) -> Result<(), Trouble> {
        self.signed((Tint::Good, "✓"), object, text)
    }

    /// The same, if nothing was changed.
    pub(crate) fn nothing(
        &mut self,
        object: &impl Serialize,
        text: impl Display,
    ) -> Result<(), Trouble> {
        self.signed((Tint::Faint, "·"), object, text)
    }

    fn signed(
        &mut self,
        (tint, sign): (Tint, &'static str),
        object: &impl Serialize,
        text: impl Display,
    ) -> Result<(), Trouble> {
        match self.json {
            true => self.json(object),
            false => {
                let sign = self.look.paint(tint, sign);
                self.line(format_args!("{sign} {text}"))
            }
        }
    }

    /// A name and what it is, in two columns.
    pub(crate) fn fact(&mut self, name: &str, value: impl Display) -> Result<(), Trouble> {
        let name = self.look.paint(Tint::Faint, format_args!("{name:<12}"));
        self.line(format_args!("  {name}  {value}"))
    }

    pub(crate) fn paint(&self, tint: Tint, text: impl Display) -> String {
        self.look.paint(tint, text)
    }

    pub(crate) fn count(&self, number: u64) -> String {
        self.look.count(number)
    }

    /// For the person at the terminal, on stderr: nothing that a program would read.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.json || io::stderr().is_terminal() {
            let width = Term::stderr().size_checked();
            let width = width.map(|(_, columns)| columns.into());
            let text = wrapped(&format!("note: {text}"), width, 6);
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Trouble> {
        Ok(self.sink.flush()?)
    }
}
