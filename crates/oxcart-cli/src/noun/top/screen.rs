//! The terminal: taken, given back, and what is typed.

use std::io;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::state::Key;
use crate::trouble::Trouble;

/// The whole terminal. It is given back as it was when this is dropped, and by a panic as well.
pub(super) struct Screen(DefaultTerminal);

/// What a person does.
pub(super) enum Input {
    Key(Key),
    /// Ctrl-C, which is a key as long as the terminal is taken.
    Interrupt,
    /// The terminal has another size.
    Redraw,
}

impl Screen {
    pub(super) fn take() -> Result<(Self, UnboundedReceiver<Input>), Trouble> {
        let terminal = ratatui::try_init().map_err(unusable)?;
        let screen = Self(terminal);
        let (typed, inputs) = unbounded_channel();
        // It waits for keys, and ends with the program.
        std::thread::spawn(move || {
            while let Ok(event) = event::read() {
                let sent = meaning(&event).map_or(Ok(()), |input| typed.send(input));
                if sent.is_err() {
                    break;
                }
            }
        });
        Ok((screen, inputs))
    }

    pub(super) fn height(&self) -> Result<u16, Trouble> {
        Ok(self.0.size().map_err(unusable)?.height)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Trouble> {
        self.0.draw(draw).map(|_| ()).map_err(unusable)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn unusable(error: io::Error) -> Trouble {
    Trouble::error(format!("the terminal cannot be used: {error}"))
}

fn meaning(event: &Event) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key_of(key),
        Event::Resize(..) => Some(Input::Redraw),
        _ => None,
    }
}

fn key_of(key: &KeyEvent) -> Option<Input> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Input::Interrupt);
    }
    Some(Input::Key(match key.code {
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter | KeyCode::Right => Key::Enter,
        KeyCode::Esc | KeyCode::Left | KeyCode::Backspace => Key::Back,
        KeyCode::Char(letter) => Key::Letter(letter),
        _ => return None,
    }))
}
