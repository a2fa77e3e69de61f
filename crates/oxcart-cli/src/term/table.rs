//! Tables that fit the terminal: one line for each row, and the last column cut.

use comfy_table::{Attribute, Cell as Drawn, CellAlignment, Color, ContentArrangement, presets};
use console::{measure_text_width, truncate_str};

use super::look::{Look, Tint};
use super::out::Out;
use crate::trouble::Trouble;

/// Between two columns.
const GAP: usize = 2;
/// The last column is not cut shorter.
const LAST_MIN: usize = 24;

/// One cell.
pub(crate) struct Cell {
    text: String,
    tint: Tint,
}

impl Cell {
    /// In one line: control characters would break the table, or worse, do something to the terminal.
    pub(crate) fn new(tint: Tint, text: impl Into<String>) -> Self {
        let text = one_line(&text.into());
        Self { text, tint }
    }

    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::new(Tint::Plain, text)
    }
}

/// White space and control characters become single spaces.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// A column.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    align: CellAlignment,
    /// It is left out where there is no room; the highest number goes first.
    optional: u8,
}

/// A column of text.
pub(crate) fn text(title: &'static str) -> Column {
    Column {
        title,
        align: CellAlignment::Left,
        optional: 0,
    }
}

/// A column of numbers.
pub(crate) fn number(title: &'static str) -> Column {
    Column {
        align: CellAlignment::Right,
        ..text(title)
    }
}

impl Column {
    pub(crate) fn optional(mut self, rank: u8) -> Self {
        self.optional = rank;
        self
    }
}

/// Rows under titles.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn print(mut self, out: &mut Out) -> Result<(), Trouble> {
        if let Some(width) = out.look.width {
            self.fit(width);
        }
        for line in self.drawn(out.look).lines() {
            out.line(line.trim_end())?;
        }
        Ok(())
    }

    fn width_of(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widths = cells.map(|cell| measure_text_width(&cell.text));
        let title = measure_text_width(self.columns[column].title);
        widths.max().unwrap_or(0).max(title)
    }

    /// Leaves out optional columns, and then cuts the last of those that are left.
    fn fit(&mut self, width: usize) {
        loop {
            let last = self.columns.len() - 1;
            let others: usize = (0..last).map(|column| self.width_of(column) + GAP).sum();
            let room = width.saturating_sub(others);
            let optional = (0..=last).max_by_key(|column| self.columns[*column].optional);
            let needed = self.width_of(last).min(LAST_MIN);
            // A last column that is empty needs no gap before it.
            let all = match needed {
                0 => others.saturating_sub(GAP),
                needed => others + needed,
            };
            match optional.filter(|column| self.columns[*column].optional > 0) {
                Some(column) if all > width => {
                    self.columns.remove(column);
                    for row in &mut self.rows {
                        row.remove(column);
                    }
                }
                _ => {
                    let room = room.max(needed);
                    for cell in self.rows.iter_mut().filter_map(|row| row.last_mut()) {
                        cell.text = truncate_str(&cell.text, room, "…").into_owned();
                    }
                    return;
                }
            }
        }
    }

    fn drawn(self, look: Look) -> comfy_table::Table {
        let mut drawn = comfy_table::Table::new();
        drawn
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .force_no_tty();
        if look.colours {
            drawn.enforce_styling();
        }
        let titles = self.columns.iter();
        drawn.set_header(titles.map(|column| {
            let title = Drawn::new(column.title).set_alignment(column.align);
            title.add_attribute(Attribute::Dim)
        }));
        for row in self.rows {
            let cells = row.into_iter().zip(&self.columns);
            drawn.add_row(cells.map(|(cell, column)| {
                let drawn = Drawn::new(cell.text).set_alignment(column.align);
                match cell.tint {
                    Tint::Plain => drawn,
                    Tint::Strong => drawn.add_attribute(Attribute::Bold),
                    Tint::Faint => drawn.add_attribute(Attribute::Dim),
                    Tint::Good => drawn.fg(Color::DarkGreen),
                    Tint::Busy => drawn.fg(Color::DarkCyan),
                    Tint::Held => drawn.fg(Color::DarkYellow),
                    Tint::Bad => drawn.fg(Color::DarkRed),
                }
            }));
        }
        let last = self.columns.len() - 1;
        for (position, column) in drawn.column_iter_mut().enumerate() {
            let gap = if position == last { 0 } else { GAP as u16 };
            column.set_padding((0, gap));
        }
        drawn.style_text_only();
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(width: Option<usize>) -> Vec<String> {
        let mut table = Table::new([
            text("ID"),
            number("TRIES").optional(1),
            text("NAME").optional(2),
            text("ERROR"),
        ]);
        table.row(["a", "17", "charge", "the card\n was declined by the bank"].map(Cell::plain));
        table.row(["b\u{1b}[31m", "1", "x", "größer"].map(Cell::plain));
        if let Some(width) = width {
            table.fit(width);
        }
        let look = Look {
            colours: false,
            width,
        };
        let drawn = table.drawn(look);
        drawn
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn in_a_pipe_nothing_is_cut() {
        let expected = [
            "ID     TRIES  NAME    ERROR",
            "a         17  charge  the card was declined by the bank",
            "b [31m      1  x       größer",
        ];
        assert_eq!(lines(None)[0], expected[0].replace("ID     ", "ID      "));
        assert_eq!(lines(None)[2], expected[2]);
    }

    #[test]
    fn a_last_column_that_is_optional_or_empty_is_no_reason_for_lines_that_are_too_long() {
        let mut table = Table::new([text("QUEUE"), number("KEPT").optional(1), text("")]);
        table.row(["a-name-of-20-letters", "1", ""].map(Cell::plain));
        table.fit(26);
        assert_eq!(table.columns.len(), 3);
        table.fit(25);
        assert_eq!(table.columns.len(), 2);
        let mut table = Table::new([text("QUEUE"), text("STATE"), text("WHY").optional(1)]);
        table.row(["a-name-of-20-letters", "firing", "many jobs wait"].map(Cell::plain));
        table.fit(28);
        assert_eq!(table.columns.len(), 2);
        assert_eq!(table.rows[0][0].text, "a-name-of-20-letters");
    }

    #[test]
    fn a_table_fits_by_leaving_out_columns_and_cutting_the_last() {
        let lines = lines(Some(40));
        assert!(
            lines.iter().all(|line| measure_text_width(line) <= 40),
            "{lines:#?}"
        );
        assert!(
            !lines[0].contains("NAME") && lines[0].contains("TRIES"),
            "{lines:#?}"
        );
        assert!(lines[1].ends_with('…'), "{lines:#?}");
    }
}
